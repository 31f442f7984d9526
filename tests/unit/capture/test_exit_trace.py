from __future__ import annotations

import struct
from pathlib import Path

import pytest

from calltrace_collector.capture.machine.instructions import Refusal
from calltrace_collector.capture.trace.exit_trace import ExitTrace, trace_exit
from tests.support.assembled_code import AssembledCode
from tests.support.expressions import Evaluator

# Functions that the code under test calls; the hook's own place comes first.
FUNCTIONS = """
.globl __cyg_profile_func_exit, __stack_chk_fail, _Unwind_Resume, other, _ZSt9terminatev
__cyg_profile_func_exit: ret
__stack_chk_fail: ret
_Unwind_Resume: ret
_ZSt9terminatev: ret
other: ret
"""


def _trace(
    tmp_path: Path, text: str, function: str | None = None, **of_code: dict[str, bytes]
) -> ExitTrace | Refusal:
    code = AssembledCode(f"{FUNCTIONS}\n{text}", tmp_path, of_code.get("constants"))
    offset = None if function is None else code.labels[function]
    return trace_exit(code, code.labels["site"], offset)


def _traced(tmp_path: Path, text: str, function: str | None = None, **of_code: dict[str, bytes]) -> ExitTrace:
    trace = _trace(tmp_path, text, function, **of_code)
    assert isinstance(trace, ExitTrace), trace
    return trace


def _reason(tmp_path: Path, text: str) -> str:
    trace = _trace(tmp_path, text)
    assert isinstance(trace, Refusal)
    return trace.reason


def _stack(offset: int) -> tuple[object, ...]:
    return ("+", ("reg", 7), ("const", offset & (1 << 64) - 1)) if offset else ("reg", 7)


def test_a_preserved_register_is_the_result(tmp_path: Path) -> None:
    trace = _traced(tmp_path, "site: mov eax, ebx; pop rbx; ret")
    assert trace.register(0, 4) == ("zero", 4, ("reg", 3))
    assert trace.register(0, 1) == ("zero", 1, ("reg", 3))


def test_what_the_hook_may_change_is_not_known(tmp_path: Path) -> None:
    trace = _traced(tmp_path, "site: mov rdx, rcx; ret")
    assert [trace.register(0, 8), trace.register(1, 8), trace.xmm(0, 0, 4)] == [None] * 3


def test_the_frame_is_what_it_was_at_the_hook(tmp_path: Path) -> None:
    trace = _traced(tmp_path, "site: mov rax, [rsp + 8]; movss xmm0, [rsp]; add rsp, 24; ret")
    assert trace.register(0, 8) == ("load", _stack(8), 8)
    assert trace.xmm(0, 0, 4) == ("load", _stack(0), 4)
    assert trace.xmm(0, 1, 8) == ("const", 0)


def test_below_the_stack_pointer_is_nothing_of_before_the_hook(tmp_path: Path) -> None:
    assert _traced(tmp_path, "site: mov rax, [rsp - 8]; ret").register(0, 8) is None


@pytest.mark.parametrize("place", ["[rbx]", "[r12 + 8]", "[rip + site]", "fs:[0]", "[rsp + rbx*8]"])
def test_other_memory_may_change_after_the_hook(tmp_path: Path, place: str) -> None:
    assert _traced(tmp_path, f"site: mov rax, {place}; ret").register(0, 8) is None


def test_a_constant_does_not_change(tmp_path: Path) -> None:
    constants = {"place": struct.pack("<d", 2.5)}
    text = "site: movsd xmm0, [rip + place]; ret; place:"
    found = _traced(tmp_path, text, constants=constants).xmm(0, 0, 8)
    assert found == ("const", int.from_bytes(constants["place"], "little"))
    trace = _traced(tmp_path, "site: fld qword ptr [rip + place]; ret; place:", constants=constants)
    assert trace.x87() == ("constant", bytes.fromhex("00000000000000a00040"))


def test_a_pointer_that_the_linker_fills_in_does_not_change(tmp_path: Path) -> None:
    code = AssembledCode("site: mov rax, [rip + place]; ret; place:", tmp_path, got={"place": "other"})
    trace = trace_exit(code, code.labels["site"])
    assert isinstance(trace, ExitTrace)
    assert trace.register(0, 8) == ("load", ("image", code.labels["place"]), 8)


def test_leave_shows_that_the_frame_is_at_rbp(tmp_path: Path) -> None:
    trace = _traced(tmp_path, "site: mov eax, [rbp - 20]; leave; ret")
    assert trace.register(0, 4) == ("load", ("+", ("reg", 6), ("const", (1 << 64) - 20)), 4)


def test_rbp_may_be_any_pointer_unless_the_prologue_shows_what_it_is(tmp_path: Path) -> None:
    epilogue = "site: mov eax, [rbp - 20]; add rsp, 32; pop rbp; ret"
    assert _traced(tmp_path, epilogue).register(0, 4) is None
    start = "begin: endbr64; push rbp; mov rbp, rsp; sub rsp, 32; nop;"
    assert _traced(tmp_path, start + epilogue, "begin").register(0, 4) is not None
    start = "begin: push rbp; mov rbp, rdi; sub rsp, 32;"
    assert _traced(tmp_path, start + epilogue, "begin").register(0, 4) is None
    start = "begin: push rbp; lea rbp, [rsp - 8]; sub rsp, 32;"
    assert _traced(tmp_path, start + epilogue, "begin").register(0, 4) is None


