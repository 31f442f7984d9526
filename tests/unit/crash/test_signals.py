"""Names of signals' codes, against the C library's headers."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

from calltrace_collector.crash.signals import code_of, has_address

SIGNALS = {"ILL": signal.SIGILL, "FPE": signal.SIGFPE, "SEGV": signal.SIGSEGV, "BUS": signal.SIGBUS}
SIGNALS |= {"TRAP": signal.SIGTRAP, "SYS": signal.SIGSYS, "SI": signal.SIGABRT}
# All of sigaction(2), but for those of other processors.
NAMES = [
    "ILL_ILLOPC",
    "ILL_ILLOPN",
    "ILL_ILLADR",
    "ILL_ILLTRP",
    "ILL_PRVOPC",
    "ILL_PRVREG",
    "ILL_COPROC",
    "ILL_BADSTK",
    "FPE_INTDIV",
    "FPE_INTOVF",
    "FPE_FLTDIV",
    "FPE_FLTOVF",
    "FPE_FLTUND",
    "FPE_FLTRES",
    "FPE_FLTINV",
    "FPE_FLTSUB",
    "SEGV_MAPERR",
    "SEGV_ACCERR",
    "SEGV_BNDERR",
    "SEGV_PKUERR",
    "BUS_ADRALN",
    "BUS_ADRERR",
    "BUS_OBJERR",
    "BUS_MCEERR_AR",
    "BUS_MCEERR_AO",
    "TRAP_BRKPT",
    "TRAP_TRACE",
    "TRAP_BRANCH",
    "TRAP_HWBKPT",
    "SI_USER",
    "SI_KERNEL",
    "SI_QUEUE",
    "SI_TIMER",
    "SI_MESGQ",
    "SI_ASYNCIO",
    "SI_SIGIO",
    "SI_TKILL",
]


def test_names_are_those_of_the_headers(tmp_path: Path) -> None:
    source = tmp_path / "codes.c"
    lines = "\n".join(f'printf("{name} %d\\n", (int){name});' for name in NAMES)
    source.write_text(f"#include <signal.h>\n#include <stdio.h>\nint main(void) {{ {lines} return 0; }}\n")
    subprocess.run(["gcc", "-D_GNU_SOURCE", source, "-o", tmp_path / "codes"], check=True)
    output = subprocess.run([tmp_path / "codes"], capture_output=True, text=True, check=True).stdout
    for line in output.splitlines():
        name, number = line.split()
        assert code_of(SIGNALS[name.partition("_")[0]], int(number))[0] == name


def test_general_codes_are_known_for_every_signal() -> None:
    assert code_of(signal.SIGSEGV, 0)[0] == "SI_USER"
    assert code_of(signal.SIGSYS, 1) == ("SYS_SECCOMP", "refused by a seccomp filter")
    assert code_of(signal.SIGSEGV, 77) == ("", "")
    assert code_of(12345, 1) == ("", "")


def test_only_faults_have_addresses() -> None:
    assert has_address(signal.SIGSEGV, 1)
    assert not has_address(signal.SIGSEGV, 0x80)
    assert not has_address(signal.SIGSEGV, -6)
    assert not has_address(signal.SIGABRT, 1)
