"""Signals and their codes in words.

Source: sigaction(2), and include/uapi/asm-generic/siginfo.h of Linux for the numbers.
"""

from __future__ import annotations

import signal

SEGV_MAPERR, SEGV_ACCERR, SEGV_PKUERR = 1, 2, 4
SI_USER, SI_QUEUE, SI_TKILL, SI_KERNEL = 0, -1, -6, 0x80

_GENERAL: dict[int, tuple[str, str]] = {
    SI_USER: ("SI_USER", "sent with kill()"),
    SI_KERNEL: ("SI_KERNEL", "sent by the kernel"),
    SI_QUEUE: ("SI_QUEUE", "sent with sigqueue()"),
    -2: ("SI_TIMER", "a POSIX timer expired"),
    -3: ("SI_MESGQ", "a message queue changed"),
    -4: ("SI_ASYNCIO", "an asynchronous operation completed"),
    -5: ("SI_SIGIO", "input or output is possible"),
    SI_TKILL: ("SI_TKILL", "sent with tkill() or tgkill()"),
    -7: ("SI_DETHREAD", "sent to threads that do not execute a new program"),
    -60: ("SI_ASYNCNL", "an asynchronous name lookup completed"),
}
_OWN: dict[int, dict[int, tuple[str, str]]] = {
    signal.SIGILL: {
        1: ("ILL_ILLOPC", "illegal opcode"),
        2: ("ILL_ILLOPN", "illegal operand"),
        3: ("ILL_ILLADR", "illegal addressing mode"),
        4: ("ILL_ILLTRP", "illegal trap"),
        5: ("ILL_PRVOPC", "privileged opcode"),
        6: ("ILL_PRVREG", "privileged register"),
        7: ("ILL_COPROC", "coprocessor error"),
        8: ("ILL_BADSTK", "internal stack error"),
    },
    signal.SIGFPE: {
        1: ("FPE_INTDIV", "integer division by zero"),
        2: ("FPE_INTOVF", "integer overflow"),
        3: ("FPE_FLTDIV", "floating-point division by zero"),
        4: ("FPE_FLTOVF", "floating-point overflow"),
        5: ("FPE_FLTUND", "floating-point underflow"),
        6: ("FPE_FLTRES", "inexact floating-point result"),
        7: ("FPE_FLTINV", "invalid floating-point operation"),
        8: ("FPE_FLTSUB", "subscript out of range"),
        14: ("FPE_FLTUNK", "undiagnosed floating-point exception"),
        15: ("FPE_CONDTRAP", "trap on condition"),
    },
    signal.SIGSEGV: {
        SEGV_MAPERR: ("SEGV_MAPERR", "address not mapped"),
        SEGV_ACCERR: ("SEGV_ACCERR", "not permitted by the mapping"),
        3: ("SEGV_BNDERR", "failed address bound checks"),
        SEGV_PKUERR: ("SEGV_PKUERR", "denied by memory protection keys"),
        5: ("SEGV_ACCADI", "ADI not enabled for the mapping"),
        6: ("SEGV_ADIDERR", "disrupting ADI mismatch"),
        7: ("SEGV_ADIPERR", "precise ADI mismatch"),
        8: ("SEGV_MTEAERR", "asynchronous memory tag error"),
        9: ("SEGV_MTESERR", "synchronous memory tag error"),
        10: ("SEGV_CPERR", "control protection fault"),
    },
    signal.SIGBUS: {
        1: ("BUS_ADRALN", "invalid address alignment"),
        2: ("BUS_ADRERR", "nonexistent physical address"),
        3: ("BUS_OBJERR", "object-specific hardware error"),
        4: ("BUS_MCEERR_AR", "hardware memory error consumed"),
        5: ("BUS_MCEERR_AO", "hardware memory error detected"),
    },
    signal.SIGTRAP: {
        1: ("TRAP_BRKPT", "breakpoint"),
        2: ("TRAP_TRACE", "trace trap"),
        3: ("TRAP_BRANCH", "taken branch trap"),
        4: ("TRAP_HWBKPT", "hardware breakpoint or watchpoint"),
        5: ("TRAP_UNK", "undiagnosed trap"),
        6: ("TRAP_PERF", "performance event"),
    },
    signal.SIGSYS: {
        1: ("SYS_SECCOMP", "refused by a seccomp filter"),
        2: ("SYS_USER_DISPATCH", "caught by user dispatch"),
    },
}
_ADDRESSED = frozenset({signal.SIGSEGV, signal.SIGBUS})


def signal_name(number: int) -> str:
    """Returns "SIGSEGV"; "signal 99" for a number without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def code_of(number: int, code: int) -> tuple[str, str]:
    """Returns the name of a signal's si_code, and its meaning; "" and "" for unknown ones."""
    return _OWN.get(number, {}).get(code) or _GENERAL.get(code, ("", ""))


def has_address(number: int, code: int) -> bool:
    """Tells whether the signal's si_addr is the address of memory that was accessed."""
    return number in _ADDRESSED and code > 0 and code != SI_KERNEL


def is_sent(code: int) -> bool:
    """Tells whether a process sent the signal."""
    return code <= 0
