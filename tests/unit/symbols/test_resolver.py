"""The face of the package: modules, build-ids, separate debug files, split debug information."""

import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from calltrace_collector.errors import SymbolError
from calltrace_collector.symbols.resolver import ModuleSymbols, Resolver
from tests.unit.symbols import oracles
from tests.unit.symbols.conftest import COLD, FIXTURES, Build


def answers(module: ModuleSymbols, path: Path) -> tuple[object, object]:
    """What the module says of every function and instruction of a program that is not stripped."""
    functions = module.functions(sorted(oracles.nm(path).values()))
    return functions, module.locations(oracles.instructions(path))


def strip(path: Path, stripped: Path, debug: Path) -> None:
    """Splits a program, as distributions do."""
    debug.parent.mkdir(parents=True, exist_ok=True)
    oracles.run("objcopy", "--only-keep-debug", path, debug)
    oracles.run("strip", "--strip-unneeded", "-o", stripped, path)


def installed(directory: Path, build_id: bytes) -> Path:
    name = build_id.hex()
    return directory / ".build-id" / name[:2] / f"{name[2:]}.debug"


@pytest.mark.parametrize("name", ["plain", "no-pie", "library", "c++"])
def test_a_debug_file_of_the_build_says_what_the_program_did(build: Build, tmp_path: Path, name: str) -> None:
    path, stripped = build(name), tmp_path / "stripped"
    build_id = oracles.readelf_build_id(path)
    debug = installed(tmp_path / "debug", build_id)
    strip(path, stripped, debug)
    module = Resolver((tmp_path / "nowhere", tmp_path / "debug")).module(str(stripped), build_id)
    assert module.path == str(debug)
    assert module.has_debug_info
    assert answers(module, path) == answers(oracles.module(path), path)


@pytest.mark.parametrize("place", ["{}", ".debug/{}", "debug/{}"])
def test_a_debug_file_is_found_by_its_link(build: Build, tmp_path: Path, place: str) -> None:
    path, stripped = build("plain"), tmp_path / "stripped"
    shown = tmp_path.relative_to("/") / "stripped.debug" if place.startswith("debug/") else "stripped.debug"
    debug = tmp_path / place.format(shown)
    strip(path, stripped, debug)
    oracles.run("objcopy", f"--add-gnu-debuglink={debug}", stripped)
    module = oracles.module(stripped, Resolver((tmp_path / "debug",)))
    assert module.path == str(debug)
    assert answers(module, path) == answers(oracles.module(path), path)


def test_without_a_build_id_the_checksum_decides(build: Build, tmp_path: Path) -> None:
    path, stripped, debug = tmp_path / "program", tmp_path / "stripped", tmp_path / "stripped.debug"
    oracles.run("objcopy", "--remove-section=.note.gnu.build-id", build("plain"), path)
    strip(path, stripped, debug)
    oracles.run("objcopy", f"--add-gnu-debuglink={debug}", stripped)
    assert oracles.module(stripped).path == str(debug)
    with debug.open("ab") as file:
        file.write(b"\0")
    assert not oracles.module(stripped).has_debug_info


@pytest.mark.parametrize("damage", ["other build", "no ELF", "folder"])
def test_a_debug_file_that_does_not_fit_is_passed_over(build: Build, tmp_path: Path, damage: str) -> None:
    path, stripped = build("plain"), tmp_path / "stripped"
    build_id = oracles.readelf_build_id(path)
    debug = installed(tmp_path, build_id)
    strip(path, stripped, debug)
    debug.unlink()
    if damage == "other build":
        shutil.copy(build("dwarf4"), debug)
    elif damage == "no ELF":
        debug.write_text("nothing")
    else:
        debug.mkdir()
    module = Resolver((tmp_path,)).module(str(stripped), build_id)
    assert not module.has_debug_info
    exported = oracles.nm(stripped, "-D")
    assert exported
    assert all(module.functions(list(exported.values())))


@pytest.mark.parametrize("link", [b"", b"/etc/passwd", b"../plain", b"..", b"a/b"])
def test_links_that_lead_elsewhere_are_not_followed(build: Build, tmp_path: Path, link: bytes) -> None:
    path, content = tmp_path / "stripped", tmp_path / "link"
    content.write_bytes(link + bytes(4 - len(link) % 4) + bytes(4))
    oracles.run("strip", "-o", path, build("plain"))
    oracles.run("objcopy", f"--add-section=.gnu_debuglink={content}", path)
    assert not oracles.module(path, Resolver((tmp_path,))).has_debug_info


def test_another_build_is_refused(build: Build) -> None:
    path = build("plain")
    for build_id in (b"", b"\x01" * 20):
        with pytest.raises(SymbolError, match=r"another build .* restart the program"):
            Resolver(()).module(str(path), build_id)


def test_a_program_that_is_gone_is_known_by_its_debug_file(build: Build, tmp_path: Path) -> None:
    path = build("plain")
    build_id = oracles.readelf_build_id(path)
    debug = installed(tmp_path, build_id)
    strip(path, tmp_path / "stripped", debug)
    resolver = Resolver((tmp_path,))
    module = resolver.module(str(tmp_path / "gone"), build_id)
    assert module.path == str(debug)
    assert answers(module, path) == answers(oracles.module(path), path)
    assert resolver.module(str(build("dwarf4")), build_id).path == str(debug)
    with pytest.raises(SymbolError, match="No such file"):
        resolver.module(str(tmp_path / "gone"), b"\x01" * 20)


