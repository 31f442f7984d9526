"""Source lines by address: the rows that a line number program makes.

Format: DWARF 5, section 6.2.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from calltrace_collector.symbols.intervals import within
from calltrace_collector.symbols.leb128 import signed, unsigned
from calltrace_collector.symbols.lineprogram import LineProgram

_NO_FILE = -1


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A line of a source file.

    Attributes:
        file: its name: absolute, unless the compiler recorded no folder; without "." and ".." parts.
        line: counts from 1.
    """

    file: str
    line: int


class LineTable:
    """The lines of one unit's instructions.

    A row holds from its address up to the next row's. Of several rows for one address the last holds, for
    the others cover nothing.

    Args:
        program: makes the rows.
        executable: addresses that hold instructions, shape (n, 2), sorted. Sequences that start elsewhere
            belong to functions that the linker has thrown away.

    Raises:
        IndexError, ValueError, OverflowError: the program is damaged.
    """

    def __init__(self, program: LineProgram, executable: NDArray[np.uint64]) -> None:
        self._files = program.files
        rows = _Rows()
        _run(program, rows)
        self._addresses, self._file_numbers, self._lines = rows.sorted_columns(executable)

    def find(self, addresses: NDArray[np.uint64]) -> list[SourceLine | None]:
        """Returns the source line of each instruction; None where there is none."""
        if not len(self._addresses):
            return [None] * len(addresses)
        at = np.searchsorted(self._addresses, addresses, side="right") - 1
        numbers = np.where(at >= 0, self._file_numbers[at], _NO_FILE).tolist()
        return [self._line(*row) for row in zip(numbers, self._lines[at].tolist(), strict=True)]

    def _line(self, number: int, line: int) -> SourceLine | None:
        # Line 0 is the compiler's word for "of no line".
        file = self._files.get(number) if line > 0 else None
        return None if file is None else SourceLine(file, line)


class _Rows:
    """Rows as columns, and where each sequence ends."""

    def __init__(self) -> None:
        self.addresses = array("Q")
        self.files = array("i")
        self.lines = array("i")
        self.ends: list[int] = []

    def end_sequence(self) -> None:
        """Notes that the row added last is the end of a sequence."""
        self.ends.append(len(self.addresses))

    def sorted_columns(
        self, executable: NDArray[np.uint64]
    ) -> tuple[NDArray[np.uint64], NDArray[np.int32], NDArray[np.int32]]:
        """Returns addresses, numbers of files and lines, by address; ends of sequences have no file."""
        ends = np.array(self.ends, dtype=np.int64)
        count = int(ends[-1]) if len(ends) else 0  # rows of a sequence without an end are of no use
        addresses = np.frombuffer(self.addresses, dtype=np.uint64)[:count]
        files = np.frombuffer(self.files, dtype=np.int32)[:count].copy()
        lines = np.frombuffer(self.lines, dtype=np.int32)[:count]
        lengths = np.diff(ends, prepend=0)
        is_end = np.zeros(count, dtype=np.bool_)
        is_end[ends - 1] = True
        files[is_end] = _NO_FILE
        # Rows at the end's own address cover nothing.
        keep = (addresses < np.repeat(addresses[ends - 1], lengths)) | is_end
        starts, stops = addresses[ends - lengths], addresses[ends - 1]
        keep &= np.repeat(_usable(starts, stops, executable), lengths)
        kept = np.flatnonzero(keep)
        # An end comes before another sequence's row at the same address; otherwise the program's order.
        order = kept[np.lexsort((~is_end[kept], addresses[kept]))]
        return addresses[order], files[order], lines[order]


def _usable(
    starts: NDArray[np.uint64], stops: NDArray[np.uint64], executable: NDArray[np.uint64]
) -> NDArray[np.bool_]:
    """Tells which sequences to keep: those of code that is there, and none that overlaps another.

    They overlap where the linker has folded identical functions; the first of those is kept.
    """
    keep = within(executable, starts)
    order = np.flatnonzero(keep)
    order = order[np.argsort(starts[order], kind="stable")]
    if (stops[order][:-1] > starts[order][1:]).any():
        position = 0
        for index in order.tolist():
            keep[index] = starts[index] >= position
            position = max(position, int(stops[index]))
    return keep


@lru_cache(maxsize=64)
def _advances(
    opcode_base: int, instruction_size: int, line_base: int, line_range: int
) -> tuple[list[int], list[int]]:
    """Returns by how much each special operation advances the address, and the line."""
    operations = range(-opcode_base, 256 - opcode_base)
    return (
        [operation // line_range * instruction_size for operation in operations],
        [line_base + operation % line_range for operation in operations],
    )


def _run(  # noqa: C901, PLR0912, PLR0915 - a call for each operation would take longer than the operation
    program: LineProgram, rows: _Rows
) -> None:
    """Runs the program; raises IndexError, ValueError or OverflowError if it is damaged."""
    data, position, end = program.data, program.start, program.end
    base, step = program.opcode_base, program.instruction_size
    advances, line_advances = _advances(base, step, program.line_base, program.line_range)
    add_address, add_file, add_line = rows.addresses.append, rows.files.append, rows.lines.append
    address, file, line = 0, 1, 1
    while position < end:
        operation = data[position]
        position += 1
        if operation >= base:  # a special one: a row for a few bytes and lines further
            address += advances[operation]
            line += line_advances[operation]
            add_address(address)
            add_file(file)
            add_line(line)
        elif operation == 5:  # DW_LNS_set_column
            while data[position] & 0x80:
                position += 1
            position += 1
        elif operation == 1:  # DW_LNS_copy
            add_address(address)
            add_file(file)
            add_line(line)
        elif operation == 3:  # DW_LNS_advance_line
            change, position = signed(data, position)
            line += change
        elif operation in (6, 7, 10, 11):  # DW_LNS_negate_stmt, set_basic_block, set_prologue_end, ...
            continue
        elif operation == 2:  # DW_LNS_advance_pc
            change, position = unsigned(data, position)
            address += change * step
        elif operation == 4:  # DW_LNS_set_file
            file, position = unsigned(data, position)
        elif operation == 8:  # DW_LNS_const_add_pc
            address += advances[255]
        elif operation == 9:  # DW_LNS_fixed_advance_pc
            address += int.from_bytes(data[position : position + 2], "little")
            position += 2
        elif operation == 0:  # an extended one: its length, its number
            length, position = unsigned(data, position)
            if data[position] == 2:  # DW_LNE_set_address
                address = int.from_bytes(data[position + 1 : position + length], "little")
            elif data[position] == 1:  # DW_LNE_end_sequence
                add_address(address)
                add_file(file)
                add_line(line)
                rows.end_sequence()
                address, file, line = 0, 1, 1
            position += length
        else:
            for _ in range(program.operand_counts[operation - 1]):
                _, position = unsigned(data, position)
