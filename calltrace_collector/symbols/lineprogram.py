"""Line number programs: their headers.

Format: DWARF 5, section 6.2.4; DWARF 4, section 6.2.4 for versions 2 to 4.
"""

from __future__ import annotations

from dataclasses import dataclass

from calltrace_collector.symbols import sourcefiles
from calltrace_collector.symbols.dwarf import DwarfFile
from calltrace_collector.symbols.forms import encoding_of
from calltrace_collector.symbols.sourcefiles import SourceFiles

_MAX_PROGRAM_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class LineProgram:
    """A program, ready to be run.

    Attributes:
        data: holds the program from `start` to `end`.
        instruction_size: what advances of the address are multiplied with.
        line_base: what special operations add to the line, at least.
        line_range: how many advances of the line special operations can make.
        opcode_base: the first special operation.
        operand_counts: of the operations before that, from 1 on.
        files: the source files that the rows name by number.
    """

    data: bytes
    start: int
    end: int
    instruction_size: int
    line_base: int
    line_range: int
    opcode_base: int
    operand_counts: bytes
    files: SourceFiles


def read(dwarf: DwarfFile, offset: int, directory: str | None) -> LineProgram:
    """Reads the program at `offset` in .debug_line.

    Args:
        dwarf: the file.
        offset: what DW_AT_stmt_list says.
        directory: where the compiler ran.

    Raises:
        IndexError, KeyError, ValueError, SymbolError: the header is damaged.
    """
    section = dwarf.need("line")
    length, start, offset_size = int.from_bytes(section.read(offset, 4), "little"), 4, 4
    if length == 0xFFFFFFFF:
        length, start, offset_size = int.from_bytes(section.read(offset + 4, 8), "little"), 12, 8
    if length > _MAX_PROGRAM_BYTES:
        raise ValueError(f"the line number program at {offset:#x} is of {length} bytes")
    dwarf.budget("line").check()
    dwarf.budget("line").spend(length)
    data = section.read(offset + start, length)
    version = int.from_bytes(data[:2], "little")
    if not 2 <= version <= 5:
        raise ValueError(f"the line number program at {offset:#x} is of version {version}")
    position = 2
    if version >= 5:
        if data[2] != 8:
            raise ValueError(f"the line number program at {offset:#x} has addresses of {data[2]} bytes")
        position = 4
    header_size = int.from_bytes(data[position : position + offset_size], "little")
    position += offset_size
    first = position + header_size
    instruction_size = data[position]
    if version >= 4:
        position += 1
        if data[position] > 1:
            raise ValueError("several operations to an instruction are not supported")
    line_base, line_range, opcode_base = data[position + 2 : position + 5]
    if not line_range or not opcode_base:
        raise ValueError(f"the line number program at {offset:#x} has a range or a base of 0")
    operand_counts = data[position + 5 : position + 4 + opcode_base]
    position += 4 + opcode_base
    if version >= 5:
        files = sourcefiles.read(dwarf, data, position, encoding_of(version, offset_size), directory)
    else:
        files = sourcefiles.read_old(dwarf, data, position, directory)
    return LineProgram(
        data=data,
        start=first,
        end=len(data),
        instruction_size=instruction_size,
        line_base=line_base - 256 if line_base > 127 else line_base,
        line_range=line_range,
        opcode_base=opcode_base,
        operand_counts=operand_counts,
        files=files,
    )
