"""Which code calls or jumps to a function by name: directly, through a stub, or through its slot.

It is all that there is, and possibly more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from calltrace_collector.capture.code.branches import DISTANCE_BYTES, Branches, branches, code_sections
from calltrace_collector.capture.code.file_code import FileCode

__all__ = ["DirectCalls"]


class DirectCalls:
    """The calls, jumps and branches of a program or shared library that say where they lead.

    Args:
        code: of the file.

    Raises:
        SymbolError: the file is damaged.
    """

    def __init__(self, code: FileCode) -> None:
        found = [branches(section) for section in code_sections(code.elf)]
        direct = _rows([straight for straight, _ in found])
        indirect = _rows([through for _, through in found])
        self._direct = direct[np.argsort(direct[:, 1], kind="stable")]
        self._named: defaultdict[str, list[int]] = defaultdict(list)
        for source, stub in direct[np.isin(direct[:, 1], np.array(list(code.stubs), np.int64))].tolist():
            self._named[code.stubs[stub]].append(source)
        for source, slot in indirect.tolist():
            name = code.got_name(slot)
            if name is not None:
                self._named[name].append(source)

    def sources(self, function: int, names: Iterable[str]) -> NDArray[np.uint64]:
        """Returns where a function is called or jumped to.

        Args:
            function: its first address.
            names: of its symbols, by which stubs and slots lead to it.
        """
        first, last = np.searchsorted(self._direct[:, 1], (function, function + 1))
        named = [source for name in names for source in self._named.get(name, ())]
        return np.concatenate([self._direct[first:last, 0], np.array(named, np.int64)]).astype(np.uint64)


def _rows(found: Sequence[Branches]) -> NDArray[np.int64]:
    """Returns the sources and targets of branches, a row each; a source is an address in the instruction."""
    rows = [np.stack([one.ends - DISTANCE_BYTES, one.targets], axis=1) for one in found]
    return np.concatenate([np.empty((0, 2), np.int64), *rows])
