"""What compilers and linkers make only now and then, made by hand."""

import struct
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from calltrace_collector.symbols import ranges
from calltrace_collector.symbols.dwarf import DwarfFile
from calltrace_collector.symbols.elf import ElfFile
from calltrace_collector.symbols.forms import At, Form
from calltrace_collector.symbols.lineprogram import LineProgram
from calltrace_collector.symbols.linetable import LineTable, SourceLine
from calltrace_collector.symbols.resolver import FunctionSymbol, Resolver
from calltrace_collector.symbols.sourcefiles import SourceFiles
from calltrace_collector.symbols.unit import Value
from tests.unit.symbols import made, oracles

FUNCTION, WEAK_FUNCTION, LOCAL_FUNCTION, LABEL = 0x12, 0x22, 0x02, 0x10
ADDR_BASE, RNGLISTS_BASE = 0x73, 0x74
EXECUTABLE = np.array([[0x1000, 0x2000]], dtype=np.uint64)


def find(path: Path, *offsets: int) -> list[FunctionSymbol | None]:
    return Resolver(()).module(str(path), b"").functions(offsets)


@pytest.mark.parametrize(
    ("symbols", "expected"),
    [
        ([("a", LOCAL_FUNCTION, 16), ("b", WEAK_FUNCTION, 16), ("c", FUNCTION, 16)], "c"),
        ([("a", LOCAL_FUNCTION, 16), ("b", WEAK_FUNCTION, 16)], "b"),
        ([("a", LABEL, 16), ("b", LOCAL_FUNCTION, 16)], "b"),
        ([("a", FUNCTION, 0), ("b", LOCAL_FUNCTION, 16)], "b"),
        ([("a", LABEL, 0), ("b", LOCAL_FUNCTION, 0)], "b"),
        ([("long", FUNCTION, 16), ("z", FUNCTION, 16)], "z"),
        ([("b", FUNCTION, 16), ("a", FUNCTION, 16)], "a"),
        ([("a", FUNCTION, 8), ("b", FUNCTION, 16)], "b"),
        ([("a", 0x11, 16), ("b", LOCAL_FUNCTION, 16)], "b"),  # an object is no function
    ],
)
def test_which_of_several_symbols_is_taken(
    tmp_path: Path, symbols: list[tuple[str, int, int]], expected: str
) -> None:
    for rows in (symbols, symbols[::-1]):
        table = [(name, info, 0x1010, size) for name, info, size in rows]
        (function,) = find(made.elf_with(tmp_path / "program", symbols=table), 0x1010)
        assert function is not None
        assert function.name == expected


def test_symbols_that_leave_their_section_are_no_functions(tmp_path: Path) -> None:
    table = [
        ("before", FUNCTION, 0xFF0, 0x100),
        ("beyond", FUNCTION, 0x1FF0, 0x11),
        ("endless", FUNCTION, 0x1100, (1 << 64) - 1),
        ("after", FUNCTION, 0x2000, 1),
        ("fits", FUNCTION, 0x1FE0, 0x20),
    ]
    path = made.elf_with(tmp_path / "program", symbols=table)
    found = find(path, 0xFF0, 0x1000, 0x1100, 0x1FDF, 0x1FE0, 0x1FFF, 0x2000)
    assert [one and one.name for one in found] == [None, None, None, None, "fits", "fits", None]


SHAPES = (
    made.abbreviation(1, made.COMPILE_UNIT, (made.LOW_PC, made.ADDR), (made.HIGH_PC, made.DATA8))
    + made.abbreviation(
        2,
        made.SUBPROGRAM,
        (made.NAME, made.STRING),
        (made.LOW_PC, made.ADDR),
        (made.HIGH_PC, made.DATA8),
    )
    + made.abbreviation(
        3,
        made.SUBPROGRAM,
        (made.NAME, made.STRING),
        (made.DECL_FILE, made.DATA1),
        (made.DECL_LINE, made.DATA1),
    )
    + made.abbreviation(
        4,
        made.SUBPROGRAM,
        (made.SPECIFICATION, made.REF4),
        (made.DECL_LINE, made.DATA1),
        (made.LOW_PC, made.ADDR),
        (made.HIGH_PC, made.DATA8),
    )
    + made.abbreviation(
        5,
        made.COMPILE_UNIT,
        (made.STMT_LIST, made.SEC_OFFSET),
        (made.LOW_PC, made.ADDR),
        (made.HIGH_PC, made.DATA8),
    )
    + made.abbreviation(
        6,
        made.SUBPROGRAM,
        (made.SPECIFICATION, made.REF4),
        (made.DECL_FILE, made.DATA1),
        (made.RANGES, made.SEC_OFFSET),
    )
    + b"\0"
)
UNIT = b"\x01" + struct.pack("<QQ", 0x1000, 0x1000)


