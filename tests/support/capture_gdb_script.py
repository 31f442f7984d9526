"""Runs in gdb: writes what the first calls of each function are passed and return, a JSON object a line."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any, TextIO

import gdb  # type: ignore[import-untyped]

TEXT_LIMIT = 64
SCALARS = {
    gdb.TYPE_CODE_INT: "integer",
    gdb.TYPE_CODE_CHAR: "character",
    gdb.TYPE_CODE_BOOL: "bool",
    gdb.TYPE_CODE_ENUM: "enum",
}


def text_at(pointer: Any) -> Any:
    """The bytes that a char pointer leads to, up to one more than are ever shown."""
    if int(pointer) == 0:
        return ["address", 0]
    found = b""
    while len(found) <= TEXT_LIMIT:
        try:
            letter = bytes(gdb.selected_inferior().read_memory(int(pointer) + len(found), 1))
        except gdb.MemoryError:
            return ["unreadable"]
        if letter == b"\0":
            break
        found += letter
    return ["text", found.hex()]


def describe(value: Any, *, outermost: bool = True) -> Any:  # noqa: PLR0911 - by type
    """A value as a tag and what it is, for the comparison in tests/support/capture_gdb.py."""
    kind = value.type.strip_typedefs()
    code = kind.code
    if code in (gdb.TYPE_CODE_REF, gdb.TYPE_CODE_RVALUE_REF):
        return describe(value.referenced_value()) if outermost else ["address", int(value.address)]
    if code == gdb.TYPE_CODE_PTR:
        target = kind.target().strip_typedefs()
        is_text = target.code == gdb.TYPE_CODE_INT and target.sizeof == 1 and "char" in str(target)
        if outermost and is_text and "unsigned" not in str(target) and "signed" not in str(target):
            return text_at(value)
        return ["address", int(value) & (1 << 64) - 1]
    if code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):
        own = [field for field in kind.fields() if hasattr(field, "bitpos")]  # others are static
        return ["members", {field.name: describe(value[field], outermost=False) for field in own}]
    if code == gdb.TYPE_CODE_ARRAY:
        first, last = kind.range()
        return ["elements", [describe(value[index], outermost=False) for index in range(first, last + 1)]]
    if code == gdb.TYPE_CODE_FLT:
        return ["float", struct.pack("d", float(value)).hex(), kind.sizeof]
    if code in SCALARS:
        tag = SCALARS[code]
        if tag == "integer" and kind.sizeof == 1 and "signed" not in str(kind):
            tag = "character"
        number = int(value.cast(gdb.lookup_type("long"))) if tag == "enum" else int(value)
        return [tag, number, str(value), kind.sizeof]
    return ["other", str(value)]


def arguments(frame: Any) -> dict[str, Any]:
    """The arguments of the function whose first instruction, or first line, is next."""
    block = gdb.block_for_pc(frame.pc())
    name = frame.function().linkage_name
    while block.function is None or block.function.linkage_name != name:
        block = block.superblock
    found = {}
    for symbol in block:
        if not symbol.is_argument:
            continue
        try:
            value = symbol.value(frame)
            found[symbol.name] = ["absent"] if value.is_optimized_out else describe(value)
        except (gdb.MemoryError, gdb.error):
            found[symbol.name] = ["absent"]
    return found


class Return(gdb.FinishBreakpoint):  # type: ignore[misc]
    """Takes down what a call returns."""

    def __init__(self, frame: Any, row: dict[str, Any], out: TextIO) -> None:
        super().__init__(frame, internal=True)
        self.silent = True
        self._row = row
        self._out = out

    def stop(self) -> bool:
        value = self.return_value
        self._row["result"] = ["absent"] if value is None else describe(value)
        self._out.write(json.dumps(self._row) + "\n")
        return False

    def out_of_scope(self) -> None:
        self._out.write(json.dumps(self._row) + "\n")


def outermost_at(frame: Any) -> Any:
    """The frame of the function itself, where a call inlined into it begins at the same instruction."""
    while frame.type() == gdb.INLINE_FRAME:
        frame = frame.older()
    return frame


def set_breakpoints(names: dict[str, str]) -> dict[int, str]:
    """Stops at the entry of each function that is at one place only; returns linkage names by number."""
    at_entry = os.environ["CAPTURE_AT_ENTRY"] == "1"
    breakpoints = {}
    for linkage_name, name in names.items():
        try:
            found = gdb.Breakpoint(name, internal=True)
        except gdb.error:
            continue
        places = found.locations
        block = gdb.block_for_pc(places[0].address) if len(places) == 1 else None
        if block is None:  # inlined somewhere, overloaded, or without debug information
            found.delete()
            continue
        if at_entry:
            found.delete()
            address = int(gdb.parse_and_eval(f"(unsigned long)&'{linkage_name}'"))
            found = gdb.Breakpoint(f"*{address:#x}", internal=True)
        found.silent = True
        breakpoints[found.number] = linkage_name
    return breakpoints


def main() -> None:
    names = json.loads(Path(os.environ["CAPTURE_NAMES"]).read_text())
    most = int(os.environ["CAPTURE_CALLS"])
    gdb.execute("tbreak main")
    gdb.execute("run")
    Path(os.environ["CAPTURE_PID"]).write_text(str(gdb.selected_inferior().pid))
    breakpoints = set_breakpoints(names)
    hits: list[Any] = []
    gdb.events.stop.connect(lambda event: hits.extend(getattr(event, "breakpoints", [])))
    calls: dict[int, int] = dict.fromkeys(breakpoints, 0)
    with Path(os.environ["CAPTURE_FOUND"]).open("w") as out:
        while gdb.selected_inferior().pid:
            hits.clear()
            gdb.execute("continue", to_string=True)
            for hit in hits.copy():
                if hit.number not in breakpoints:
                    continue
                frame = outermost_at(gdb.newest_frame())
                row = {"function": breakpoints[hit.number], "nth": calls[hit.number]}
                row |= {"arguments": arguments(frame), "result": ["absent"]}
                calls[hit.number] += 1
                if calls[hit.number] == most:
                    hit.enabled = False
                Return(frame, row, out)


main()
