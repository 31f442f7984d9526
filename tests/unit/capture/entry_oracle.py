"""Compares where parameters and results are said to be with what gdb sees there."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calltrace_collector.capture.signature.pieces import (
    X87,
    Memory,
    Piece,
    Register,
    ResultPiece,
    Stack,
    Xmm,
)
from calltrace_collector.capture.signature.subprogram import Parameter, SubprogramInfo
from calltrace_collector.capture.signature.subprograms import Subprograms
from calltrace_collector.capture.values.bytes import decode_bytes
from calltrace_collector.model.capture import Type, TypeKind
from calltrace_collector.symbols.elf import ElfFile
from tests.unit.capture.entry_programs import Program

GDB_SCRIPT = Path(__file__).with_name("entry_gdb.py")


@dataclass
class Outcome:
    """How many values are as the program has passed them, with those that are not."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)


def build(program: Program, compiler: str, flags: Sequence[str], folder: Path) -> Path:
    source = folder / ("program.cpp" if program.is_cxx else "program.c")
    source.write_text(program.source)
    output = folder / "program"
    # Addresses are those of the file, for gdb.
    command = [compiler, "-g", "-w", "-no-pie", *flags, str(source), "-o", str(output)]
    subprocess.run(command, check=True)
    return output


def addresses(program: Program, path: Path) -> dict[str, int]:
    """Where the program's functions begin; those that the compiler has inlined are nowhere."""
    found: dict[str, int] = {}
    for line in subprocess.check_output(["nm", "-C", "--defined-only", path], text=True).splitlines():
        address, kind, name = line.split(maxsplit=2)
        plain = name.partition("(")[0].partition(" ")[0].partition(".")[0]
        if kind in "tTW" and plain in program.functions and ".cold" not in name and "cold]" not in name:
            found[plain] = int(address, 16)
    return found


def observe(path: Path, functions: Mapping[str, int], folder: Path) -> tuple[Any, dict[str, bytes]]:
    """Runs the program in gdb; returns what it sees, and what the program says it passes."""
    wanted, result, truth = folder / "wanted", folder / "result", folder / "truth"
    wanted.write_text(json.dumps(functions))
    environment = os.environ | {
        "ENTRY_FUNCTIONS": str(wanted),
        "ENTRY_RESULT": str(result),
        "ENTRY_TRUTH": str(truth),
    }
    command = ["gdb", "-batch", "-nx", "-x", str(GDB_SCRIPT), str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.exists(), done.stderr
    lines = (line.rpartition(" ") for line in truth.read_text().splitlines())
    return json.loads(result.read_text()), {key: bytes.fromhex(value) for key, _, value in lines}


def compare(program: Program, path: Path, folder: Path) -> Outcome:
    functions = addresses(program, path)
    seen, truth = observe(path, functions, folder)
    outcome = Outcome()
    with ElfFile(path) as elf:
        subprograms = Subprograms([elf])
        infos = subprograms.at(list(functions.values()))
        assert subprograms.problems == []
    for name, info in zip(functions, infos, strict=True):
        assert info is not None, name
        assert info.low_pc == functions[name]
        if name in seen:
            _compare_function(name, info, seen[name], truth, outcome)
    return outcome


def _compare_function(
    name: str, info: SubprogramInfo, seen: Any, truth: Mapping[str, bytes], outcome: Outcome
) -> None:
    for parameter in info.parameters:
        if parameter.pieces is None:
            outcome.counts["unavailable"] += 1
            outcome.reasons[parameter.reason or ""] += 1
            continue
        passed = truth[f"A {name} {parameter.name.removeprefix('p')}"]
        shown, content = _argument(seen["entry"], parameter)
        _note(outcome, "argument", f"{name} {parameter}", _same(shown, content, passed))
    result = info.returns
    if result is None:
        assert f"R {name} 0" not in truth
    elif result.pieces is None:
        outcome.counts["result unavailable"] += 1
        outcome.reasons[result.reason or ""] += 1
    else:
        content = b"".join(_result_bytes(seen["return"], piece) for piece in result.pieces)
        _note(outcome, "result", f"{name} {result}", _same(result.type, content, truth[f"R {name} 0"]))


def _note(outcome: Outcome, what: str, which: str, right: bool) -> None:
    outcome.counts[what] += right
    if not right:
        outcome.wrong.append(which)


def _same(kind: Type, content: bytes, passed: bytes) -> bool:
    """Compares values and not bytes, for padding is not passed."""
    if kind.size not in (0, len(passed)) or (passed and kind.fields and not content and len(passed) > 8):
        return False
    passed = passed[: len(content)]
    if kind.kind is TypeKind.OTHER:
        return content == passed
    return repr(decode_bytes(kind, content, _no_symbol)) == repr(decode_bytes(kind, passed, _no_symbol))


def _no_symbol(_address: int) -> None:
    return None


def _argument(seen: Any, parameter: Parameter) -> tuple[Type, bytes]:
    content = b"".join(_piece_bytes(seen, piece) for piece in parameter.pieces or ())
    kind = parameter.type
    if not parameter.invisible_reference and kind.kind is not TypeKind.REFERENCE:
        return kind, content
    if kind.kind is TypeKind.REFERENCE and kind.target is not None:
        kind = kind.target
    return kind, _pointed(seen, int.from_bytes(content, "little"))[: kind.size]


def _pointed(seen: Any, address: int) -> bytes:
    return bytes.fromhex(seen["pointed"].get(str(address), ""))


def _piece_bytes(seen: Any, piece: Piece) -> bytes:
    match piece:
        case Register():
            return int(seen["general"][piece.number]).to_bytes(8, "little")[: piece.size]
        case Xmm():
            return int(seen["xmm"][piece.number][piece.half]).to_bytes(8, "little")[: piece.size]
        case Stack():
            return bytes.fromhex(seen["stack"])[piece.offset : piece.offset + piece.size]


def _result_bytes(seen: Any, piece: ResultPiece) -> bytes:
    match piece:
        case Register() | Xmm():
            return _piece_bytes(seen, piece)
        case X87():
            return int(seen["x87"], 16).to_bytes(10, "little") + bytes(piece.size - 10)
        case Memory():
            return _pointed(seen, int(seen["general"][0]))[: piece.size]
