from __future__ import annotations

from pathlib import Path

import pytest

from calltrace_collector.capture.machine.instructions import CHUNK_BYTES, Flow, steps
from tests.support.assembled_code import AssembledCode


@pytest.mark.parametrize(
    ("text", "flow"),
    [
        ("mov eax, ebx", Flow.NEXT),
        ("endbr64", Flow.NEXT),
        ("jmp site", Flow.JUMP),
        ("jmp rax", Flow.JUMP),
        ("notrack jmp rax", Flow.JUMP),
        ("jne site", Flow.BRANCH),
        ("jrcxz site", Flow.BRANCH),
        ("call site", Flow.CALL),
        ("call [rip + site]", Flow.CALL),
        ("ret", Flow.RETURN),
        ("rep ret", Flow.RETURN),
        ("bnd ret", Flow.RETURN),
        ("ret 8", Flow.UNKNOWN),
        ("retf", Flow.UNKNOWN),
        ("iretq", Flow.UNKNOWN),
        ("ud2", Flow.END),
        ("loop site", Flow.UNKNOWN),
        ("syscall", Flow.UNKNOWN),
        ("int3", Flow.UNKNOWN),
        (".byte 6", Flow.UNKNOWN),
    ],
)
def test_it_is_told_where_an_instruction_leads(tmp_path: Path, text: str, flow: Flow) -> None:
    code = AssembledCode(f"site: {text}", tmp_path)
    _, step = next(steps(code, code.labels["site"]))
    assert step.flow == flow


def test_targets_and_pointers_are_distances_from_the_next_instruction(tmp_path: Path) -> None:
    text = "begin: jmp site; jne site; call site; call [rip + site]; jmp [rip + site]; call rax; site:"
    code = AssembledCode(text, tmp_path)
    found = list(steps(code, code.labels["begin"]))
    site = code.labels["site"]
    assert [None if step.target is None else after + step.target for after, step in found] == [site] * 3 + [
        None
    ] * 3
    assert [step.pointer is not None and after + step.pointer for after, step in found] == [
        *[False] * 3,
        *[site] * 2,
        False,
    ]


def test_code_is_read_in_pieces_without_losing_instructions(tmp_path: Path) -> None:
    body = "movabs rax, 0x123456789; nop; " * CHUNK_BYTES
    code = AssembledCode(f"begin: {body} end:", tmp_path)
    found = list(steps(code, code.labels["begin"]))
    assert len(found) == 2 * CHUNK_BYTES
    assert found[-1][0] == code.labels["end"]


def test_there_is_nothing_where_there_is_no_code(tmp_path: Path) -> None:
    assert list(steps(AssembledCode("begin: nop", tmp_path), 0)) == []