def described(name: str, start: int, size: int) -> bytes:
    """An entry of a function."""
    return b"\x02" + name.encode() + b"\0" + struct.pack("<QQ", start, size)


def test_a_function_within_another_is_found(tmp_path: Path) -> None:
    entries = [("outer", 0x1000, 0x100), ("inner", 0x1010, 0x10), ("thrown_away", 0, 0x3000)]
    for order in (entries, entries[::-1]):
        info = made.unit(0, UNIT + b"".join(described(*entry) for entry in order))
        path = made.elf_with(tmp_path / "program", {".debug_info": info, ".debug_abbrev": SHAPES})
        found = find(path, 0x1000, 0x100F, 0x1010, 0x101F, 0x1020, 0x10FF, 0x1100, 0x10)
        assert [one and one.name for one in found] == [
            *("outer", "outer", "inner", "inner", "outer", "outer"),
            *(None, None),
        ]


def test_a_unit_that_the_linker_has_thrown_away_hides_nothing(tmp_path: Path) -> None:
    thrown_away = b"\x01" + struct.pack("<QQ", 0, 0x3000) + described("thrown_away", 0, 0x3000)
    info = made.unit(0, thrown_away) + made.unit(0, UNIT + described("kept", 0x1000, 0x10))
    path = made.elf_with(tmp_path / "program", {".debug_info": info, ".debug_abbrev": SHAPES})
    assert [one and one.name for one in find(path, 0x1000, 0x1010)] == ["kept", None]


# Two files in folders 0 and 0, of version 4.
PROLOGUE = (
    b"\x01\x01\x01\xfb\x0e\x0d" + b"\0\1\1\1\1\0\0\0\1\0\0\1" + b"\0" + b"/one.c\0\0\0\0/two.c\0\0\0\0\0"
)
LINES = struct.pack("<HI", 4, len(PROLOGUE)) + PROLOGUE
LINES = struct.pack("<I", len(LINES)) + LINES


def test_a_definition_overrides_its_declaration_attribute_by_attribute(tmp_path: Path) -> None:
    root = b"\x05" + struct.pack("<IQQ", 0, 0x1000, 0x1000)
    declaration = 11 + len(root)
    entries = root + b"\x03method\0\x02\x05"  # of two.c, line 5
    entries += b"\x04" + struct.pack("<IBQQ", declaration, 9, 0x1000, 0x10)  # line 9
    sections = {".debug_info": made.unit(0, entries), ".debug_abbrev": SHAPES, ".debug_line": LINES}
    path = made.elf_with(tmp_path / "program", sections)
    assert find(path, 0x1008) == [FunctionSymbol(0x1000, 0x10, "method", "method", "/two.c", 9)]


def test_a_function_in_pieces_of_another_file_than_its_declaration(tmp_path: Path) -> None:
    root = b"\x05" + struct.pack("<IQQ", 0, 0x1000, 0x1000)
    declaration = 11 + len(root)
    entries = root + b"\x03method\0\x02\x05"  # of two.c, line 5
    entries += b"\x06" + struct.pack("<IBI", declaration, 1, 0)  # one.c
    # The pieces count from the unit's start, and after the choice of a base, from that.
    pieces = struct.pack("<8Q", 0x10, 0x20, (1 << 64) - 1, 0x1800, 0x30, 0x40, 0, 0)
    sections = {
        ".debug_info": made.unit(0, entries),
        ".debug_abbrev": SHAPES,
        ".debug_line": LINES,
        ".debug_ranges": pieces,
    }
    path = made.elf_with(tmp_path / "program", sections)
    assert find(path, 0x100F, 0x1010, 0x1020, 0x183F, 0x1840) == [
        None,
        FunctionSymbol(0x1010, 0x10, "method", "method", "/one.c", 5),
        None,
        FunctionSymbol(0x1830, 0x10, "method", "method", "/one.c", 5),
        None,
    ]


