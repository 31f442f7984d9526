"""A wheel holds all that an installed collector needs, and nothing that only a checkout needs."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path, PurePath

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "calltrace_collector"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(ROOT)], check=True)
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def needed_libraries(library: Path) -> list[str]:
    listing = subprocess.run(["readelf", "-dW", library], check=True, capture_output=True, text=True).stdout
    return re.findall(r"\(NEEDED\).*\[(.+)\]", listing)


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


def test_agent_needs_libc_alone(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    agent = wheel.extract("calltrace_collector/libcalltrace.so", tmp_path)
    assert needed_libraries(Path(agent)) == ["libc.so.6"]


def test_holds_no_c_sources(wheel: zipfile.ZipFile) -> None:
    suffixes = {PurePath(name).suffix for name in wheel.namelist()}
    assert not suffixes & {".c", ".h", ".S", ".o", ".pyc"}


def test_serves_every_newer_python(wheel: zipfile.ZipFile) -> None:
    assert PurePath(wheel.filename or "").name.split("-")[2:4] == ["cp311", "abi3"]
