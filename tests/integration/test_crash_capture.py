"""A process that crashes leaves what happened, and ends as it would have without us."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from calltrace_collector.wire import Crash
from tests.support.collector import AGENT
from tests.support.compile import compile_cxx
from tests.support.session_crash import REGISTERS, Ended, read_crash, run_to_death

FLAGS = ("-O0", "-finstrument-functions", "-pthread", "-no-pie", "-fno-omit-frame-pointer")
SI_KERNEL, SI_TKILL, SI_USER = 0x80, -6, 0
MAPERR, ACCERR, INTDIV, ILL_ILLOPN, BUS_ADRERR, SYS_SECCOMP = 1, 2, 1, 2, 2, 1


class Absent:
    """Where a collector should be: each connection is taken and hung up on.

    So programs are traced, end without waiting, and all that they leave stays in their session directories.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ct-"))
        self.sessions = Path(tempfile.mkdtemp(prefix="ct-", dir="/dev/shm"))
        self.environment = {
            "CALLTRACE_SOCKET": str(self.folder / "collector.sock"),
            "CALLTRACE_SHM_DIR": str(self.sessions),
            "LD_PRELOAD": str(AGENT),
        }
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.environment["CALLTRACE_SOCKET"])
        self._listener.listen()
        self._thread = threading.Thread(target=self._hang_up)
        self._thread.start()

    def _hang_up(self) -> None:
        with contextlib.suppress(OSError):  # the listener is shut down
            while True:
                self._listener.accept()[0].close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        shutil.rmtree(self.folder)
        shutil.rmtree(self.sessions)


@pytest.fixture(scope="module")
def absent() -> Iterator[Absent]:
    collector = Absent()
    yield collector
    collector.close()


def run_traced(collector: Absent, program: Path, *arguments: str) -> tuple[Ended, Path]:
    """Returns how the program ended and its session directory, having compared it with an untraced run."""
    traced = run_to_death(program, *arguments, environment=collector.environment)
    plain = run_to_death(program, *arguments)
    assert (traced.status, traced.output, traced.errors) == (plain.status, plain.output, plain.errors)
    (session,) = collector.sessions.glob(f"*/{traced.pid}-*")
    return traced, session


@functools.cache
def functions(program: Path) -> dict[str, range]:
    """The addresses of a program's functions, by `nm`."""
    listing = subprocess.run(["nm", "-S", program], capture_output=True, text=True, check=True).stdout
    found = re.findall(r"^([0-9a-f]+) ([0-9a-f]+) [tTwW] (\S+)$", listing, re.MULTILINE)
    return {name: range(int(start, 16), int(start, 16) + int(size, 16)) for start, size, name in found}


def name_of(program: Path, address: int) -> str | None:
    return next((name for name, code in functions(program).items() if address in code), None)


def mapping_of(crash: Crash, address: int) -> str:
    """The path of the mapping that an address lies in, by the crash's own list."""
    for line in crash.maps.splitlines():
        start, end = (int(bound, 16) for bound in line.split()[0].split("-"))
        if start <= address < end:
            return line.split(maxsplit=5)[5] if len(line.split()) == 6 else ""
    return ""


def read_word(crash: Crash, address: int) -> int | None:
    for part in crash.memory:
        if part.address <= address and address + 8 <= part.address + len(part.content):
            (word,) = struct.unpack_from("<Q", part.content, address - part.address)
            return int(word)
    return None


def callers(crash: Crash, program: Path) -> list[str]:
    """The program's functions on the stack, innermost first, by the chain of frame pointers."""
    registers = dict(zip(REGISTERS, crash.registers.general, strict=True))
    names = [name_of(program, registers["rip"])]
    frame: int | None = registers["rbp"]
    while frame is not None and len(names) < 100:
        back = read_word(crash, frame + 8)
        names.append(name_of(program, back) if back is not None else None)
        frame = read_word(crash, frame)
    return [name for name in names if name is not None]


