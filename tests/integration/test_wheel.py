"""A wheel holds all that an installed collector needs, and nothing that only a checkout needs."""

import io
import subprocess
import sys
import zipfile
from pathlib import Path, PurePath

import pytest
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "calltrace_collector"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(ROOT)], check=True)
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def needed_libraries(library: bytes) -> list[str]:
    dynamic = ELFFile(io.BytesIO(library)).get_section_by_name(".dynamic")
    assert isinstance(dynamic, DynamicSection)
    return [tag.needed for tag in dynamic.iter_tags("DT_NEEDED")]


def test_holds_the_python_sources(wheel: zipfile.ZipFile) -> None:
    sources = {
        str(path.relative_to(ROOT)) for path in PACKAGE.rglob("*") if path.suffix in {".py", ".pyi", ".typed"}
    }
    assert sources - set(wheel.namelist()) == {"calltrace_collector/core/build.py"}


def test_holds_the_migrations(wheel: zipfile.ZipFile) -> None:
    scripts = {
        f"calltrace_collector/{path.relative_to(ROOT)}"
        for path in (ROOT / "migrations").rglob("*")
        if path.suffix in {".py", ".mako"}
    }
    assert scripts
    assert scripts <= set(wheel.namelist())


def test_holds_the_compiled_parts(wheel: zipfile.ZipFile) -> None:
    compiled = {name for name in wheel.namelist() if name.endswith(".so")}
    assert compiled == {
        "calltrace_collector/libcalltrace.so",
        "calltrace_collector/core/_core.abi3.so",
    }


def test_agent_needs_libc_alone(wheel: zipfile.ZipFile) -> None:
    assert needed_libraries(wheel.read("calltrace_collector/libcalltrace.so")) == ["libc.so.6"]


def test_holds_no_c_sources(wheel: zipfile.ZipFile) -> None:
    suffixes = {PurePath(name).suffix for name in wheel.namelist()}
    assert not suffixes & {".c", ".h", ".S", ".o", ".pyc"}


def test_serves_every_newer_python(wheel: zipfile.ZipFile) -> None:
    assert PurePath(wheel.filename or "").name.split("-")[2:4] == ["cp311", "abi3"]
