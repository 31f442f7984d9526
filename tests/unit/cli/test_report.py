"""calltrace report, from the command line to what is printed."""

import json
from typing import Any

import pytest

from calltrace_collector.model.process import ClockReading
from calltrace_collector.store.writer import Writer
from tests.support.synthetic import Synthetic, function
from tests.unit.cli.conftest import Ask

FUNCTIONS = [function("zebra"), function("ape"), function("cat")]


@pytest.fixture
def process(writer: Writer) -> Synthetic:
    """Once zebra for 100 us, 20 times ape for 1 us, 2 times cat for 60 us."""
    synthetic = Synthetic(writer, FUNCTIONS)
    for name, calls, duration_ns in (("zebra", 1, 100_000), ("ape", 20, 1000), ("cat", 2, 60_000)):
        for _ in range(calls):
            synthetic.enter(name)
            synthetic.leave(duration_ns)
    synthetic.end(exit_code=0)
    return synthetic


def functions(ask: Ask, *arguments: str) -> list[dict[str, Any]]:
    answer = ask("report", "--format", "json", *arguments)
    assert (answer.status, answer.err) == (0, "")
    found: list[dict[str, Any]] = json.loads(answer.out)
    return found


@pytest.mark.usefixtures("process")
@pytest.mark.parametrize(
    ("key", "order"),
    [
        ("total", ["cat", "zebra", "ape"]),
        ("self", ["cat", "zebra", "ape"]),
        ("calls", ["ape", "cat", "zebra"]),
        ("max", ["zebra", "cat", "ape"]),
        ("min", ["zebra", "cat", "ape"]),
        ("p50", ["zebra", "cat", "ape"]),
        ("p99", ["zebra", "cat", "ape"]),
        ("name", ["ape", "cat", "zebra"]),
    ],
)
def test_sorting(ask: Ask, key: str, order: list[str]) -> None:
    assert [each["function"] for each in functions(ask, "--sort", key)] == order
    assert [each["function"] for each in functions(ask, "--sort", key, "--limit", "2")] == order[:2]


@pytest.mark.usefixtures("process")
def test_the_table_is_sorted_by_total(ask: Ask) -> None:
    assert [each["function"] for each in functions(ask)] == ["cat", "zebra", "ape"]
    answer = ask("report")
    assert [line.split()[-2] for line in answer.out.splitlines()[1:]] == ["cat", "zebra", "ape"]


def test_calls_without_an_end_are_told(process: Synthetic, ask: Ask) -> None:
    process.enter("ape")
    process.commit()
    assert ask("report").err == "calltrace: 1 call had not ended: counted, but without time\n"


def test_a_clock_of_unknown_rate_is_told(writer: Writer, ask: Ask) -> None:
    synthetic = Synthetic(writer, FUNCTIONS, clock=ClockReading(5_000_000_000, 10**9, 1_700_000_000 * 10**9))
    synthetic.enter("ape")
    synthetic.leave()
    synthetic.commit()
    assert ask("report").err.startswith("calltrace: how long a clock tick is, ")


@pytest.mark.usefixtures("process")
@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--sort", "size"], 2, "invalid value for '--sort': 'size' is not one of"),
        (["--limit", "0"], 2, "invalid value for '--limit'"),
        (["--pid", "77"], 1, "no process with pid 77 is stored"),
    ],
)
def test_bad_input(ask: Ask, arguments: list[str], status: int, message: str) -> None:
    answer = ask("report", *arguments)
    assert (answer.status, answer.out) == (status, "")
    assert answer.err.startswith(f"calltrace: {message}")
    assert answer.err.count("\n") == 1
