"""What trees look like."""

import io
import re
from typing import TextIO

import pytest

from calltrace_collector.model.capture import How, Item, Layout, Plan, Type, TypeKind
from calltrace_collector.model.process import ProcessState
from calltrace_collector.query.filters import CallFilter
from calltrace_collector.query.recording import Recording
from calltrace_collector.query.tree import tree
from calltrace_collector.report.tree_text import TreeText
from calltrace_collector.store.reader import Reader
from calltrace_collector.store.writer import Writer
from tests.support.synthetic import Synthetic, function
from tests.unit.report.terminal import on_terminal

FUNCTIONS = [
    function("main", line=3),
    function("work", line=7),
    function("leaf", line=9),
    function("esc\x1b[2J"),
]


def print_tree(
    reader: Reader,
    out: TextIO,
    wanted: CallFilter | None = None,
    *,
    limit: int | None = None,
    max_depth: int | None = None,
    with_source: bool = False,
) -> int:
    recording = Recording(reader, reader.processes()[0])
    wanted = wanted or CallFilter()
    lines = tree(recording, recording.threads, recording.matcher(wanted), limit=limit, max_depth=max_depth)
    text = TreeText(recording, out, is_filtered=not wanted.is_everything, with_source=with_source)
    return text.print(lines)


def shown(reader: Reader, wanted: CallFilter | None = None, **options: int | None) -> list[str]:
    out = io.StringIO()
    print_tree(reader, out, wanted, **options)  # type: ignore[arg-type] # with_source is an int, too
    return out.getvalue().splitlines()


@pytest.fixture
def process(writer: Writer) -> Synthetic:
    """Two threads: one with a bit of everything, one that works."""
    synthetic = Synthetic(writer, FUNCTIONS, threads=2)
    synthetic.enter("main")
    synthetic.enter("work", 10)
    synthetic.enter("leaf", 5)
    synthetic.leave(1_500)
    synthetic.mark("DROPPED", 1)
    synthetic.enter("leaf", 5)
    synthetic.enter("leaf", 5)
    synthetic.mark("ABANDONED", 2)
    synthetic.leave(2_000_000)
    synthetic.mark("DROPPED", 1234)
    synthetic.mark("ORPHAN_EXIT", 0x1234)
    synthetic.enter("work")
    synthetic.mark("CUT", 3)
    synthetic.leave(12)
    synthetic.enter("work")
    synthetic.mark("LOST_EXIT", 1)
    synthetic.enter("work", thread=1)
    for _ in range(3):
        synthetic.enter("leaf", thread=1)
        synthetic.leave(2, thread=1)
    synthetic.leave(thread=1)
    return synthetic


def test_all_of_it(process: Synthetic, reader: Reader) -> None:
    process.end(ProcessState.KILLED, signal=9)
    assert shown(reader) == [
        "process 1  prog 'two words'  pid 4242, 2023-11-14 22:13:19 UTC, killed by SIGKILL",
        "",
        "thread 0 worker 0  tid 100, 7 calls",
        ">  2.001 ms  main  [never returned]",
        "   2.001 ms    work",
        "   1.500 us      leaf",
        "                 ! 1 event dropped here",
        "       5 ns      leaf  [left without a return]",
        "       0 ns        leaf  [left without a return]",
        "               ! 1,234 events dropped here, 1 exit without an entry",
        "      12 ns    work  [deeper calls not recorded]",
        ">      0 ns    work  [its end was dropped]",
        "",
        "thread 1 worker 1  tid 101, 4 calls",
        "      10 ns  work",
        "       2 ns    leaf",
        "       2 ns    leaf",
        "       2 ns    leaf",
    ]


