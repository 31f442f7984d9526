"""Crashes as text."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from calltrace_collector.crash.analyze import Analyzer
from calltrace_collector.model.commit import Commit, CrashRow
from calltrace_collector.model.crash import CrashAnalysis, CrashRecord, UncaughtException
from calltrace_collector.model.process import ClockReading, ProcessState
from calltrace_collector.query.crashes import CrashReport, choose_crash, crash_report
from calltrace_collector.report.crash_text import CrashText
from calltrace_collector.store.reader import Reader
from calltrace_collector.store.writer import Writer
from tests.support.crash_samples import crash_analysis, crash_frame, crash_record
from tests.support.synthetic import Synthetic, function
from tests.unit.report.terminal import on_terminal

FUNCTIONS = [function("main"), function("next"), function("help")]
SOURCE = "".join(f"line {number}\n" for number in range(1, 12))


@pytest.fixture
def source(tmp_path: Path) -> str:
    path = tmp_path / "prog.c"
    path.write_text(SOURCE)
    return str(path)


def report_of(
    writer: Writer,
    reader: Reader,
    analysis: CrashAnalysis,
    record: CrashRecord | None = None,
    *,
    threads: int = 1,
    depth: int = 1,
    state: ProcessState = ProcessState.CRASHED,
    **how: Any,
) -> CrashReport:
    """A crash in next, called by main, 30 ns after next was entered."""
    synthetic = Synthetic(writer, FUNCTIONS, threads=threads)
    for _ in range(depth):
        synthetic.enter("main", 1000)
    synthetic.enter("help", 100)
    synthetic.leave(50)
    synthetic.enter("next", 100)
    for thread in range(1, threads):
        synthetic.enter("help", thread=thread)
    ticks = synthetic.twin.threads[0].last_ticks + 90
    synthetic.end(state, **(how or {"signal": 11}))
    record = replace(record or crash_record(), clock=ClockReading(ticks, 1, 1))
    writer.commit([Commit(synthetic.process, 1, crash=CrashRow(record, synthetic.unix_ns(ticks), analysis))])
    return crash_report(reader, choose_crash(reader), Analyzer(), last_calls=20)


def text_of(report: CrashReport) -> str:
    out = io.StringIO()
    CrashText(report, out).print()
    return out.getvalue()


def facts(report: CrashReport) -> dict[str, str]:
    """The lines between the reason and the backtrace."""
    lines = text_of(report).split("\n\n")[2].splitlines()
    return {line[:10].strip(): line[10:] for line in lines}


def section(report: CrashReport, heading: str) -> list[str]:
    """The lines below a heading."""
    (found,) = [part for part in text_of(report).split("\n\n") if part.startswith(heading)]
    return found.splitlines()[1:]


def test_all_of_it(writer: Writer, reader: Reader, source: str) -> None:
    analysis = crash_analysis(
        crash_frame("strlen", file=None, line=None, module="/lib/libc.so.6"),
        crash_frame("inner", file=source, line=5, inlined=True),
        crash_frame("next", file=source, line=9, call=3),
        crash_frame("main", file="/nowhere/main.c", line=3, call=1),
    )
    assert (
        text_of(report_of(writer, reader, analysis, threads=2))
        == f"""\
process 1  prog 'two words'  pid 4242, 2023-11-14 22:13:19 UTC, crashed by SIGSEGV

SIGSEGV: read of address 0x10 in f() at prog.c:7

signal    SIGSEGV (11), SEGV_MAPERR: address not mapped
address   0x10: NULL page
thread    0 worker, tid 4242
time      2023-11-14T22:13:20.000001280Z, 1.000 s after tracing began

backtrace  (* traced)
  #0  strlen + 0x4 in libc.so.6+0x1234
  #1  inner at {source}:5  (inlined)
        2 | line 2
        3 | line 3
        4 | line 4
      > 5 | line 5
        6 | line 6
        7 | line 7
        8 | line 8
* #2  next at {source}:9
      > 9 | line 9
* #3  main at /nowhere/main.c:3

last calls  of the crashing thread: how long before the crash, and how long they took
    -280 ns        open  main
    -180 ns       50 ns    help
     -30 ns        open    next

open calls  for how long
thread 0 worker 0  tid 100, 2 open calls, crashed
     280 ns  main
      30 ns    next
thread 1 worker 1  tid 101, 1 open call
   1.279 us  help

registers
    rip 0x0000555500001234      rsp 0x0000000000001007      rbp 0x0000000000001006
    rax 0x0000000000001000      rbx 0x0000000000001003      rcx 0x0000000000001002
    rdx 0x0000000000001001      rsi 0x0000000000001004      rdi 0x0000000000001005
     r8 0x0000000000001008       r9 0x0000000000001009      r10 0x000000000000100a
    r11 0x000000000000100b      r12 0x000000000000100c      r13 0x000000000000100d
    r14 0x000000000000100e      r15 0x000000000000100f   eflags 0x0000000000010202
fs_base 0x000000007fff1000  gs_base 0x0000000000000000
     cs 0x33  gs 0x0  fs 0x0  ss 0x2b
