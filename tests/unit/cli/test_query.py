"""calltrace query, from the command line to what is printed."""

import json
from pathlib import Path
from typing import Any

import pytest

from calltrace_collector.model.process import ClockReading
from calltrace_collector.report.units import rfc3339
from calltrace_collector.store.writer import Writer
from tests.support.synthetic import START_NS, START_TICKS, TICKS_PER_NS, Synthetic, function
from tests.unit.cli.conftest import Ask

FUNCTIONS = [function("main"), function("work(int)"), function("leaf")]


@pytest.fixture
def process(writer: Writer) -> Synthetic:
    """main, 10 times work, each with 3 times leaf; on another thread leaf alone."""
    synthetic = Synthetic(writer, FUNCTIONS, threads=2)
    synthetic.enter("main")
    for number in range(10):
        synthetic.enter("work(int)")
        for _ in range(3):
            synthetic.enter("leaf", 10)
            synthetic.leave(1000 * (number + 1))
        synthetic.leave()
    synthetic.leave()
    synthetic.enter("leaf", thread=1)
    synthetic.leave(thread=1)
    synthetic.end(exit_code=0)
    return synthetic


def calls(ask: Ask, *arguments: str) -> list[dict[str, Any]]:
    answer = ask("query", "--format", "jsonl", *arguments)
    assert answer.status == 0
    return [json.loads(line) for line in answer.out.splitlines()]


@pytest.mark.usefixtures("process")
def test_all_calls_by_default(ask: Ask) -> None:
    assert len(calls(ask)) == 42
    answer = ask("query")
    assert (answer.status, answer.err) == (0, "")
    assert len(answer.out.splitlines()) == 1 + (2 + 41) + (2 + 1)


@pytest.mark.usefixtures("process")
def test_json_is_the_same_calls_in_an_array(ask: Ask) -> None:
    assert json.loads(ask("query", "--format", "json").out) == calls(ask)


@pytest.mark.usefixtures("process")
@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (["--tid", "101"], 1),
        (["--function", "work"], 10),
        (["--function", "l*"], 31),
        (["--min-duration", "10us"], 3 + 7 + 1),
        (["--function", "leaf", "--min-duration", "10us"], 3),
        (["--max-depth", "1"], 1 + 10 + 1),
        (["--max-depth", "0"], 2),
        (["--limit", "5"], 5),
        (["--limit", "41"], 41),
        (["--limit", "42"], 42),
        (["--limit", "0"], 42),
        (["--function", "leaf", "--limit", "31"], 31),
        (["--since", rfc3339(START_NS + 10**9)], 0),
        (["--until", rfc3339(START_NS)], 0),
        (["--since", rfc3339(START_NS), "--until", rfc3339(START_NS + 2)], 3),
        (["--since", str(START_NS + 10**9)], 0),
        (["--since", "1d"], 0),
        (["--until", "1d"], 42),
    ],
)
def test_filters(ask: Ask, arguments: list[str], count: int) -> None:
    assert len(calls(ask, *arguments)) == count


@pytest.mark.usefixtures("process")
def test_limit_and_depth_of_a_tree(ask: Ask) -> None:
    text = ask("query", "--limit", "6").out
    assert "… 36 more calls of this thread: --limit 0 shows all\n" in text
    assert text.count("leaf") == 3 + 1
    text = ask("query", "--depth", "1").out
    assert text.count("… 3 calls deeper\n") == 10


def test_a_tree_is_capped_by_default(writer: Writer, ask: Ask) -> None:
    synthetic = Synthetic(writer, FUNCTIONS, chunk_rows=1000)
    for _ in range(1200):
        synthetic.enter("leaf")
        synthetic.leave()
    synthetic.commit()
    assert "… 200 more calls of this thread" in ask("query").out
    assert "more calls" not in ask("query", "--limit", "0").out
    assert len(calls(ask)) == 1200


@pytest.mark.usefixtures("process")
def test_a_filter_that_nothing_passes_says_so(ask: Ask) -> None:
    answer = ask("query", "--min-duration", "1h")
    assert (answer.status, answer.err) == (0, "calltrace: no call passes the filters\n")


