from __future__ import annotations

from pathlib import Path

import pytest

from calltrace_collector.capture.machine.instructions import Refusal
from calltrace_collector.capture.trace.entry_trace import EntryTrace, trace_entry
from tests.support.assembled_code import AssembledCode
from tests.support.expressions import Evaluator

RDX, RBX, RSI, RDI, RSP = 1, 3, 4, 5, 7

FUNCTIONS = """
.globl __cyg_profile_func_enter, other, begin
__cyg_profile_func_enter: ret
other: ret
"""


def _trace(tmp_path: Path, text: str) -> EntryTrace | Refusal:
    code = AssembledCode(f"{FUNCTIONS}\nbegin: {text}\ncall __cyg_profile_func_enter\nsite: ret", tmp_path)
    return trace_entry(code, code.labels["begin"], code.labels["site"])


def _traced(tmp_path: Path, text: str) -> EntryTrace:
    trace = _trace(tmp_path, text)
    assert isinstance(trace, EntryTrace), trace
    return trace


def _stack(offset: int) -> tuple[object, ...]:
    return ("+", ("reg", RSP), ("const", offset)) if offset else ("reg", RSP)


HOOK_ARGUMENTS = "lea rdi, [rip + begin]; mov rsi, [rsp]"


def test_an_argument_is_in_the_register_that_it_was_saved_to(tmp_path: Path) -> None:
    trace = _traced(tmp_path, f"push rbx; mov rbx, rdi; {HOOK_ARGUMENTS}")
    assert trace.register(RDI, 8) == ("reg", RBX)
    assert trace.register(RSI, 8) is None
    assert trace.register(RBX, 8) == ("load", _stack(0), 8)
    assert trace.register(RDX, 4) == ("zero", 4, ("reg", RDX))


def test_of_a_register_that_was_cut_only_that_much_is_known(tmp_path: Path) -> None:
    trace = _traced(tmp_path, f"push rbx; movzx ebx, di; {HOOK_ARGUMENTS}")
    assert trace.register(RDI, 2) == ("zero", 2, ("reg", RBX))
    assert trace.register(RDI, 4) is None


def test_an_argument_is_on_the_stack(tmp_path: Path) -> None:
    trace = _traced(
        tmp_path,
        f"sub rsp, 24; mov [rsp + 12], edi; movss [rsp + 8], xmm0; {HOOK_ARGUMENTS}; pxor xmm0, xmm0",
    )
    assert trace.register(RDI, 4) == ("load", _stack(12), 4)
    assert trace.register(RDI, 8) is None
    assert trace.xmm(0, 0, 4) == ("load", _stack(8), 4)
    assert trace.xmm(0, 0, 8) is None


def test_what_lies_below_the_stack_pointer_is_lost_in_the_call(tmp_path: Path) -> None:
    trace = _traced(tmp_path, f"mov [rsp - 16], rdi; {HOOK_ARGUMENTS}")
    assert trace.register(RDI, 8) is None


def test_an_argument_that_was_overwritten_is_lost(tmp_path: Path) -> None:
    trace = _traced(tmp_path, f"sub rsp, 24; mov [rsp], rdi; mov byte ptr [rsp + 2], 0; {HOOK_ARGUMENTS}")
    assert trace.register(RDI, 8) is None
    assert trace.register(RDI, 2) == ("load", _stack(0), 2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lea rbx, [rdi + 5]", ("+", ("reg", RBX), ("const", (1 << 64) - 5))),
        ("mov rbx, rdi; neg rbx", ("neg", ("reg", RBX))),
        ("mov rbx, rdi; not rbx", ("not", ("reg", RBX))),
        ("mov rbx, rdi; xor rbx, 9", ("^", ("reg", RBX), ("const", 9))),
        ("mov ebx, 7; sub rbx, rdi", ("-", ("const", 7), ("reg", RBX))),
    ],
)
def test_steps_that_lose_nothing_are_undone(tmp_path: Path, text: str, expected: object) -> None:
    assert _traced(tmp_path, f"push rbx; {text}; {HOOK_ARGUMENTS}").register(RDI, 8) == expected


def test_swapped_bytes_are_swapped_back(tmp_path: Path) -> None:
    trace = _traced(
        tmp_path, f"push rbx; push rbp; bswap rdi; mov rbx, rdi; bswap esi; mov ebp, esi; {HOOK_ARGUMENTS}"
    )
    numbers: dict[tuple[object, ...], int] = {("reg", RBX): 0x0102030405060708, ("reg", 6): 0x11223344}
    evaluate = Evaluator(numbers, lambda _address, _size: b"")
    first, second = trace.register(RDI, 8), trace.register(RSI, 4)
    assert first is not None
    assert second is not None
    assert evaluate(first) == 0x0807060504030201
    assert evaluate(second) == 0x44332211


