"""What other tools say of a program, and what its source says."""

from __future__ import annotations

import posixpath
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from calltrace_collector.symbols.resolver import ModuleSymbols, Resolver, SourceLine


def run(*command: object, text: str | None = None) -> str:
    """Returns what the command prints; it must succeed."""
    words = [str(word) for word in command]
    return subprocess.run(words, input=text, capture_output=True, text=True, check=True).stdout


def readelf_build_id(path: Path) -> bytes:
    match = re.search(r"Build ID: ([0-9a-f]+)", run("readelf", "-n", path))
    return bytes.fromhex(match[1]) if match else b""


def remove_symbols(path: Path, output: Path) -> None:
    """Copies a program without its symbol table, but with its debug information."""
    run("objcopy", "--strip-all", "--keep-section=.debug_*", path, output)
    assert ".symtab" not in run("readelf", "--sections", "--wide", output)


def module(path: Path, resolver: Resolver | None = None) -> ModuleSymbols:
    return (resolver or Resolver(())).module(str(path), readelf_build_id(path))


def nm(path: Path, *options: str) -> dict[str, int]:
    """The functions' addresses by name, without versions."""
    rows = [line.split() for line in run("nm", *options, path).splitlines()]
    return {row[2].partition("@")[0]: int(row[0], 16) for row in rows if len(row) == 3 and row[1] in "tTWi"}


def markers(*sources: Path) -> dict[str, int]:
    """The line of each "@NAME" in the sources."""
    return {
        name: number
        for source in sources
        for number, line in enumerate(source.read_text().splitlines(), start=1)
        for name in re.findall(r"@([\w:.]+)", line)
    }


def instructions(path: Path) -> list[int]:
    """The addresses of all instructions in .text."""
    listing = run("objdump", "--disassemble", "--no-show-raw-insn", "--section=.text", path)
    return [int(match[1], 16) for match in re.finditer(r"^ *([0-9a-f]+):\t", listing, re.MULTILINE)]


def addr2line(path: Path, addresses: Sequence[int]) -> list[SourceLine | None]:
    """What binutils say of the addresses; only for DWARF 4: for 5, version 2.40 names wrong files."""
    text = "\n".join(f"{address:#x}" for address in addresses)
    lines: list[SourceLine | None] = []
    for answer in run("addr2line", "-e", path, text=text).splitlines():
        file, _, line = answer.partition(" (")[0].rpartition(":")
        known = line not in {"?", "0"}
        lines.append(SourceLine(posixpath.normpath(file), int(line)) if known else None)
    return lines


def gdb_lines(path: Path, addresses: Sequence[int]) -> list[SourceLine | None]:
    """What gdb says of the addresses; not for optimized code, where it prefers a statement's first row."""
    script = f"""
import gdb
for address in {list(addresses)}:
    found = gdb.find_pc_line(address)
    print("line", found.line, found.symtab.fullname() if found.symtab else "")
"""
    output = run("gdb", "-nx", "-batch", "-ex", f"python exec({script!r})", path)
    lines: list[SourceLine | None] = []
    for match in re.finditer(r"^line (\d+) (.*)$", output, re.MULTILINE):
        known = int(match[1]) > 0 and match[2]
        lines.append(SourceLine(posixpath.normpath(match[2]), int(match[1])) if known else None)
    return lines