@pytest.mark.usefixtures("process")
@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (
            ["--function", "nosuch"],
            1,
            "nosuch matches none of the 3 functions of process 1: calltrace report",
        ),
        (["--function", "["], 2, "the pattern [ has a [ without its ]"),
        (["--function", ""], 2, "an empty pattern"),
        (["--tid", "5"], 1, "process 1 has no thread with tid 5: it has 100, 101"),
        (["--pid", "5"], 1, "no process with pid 5 is stored; the newest are 4242 (prog)"),
        (["--process", "5"], 1, "no process with id 5 is stored; the newest are 1 (prog)"),
        (["--process", "1", "--pid", "4242"], 2, "give --process or --pid, not both"),
        (["--pid", "0"], 2, "invalid value for '--pid'"),
        (["--pid", "four"], 2, "invalid value for '--pid'"),
        (["--process", "99999999999999999999"], 2, "invalid value for '--process'"),
        (["--min-duration", "5"], 2, "invalid value for '--min-duration': '5': not a duration: write"),
        (["--min-duration", "fast"], 2, "invalid value for '--min-duration': 'fast': not a duration: write"),
        (["--since", "noon"], 2, "invalid value for '--since': 'noon': not a time: write"),
        (["--until", "2026-02-30"], 2, "invalid value for '--until': '2026-02-30': day"),
        (["--limit", "-1"], 2, "invalid value for '--limit'"),
        (["--depth", "x"], 2, "invalid value for '--depth'"),
        (["--format", "xml"], 2, "invalid value for '--format': 'xml' is not one of"),
        (["--format", "jsonl", "--depth", "2"], 2, "--depth and --source are for trees"),
        (["--tids", "5"], 2, "no such option"),
        (["main"], 2, "got unexpected extra argument"),
        (["--db", "/nowhere/x.db"], 1, "no database at /nowhere/x.db: record something first"),
        (["--db", "mysql://x"], 1, "no support for databases of type mysql"),
    ],
)
def test_bad_input(ask: Ask, arguments: list[str], status: int, message: str) -> None:
    answer = ask("query", *arguments)
    assert answer.status == status
    assert answer.out == ""
    assert answer.err.startswith(f"calltrace: {message}") or answer.err.lower().startswith(
        f"calltrace: {message}"
    )
    assert answer.err.count("\n") == 1


def test_a_file_that_is_no_database(ask: Ask, tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    path.write_text("not a database " * 1000)
    answer = ask("query", "--db", str(path))
    assert answer.status == 1
    assert "not a database" in answer.err
    assert answer.err.count("\n") == 1


@pytest.mark.usefixtures("writer")
def test_an_empty_database(ask: Ask) -> None:
    answer = ask("query")
    assert answer.status == 1
    assert answer.err.endswith("record one with calltrace record -- PROGRAM\n")


def test_several_processes_with_the_pid(writer: Writer, ask: Ask) -> None:
    for number in range(2):
        clock = ClockReading(START_TICKS - TICKS_PER_NS * 10**9, 0, START_NS + number * 60 * 10**9)
        Synthetic(writer, FUNCTIONS, session=str(number), clock=clock).enter("main")
    answer = ask("query", "--pid", "4242")
    assert answer.out.startswith("process 2 ")
    assert answer.err == (
        "calltrace: 2 processes have had pid 4242: this is the newest, begun 2023-11-14 22:14:20; "
        "the one begun 2023-11-14 22:13:20 is --process 1\n"
    )
    assert ask("query", "--process", "1").err == ""


def test_losses_are_told(writer: Writer, ask: Ask) -> None:
    synthetic = Synthetic(writer, FUNCTIONS)
    synthetic.mark("DROPPED", 1500)
    synthetic.commit()
    for arguments in (["query"], ["query", "--format", "jsonl"], ["report"]):
        assert ask(*arguments).err.startswith(
            "calltrace: calls are missing: 1,500 events of this process were"
        )


def test_a_process_without_calls(writer: Writer, ask: Ask) -> None:
    Synthetic(writer, FUNCTIONS)
    assert ask("query").out.splitlines()[2:] == ["thread 0 worker 0  tid 100, 0 calls"]
    assert ask("query", "--format", "json").out == "[]\n"
    assert ask("query", "--format", "jsonl").out == ""
