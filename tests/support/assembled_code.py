"""Code in assembler, as of a file."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

_START = 0x1000


class AssembledCode:
    """A piece of code with labels; is a Code, in which every global label is the name of a function.

    Args:
        text: in Intel's syntax.
        folder: where to build.
        constants: bytes that never change, by label.
        got: names of what pointers lead to, by label.

    Attributes:
        labels: the address of each label.
    """

    def __init__(
        self,
        text: str,
        folder: Path,
        constants: Mapping[str, bytes] | None = None,
        got: Mapping[str, str] | None = None,
    ) -> None:
        source, linked, flat = folder / "code.s", folder / "code", folder / "code.bin"
        source.write_text(f".intel_syntax noprefix\n.text\n{text}\n")
        subprocess.run(["as", "-o", folder / "code.o", source], check=True)
        address = f"-Ttext={_START:#x}"
        subprocess.run(["ld", address, "-e", "0", "-o", linked, folder / "code.o"], check=True)
        subprocess.run(["objcopy", "-O", "binary", "-j", ".text", linked, flat], check=True)
        self._data = flat.read_bytes()
        symbols = subprocess.run(["nm", linked], check=True, capture_output=True, text=True).stdout
        listed = [line.split() for line in symbols.splitlines()]
        self.labels = {name: int(address, 16) for address, _, name in listed}
        self._constants = {self.labels[label]: data for label, data in (constants or {}).items()}
        self._got = {self.labels[label]: name for label, name in (got or {}).items()}
        self._names = {int(address, 16): name for address, kind, name in listed if kind == "T"}

    def read(self, address: int, size: int) -> bytes:
        """Returns code."""
        return self._data[address - _START :][:size] if address >= _START else b""

    def target_name(self, address: int) -> str | None:
        """Returns the global label at an address."""
        return self._names.get(address)

    def got_name(self, address: int) -> str | None:
        """Returns what was given for a pointer."""
        return self._got.get(address)

    def constant(self, address: int, size: int) -> bytes | None:
        """Returns what was given for an address."""
        found = self._constants.get(address, b"")[:size]
        return found if len(found) == size else None