"""
    )


def test_frames_of_which_little_is_known(writer: Writer, reader: Reader) -> None:
    nothing = {"file": None, "line": None, "function_offset": None}
    analysis = crash_analysis(
        crash_frame(None, **nothing, module=None, module_offset=None),
        crash_frame(None, **nothing),
        crash_frame("f", file="/a.c", line=None),
        crash_frame("f", **nothing, module=None, module_offset=None),
        crash_frame(None, **nothing, is_signal_frame=True),
        unwound_until="the stack is damaged",
    )
    record = crash_record(incomplete="no room")
    assert section(report_of(writer, reader, analysis, record), "backtrace") == [
        "  #0  ?? at 0x555500001234",
        "  #1  ?? in prog+0x1234",
        "  #2  f at /a.c:?",
        "  #3  f at 0x555500001234",
        "  #4  <signal handler called>",
        "  ! no room",
        "  ! the stack is damaged",
    ]


def test_long_backtraces_are_shortened(writer: Writer, reader: Reader) -> None:
    frames = [crash_frame(f"f{number}", file=None, line=None) for number in range(1000)]
    lines = section(report_of(writer, reader, crash_analysis(*frames)), "backtrace")
    assert [line.split()[1] for line in lines] == [
        *(f"f{number}" for number in range(40)),
        "950",
        *(f"f{number}" for number in range(990, 1000)),
    ]
    assert lines[40] == "    … 950 frames between: --format json has all"
    assert lines[0].startswith("  #0    f0")


def test_frames_of_a_recursion_are_one_line(writer: Writer, reader: Reader) -> None:
    again = [crash_frame("f", file="/a.c", call=number) for number in range(90, 0, -1)]
    frames = [
        crash_frame("f", file="/a.c", line=6, call=91),
        *again,
        crash_frame("main", file="/a.c", line=9),
    ]
    assert section(report_of(writer, reader, crash_analysis(*frames)), "backtrace") == [
        "* #0   f at /a.c:6",
        "* #1   f at /a.c:7",
        "    … 89 more frames like it, up to #90",
        "  #91  main at /a.c:9",
    ]


def test_deep_stacks_and_many_threads_are_shortened(writer: Writer, reader: Reader) -> None:
    lines = section(report_of(writer, reader, crash_analysis(), threads=30, depth=100), "open calls")
    assert lines[0] == "thread 0 worker 0  tid 100, 101 open calls, crashed"
    assert lines[5] == "                … 85 calls between"
    assert lines[17].split() == ["30", "ns", "next"]
    assert sum(line.startswith("thread") for line in lines) == 16
    assert lines[-1] == "… 14 more threads: --format json has all"


@pytest.mark.parametrize(
    ("record", "wanted"),
    [
        (
            crash_record(signal=6, code=-6, sender_pid=4242, abort_message="prog: Assertion failed.\n"),
            {
                "signal": "SIGABRT (6), SEGV_MAPERR: address not mapped",
                "sent by": "the process itself",
                "message": "prog: Assertion failed.",
            },
        ),
        (crash_record(code=0, sender_pid=77), {"sent by": "process 77"}),
        (
            crash_record(exception=UncaughtException("St13runtime_error", "no luck\x1b[2J")),
            {"exception": "std::runtime_error: no luck?[2J"},
        ),
        (crash_record(exception=UncaughtException("i", None)), {"exception": "int"}),
        (crash_record(thread=None, thread_name=""), {"thread": "?, tid 4242, which made no traced call"}),
        (crash_record(code=0x80), {"signal": "SIGSEGV (11), SEGV_MAPERR: address not mapped"}),
    ],
)
def test_facts(writer: Writer, reader: Reader, record: CrashRecord, wanted: dict[str, str]) -> None:
    found = facts(report_of(writer, reader, crash_analysis(), record))
    assert {name: found[name] for name in wanted} == wanted
    assert ("address" in found) == (record.its_fault_address is not None)


@pytest.mark.parametrize(
    ("handled", "state", "how", "end"),
    [
        (False, ProcessState.CRASHED, {"signal": 11}, None),
        (True, ProcessState.CRASHED, {"signal": 11}, "the program's own handler ran before"),
        (
            True,
            ProcessState.EXITED,
            {"exit_code": 3},
            "the program's own handler ran, then it exited with 3",
        ),
        (
            True,
            ProcessState.CRASHED,
            {"signal": 6},
            "the program's own handler ran, then SIGABRT killed it",
        ),
        (False, ProcessState.KILLED, {"signal": 9}, "SIGKILL killed it"),
        (True, ProcessState.KILLED, {"signal": None}, "the program's own handler ran, then it was killed"),
        (
            True,
            ProcessState.EXECED,
            {"signal": None},
            "the program's own handler ran, then another program took its place (exec)",
        ),
    ],
)
def test_how_it_ended(
    writer: Writer,
    reader: Reader,
    handled: bool,
    state: ProcessState,
    how: dict[str, Any],
    end: str | None,
) -> None:
    record = crash_record(handled=handled)
    assert facts(report_of(writer, reader, crash_analysis(), record, state=state, **how)).get("end") == end


def test_a_crash_without_code_name_and_registers(writer: Writer, reader: Reader) -> None:
    analysis = crash_analysis(code_name="", code_meaning="", fault_description="")
    text = text_of(report_of(writer, reader, analysis, crash_record(registers=())))
    assert "signal    SIGSEGV (11), code 1\n" in text
    assert "address   0x10\n" in text
    assert "registers" not in text


def test_colours_on_a_terminal(
    writer: Writer, reader: Reader, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    report = report_of(writer, reader, crash_analysis(crash_frame("next", file=source, line=5)))
    shown = on_terminal(lambda out: CrashText(report, out).print())
    assert "\x1b[1;31mSIGSEGV: read of address 0x10" in shown
    assert "\x1b[1mline 5" in shown
