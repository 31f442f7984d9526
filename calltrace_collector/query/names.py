"""What the numbers in calls stand for: functions and call sites of one process."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from calltrace_collector.errors import StoreError
from calltrace_collector.store.reader import Reader
from calltrace_collector.store.records import FunctionRecord, SiteRecord


class Names:
    """Functions and sites of a process, by their numbers.

    Attributes:
        functions: by number.
        sites: the site of number n is sites[n].
        function_of_site: the number of each site's function.
    """

    def __init__(self, reader: Reader, process: int) -> None:
        self._reader = reader
        self._process = process
        self._load()

    def _load(self) -> None:
        # Sites first: whatever function they enter is then there.
        self.sites: list[SiteRecord] = self._reader.sites(self._process)
        records = self._reader.functions(self._process)
        self.functions: dict[int, FunctionRecord] = {record.number: record for record in records}
        self.function_of_site: NDArray[np.int64] = np.array([site.function for site in self.sites], np.int64)

    def cover(self, sites: NDArray[np.uint32]) -> None:
        """Sees to it that the names of some sites are there: a process that runs goes on making new ones.

        Raises:
            StoreError: the database has calls through sites that it does not have.
        """
        needed = int(sites.max(initial=0))
        if not len(sites) or needed < len(self.sites):
            return
        self._load()
        if needed >= len(self.sites):
            raise StoreError(f"the database is damaged: process {self._process} has no site {needed}")

    def function(self, site: int) -> FunctionRecord:
        """Returns the function that calls through a site enter.

        Raises:
            StoreError: the database does not have it.
        """
        number = self.sites[site].function
        try:
            return self.functions[number]
        except KeyError:
            message = f"the database is damaged: process {self._process} has no function {number}"
            raise StoreError(message) from None

    def matching(self, matches: Callable[[str], bool]) -> frozenset[int]:
        """Returns the numbers of the functions one of whose names, demangled or linkage, matches."""
        return frozenset(
            record.number
            for record in self.functions.values()
            if matches(record.name) or (record.linkage_name is not None and matches(record.linkage_name))
        )