def test_of_functions_that_were_folded_the_one_of_the_symbols_name_is_taken(tmp_path: Path) -> None:
    root = b"\x05" + struct.pack("<IQQ", 0, 0x1000, 0x1000)
    entries = root
    for name, line in (("first", 5), ("second", 7), ("third", 9)):
        declaration = struct.pack("<I", 11 + len(entries))
        entries += b"\x03" + name.encode() + b"\0\x01" + bytes([line])
        entries += b"\x04" + declaration + struct.pack("<BQQ", line, 0x1000, 0x10)
    sections = {".debug_info": made.unit(0, entries), ".debug_abbrev": SHAPES, ".debug_line": LINES}
    for name, line in (("first", 5), ("second", 7), ("third", 9)):
        path = made.elf_with(tmp_path / "program", sections, symbols=[(name, FUNCTION, 0x1000, 0x10)])
        assert find(path, 0x1000) == [FunctionSymbol(0x1000, 0x10, name, name, "/one.c", line)]


def sequence(start: int, *rows: tuple[int, int]) -> bytes:
    """A sequence of rows: each holds for so many bytes, and is of such a line."""
    program = b"\0\x09\x02" + struct.pack("<Q", start)
    line = 1
    for size, new in rows:
        program += b"\x03" + bytes([new - line & 0x7F]) + b"\x01" + b"\x02" + made.uleb(size)
        line = new
    return program + b"\0\x01\x01"


def lines_of(program: bytes, *addresses: int) -> list[int | None]:
    files = SourceFiles(cast("DwarfFile", None), None, [None], [((Form.STRING, b"/f.c"), 0)], 1)
    table = LineTable(LineProgram(program, 0, len(program), 1, -5, 14, 13, bytes(12), files), EXECUTABLE)
    found = table.find(np.array(addresses, dtype=np.uint64))
    assert all(line is None or line == SourceLine("/f.c", line.line) for line in found)
    return [line.line if line else None for line in found]


def test_sequences_of_folded_functions_are_not_mixed() -> None:
    program = (
        sequence(0x1000, (4, 10), (4, 11)) + sequence(0x1000, (6, 20), (2, 21)) + sequence(0x1008, (8, 30))
    )
    assert lines_of(program, *range(0x1000, 0x1009)) == [10] * 4 + [11] * 4 + [30]


def test_sequences_that_were_thrown_away_cover_nothing() -> None:
    program = sequence(0, (0x3000, 10)) + sequence(0x1100, (4, 20)) + sequence((1 << 64) - 8, (4, 30))
    assert lines_of(program, 0x10, 0x1000, 0x1100, 0x1104, (1 << 64) - 8) == [None, None, 20, None, None]


def test_rows_of_no_size_cover_nothing() -> None:
    assert lines_of(sequence(0x1000, (0, 10), (4, 11), (0, 12)), 0x1000, 0x1003, 0x1004) == [11, 11, None]
    empty = sequence(0x1000, (4, 10)) + sequence(0x1004, (0, 20)) + sequence(0x1008, (4, 30))
    assert lines_of(empty, 0x1003, 0x1004, 0x1006, 0x1008) == [10, None, None, 30]


def test_line_0_is_no_line() -> None:
    assert lines_of(sequence(0x1000, (4, 10), (4, 0), (4, 12)), 0x1000, 0x1004, 0x1008) == [10, None, 12]


def test_a_sequence_without_an_end_covers_nothing() -> None:
    assert lines_of(sequence(0x1000, (4, 10)) + sequence(0x1100, (4, 20))[:-3], 0x1000, 0x1100) == [10, None]