def test_modules_are_kept_until_the_file_changes(build: Build, tmp_path: Path) -> None:
    path = tmp_path / "program"
    shutil.copy(build("plain"), path)
    resolver, build_id = Resolver(()), oracles.readelf_build_id(path)
    first = resolver.module(str(path), build_id)
    assert resolver.module(str(path), build_id) is first
    path.unlink()
    shutil.copy(build("dwarf4"), path)
    with pytest.raises(SymbolError, match="another build"):
        resolver.module(str(path), build_id)
    assert oracles.module(path, resolver) is not first
    # What is open stays open.
    start = oracles.nm(build("plain"))["helper"]
    assert [one and one.name for one in first.functions([start])] == ["helper"]


def test_few_modules_stay_open(build: Build, tmp_path: Path) -> None:
    resolver = Resolver(())
    path = build("labels")
    build_id, main = oracles.readelf_build_id(path), oracles.nm(path)["main"]
    before = len(list(Path("/proc/self/fd").iterdir()))
    favourite = None
    for number in range(200):
        copy = tmp_path / str(number)
        copy.symlink_to(path)
        assert resolver.module(str(copy), build_id).functions([main]) != [None]
        favourite = favourite or resolver.module(str(path), build_id)
        assert resolver.module(str(path), build_id) is favourite  # asked for again and again, it stays
    assert len(list(Path("/proc/self/fd").iterdir())) < before + 100


@pytest.mark.parametrize("version", [4, 5])
def test_split_debug_information(tmp_path: Path, version: int) -> None:
    sources = [shutil.copy(FIXTURES / name, tmp_path) for name in ("shapes.c", "helper.c", "shapes.h")][:2]
    path, whole = tmp_path / "split", tmp_path / "whole"
    flags = ["-D_GNU_SOURCE", f"-gdwarf-{version}", "-O0", "-finstrument-functions"]
    oracles.run("gcc", *flags, "-gsplit-dwarf", "-dumpdir", f"{tmp_path}/", *sources, "-o", path)
    oracles.run("gcc", *flags, *sources, "-o", whole)
    assert len(list(tmp_path.glob("*.dwo"))) == 2
    module = oracles.module(path)
    names = ("twice", "attributed", "old_style", "in_header", "helper", "late", "main")
    for name in names:
        found = module.functions([oracles.nm(path)[name]])[0]
        expected = oracles.module(whole).functions([oracles.nm(whole)[name]])[0]
        assert found is not None
        assert expected is not None
        assert (found.name, found.file, found.line) == (expected.name, expected.file, expected.line)
    assert module.problems == []
    assert module.locations(oracles.instructions(path)) == oracles.gdb_lines(path, oracles.instructions(path))
    nameless = tmp_path / "nameless"
    oracles.remove_symbols(path, nameless)
    starts = [oracles.nm(path)[name] for name in names]
    assert oracles.module(nameless).functions(starts) == module.functions(starts)


@pytest.mark.parametrize("version", [4, 5])
def test_split_functions_in_several_pieces(tmp_path: Path, version: int) -> None:
    source, path = tmp_path / "cold.c", tmp_path / "cold"
    source.write_text(COLD)
    flags = ("-O2", f"-gdwarf-{version}", "-gsplit-dwarf", "-dumpdir", f"{tmp_path}/")
    oracles.run("gcc", *flags, source, "-o", path)
    module = oracles.module(path)
    addresses = oracles.nm(path)
    found = module.functions([addresses["risky"], addresses["risky.cold"]])
    assert [one and (one.file, one.line) for one in found] == [(str(source), 4)] * 2
    assert module.problems == []


def test_missing_and_foreign_split_files_are_told(tmp_path: Path) -> None:
    source, path = tmp_path / "s.c", tmp_path / "split"
    source.write_text("\nint main(void) { return 0; }\n")
    command = ("gcc", "-g", "-gsplit-dwarf", "-dumpdir", f"{tmp_path}/", source, "-o", path)
    oracles.run(*command)
    (dwo,) = tmp_path.glob("*.dwo")
    kept = dwo.read_bytes()
    for change, problem in (
        (dwo.unlink, "No such file"),
        (lambda: dwo.write_bytes(kept), "another compilation"),
    ):
        change()
        if problem == "another compilation":
            source.write_text("\n\nint main(int argc, char **argv) { return argc + !argv; }\n")
            oracles.run(*command)
            dwo.write_bytes(kept)
        module = oracles.module(path)
        (function,) = module.functions([oracles.nm(path)["main"]])
        assert function is not None
        # The skeleton's own line table still says where the first instruction is.
        assert function.line in (2, 3)
        assert any(problem in one for one in module.problems)


def test_offsets_may_be_arrays_of_any_integers(build: Build) -> None:
    path = build("plain")
    module = oracles.module(path)
    starts = sorted(oracles.nm(path).values())
    expected = module.functions(starts)
    for kind in (np.uint64, np.int64, np.uint32):
        assert module.functions(np.array(starts, dtype=kind)) == expected
        assert module.locations(np.array(starts, dtype=kind)) == module.locations(starts)
    assert module.functions([]) == []
    assert module.functions([-1, 1 << 64, (1 << 64) - 1, 1 << 70]) == [None] * 4


def test_many_threads_get_the_same_answers(build: Build) -> None:
    path = build("c++")
    expected = answers(oracles.module(path), path)
    resolver, build_id = Resolver(()), oracles.readelf_build_id(path)
    starts, addresses = sorted(oracles.nm(path).values()), oracles.instructions(path)
    found: list[object] = []

    def ask() -> None:
        module = resolver.module(str(path), build_id)
        found.append((module.functions(starts), module.locations(addresses)))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4
