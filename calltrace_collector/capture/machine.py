"""What each instruction does to a State: looked up by its mnemonic, made once."""

from __future__ import annotations

from iced_x86 import Instruction, RoundingControl

from calltrace_collector.capture import (
    machine_flags,
    machine_floating,
    machine_integer,
    machine_moves,
    machine_shuffle,
    machine_vector,
    machine_x87,
)
from calltrace_collector.capture.machine_any import RefusedError, forget
from calltrace_collector.capture.machine_flags import Builder
from calltrace_collector.capture.machine_operands import Effect, NotModelledError

__all__ = ["BUILDERS", "RefusedError", "effect_of"]

BUILDERS: dict[int, Builder] = {
    **machine_moves.BUILDERS,
    **machine_integer.BUILDERS,
    **machine_flags.BUILDERS,
    **machine_vector.BUILDERS,
    **machine_shuffle.BUILDERS,
    **machine_floating.BUILDERS,
    **machine_x87.BUILDERS,
}


def effect_of(instruction: Instruction) -> Effect:
    """Returns what changes a State as an instruction does, that is none of control flow.

    Raises:
        RefusedError: there is no telling what it does.
    """
    build = BUILDERS.get(instruction.mnemonic)
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
