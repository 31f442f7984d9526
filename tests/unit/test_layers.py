"""Imports run one way: a package uses only what stands on floors below its own."""

import ast
from collections.abc import Iterator
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
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS, start=1) for room in rooms}
FILES = sorted(path for path in ROOT.rglob("*.py*") if path.suffix in {".py", ".pyi"})


def room_of(path: Path) -> str:
    """The package or module right below calltrace_collector that the file belongs to."""
    first = path.relative_to(ROOT).parts[0]
    return first.partition(".")[0]


def imported_rooms(source: str) -> Iterator[str]:
    """The rooms that the source imports from, wherever in it; "" for calltrace_collector itself."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where they lead"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            top, _, rest = name.partition(".")
            if top == NAME:
                yield rest.partition(".")[0]


def wrong_imports(room: str, source: str) -> list[str]:
    """The rooms that `room` may not import from, and does."""
    allowed = {other for other, floor in FLOOR_OF.items() if floor < FLOOR_OF.get(room, 0)}
    # Anyone may ask for the version.
    return [other for other in imported_rooms(source) if other not in allowed | {room, "__version__"}]


def test_every_package_has_a_floor() -> None:
    rooms = {room_of(path) for path in FILES} - {"__init__"}
    assert rooms <= FLOOR_OF.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_lead_down(path: Path) -> None:
    assert wrong_imports(room_of(path), path.read_text()) == []


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
