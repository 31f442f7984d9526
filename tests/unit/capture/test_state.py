from __future__ import annotations

from pathlib import Path

from calltrace_collector.capture.machine import expression as ex
from calltrace_collector.capture.machine.expression import Value
from calltrace_collector.capture.machine.state import State
from tests.support.assembled_code import AssembledCode


def _state(tmp_path: Path) -> State:
    code = AssembledCode(
        "constant: .quad 1; pointer: .quad 2; variable: .quad 3",
        tmp_path,
        constants={"constant": (77).to_bytes(8, "little")},
        got={"pointer": "function"},
    )
    general: list[Value] = [("reg", number) for number in range(16)]
    xmm: list[Value] = [("xmm", place // 2, place % 2) for place in range(32)]
    return State(code, general, xmm)


def test_what_never_changes_is_known_whatever_was_stored(tmp_path: Path) -> None:
    state = _state(tmp_path)
    labels = AssembledCode("constant: .quad 1; pointer: .quad 2; variable: .quad 3", tmp_path).labels
    state.store(None, 8, None)
    assert state.load(ex.image(labels["constant"]), 8) == ex.const(77)
    assert state.load(ex.image(labels["constant"]), 2) == ex.const(77)
    assert state.load(ex.image(labels["pointer"]), 8) == ("load", ex.image(labels["pointer"]), 8)
    assert state.load(ex.image(labels["variable"]), 8) is None


def test_a_call_keeps_what_functions_preserve(tmp_path: Path) -> None:
    state = _state(tmp_path)
    state.store(("reg", 7), 8, ("reg", 3))
    state.call()
    assert [number for number in range(16) if state.general[number] is not None] == [3, 6, 7, 12, 13, 14, 15]
    assert set(state.xmm) == {None}
    assert state.flags is None
    assert state.x87 is None
    assert state.load(("reg", 7), 8) is None


def test_a_copy_changes_by_itself(tmp_path: Path) -> None:
    state = _state(tmp_path)
    other = state.copy()
    other.call()
    assert state.general[0] == ("reg", 0)
    assert state.x87 == []
    assert state.load(("reg", 7), 8) is not None
