"""Lines of source files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from calltrace_collector.report.source import SourceLine, source_lines


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "a.c"
    path.write_bytes(b"one\ntwo\n\tthree\nf\xffur\nfive\n")
    return str(path)


@pytest.mark.parametrize(
    ("line", "around", "numbers"),
    [
        (1, 0, [1]),
        (1, 2, [1, 2, 3]),
        (3, 1, [2, 3, 4]),
        (5, 3, [2, 3, 4, 5]),
        (6, 3, []),
        (0, 3, []),
        (-1, 3, []),
        (1 << 40, 3, []),
    ],
)
def test_lines(file: str, line: int, around: int, numbers: list[int]) -> None:
    texts = ["", "one", "two", "        three", "f\ufffdur", "five"]
    assert source_lines(file, line, around) == [SourceLine(number, texts[number]) for number in numbers]


def test_what_is_no_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "huge").open("wb") as huge:
        huge.write(b"line\n")
        huge.truncate(1 << 30)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.c").write_text("line\n")
    paths = [str(tmp_path / name) for name in ("pipe", "huge", "gone", "", "a\0b")]
    for path in [*paths, "/dev/zero", "here.c", "x" * 10_000, "\udc80", ""]:
        assert source_lines(path, 1, 3) == []