CAUSES = {
    "null_read": (signal.SIGSEGV, MAPERR, 0x10, "null_read"),
    "wild_write": (signal.SIGSEGV, MAPERR, 0x500000000000, "wild_write"),
    "not_canonical": (signal.SIGSEGV, SI_KERNEL, 0, "not_canonical"),
    "read_only": (signal.SIGSEGV, ACCERR, None, "read_only"),
    "divide": (signal.SIGFPE, INTDIV, None, "divide"),
    "invalid": (signal.SIGILL, ILL_ILLOPN, None, "invalid"),
    "breakpoint": (signal.SIGTRAP, SI_KERNEL, 0, "breakpoint"),
    "beyond_file": (signal.SIGBUS, BUS_ADRERR, None, "beyond_file"),
    "aborting": (signal.SIGABRT, SI_TKILL, 0, "libc"),
    "assertion": (signal.SIGABRT, SI_TKILL, 0, "libc"),
    "heap": (signal.SIGABRT, SI_TKILL, 0, "libc"),
    "raised": (signal.SIGABRT, SI_TKILL, 0, "libc"),
    "sent": (signal.SIGFPE, SI_USER, 0, "libc"),
    "in_libc": (signal.SIGSEGV, MAPERR, 0x1000, "libc"),
    "forbidden_call": (signal.SIGSYS, SYS_SECCOMP, None, "libc"),
    "without_rights": (signal.SIGSEGV, MAPERR, 0x10, "null_read"),
    "without_rights_unsaid": (signal.SIGSEGV, MAPERR, 0x10, "null_read"),
    "overflow": (signal.SIGSEGV, MAPERR, None, "overflow_frame"),
    "thread_overflow": (signal.SIGSEGV, ACCERR, None, "overflow_frame"),
    "thread_among_others": (signal.SIGSEGV, MAPERR, 0x10, "null_read"),
    "all_at_once": (signal.SIGSEGV, MAPERR, 0x10, "null_read"),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_every_signal_is_recorded(absent: Absent, build: Callable[..., Path], cause: str) -> None:
    number, code, address, function = CAUSES[cause]
    program = build("crash_causes.c", *FLAGS)
    ended, session = run_traced(absent, program, cause)
    assert os.WTERMSIG(ended.status) == number
    found = read_crash(session)
    assert found is not None
    slot, crash = found
    assert (crash.signal, crash.code, crash.handled) == (number, code, False)
    assert address is None or crash.fault_address == address
    assert crash.sender_pid == (ended.pid if code <= 0 else 0)
    assert crash.has_thread
    in_thread = "thread" in cause or cause == "all_at_once"
    assert (crash.tid != ended.pid, crash.thread != 0) == (in_thread, in_thread)
    assert crash.thread_name == ("culprit" if "thread" in cause else program.name[:15])
    where = slot.registers["rip"]
    if function == "libc":
        assert "libc" in Path(mapping_of(crash, where)).name
    else:
        assert name_of(program, where) == function
        assert mapping_of(crash, where) == str(program)
        assert read_word(crash, where) is not None
    assert len(crash.registers.fxsave) == 512
    assert (crash.maps_cut, crash.incomplete) == (False, "")
    assert 0 < crash.clock.monotonic_ns < crash.clock.realtime_ns


def test_the_fault_address_of_instructions_and_files(absent: Absent, build: Callable[..., Path]) -> None:
    program = build("crash_causes.c", *FLAGS)
    for cause in ("divide", "invalid"):
        crash = recorded(absent, program, cause)
        assert crash.fault_address == crash.registers.general[REGISTERS.index("rip")]
    assert recorded(absent, program, "read_only").fault_address % 4096 == 7
    assert recorded(absent, program, "beyond_file").fault_address % 4096 == 3


def recorded(collector: Absent, program: Path, *arguments: str) -> Crash:
    _, session = run_traced(collector, program, *arguments)
    found = read_crash(session)
    assert found is not None
    return found[1]


def test_what_libc_said_is_kept(absent: Absent, build: Callable[..., Path]) -> None:
    program = build("crash_causes.c", *FLAGS)
    ended, session = run_traced(absent, program, "assertion")
    found = read_crash(session)
    assert found is not None
    assert found[1].abort_message == ended.errors.decode().rstrip()
    assert "Assertion `zero == 1' failed." in found[1].abort_message
    assert recorded(absent, program, "heap").abort_message == "free(): double free detected in tcache 2"
    assert recorded(absent, program, "aborting").abort_message == ""


def test_the_stack_is_kept(absent: Absent, build: Callable[..., Path]) -> None:
    program = build("crash_causes.c", *FLAGS)
    assert callers(recorded(absent, program, "null_read"), program) == ["null_read", "main"]
    names = callers(recorded(absent, program, "thread_among_others"), program)
    assert names == ["null_read", "run"]
    for cause, outermost in (("overflow", "main"), ("thread_overflow", "run")):
        crash = recorded(absent, program, cause)
        assert callers(crash, program) == ["overflow_frame"] * 100
        assert crash.memory_cut
        stacks = [part for part in crash.memory if len(part.content) > 64]
        assert [len(part.content) >> 10 for part in stacks] == [256, 64]
        code = functions(program)[outermost]
        words = [word for (word,) in struct.iter_unpack("<Q", stacks[1].content)]
        assert any(word in code for word in words)


def test_a_child_has_a_crash_of_its_own(absent: Absent, build: Callable[..., Path]) -> None:
    program = build("crash_causes.c", *FLAGS)
    before = set(absent.sessions.glob("*/*"))
    _, session = run_traced(absent, program, "in_child")
    (child,) = set(absent.sessions.glob("*/*")) - before - {session}
    assert read_crash(session) is None
    found = read_crash(child)
    assert found is not None
    assert found[0].signal == signal.SIGSEGV
    assert name_of(program, found[0].registers["rip"]) == "null_read"


@pytest.mark.parametrize("cause", ["in_plain_child", "in_vfork_child"])
def test_a_child_without_an_agent_is_not_taken_for_its_parent(
    absent: Absent, build: Callable[..., Path], cause: str
) -> None:
    _, session = run_traced(absent, build("crash_causes.c", *FLAGS), cause)
    assert read_crash(session) is None


HANDLERS = {
    "leave": (signal.SIGSEGV, ACCERR, True),
    "leave_early": (signal.SIGSEGV, ACCERR, True),
    "leave_by_exit": (signal.SIGSEGV, ACCERR, True),
    "reset": (signal.SIGSEGV, ACCERR, False),
    "jump": None,
    "jump_from_altstack": None,
    "jump_then_abort": (signal.SIGABRT, SI_TKILL, False),
    "set_context": None,
    "end_thread": None,
    "exit_elsewhere": (signal.SIGSEGV, ACCERR, True),
    "mend": None,
    "default_and_return": (signal.SIGSEGV, ACCERR, False),
    "default_and_raise": (signal.SIGSEGV, ACCERR, True),
    "abort_in_handler": (signal.SIGSEGV, ACCERR, True),
    "abort_with_handler": (signal.SIGABRT, SI_TKILL, True),
    "raise_with_handler": None,
    "fault_in_handler": (signal.SIGSEGV, ACCERR, True),
    "nested_faults": (signal.SIGSEGV, ACCERR, True),
    "nested_faults_on_altstack": (signal.SIGSEGV, ACCERR, True),
    "ignored": None,
    "overflow_on_altstack": (signal.SIGSEGV, MAPERR, True),
    "overflow_without_altstack": (signal.SIGSEGV, MAPERR, False),
    "overflow_with_plain_handler": (signal.SIGSEGV, MAPERR, False),
    "fault_on_altstack": (signal.SIGSEGV, ACCERR, False),
}


@pytest.mark.parametrize("case", HANDLERS)
def test_the_program_has_handlers_of_its_own(absent: Absent, build: Callable[..., Path], case: str) -> None:
    _, session = run_traced(absent, build("crash_handlers.c", *FLAGS), case)
    found = read_crash(session)
    if HANDLERS[case] is None:
        assert found is None
        return
    assert found is not None
    crash = found[1]
    assert (crash.signal, crash.code, crash.handled) == HANDLERS[case]
    if crash.code == ACCERR:
        assert crash.fault_address % 4096 == 8  # the first fault, not one that it led to


def test_the_stack_that_a_handler_interrupted_is_kept(absent: Absent, build: Callable[..., Path]) -> None:
    program = build("crash_handlers.c", *FLAGS)
    crash = recorded(absent, program, "fault_on_altstack")
    # The handler returns to libc's restorer, and not to fault_on_altstack(), whose frame is the next.
    assert callers(crash, program) == ["fault", "on_user", "main"]


THROWS = {
    "standard": ("St13runtime_error", "out of cheese"),
    "derived": ("N4shop7RefusalE", "refused 42"),
    "plain": ("N4shop5PlainE", None),
    "number": ("i", None),
    "with_two_bases": ("N4shop4BothE", "no? text"),
    "from_library": ("St12out_of_range", None),
    "again": ("St13runtime_error", "out of cheese"),
    "by_pointer": ("N4shop7RefusalE", "refused 42"),
    "in_thread": ("N4shop7RefusalE", "refused 42"),
    "own_handler": ("N4shop7RefusalE", "refused 42"),
    "forbidden": ("St13runtime_error", "out of cheese"),
    "terminated": None,
    "caught_before": None,
}


@pytest.mark.parametrize("case", THROWS)
def test_an_exception_that_nobody_catches(absent: Absent, throws: Path, case: str) -> None:
    ended, session = run_traced(absent, throws, case)
    found = read_crash(session)
    assert found is not None
    slot, crash = found
    assert crash.signal == signal.SIGABRT
    expected = THROWS[case]
    if expected is None:
        assert not crash.HasField("exception")
        return
    type_name, what = expected
    assert slot.exception_type == crash.exception.type_name == type_name
    if case == "from_library":  # libstdc++'s own words, which it also writes to stderr
        assert crash.exception.what
        assert crash.exception.what in ended.errors.decode()
    else:
        assert (crash.exception.has_what, crash.exception.what) == (what is not None, what or "")


@pytest.fixture(scope="module")
def throws(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("throws") / "throws"
    flags = (*FLAGS, "-fnon-call-exceptions")  # a fault may throw, by way of its handler
    return compile_cxx([Path("tests/fixtures/crash_throws.cpp")], output, flags)


def test_an_exception_out_of_a_handler_ends_the_crash(absent: Absent, throws: Path) -> None:
    ended, session = run_traced(absent, throws, "out_of_handler")
    assert (ended.status, ended.output) == (0, b"went on after 50 faults\n")
    assert read_crash(session) is None


@pytest.mark.parametrize("cause", ["null_read", "divide", "aborting", "in_libc"])
def test_registers_are_those_that_a_debugger_sees(
    absent: Absent, build: Callable[..., Path], cause: str
) -> None:
    program = build("crash_causes.c", *FLAGS)
    before = set(absent.sessions.glob("*/*"))
    names = [*REGISTERS, "eflags", "fs_base"]
    show = f'printf "{" ".join(["%#lx"] * len(names))}\\n",' + ",".join(f"${name}" for name in names)
    commands = ["run", show, "continue", show]
    settings = [f"set environment {name} {value}" for name, value in absent.environment.items()]
    arguments = [word for command in [*settings, *commands] for word in ("-ex", command)]
    debugger = subprocess.run(
        ["gdb", "-batch", "-nx", "-iex", "set startup-with-shell off", *arguments, "--args", program, cause],
        capture_output=True,
        text=True,
        check=False,
    )
    seen = [
        line.split() for line in debugger.stdout.splitlines() if re.fullmatch("((0x)?[0-9a-f]+ ?)+", line)
    ]
    # Once when it happened, and once when it happened again without us, where that is how it ends.
    assert len(seen) == 2, debugger.stdout + debugger.stderr
    assert seen[0] == seen[1]
    (session,) = set(absent.sessions.glob("*/*")) - before
    found = read_crash(session)
    assert found is not None
    slot, crash = found
    values = [*slot.registers.values(), crash.registers.flags, crash.registers.fs_base]
    # A debugger resumes with the resume flag (bit 16) as it likes.
    expected = [int(value, 16) for value in seen[0]]
    values[17] |= 0x10000
    expected[17] |= 0x10000
    assert values == expected
