from pathlib import Path

import pytest

from calltrace_collector.errors import StoreError
from calltrace_collector.model.commit import CallSiteName, Commit, FunctionName, UnnamedFile
from calltrace_collector.store.writer import Writer
from tests.unit.store.samples import module_info, process_info, rows_of, site

OFFSET = 0x1000
UNKNOWN = FunctionName(OFFSET, 0, None, None, None, None)
FROM_SYMTAB = FunctionName(OFFSET, 32, "_Z1fv", "f()", None, None)
FROM_DWARF = FunctionName(OFFSET, 32, "_Z1fv", "f()", "/src/f.cc", 12)
BETTER_DWARF = FunctionName(OFFSET, 33, "_Z1fv", "f()", "/src/moved.cc", 13)


def trace(writer: Writer, name: str = "one", sites: int = 3) -> None:
    process = writer.open_process(process_info(name)).process
    writer.commit([Commit(process, 1, modules=[module_info()], sites=[site(n) for n in range(sites)])])


def names(path: Path) -> list[tuple[object, ...]]:
    return rows_of(path, "SELECT name, file, line, size_bytes FROM function WHERE offset = ?", [OFFSET])


def test_what_has_no_name_yet(writer: Writer) -> None:
    assert writer.unnamed() == []
    trace(writer)
    assert writer.unnamed() == [
        UnnamedFile(
            file=1,
            path="/usr/bin/prog",
            build_id=bytes.fromhex("c0ffee0000000000"),
            functions=(0x1000, 0x1010, 0x1020),
            call_sites=(0x2000, 0x2004, 0x2008),
        )
    ]


def test_at_most_so_many_places(writer: Writer) -> None:
    trace(writer)
    found = [writer.unnamed(limit)[0] for limit in (1, 3, 4, 6, 7)]
    assert [(len(one.functions), len(one.call_sites)) for one in found] == [
        (1, 0),
        (3, 0),
        (3, 1),
        (3, 3),
        (3, 3),
    ]


def test_named_by_parts(writer: Writer) -> None:
    trace(writer, sites=10)
    rounds = 0
    while found := writer.unnamed(limit=3):
        (one,) = found
        writer.name(
            one.file,
            [FunctionName(offset, 1, f"f{offset}", f"f{offset}", None, None) for offset in one.functions],
            [CallSiteName(offset, "main", None, None) for offset in one.call_sites],
        )
        rounds += 1
    assert rounds == 7


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        (UNKNOWN, FROM_SYMTAB, FROM_SYMTAB),
        (FROM_SYMTAB, FROM_DWARF, FROM_DWARF),
        (FROM_DWARF, FROM_SYMTAB, FROM_DWARF),
        (FROM_DWARF, UNKNOWN, FROM_DWARF),
        (FROM_SYMTAB, UNKNOWN, FROM_SYMTAB),
        (FROM_DWARF, BETTER_DWARF, BETTER_DWARF),
    ],
)
def test_better_replaces_worse(
    path: Path, writer: Writer, first: FunctionName, second: FunctionName, kept: FunctionName
) -> None:
    trace(writer)
    writer.name(1, [first], [])
    writer.name(1, [second], [])
    assert names(path) == [(kept.name, kept.file, kept.line, kept.size_bytes)]


def test_call_sites_too(path: Path, writer: Writer) -> None:
    trace(writer)
    for name in (
        CallSiteName(0x2000, "main", None, None),
        CallSiteName(0x2000, "main", "/src/main.c", 7),
        CallSiteName(0x2000, None, None, None),
    ):
        writer.name(1, [], [name])
    assert rows_of(path, "SELECT caller, file, line FROM call_site WHERE offset = 0x2000") == [
        ("main", "/src/main.c", 7)
    ]


def test_known_to_the_next_process(path: Path, writer: Writer) -> None:
    trace(writer, "one")
    writer.name(
        1,
        [FunctionName(0x1000 + 16 * n, 1, "f", "f", "f.c", 1) for n in range(3)],
        [CallSiteName(0x2000 + 4 * n, "f", "f.c", 1) for n in range(3)],
    )
    trace(writer, "two")
    assert writer.unnamed() == []
    assert names(path) == [("f", "f.c", 1, 1)]


def test_looked_for_in_vain_until_somebody_maps_the_file_again(writer: Writer) -> None:
    trace(writer, "one", sites=1)
    writer.name(1, [UNKNOWN], [CallSiteName(0x2000, None, None, None)])
    assert writer.unnamed() == []
    # The file may have been gone then, and be back now.
    trace(writer, "two", sites=1)
    (found,) = writer.unnamed()
    assert (found.functions, found.call_sites) == ((0x1000,), (0x2000,))
    writer.name(1, [FROM_DWARF], [CallSiteName(0x2000, "f()", "/src/f.cc", 14)])
    trace(writer, "three", sites=1)
    assert writer.unnamed() == []


def test_names_of_a_file_that_is_not_there(writer: Writer) -> None:
    with pytest.raises(StoreError, match="FOREIGN KEY constraint failed"):
        writer.name(99, [FROM_DWARF], [])
