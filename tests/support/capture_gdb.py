"""A traced program under gdb: what gdb sees of its calls, and the tracer shows of the same."""

from __future__ import annotations

import json
import math
import os
import struct
import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.collector import AGENT, PATIENCE_S, Collector

__all__ = ["GdbCall", "Verdicts", "compare", "watch"]

SCRIPT = Path(__file__).with_name("capture_gdb_script.py")
TEXT_LIMIT = 64


@dataclass(frozen=True)
class GdbCall:
    """A call as gdb sees it.

    Attributes:
        function: demangled, with parameters.
        nth: how many calls of it were before.
        arguments: descriptions (capture_gdb_script.py) by name.
        result: the same; ["absent"] for void, and where gdb knows none.
    """

    function: str
    nth: int
    arguments: dict[str, list[Any]]
    result: list[Any]


@dataclass
class Verdicts:
    """How the comparison went.

    Attributes:
        calls: that were compared.
        right: values that are the same.
        unavailable: values that gdb has and the tracer doesn't.
        wrong: a line for each value that differs.
        reasons: why values are unavailable.
    """

    calls: int = 0
    right: int = 0
    unavailable: int = 0
    wrong: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)


def _demangled(names: list[str]) -> list[str]:
    done = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def _functions(program: Path) -> dict[str, str]:
    """The program's functions: demangled names by linkage name."""
    lines = subprocess.run(["nm", program], capture_output=True, text=True, check=True).stdout.splitlines()
    symbols = [line.split()[2] for line in lines if line.split()[1] in "tTwW" and len(line.split()) == 3]
    names = [symbol for symbol in symbols if not symbol.startswith("_") or symbol.startswith("_Z")]
    names = [name for name in names if "." not in name and name != "main"]
    return dict(zip(names, _demangled(names), strict=True))


def watch(
    collector: Collector, program: Path, folder: Path, *arguments: str | Path, at_entry: bool, calls: int
) -> tuple[int, list[GdbCall]]:
    """Runs a program with the agent, under gdb.

    Args:
        collector: one that runs.
        program: what to run.
        folder: for files.
        arguments: of the program.
        at_entry: look at arguments before a function's first instruction, which takes an optimized program,
            whose debug information says where they are then; else behind its prologue.
        calls: how many calls of each function to look at.

    Returns:
        Its pid, and the calls that gdb has looked at.
    """
    names, found, pid = folder / "names.json", folder / "found.jsonl", folder / "pid"
    functions = _functions(program)
    names.write_text(json.dumps(functions))
    environment = collector.environment | {"CALLTRACE_CAPTURE_ARGS": "1", "LD_PRELOAD": str(AGENT)}
    wanted = ("CALLTRACE_SOCKET", "CALLTRACE_SHM_DIR", "CALLTRACE_CAPTURE_ARGS", "LD_PRELOAD")
    commands = [
        "set debuginfod enabled off",
        "set startup-with-shell off",
        "set confirm off",
        "set breakpoint always-inserted on",
        "set print thread-events off",
        *(f"set environment {name}={environment[name]}" for name in wanted),
        f"source {SCRIPT}",
    ]
    done = subprocess.run(
        [
            *("gdb", "-nx", "-batch"),
            *(word for command in commands for word in ("-ex", command)),
            *("--args", str(program), *map(str, arguments)),
        ],
        env={
            **os.environ,
            "CAPTURE_NAMES": str(names),
            "CAPTURE_FOUND": str(found),
            "CAPTURE_PID": str(pid),
            "CAPTURE_CALLS": str(calls),
            "CAPTURE_AT_ENTRY": "1" if at_entry else "0",
            "LC_ALL": "C",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert found.exists(), f"{done.stdout}\n{done.stderr}"
    assert "Error" not in done.stderr, done.stderr
    rows = [json.loads(line) for line in found.read_text().splitlines()]
    seen = [GdbCall(functions[row["function"]], row["nth"], row["arguments"], row["result"]) for row in rows]
    return int(pid.read_text()), seen


def compare(seen: list[GdbCall], shown: list[dict[str, Any]]) -> Verdicts:
    """Compares gdb's values with those of `calltrace query`.

    Args:
        seen: what gdb saw.
        shown: all calls of the same process, in the order of entries.
    """
    verdicts = Verdicts()
    by_function: dict[str, list[dict[str, Any]]] = {}
    for row in shown:
        by_function.setdefault(row["function"], []).append(row)
    for call in seen:
        row = by_function[call.function][call.nth]
        verdicts.calls += 1
        given = {argument["name"]: argument for argument in row["arguments"] or ()}
        for name, description in call.arguments.items():
            _judge(verdicts, f"{call.function} #{call.nth}: {name}", description, given.get(name))
        _judge(verdicts, f"{call.function} #{call.nth}: the result", call.result, row["return_value"])
    return verdicts


def _judge(verdicts: Verdicts, what: str, description: list[Any], row: Mapping[str, Any] | None) -> None:
    if description[0] in ("absent", "other", "unreadable"):
        return
    if row is None or "unavailable" in row:
        verdicts.unavailable += 1
        verdicts.reasons["not mentioned" if row is None else str(row["unavailable"])] += 1
    elif same(description, row["value"]):
        verdicts.right += 1
    else:
        verdicts.wrong.append(f"{what}: gdb has {description!r:.300}, shown is {row!r:.300}")


def same(description: list[Any], value: Any) -> bool:  # noqa: PLR0911 - by tag
    """Whether a description of gdb's and a value of the tracer's are the same."""
    tag, content = description[0], description[1]
    match tag:
        case "integer":
            return type(value) is int and value == content
        case "bool":
            return value is bool(content)
        case "character":
            return _character(content, value)
        case "enum":
            name = description[2].strip("()").replace(" ", "")
            names = {part.rpartition("::")[2] for part in name.split("|")}
            return value == content or {part.rpartition("::")[2] for part in str(value).split("|")} == names
        case "float":
            return _float(content, description[2], value)
        case "address":
            return _address(content, value)
        case "text":
            whole = bytes.fromhex(content)[:TEXT_LIMIT].decode("utf-8", "backslashreplace")
            return bool(value == whole)
        case "members":
            if not isinstance(value, dict):
                return False
            return all(name in value and same(part, value[name]) for name, part in content.items())
        case "elements":
            if isinstance(value, str):
                letters = bytes(part[1] & 0xFF for part in content)
                return letters.rstrip(b"\0").decode("utf-8", "backslashreplace") == value
            return len(value) == len(content) and all(map(same, content, value))
    raise AssertionError(description)


def _character(code: int, value: Any) -> bool:
    code &= 0xFF
    return bool(value == (chr(code) if code < 0x80 else f"\\x{code:02x}"))


def _float(content: str, size: int, value: Any) -> bool:
    true = float(struct.unpack("d", bytes.fromhex(content))[0])
    shown = float(value)
    if math.isnan(true):
        return math.isnan(shown)
    if size == 4 and math.isfinite(shown):
        shown = float(struct.unpack("f", struct.pack("f", shown))[0])
    return shown == true and math.copysign(1, shown) == math.copysign(1, true)


def _address(content: int, value: Any) -> bool:
    if value is None:
        return content == 0
    # A function's name is checked by the random programs; here is no name for an address.
    return not str(value).startswith("0x") or int(value, 16) == content
