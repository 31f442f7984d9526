"""The instructions of instructions.txt, written out."""

from pathlib import Path


def listed() -> dict[str, list[str]]:
    """Returns the pieces of code of each section, in Intel's syntax."""
    sections: dict[str, list[str]] = {}
    section: list[str] = []
    for line in Path(__file__).with_name("instructions.txt").read_text().splitlines():
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            section += _pieces(line)
    return sections


def _pieces(line: str) -> list[str]:
    *first, last = line.split(" | ")
    names, _, operands = last.removesuffix(":").partition(": ")
    return ["\n".join([*first, f"{name} {each}"]) for name in names.split() for each in operands.split("; ")]
