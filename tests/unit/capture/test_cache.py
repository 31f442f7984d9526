"""Kept plans: found again, and never believed when they are damaged, stale or somebody else's."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from calltrace_collector.capture.plan.cache import plan_for
from calltrace_collector.capture.plan.kept_plan import KeptPlans
from calltrace_collector.capture.plan.plan_json import plan_from_json, plan_to_json
from calltrace_collector.errors import ProtocolError, SymbolError
from calltrace_collector.model.capture import HookPlan, How, Item, Layout, Plan, Type, TypeKind
from calltrace_collector.symbols.elf import ElfFile
from tests.support.compile import compile_c

SOURCE = "int f(int a) { return a; } int main(void) { return f(0); }"
INT = Type(TypeKind.INTEGER, "int", 4, signed=True)
PLAN = Plan(
    (Layout((Item("a", INT, How.VALUE, 4),)), Layout((Item("", INT, How.NONE, unavailable="gone"),))),
    (HookPlan(0x1020, 0x1000, "f(int)", 0, b"\x01\x04\x00"), HookPlan(0x1040, 0x1000, "f(int)", 1, b"")),
)


def program(folder: Path, *flags: str) -> Path:
    source = folder / "source.c"
    source.write_text(SOURCE)
    return compile_c([source], folder / "program", ("-O0", "-finstrument-functions", *flags))


class Progress:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def __call__(self, done: int, total: int) -> None:
        self.seen.append((done, total))


def kept_files(folder: Path) -> list[Path]:
    return sorted((folder / "cache/calltrace/plans").iterdir())


@pytest.mark.parametrize("flags", [("-Wl,--build-id=sha1",), ("-Wl,--build-id=none",)])
def test_a_plan_is_made_once(tmp_path: Path, flags: tuple[str, ...]) -> None:
    path = program(tmp_path, *flags)
    first, again = Progress(), Progress()
    made = plan_for(path, progress=first)
    assert len(made.hooks) == 3
    assert first.seen[0][0] == 0
    assert first.seen[-1] == (4, 4)
    assert plan_for(path, progress=again) == made
    assert again.seen == []


def test_without_a_build_id_a_changed_file_is_another(tmp_path: Path) -> None:
    path = program(tmp_path, "-Wl,--build-id=none")
    plan_for(path)
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    progress = Progress()
    plan_for(path, progress=progress)
    assert progress.seen


def test_another_build_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SymbolError, match="another build"):
        plan_for(program(tmp_path), b"\x12" * 20)


def test_a_file_without_hooks_has_an_empty_plan(tmp_path: Path) -> None:
    source = tmp_path / "source.c"
    source.write_text(SOURCE)
    progress = Progress()
    assert plan_for(compile_c([source], tmp_path / "program"), progress=progress) == Plan()
    assert progress.seen == []


def test_plans_with_problems_are_not_kept(tmp_path: Path) -> None:
    assert plan_for(program(tmp_path, "-g0")).problems
    assert not (tmp_path / "cache").exists()


class StoppedError(Exception):
    """What the user's Ctrl-C is here."""


def test_what_is_stopped_is_not_kept(tmp_path: Path) -> None:
    def stop(_done: int, _total: int) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        plan_for(program(tmp_path), progress=stop)
    assert not (tmp_path / "cache").exists()


def test_a_damaged_file_is_made_again(tmp_path: Path) -> None:
    path = program(tmp_path)
    made = plan_for(path)
    (kept,) = kept_files(tmp_path)
    content = kept.read_bytes()
    for place in (0, len(content) // 3, len(content) - 1):
        damaged = bytearray(content)
        damaged[place] ^= 0x40
        kept.write_bytes(damaged)
        progress = Progress()
        assert plan_for(path, progress=progress) == made
        assert progress.seen
        assert kept.read_bytes() == content


def kept_one() -> KeptPlans:
    kept = KeptPlans()
    kept.write("name", "identity", PLAN)
    assert kept.read("name", "identity") == PLAN
    return kept


def test_what_is_cut_counts_as_not_there(tmp_path: Path) -> None:
    kept = kept_one()
    (path,) = kept_files(tmp_path)
    content = path.read_bytes()
    for size in range(0, len(content), 7):
        path.write_bytes(content[:size])
        assert kept.read("name", "identity") is None


def test_what_others_may_write_counts_as_not_there(tmp_path: Path) -> None:
    kept = kept_one()
    (path,) = kept_files(tmp_path)
    path.chmod(0o666)
    assert kept.read("name", "identity") is None
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    assert kept.read("name", "identity") is None
    path.unlink()
    os.mkfifo(path)
    assert kept.read("name", "identity") is None


def test_a_plan_of_something_else_counts_as_not_there() -> None:
    assert kept_one().read("name", "another") is None


def test_plans_of_other_code_count_as_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = kept_one()
    monkeypatch.setattr("calltrace_collector.capture.plan.kept_plan._made_by", lambda: "another version")
    assert kept.read("name", "identity") is None


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    kept = KeptPlans()
    kept.write("name", "identity", PLAN)
    assert kept.read("name", "identity") is None
    assert KeptPlans({}).read("name", "identity") is None


def test_many_writers_leave_one_whole_file(tmp_path: Path) -> None:
    kept = KeptPlans()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: kept.write("name", "identity", PLAN), range(64)))
    assert kept.read("name", "identity") == PLAN
    assert [path.name for path in kept_files(tmp_path)] == ["name.plan"]


def test_the_oldest_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calltrace_collector.capture.plan.kept_plan._MAX_FILES", 3)
    kept = KeptPlans()
    for number in range(5):
        kept.write(f"name{number}", "identity", PLAN)
        os.utime(tmp_path / f"cache/calltrace/plans/name{number}.plan", ns=(number, number))
    assert [path.name for path in kept_files(tmp_path)] == ["name2.plan", "name3.plan", "name4.plan"]


def test_plans_survive_json() -> None:
    assert plan_from_json(plan_to_json(PLAN)) == PLAN


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"return_offsets":[4128', b'"return_offsets":[-1'),
        (b'"return_offsets":[4128', b'"return_offsets":["4128"'),
        (b'"return_offsets":[4128,', b'"return_offsets":['),
        (b'"hook_layouts":[0', b'"hook_layouts":[2'),
        (b'"functions":[0', b'"functions":[1'),
        (b'"programs":["010400"', b'"programs":["01040"'),
        (b'"programs":["010400"', b'"programs":["' + b"00" * 8193 + b'"'),
        (b'"names":["f(int)"]', b'"names":[7]'),
        (b'"problems":[]', b'"problems":[1]'),
        (b"{", b"["),
    ],
)
def test_other_json_is_refused(old: bytes, new: bytes) -> None:
    text = plan_to_json(PLAN)
    assert old in text
    with pytest.raises(ProtocolError):
        plan_from_json(text.replace(old, new, 1))


def test_the_debug_file_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = program(tmp_path)
    whole = plan_for(path)
    assert whole.hooks
    debug = tmp_path / "debug"
    monkeypatch.setattr("calltrace_collector.symbols.debugfile.DEBUG_DIRECTORIES", (debug,))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    split(path, debug)
    assert plan_for(path) == whole


def split(path: Path, folder: Path) -> None:
    """Moves the debug information of a program to the place of its build-id."""
    with ElfFile(path) as elf:
        name = (elf.build_id or b"").hex()
    place = folder / ".build-id" / name[:2]
    place.mkdir(parents=True)
    subprocess.run(["objcopy", "--only-keep-debug", path, place / f"{name[2:]}.debug"], check=True)
    subprocess.run(["strip", "--strip-all", path], check=True)