def test_what_is_left_out_is_counted(process: Synthetic, reader: Reader) -> None:
    process.end(exit_code=0)
    assert shown(reader, max_depth=0)[2:] == [
        "thread 0 worker 0  tid 100, 7 calls",
        ">  2.001 ms  main  [never returned]",
        "               … 6 calls deeper",
        "               ! 1,235 events dropped here, 1 exit without an entry",
        "",
        "thread 1 worker 1  tid 101, 4 calls",
        "      10 ns  work",
        "               … 3 calls deeper",
    ]
    assert shown(reader, limit=4)[2:] == [
        "thread 0 worker 0  tid 100, 7 calls",
        ">  2.001 ms  main  [never returned]",
        "   2.001 ms    work",
        "             … 5 more calls of this thread: --limit 0 shows all",
        "",
        "thread 1 worker 1  tid 101, 4 calls",
        "      10 ns  work",
        "       2 ns    leaf",
        "             … 2 more calls of this thread: --limit 0 shows all",
    ]


def test_hits_have_durations_and_their_callers_have_none(process: Synthetic, reader: Reader) -> None:
    process.end(exit_code=0)
    assert shown(reader, CallFilter(function="leaf"), limit=5)[2:] == [
        "thread 0 worker 0  tid 100, 7 calls",
        "             main",
        "               work",
        "   1.500 us      leaf",
        "       5 ns      leaf  [left without a return]",
        "       0 ns        leaf  [left without a return]",
        "",
        "thread 1 worker 1  tid 101, 4 calls",
        "             work",
        "       2 ns    leaf",
        "       2 ns    leaf",
        "             … 1 more matching call of this thread: --limit 0 shows all",
    ]


def test_threads_without_hits_are_left_out(process: Synthetic, reader: Reader) -> None:
    process.end(exit_code=0)
    assert shown(reader, CallFilter(function="main"))[2:] == [
        "thread 0 worker 0  tid 100, 7 calls",
        ">  2.001 ms  main  [never returned]",
    ]


@pytest.mark.parametrize(
    ("state", "remark"),
    [
        (ProcessState.EXITED, "never returned"),
        (ProcessState.EXECED, "never returned"),
        (ProcessState.CRASHED, "open at the crash"),
    ],
)
def test_calls_that_did_not_end(process: Synthetic, reader: Reader, state: ProcessState, remark: str) -> None:
    process.end(state)
    assert shown(reader)[3] == f">  2.001 ms  main  [{remark}]"


def test_calls_of_a_running_process(process: Synthetic, reader: Reader) -> None:
    process.commit()
    text = shown(reader)
    assert text[0].endswith(", running")
    assert text[3] == ">  2.001 ms  main  [still open]"


def test_files_and_lines(process: Synthetic, reader: Reader) -> None:
    process.end(exit_code=0)
    assert shown(reader, with_source=True)[3:6] == [
        ">  2.001 ms  main  prog.c:3  [never returned]",
        "   2.001 ms    work  prog.c:7",
        "   1.500 us      leaf  prog.c:9",
    ]


def test_names_cannot_command_the_terminal(writer: Writer, reader: Reader) -> None:
    synthetic = Synthetic(writer, FUNCTIONS, arguments=("prog", "\x1b[2J\n"))
    synthetic.enter("esc\x1b[2J")
    synthetic.commit()
    text = shown(reader)
    assert text[0].startswith("process 1  prog '?[2J?'  pid")
    assert text[3] == ">      0 ns  esc?[2J  [still open]"


def test_deep_calls_say_how_deep_they_are(writer: Writer, reader: Reader) -> None:
    synthetic = Synthetic(writer, FUNCTIONS, chunk_rows=100)
    for _ in range(103):
        synthetic.enter("leaf")
    synthetic.commit()
    assert shown(reader)[-3:] == [
        f">      2 ns  {'  ' * 100}leaf  [still open]",
        f">      1 ns  {'  ' * 100}[101] leaf  [still open]",
        f">      0 ns  {'  ' * 100}[102] leaf  [still open]",
    ]


