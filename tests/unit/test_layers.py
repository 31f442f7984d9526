"""Imports run one way: a package uses only what stands on floors below its own."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import calltrace_collector

NAME = "calltrace_collector"
ROOT = Path(calltrace_collector.__file__).parent
FLOORS = [
    {"errors", "config"},
    {"symbols", "core", "wire", "model"},
    {"ingest", "capture", "crash"},
    {"store", "forward"},
    {"query"},
    {"report", "export"},
    {"cli"},
]
CAPTURE = "calltrace_collector.capture"
CAPTURE_ROOT = ROOT / "capture"
CAPTURE_FLOORS = [
    {"machine", "code", "values"},
    {"trace", "signature"},
    {"plan"},
]
FILES = sorted(path for path in ROOT.rglob("*.py*") if path.suffix in {".py", ".pyi"})
CAPTURE_FILES = [path for path in FILES if path.is_relative_to(CAPTURE_ROOT)]


def room_of(path: Path, root: Path = ROOT) -> str:
    """The package or module right below calltrace_collector, or another package, that the file belongs to."""
    first = path.relative_to(root).parts[0]
    return first.partition(".")[0]


def imported_rooms(source: str, package: str = NAME) -> Iterator[str]:
    """The rooms of a package that the source imports from, wherever in it; "" for the package itself."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where they lead"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if f"{name}.".startswith(f"{package}."):
                yield name.removeprefix(package).removeprefix(".").partition(".")[0]


def wrong_imports(
    room: str, source: str, floors: Sequence[set[str]] = FLOORS, package: str = NAME
) -> list[str]:
    """The rooms that `room` may not import from, and does."""
    floor = next((number for number, rooms in enumerate(floors) if room in rooms), 0)
    # Anyone may ask for the version.
    allowed = {room, "__version__"}.union(*floors[:floor])
    return [other for other in imported_rooms(source, package) if other not in allowed]


@pytest.mark.parametrize(
    ("files", "root", "floors"), [(FILES, ROOT, FLOORS), (CAPTURE_FILES, CAPTURE_ROOT, CAPTURE_FLOORS)]
)
def test_every_package_has_a_floor(files: list[Path], root: Path, floors: list[set[str]]) -> None:
    rooms = {room_of(path, root) for path in files} - {"__init__"}
    assert rooms <= set().union(*floors)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_lead_down(path: Path) -> None:
    assert wrong_imports(room_of(path), path.read_text()) == []


@pytest.mark.parametrize("path", CAPTURE_FILES, ids=lambda path: str(path.relative_to(CAPTURE_ROOT)))
def test_imports_within_capture_lead_down(path: Path) -> None:
    room = room_of(path, CAPTURE_ROOT)
    assert wrong_imports(room, path.read_text(), CAPTURE_FLOORS, CAPTURE) == []


@pytest.mark.parametrize(
    ("room", "source", "wrong"),
    [
        ("store", "from calltrace_collector.model.process import Process", []),
        ("store", "from calltrace_collector import model, __version__", []),
        ("store", "def f():\n    import calltrace_collector.cli.serve", ["cli"]),
        ("model", "from calltrace_collector.wire import decode", ["wire"]),
        ("query", "from calltrace_collector import report", ["report"]),
        ("__init__", "from calltrace_collector import errors", ["errors"]),
        ("errors", "import calltrace_collector", [""]),
        ("errors", "import calltrace_collectors.cli", []),
    ],
)
def test_wrong_imports_are_seen(room: str, source: str, wrong: list[str]) -> None:
    assert wrong_imports(room, source) == wrong


@pytest.mark.parametrize(
    ("room", "source", "wrong"),
    [
        ("plan", "from calltrace_collector.capture.code.stubs import stubs", []),
        ("plan", "from calltrace_collector.capture import trace", []),
        ("signature", "import calltrace_collector.capture.plan.make", ["plan"]),
        ("trace", "from calltrace_collector.capture.signature.abi import Leaf", ["signature"]),
        ("code", "from calltrace_collector.symbols.elf import ElfFile", []),
        ("code", "from calltrace_collector import capture", [""]),
    ],
)
def test_wrong_imports_within_capture_are_seen(room: str, source: str, wrong: list[str]) -> None:
    assert wrong_imports(room, source, CAPTURE_FLOORS, CAPTURE) == wrong
