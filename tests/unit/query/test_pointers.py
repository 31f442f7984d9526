"""Pointers have the names of the functions that they lead to, or none."""

import subprocess
from pathlib import Path

import pytest

from calltrace_collector.model.commit import Commit
from calltrace_collector.model.process import ModuleInfo, Segment
from calltrace_collector.query.names import Names
from calltrace_collector.query.pointers import FunctionPointers
from calltrace_collector.store.reader import Reader
from calltrace_collector.store.writer import Writer
from calltrace_collector.symbols.elf import ElfFile
from tests.support.compile import compile_c
from tests.support.synthetic import Synthetic, function

BIAS = 0x7F00_0000_0000


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pointers")
    source = folder / "library.c"
    source.write_text(
        "int twice(int x) { return 2 * x; }\nstatic int one;\nint *where(void) { return &one; }\n"
    )
    return compile_c([source], folder / "library.so", ("-shared", "-fPIC", "-Wl,--build-id"))


def offset_of(library: Path, name: str) -> int:
    """From nm, which is not ours."""
    lines = subprocess.run(["nm", library], capture_output=True, text=True, check=True).stdout.splitlines()
    return next(int(line.split()[0], 16) for line in lines if line.endswith(f" {name}"))


def module(library: Path, number: object = 1, **changes: object) -> ModuleInfo:
    with ElfFile(str(library)) as elf:
        build_id = elf.build_id or b""
    values: dict[str, object] = {
        "number": number,
        "path": str(library),
        "build_id": build_id,
        "load_bias": BIAS,
        "segments": (Segment(0, 0x5000, 0, 5),),
    }
    return ModuleInfo(**{**values, **changes})  # type: ignore[arg-type] # as the test has it


def pointers(writer: Writer, reader: Reader, *modules: ModuleInfo) -> tuple[FunctionPointers, Synthetic]:
    synthetic = Synthetic(writer, [function("main"), function("other")])
    synthetic.enter("main")
    synthetic.commit()
    writer.commit([Commit(synthetic.process, 100, modules=list(modules))])
    process = synthetic.process
    return FunctionPointers(reader, process, Names(reader, process)), synthetic


def test_functions_that_were_entered(writer: Writer, reader: Reader) -> None:
    found, synthetic = pointers(writer, reader)
    address = synthetic.twin.sites[0][0]
    assert [found.name(address), found.name(address + 1), found.name(5)] == ["main", None, None]


def test_functions_of_files(writer: Writer, reader: Reader, library: Path) -> None:
    found, _ = pointers(writer, reader, module(library))
    address = BIAS + offset_of(library, "twice")
    assert found.name(address) == "twice"
    assert found.name(address + 1) is None
    assert found.name(BIAS + offset_of(library, "one")) is None
    assert found.name(BIAS - 1) is None
    assert found.name(2**64 - 1) is None


@pytest.mark.parametrize(
    "changes", [{"build_id": b""}, {"build_id": b"another"}, {"path": "/nowhere"}, {"segments": ()}]
)
def test_files_that_may_be_others(
    writer: Writer, reader: Reader, library: Path, changes: dict[str, object]
) -> None:
    found, _ = pointers(writer, reader, module(library, **changes))
    assert found.name(BIAS + offset_of(library, "twice")) is None


def test_an_address_that_was_two_modules(writer: Writer, reader: Reader, library: Path) -> None:
    gone = module(library, 2, path="/gone.so", build_id=b"gone", unloaded_ticks=77)
    found, _ = pointers(writer, reader, module(library), gone)
    assert found.name(BIAS + offset_of(library, "twice")) is None


def test_an_address_that_was_two_functions(writer: Writer, reader: Reader) -> None:
    found, synthetic = pointers(writer, reader)
    address = synthetic.twin.sites[0][0]
    with writer._engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO process_function VALUES (1, 9, ?, 0, 4112)", (address,))
        connection.exec_driver_sql(
            "INSERT INTO function SELECT module_file_id, 4112, quality, size_bytes, 'later', 'later', "
            "file, line FROM function LIMIT 1"
        )
    fresh = FunctionPointers(reader, synthetic.process, Names(reader, synthetic.process))
    assert found.name(address) == "main"
    assert fresh.name(address) is None