def test_terminal(process: Synthetic, reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    process.end(exit_code=0)
    text = on_terminal(lambda out: print_tree(reader, out)).splitlines()
    assert text[4:6] == [
        "\x1b[32m   2.001 ms  \x1b[0m\x1b[2m│ \x1b[0mwork",
        "\x1b[32m   1.500 us  \x1b[0m\x1b[2m│ │ \x1b[0mleaf",
    ]


def test_long_names_are_cut_to_the_terminal(
    writer: Writer, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    synthetic = Synthetic(writer, [function("f<" + "x" * 100 + ">")])
    synthetic.enter("f<" + "x" * 100 + ">")
    synthetic.commit()
    *_, line = on_terminal(lambda out: print_tree(reader, out)).splitlines()
    plain = re.sub(r"\x1b\[[0-9;]*m", "", line)
    assert plain == f">      0 ns  {'f<' + 'x' * 30}…  [still open]"
    assert len(plain) == 60


INT = Type(TypeKind.INTEGER, "int", 4, signed=True)
TEXT = Type(TypeKind.POINTER, "const char *", 8)
PLAN = Plan(
    layouts=(
        Layout((Item("s", TEXT, How.TEXT), Item("len", INT, How.VALUE, 4))),
        Layout((Item("", INT, How.VALUE, 4),)),
        Layout((Item("", TEXT, How.TEXT),)),
    )
)


def captured_text(text: bytes, *, is_cut: bool = False) -> bytes:
    return bytes([is_cut]) + len(text).to_bytes(2, "little") + text


def test_arguments_and_return_values(writer: Writer, reader: Reader) -> None:
    synthetic = Synthetic(writer, [*FUNCTIONS, function("ns::parse(char const*, int)", "_Z")], plan=PLAN)
    entered = synthetic.captured(0, captured_text(b"12,3") + b"\0\4\0\0\0")
    synthetic.enter("main", captured=entered)
    synthetic.enter("work", captured=entered)
    synthetic.leave(captured=synthetic.captured(1, b"\0\2\0\0\0"))
    synthetic.enter("work", captured=entered)
    synthetic.leave()
    synthetic.enter("leaf")
    synthetic.leave(captured=synthetic.captured(2, captured_text(b"\x1b[2J\n\xff", is_cut=True)))
    synthetic.enter("leaf")
    synthetic.mark("ABANDONED", 1)
    synthetic.enter("ns::parse(char const*, int)", captured=entered)
    synthetic.leave()
    synthetic.commit()
    assert shown(reader)[3:] == [
        '>      9 ns  main(s="12,3", len=4)  [still open]',
        '       1 ns    work(s="12,3", len=4) = 2',
        '       1 ns    work(s="12,3", len=4)',
        r'       1 ns    leaf() = "\x1b[2J\n\xff"...',
        "       0 ns    leaf  [left without a return]",
        '       1 ns    ns::parse(s="12,3", len=4)',
    ]
    assert shown(reader, CallFilter(function="work"))[3:] == [
        '             main(s="12,3", len=4)',
        '       1 ns    work(s="12,3", len=4) = 2',
        '       1 ns    work(s="12,3", len=4)',
    ]


def test_long_values_are_cut_to_the_terminal(
    writer: Writer, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    synthetic = Synthetic(writer, FUNCTIONS, plan=PLAN)
    long = captured_text(b"x" * 300)
    synthetic.enter("work", captured=synthetic.captured(0, long + b"\0\4\0\0\0"))
    synthetic.leave(captured=synthetic.captured(1, b"\0\2\0\0\0"))
    synthetic.enter("work", captured=synthetic.captured(0, long + b"\0\4\0\0\0"))
    synthetic.leave(captured=synthetic.captured(2, long))
    synthetic.commit()
    lines = on_terminal(lambda out: print_tree(reader, out)).splitlines()[-2:]
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines]
    assert plain == [
        f'       1 ns  work(s="{"x" * 34}… = 2',
        f'       1 ns  work(s="{"x" * 18}… = "{"x" * 15}…',
    ]
    assert [len(line) for line in plain] == [60, 60]
