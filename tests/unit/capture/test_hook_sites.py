"""Calls of hooks, compared with those that objdump finds in its disassembly."""

import re
import subprocess
from pathlib import Path

import pytest

from calltrace_collector.capture.code.file_code import FileCode
from calltrace_collector.symbols.elf import ElfFile
from tests.support.compile import compile_c

SOURCE = """
int printf(const char *, ...);
static int leaf(int a) { return a + 1; }
void tail(int *a) { *a = leaf(*a); }
long many(long a) { return a > 3 ? many(a - 1) + many(a - 2) : leaf((int)a); }
int main(void) { int a = 1; tail(&a); return printf("%d %ld\\n", a, many(9)) < 0; }
"""
OPTIONS = (
    ("-O0",),
    ("-O2",),
    ("-O2", "-fno-plt"),
    ("-O2", "-fPIC", "-shared"),
    ("-O1", "-no-pie", "-fno-pie"),
    ("-O2", "-fcf-protection", "-Wl,-z,now"),
    ("-O2", "-Wl,-z,lazy,-z,ibtplt"),
)
HOOK = re.compile(r"__cyg_profile_func_(enter|exit)")


@pytest.fixture(params=OPTIONS, ids=" ".join)
def built(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    source = tmp_path / "program.c"
    source.write_text(SOURCE)
    return compile_c([source], tmp_path / "program", ("-finstrument-functions", *request.param))


def disassembled_sites(path: Path, slots: dict[int, str]) -> set[tuple[int, bool, bool]]:
    """What objdump shows: where each call ends, whether it is of the entry hook, whether it is a jump."""
    command = ["objdump", "-d", "--no-show-raw-insn", str(path)]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    sites = set()
    lines = [line for line in text.splitlines() if re.match(r"\s+[0-9a-f]+:\t", line)]
    section = re.compile(r"Disassembly of section (\S+):")
    plt = False
    previous: tuple[bool, bool] | None = None
    for line in text.splitlines():
        if found := section.match(line):
            plt = found[1].startswith(".plt")
        if line not in lines:
            continue
        address = int(line.split(":")[0], 16)
        if previous is not None:
            sites.add((address, *previous))
        previous = None
        kind = re.search(r"\b(call|jmp)q?\b", line)
        if plt or kind is None:
            continue
        hook = HOOK.search(line)
        slot = re.search(r"# ([0-9a-f]+)", line)
        name = hook[0] if hook else slots.get(int(slot[1], 16), "") if slot else ""
        if HOOK.fullmatch(name):
            previous = name.endswith("enter"), kind[1] == "jmp"
    return sites


def test_the_sites_are_those_of_the_disassembly(built: Path) -> None:
    relocations = subprocess.run(
        ["objdump", "-R", str(built)], capture_output=True, text=True, check=True
    ).stdout
    slots = {
        int(match[1], 16): match[2]
        for match in re.finditer(r"^([0-9a-f]+) R_X86_64_\w+\s+([^\s@+]+)", relocations, re.MULTILINE)
    }
    with ElfFile(built) as elf:
        found = {(one.return_offset, one.is_entry, one.is_jump) for one in FileCode([elf]).sites}
    expected = disassembled_sites(built, slots)
    assert len(expected) >= 8
    assert found == expected


def test_names_of_targets_are_those_of_the_disassembly(built: Path) -> None:
    text = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", str(built)], capture_output=True, text=True, check=True
    ).stdout
    calls = re.findall(r"\t(?:bnd )?callq?\s+([0-9a-f]+) <([\w.]+)(?:@plt)?>$", text, re.MULTILINE)
    assert calls
    with ElfFile(built) as elf:
        code = FileCode([elf])
        assert {name: code.target_name(int(address, 16)) for address, name in calls} == {
            name: name for _, name in calls
        }


def test_constants_are_what_nobody_writes(tmp_path: Path) -> None:
    source = tmp_path / "program.c"
    source.write_text(
        "const long constant = 0x1122334455667788; long variable = 5; extern char **environ;\n"
        "const void *const relocated = &variable; int main(void) { return environ == (char **)relocated; }\n"
    )
    program = compile_c([source], tmp_path / "program", ("-O0",))
    nm = subprocess.run(["nm", str(program)], capture_output=True, text=True, check=True).stdout
    address = {
        line.split()[2]: int(line.split()[0], 16) for line in nm.splitlines() if len(line.split()) == 3
    }
    with ElfFile(program) as elf:
        code = FileCode([elf])
        assert code.constant(address["constant"], 8) == bytes.fromhex("8877665544332211")
        assert code.constant(address["variable"], 8) is None
        assert code.constant(address["relocated"], 8) is None
        assert code.constant(1 << 60, 8) is None
        assert code.read(address["variable"], 8) == b""
        assert len(code.read(address["main"], 4)) == 4