def test_a_store_through_an_unknown_pointer_may_hit_the_frame(tmp_path: Path) -> None:
    trace = _traced(tmp_path, "site: mov [rbx], rbx; mov rax, [rsp]; ret")
    assert trace.register(0, 8) is None
    assert trace.hidden() is None
    trace = _traced(tmp_path, "site: mov rax, [rsp]; mov [rbx], rbx; ret")
    assert trace.register(0, 8) == ("load", ("reg", 7), 8)


def test_a_stack_protector_is_no_way_out(tmp_path: Path) -> None:
    text = """
    site: mov rdx, [rsp + 8]; sub rdx, fs:[0x28]; jne fail
    mov eax, ebx; add rsp, 16; pop rbx; ret
    fail: call __stack_chk_fail
    """
    assert _traced(tmp_path, text).register(0, 4) == ("zero", 4, ("reg", 3))


def test_two_ways_are_told_apart_by_their_condition(tmp_path: Path) -> None:
    text = "site: test ebx, ebx; js other_way; mov eax, r12d; ret; other_way: mov eax, 7; ret"
    assert _traced(tmp_path, text).register(0, 4) == (
        "select",
        ("s<", ("sign", 4, ("reg", 3)), ("const", 0)),
        ("const", 7),
        ("zero", 4, ("reg", 12)),
    )
    text = "site: ucomisd xmm0, xmm1; ja other_way; mov eax, r12d; ret; other_way: mov eax, 7; ret"
    assert _traced(tmp_path, text).register(0, 4) is None
    text = "site: ucomisd xmm0, xmm1; ja other_way; mov eax, 7; ret; other_way: mov eax, 7; ret"
    assert _traced(tmp_path, text).register(0, 4) == ("const", 7)


def test_a_call_behind_the_hook_keeps_preserved_registers_only(tmp_path: Path) -> None:
    trace = _traced(tmp_path, "site: call other; mov rax, rbx; mov rdx, [rsp]; pop rbx; ret")
    assert trace.register(0, 8) == ("reg", 3)
    assert trace.register(1, 8) is None
    assert trace.hidden() is None


def test_a_popped_register_is_no_result(tmp_path: Path) -> None:
    trace = _traced(tmp_path, "site: pop rax; pop rdx; ret")
    assert trace.register(0, 8) is None
    assert trace.register(1, 8) is None
    assert _traced(tmp_path, "site: mov rax, rbx; pop rbx; pop rcx; ret").register(0, 8) == ("reg", 3)


def test_a_result_in_memory_is_final_unless_written_behind_the_hook(tmp_path: Path) -> None:
    assert _traced(tmp_path, "site: mov rax, rbx; mov [rsp], rbx; pop rbx; ret").hidden() == ("reg", 3)
    assert _traced(tmp_path, "site: mov rax, rbx; mov [rbx + 8], r12; ret").hidden() is None


def test_a_jump_leads_to_a_shared_epilogue_but_not_to_another_function(tmp_path: Path) -> None:
    text = "site: mov eax, 5; jmp shared; ud2; shared: ret"
    assert _traced(tmp_path, text).register(0, 4) == ("const", 5)
    assert "another function" in _reason(tmp_path, "site: mov eax, 5; jmp other")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("site: mov rdi, rax; call _Unwind_Resume", "unwinds"),
        ("site: call _ZSt9terminatev", "unwinds"),
        ("site: ud2", "does not return"),
        ("site: call __cyg_profile_func_exit; ret", "another hook"),
        ("site: jmp __cyg_profile_func_exit", "another hook"),
        ("site: jmp site", "loops"),
        ("site: jmp rax", "pointer"),
        ("site: syscall; ret", "not understood"),
        ("site: ldmxcsr [rsp]; ret", "not understood"),
        ("site: nop", "ends"),
        ("site: cmp rax, rbx; jne site; ret", "ways"),
        ("site: xor eax, eax; 1: test eax, eax; je 1b; ret", "loops"),
    ],
)
def test_what_cannot_be_followed_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    assert reason in _reason(tmp_path, text)


def test_long_doubles_come_from_memory_or_are_constants(tmp_path: Path) -> None:
    assert _traced(tmp_path, "site: fld tbyte ptr [rsp]; add rsp, 24; ret").x87() == (
        "address",
        ("reg", 7),
        10,
    )
    assert _traced(tmp_path, "site: fld1; ret").x87() == ("constant", bytes.fromhex("0000000000000080ff3f"))
    assert _traced(tmp_path, "site: fldz; fld1; fstp st(1); ret").x87() == (
        "constant",
        bytes.fromhex("0000000000000080ff3f"),
    )
    for text in ("fld tbyte ptr [rbx]", "fld1; fchs", "fild dword ptr [rsp]", "fld1; fstp st(0)", "nop"):
        assert _traced(tmp_path, f"site: {text}; ret").x87() is None
    text = "site: mov [rsp], rax; fld tbyte ptr [rsp]; ret"
    assert _traced(tmp_path, text).x87() is None


def test_a_loop_that_ends_is_followed(tmp_path: Path) -> None:
    text = "site: mov ecx, 5; xor eax, eax; 1: add eax, ebx; dec ecx; jne 1b; ret"
    evaluate = Evaluator({("reg", 3): 7}, lambda _address, _size: b"")
    found = _traced(tmp_path, text).register(0, 4)
    assert found is not None
    assert evaluate(found) == 35


def test_a_long_list_is_not_followed_to_its_end(tmp_path: Path) -> None:
    walk = "mov rax, [rax]; " * 500
    assert _traced(tmp_path, f"site: mov rax, rbx; {walk} ret").register(0, 8) is None
