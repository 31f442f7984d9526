"""What each instruction does to a State: looked up by its mnemonic, made once."""

from __future__ import annotations

from iced_x86 import Instruction, RoundingControl

from calltrace_collector.capture.machine import flags, floating, integer, moves, shuffle, vector, x87
from calltrace_collector.capture.machine.any_instruction import RefusedError, forget
from calltrace_collector.capture.machine.flags import Builder
from calltrace_collector.capture.machine.operands import Effect, NotModelledError

__all__ = ["RefusedError", "effect_of"]

_BUILDERS: dict[int, Builder] = {
    **moves.BUILDERS,
    **integer.BUILDERS,
    **flags.BUILDERS,
    **vector.BUILDERS,
    **shuffle.BUILDERS,
    **floating.BUILDERS,
    **x87.BUILDERS,
}


def effect_of(instruction: Instruction) -> Effect:
    """Returns what changes a State as an instruction does, that is none of control flow.

    Raises:
        RefusedError: there is no telling what it does.
    """
    build = _BUILDERS.get(instruction.mnemonic)
    plain = not (
        instruction.has_op_mask
        or instruction.is_broadcast
        or instruction.rounding_control != RoundingControl.NONE
    )
    if build is not None and plain:
        try:
            return build(instruction)
        except NotModelledError:
            pass
    return forget(instruction)