@pytest.mark.parametrize("version", [4, 5])
def test_relative_folders_are_joined_once(tmp_path: Path, version: int) -> None:
    folder = tmp_path / "source"
    (folder / "include").mkdir(parents=True)
    (folder / "include/header.h").write_text("static inline int header(int x)\n{\n    return x;\n}\n")
    (folder / "main.c").write_text('#include "header.h"\nint main(void)\n{\n    return header(0);\n}\n')
    path = tmp_path / "program"
    flags = (f"-gdwarf-{version}", "-Iinclude", f"-fdebug-prefix-map={folder}=./built")
    oracles.run("env", "-C", folder, "gcc", *flags, "main.c", "-o", path)
    names = oracles.nm(path)
    found = oracles.module(path).functions([names["main"], names["header"]])
    assert [one and one.file for one in found] == ["built/main.c", "built/include/header.h"]


def test_every_kind_of_entry_of_a_list_of_ranges(tmp_path: Path) -> None:
    first, second = struct.pack("<Q", 0x1100), struct.pack("<Q", 0x1200)
    entries = (
        (b"\x04\x10\x20", (0x1010, 0x1020)),  # offset_pair, from the unit's own start
        (b"\x01\x01", None),  # base_addressx
        (b"\x04\x01\x02", (0x1801, 0x1802)),
        (b"\x02\x00\x01", (0x1700, 0x1800)),  # startx_endx
        (b"\x03\x01\x90\x01", (0x1800, 0x1890)),  # startx_length
        (b"\x05" + first, None),  # base_address
        (b"\x04\x03\x04", (0x1103, 0x1104)),
        (b"\x06" + first + second, (0x1100, 0x1200)),  # start_end
        (b"\x07" + second + b"\x05", (0x1200, 0x1205)),  # start_length
        (b"\x04\x08\x08", None),  # empty
    )
    table = made.abbreviation(
        1,
        made.COMPILE_UNIT,
        (made.LOW_PC, made.ADDR),
        (ADDR_BASE, made.SEC_OFFSET),
        (RNGLISTS_BASE, made.SEC_OFFSET),
    )
    root = b"\x01" + struct.pack("<QII", 0x1000, 8, 4)
    content = struct.pack("<HBBI", 5, 1, 8, 0) + root
    sections = {
        ".debug_info": struct.pack("<I", len(content)) + content,
        ".debug_abbrev": table + b"\0",
        ".debug_addr": bytes(8) + struct.pack("<QQ", 0x1700, 0x1800),
        # Before the list, at 4: one offset, from there.
        ".debug_rnglists": bytes(4) + struct.pack("<I", 4) + b"".join(code for code, _ in entries) + b"\0",
    }
    with ElfFile(made.elf_with(tmp_path / "program", sections)) as elf:
        dwarf = DwarfFile(elf)
        for value in (Value(Form.SEC_OFFSET, 8), Value(Form.RNGLISTX, 0)):
            found = ranges.of_entry(dwarf.units[0], {At.RANGES: value})
            assert found == [bounds for _, bounds in entries if bounds]


def test_folder_0_is_the_compilers_own_and_others_count_from_where_it_ran(tmp_path: Path) -> None:
    with ElfFile(made.elf_with(tmp_path / "program")) as elf:
        folders = [(Form.STRING, name) for name in (b"/own", b"below", b"/elsewhere/..//x")]
        names = [((Form.STRING, b"./f.c"), number) for number in range(4)]
        dwarf = DwarfFile(elf)
        files = SourceFiles(dwarf, "/ran", folders, [*names, ((Form.STRING, b"//g.c"), 1)], 0)
        found = [files.get(number) for number in range(5)]
        assert found == ["/own/f.c", "/ran/below/f.c", "/x/f.c", None, "/g.c"]
        assert SourceFiles(dwarf, None, folders, names, 0).get(1) == "/own/below/f.c"


def test_names_of_files_that_are_nowhere(tmp_path: Path) -> None:
    path = made.elf_with(tmp_path / "program", {".debug_line_str": b"name\0"})
    with ElfFile(path) as elf:
        dwarf = DwarfFile(elf)
        names = [
            ((Form.LINE_STRP, 0), 0),
            ((Form.LINE_STRP, 99), 0),
            ((Form.STRP, 0), 0),
            ((Form.DATA1, 0), 0),
        ]
        files = SourceFiles(dwarf, "/here", [None], [*names, ((Form.STRING, b"x"), 1)], 1)
        assert [files.get(number) for number in range(7)] == [None, "/here/name", *[None] * 5]
