"""Names for frames: of each the functions that it is of, those inlined in it included."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import replace

from calltrace_collector.crash.space import AddressSpace, Module
from calltrace_collector.crash.unwind import StackFrame
from calltrace_collector.model.crash import CrashFrame
from calltrace_collector.symbols.resolver import FunctionSymbol, InlinedFrame, SourceLine

Group = tuple[CrashFrame, ...]
"""The functions of one frame: those that were inlined, innermost first, and the one they were inlined in."""

_BATCH = 256
_MAX_SECONDS = 20.0  # a thousand times what sound debug information takes
_CLONE = re.compile(r" \[clone [^]]*\]|(?:\.(?:cold|part|isra|constprop|lto_priv|llvm)(?:\.\d+)*)+$")


def plain_name(name: str) -> str:
    """Returns a function's name without what the compiler appends to name its parts and variants."""
    return _CLONE.sub("", name)


class FrameNames:
    """Names what is at addresses, each once, as long as it has time.

    Args:
        space: where the addresses are.
    """

    def __init__(self, space: AddressSpace) -> None:
        self._end = time.monotonic() + _MAX_SECONDS
        self._space = space
        self._groups: dict[tuple[int, bool], Group] = {}
        self._used: set[Module] = set()
        self._between: dict[tuple[int, int], list[Group]] = {}
        self._functions: dict[int, tuple[str, FunctionSymbol] | None] = {}

    def of_frames(self, frames: Sequence[StackFrame]) -> list[Group]:
        """Returns the functions of each frame."""
        by_module: dict[Module, list[StackFrame]] = {}
        for frame in {(frame.address, frame.is_exact): frame for frame in frames}.values():
            if (frame.address, frame.is_exact) in self._groups:
                continue
            if frame.module is None or frame.module.symbols is None:
                self._groups[frame.address, frame.is_exact] = (_nameless(frame),)
            else:
                by_module.setdefault(frame.module, []).append(frame)
        self._used.update(by_module)
        for module, some in by_module.items():
            for first in range(0, len(some), _BATCH):
                self._name(module, some[first : first + _BATCH])
        return [self._groups[frame.address, frame.is_exact] for frame in frames]

    def release(self) -> None:
        """Forgets what was read and can be read again, when all that is wanted has a name."""
        for module in self._used:
            if module.symbols is not None:
                module.symbols.release()

    def of_call_site(self, address: int) -> Group:
        """Returns the functions that a call, which returns to the address, is in."""
        frame = StackFrame(
            address,
            is_exact=False,
            stack_pointer=0,
            cfa=None,
            module=self._space.module_at(address - 1),
            is_signal_frame=False,
        )
        return self.of_frames([frame])[0]

    def between(self, inner: StackFrame, group: Group, outer: StackFrame) -> list[Group]:
        """Returns the functions between two frames that have jumped and left no frame, innermost first."""
        function, module, caller = group[-1], inner.module, outer.module
        start = function.function_offset
        if outer.is_exact or inner.is_signal_frame or module is None or caller is None:
            return []
        if module.symbols is None or caller.symbols is None or start is None or time.monotonic() > self._end:
            return []
        key = (outer.address, function.address - start)
        if key not in self._between:
            call = caller.symbols.call_at(outer.address - caller.load_bias)
            if call is not None and caller is not module:
                call = replace(call, target=None)
            places = module.symbols.tail_calls(call, key[1] - module.load_bias) if call else []
            self._between[key] = [self.of_call_site(place + module.load_bias) for place in reversed(places)]
        return self._between[key]

    def of_function(self, address: int) -> CrashFrame:
        """Returns the frame of a function of which only its first address is known."""
        frame = StackFrame(
            address,
            is_exact=True,
            stack_pointer=0,
            cfa=None,
            module=self._space.module_at(address),
            is_signal_frame=False,
        )
        return self.of_frames([frame])[0][-1]

    def function_at(self, address: int) -> tuple[str, FunctionSymbol] | None:
        """Returns the module's path and the symbol of the function that starts at an address."""
        if address not in self._functions:
            module = self._space.module_at(address)
            self._functions[address] = None
            if module is not None and module.symbols is not None:
                (function,) = module.symbols.functions([address - module.load_bias])
                self._functions[address] = (module.path, function) if function else None
        return self._functions[address]

    def _name(self, module: Module, frames: Sequence[StackFrame]) -> None:
        if time.monotonic() > self._end:
            self._groups.update({(frame.address, frame.is_exact): (_nameless(frame),) for frame in frames})
            return
        assert module.symbols is not None  # noqa: S101 - of_frames() sees to it
        offsets = [frame.code_address - module.load_bias for frame in frames]
        functions = module.symbols.functions(offsets)
        lines = module.symbols.locations(offsets)
        inlined = module.symbols.inlined(offsets)
        for frame, function, line, calls in zip(frames, functions, lines, inlined, strict=True):
            self._groups[frame.address, frame.is_exact] = _group(module, frame, function, line, calls)


def _group(
    module: Module,
    frame: StackFrame,
    function: FunctionSymbol | None,
    line: SourceLine | None,
    inlined: Sequence[InlinedFrame],
) -> Group:
    offset = frame.address - module.load_bias
    named: list[CrashFrame] = []
    for one in inlined:
        named.append(
            CrashFrame(
                address=frame.address,
                function=plain_name(one.name) or None,
                linkage_name=one.linkage_name or None,
                module=module.path,
                module_offset=offset,
                function_offset=None,
                file=line.file if line else None,
                line=line.line if line else None,
                inlined=True,
                call=None,
            )
        )
        line = one.call
    named.append(
        CrashFrame(
            address=frame.address,
            function=plain_name(function.name) if function else None,
            linkage_name=function.linkage_name if function else None,
            module=module.path,
            module_offset=offset,
            function_offset=offset - function.offset if function else None,
            file=line.file if line else None,
            line=line.line if line else None,
            inlined=False,
            call=None,
            is_signal_frame=frame.is_signal_frame,
        )
    )
    return tuple(named)


def _nameless(frame: StackFrame) -> CrashFrame:
    module = frame.module
    return CrashFrame(
        address=frame.address,
        function=None,
        linkage_name=None,
        module=module.path if module else None,
        module_offset=frame.address - module.load_bias if module else None,
        function_offset=None,
        file=None,
        line=None,
        inlined=False,
        call=None,
        is_signal_frame=frame.is_signal_frame,
    )
