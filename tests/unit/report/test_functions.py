"""Functions' sums as JSON and as a table."""

import io

from calltrace_collector.query.stats import function_stats
from calltrace_collector.report.functions import function_fields, print_functions
from calltrace_collector.store.reader import Reader
from calltrace_collector.store.writer import Writer
from tests.support.synthetic import Synthetic, function

FUNCTIONS = [function("f(int)", "_Z1fi", line=3), function("main", line=8)]


def recorded(writer: Writer) -> Synthetic:
    synthetic = Synthetic(writer, FUNCTIONS)
    synthetic.enter("main")
    synthetic.enter("f(int)", 100)
    synthetic.leave(2000)
    synthetic.commit()
    return synthetic


def test_fields(writer: Writer, reader: Reader) -> None:
    main, f = function_stats(reader, recorded(writer).process)
    assert function_fields(f) == {
        "function": "f(int)",
        "linkage_name": "_Z1fi",
        "module": "/opt/prog/prog",
        "file": "/src/prog.c",
        "line": 3,
        "calls": 1,
        "total_ns": 2000,
        "self_ns": 2000,
        "min_ns": 2000,
        "max_ns": 2000,
        "p50_ns": 2000,
        "p99_ns": 2000,
    }
    assert list(function_fields(main).values())[5:] == [1, 0, 0, None, None, None, None]


def test_table(writer: Writer, reader: Reader) -> None:
    out = io.StringIO()
    print_functions(function_stats(reader, recorded(writer).process), out)
    heading, main, f = out.getvalue().splitlines()
    assert heading.split() == ["CALLS", "TOTAL", "SELF", "MIN", "P50", "P99", "MAX", "FUNCTION", "WHERE"]
    assert main.split() == ["1", *"-" * 6, "main", "prog.c:8"]
    assert f.split() == ["1", *["2.000", "us"] * 6, "f(int)", "prog.c:3"]
