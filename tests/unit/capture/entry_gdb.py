"""Runs in gdb: at the first instruction of functions, and where they return to, writes what can be seen."""

import json
import os
from pathlib import Path
from typing import Any

import gdb  # type: ignore[import-untyped]

GENERAL = ["rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", *(f"r{n}" for n in range(8, 16))]
MASK = (1 << 64) - 1
STACK_BYTES = 512
POINTED_BYTES = 128


def memory(address: int, size: int) -> str:
    try:
        return bytes(gdb.selected_inferior().read_memory(address, size)).hex()
    except gdb.MemoryError:
        return ""


def halves(number: int) -> list[int]:
    vector = gdb.parse_and_eval(f"$xmm{number}.v2_int64")
    return [int(vector[half]) & MASK for half in (0, 1)]


def snapshot() -> dict[str, Any]:
    registers = [int(gdb.parse_and_eval(f"${name}")) & MASK for name in GENERAL]
    stack = memory(registers[7], STACK_BYTES)
    words = bytes.fromhex(stack)
    on_stack = [int.from_bytes(words[at : at + 8], "little") for at in range(0, len(words), 8)]
    top = gdb.execute("info registers st0", to_string=True)
    return {
        "general": registers,
        "xmm": [halves(number) for number in range(8)],
        "stack": stack,
        # Whatever may be the address of an object.
        "pointed": {str(one): memory(one, POINTED_BYTES) for one in {*registers, *on_stack}},
        "x87": top.partition("(raw 0x")[2].rstrip(")\n"),
    }


def main() -> None:
    wanted = json.loads(Path(os.environ["ENTRY_FUNCTIONS"]).read_text())
    names = {address: name for name, address in wanted.items()}
    for address in names:
        gdb.execute(f"break *{address}")
    found: dict[str, Any] = {}
    gdb.execute(f"run > {os.environ['ENTRY_TRUTH']}")
    while gdb.selected_inferior().pid:
        name = names[gdb.newest_frame().pc()]
        entered = snapshot()
        back = int.from_bytes(bytes.fromhex(entered["stack"][:16]), "little")
        gdb.execute(f"tbreak *{back}")
        gdb.execute("continue")
        if gdb.newest_frame().pc() != back:
            raise SystemExit(f"{name} did not return")
        found[name] = {"entry": entered, "return": snapshot()}
        gdb.execute("continue")
    Path(os.environ["ENTRY_RESULT"]).write_text(json.dumps(found))


gdb.execute("set confirm off")
gdb.execute("set pagination off")
gdb.execute("set debuginfod enabled off")
main()