@pytest.mark.parametrize(
    ("text", "number", "size", "expected"),
    [
        ("lea rbp, [rdi + rsi*8]", RSI, 7, None),
        ("lea rbp, [rsi + rdi*8]", RSI, 8, ("-", ("reg", 6), ("*", ("reg", RBX), ("const", 8)))),
        ("mov rbp, rsi; sub rbp, rdi", RSI, 8, ("+", ("reg", 6), ("reg", RBX))),
        ("mov rbp, rdi; sub rbp, rsi", RSI, 8, ("-", ("reg", RBX), ("reg", 6))),
        ("mov ebp, esi; xor ebp, edi", RSI, 4, ("zero", 4, ("^", ("reg", 6), ("reg", RBX)))),
        ("mov rbp, rsi; imul rbp, rdi", RSI, 8, None),
        ("mov rbp, rsi; shl rbp, 16", RSI, 6, (">>", ("reg", 6), ("const", 16))),
        ("mov rbp, rsi; shl rbp, 16", RSI, 8, None),
    ],
)
def test_of_two_arguments_one_is_told_by_the_other(
    tmp_path: Path, text: str, number: int, size: int, expected: object
) -> None:
    trace = _traced(tmp_path, f"push rbx; push rbp; mov rbx, rdi; {text}; {HOOK_ARGUMENTS}")
    assert trace.register(number, size) == expected


def test_parts_in_several_places_are_put_together(tmp_path: Path) -> None:
    trace = _traced(
        tmp_path, f"push rbx; push rbp; mov ebx, edi; mov rbp, rdi; shr rbp, 32; {HOOK_ARGUMENTS}"
    )
    assert trace.register(RDI, 8) == (
        "|",
        ("zero", 4, ("reg", 3)),
        ("<<", ("zero", 4, ("reg", 6)), ("const", 32)),
    )


def test_arguments_on_the_stack_are_where_the_caller_put_them(tmp_path: Path) -> None:
    trace = _traced(tmp_path, f"push rbx; sub rsp, 16; mov [rsp + 32], edx; {HOOK_ARGUMENTS}")
    assert trace.stack(0, 8) == _stack(24)
    assert trace.stack(8, 8) is None
    assert trace.stack(16, 32) == _stack(40)
    assert trace.stack(-8, 8) is None


def test_a_stack_that_was_aligned_is_known_by_the_frame_pointer(tmp_path: Path) -> None:
    trace = _traced(
        tmp_path, f"push rbp; mov rbp, rsp; and rsp, -64; sub rsp, 64; mov [rsp + 8], rdi; {HOOK_ARGUMENTS}"
    )
    assert trace.register(RDI, 8) == ("load", _stack(8), 8)
    assert trace.stack(8, 8) == ("+", ("reg", 6), ("const", 16))


def test_both_ways_of_a_varargs_prologue_must_agree(tmp_path: Path) -> None:
    save = "sub rsp, 40; mov [rsp], rsi; test al, al; je 1f; movaps [rsp + 16], xmm0; 1:"
    trace = _traced(tmp_path, f"{save} {HOOK_ARGUMENTS}; pxor xmm0, xmm0")
    assert trace.register(RSI, 8) == ("load", _stack(0), 8)
    assert trace.xmm(0, 0, 8) is None
    assert trace.xmm(1, 0, 8) == ("xmm", 1, 0)
    assert _traced(tmp_path, f"{save} {HOOK_ARGUMENTS}").xmm(0, 0, 8) == ("xmm", 0, 0)


def test_a_store_through_an_unknown_pointer_may_hit_everything(tmp_path: Path) -> None:
    trace = _traced(tmp_path, f"sub rsp, 24; mov [rsp], rdi; mov [rdx], rcx; {HOOK_ARGUMENTS}")
    assert trace.register(RDI, 8) is None
    assert trace.stack(8, 8) is None


def test_a_variable_that_is_filled_in_hits_nothing_else(tmp_path: Path) -> None:
    fill = "mov rbx, rdi; lea rdi, [rsp + 8]; mov ecx, 4; xor eax, eax; rep stosq"
    trace = _traced(tmp_path, f"push rbx; sub rsp, 48; mov [rsp], rsi; {fill}; {HOOK_ARGUMENTS}")
    assert trace.register(RDI, 8) == ("reg", RBX)
    assert trace.register(RSI, 8) == ("load", _stack(0), 8)
    assert trace.stack(8, 8) == _stack(64)


def test_a_call_before_the_hook_keeps_preserved_registers_only(tmp_path: Path) -> None:
    trace = _traced(tmp_path, f"push rbx; mov rbx, rdi; call other; {HOOK_ARGUMENTS}")
    assert trace.register(RDI, 8) == ("reg", RBX)
    assert [trace.register(RDX, 8), trace.xmm(0, 0, 8), trace.stack(8, 8)] == [None] * 3


def test_registers_that_stubs_change_are_not_looked_at(tmp_path: Path) -> None:
    trace = _traced(tmp_path, f"mov r10, rdi; mov r11, rdi; {HOOK_ARGUMENTS}")
    assert trace.register(RDI, 8) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("call __cyg_profile_func_enter; nop", "another hook"),
        ("ret", "not called"),
        ("jmp rdi", "pointer"),
        ("1: dec rdi; jne 1b", "too many ways"),
        ("1: jmp 1b", "loops"),
        ("syscall", "not understood"),
        ("std", "not understood"),
    ],
)
def test_what_cannot_be_followed_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    trace = _trace(tmp_path, text)
    assert isinstance(trace, Refusal)
    assert reason in trace.reason
