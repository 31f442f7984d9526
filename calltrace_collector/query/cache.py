"""What was decoded lately, up to a total size."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Cache(Generic[K, V]):
    """Keeps what was used last, up to a limit on the sum of sizes; the newest in any case."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._entries: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def get(self, key: K) -> V | None:
        """Returns what is kept under a key; None: nothing."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        self._entries.move_to_end(key)
        return entry[0]

    def put(self, key: K, value: V, size: int) -> V:
        """Keeps a value, in place of what is longest unused; returns it."""
        replaced = self._entries.pop(key, None)
        self._size += size - (replaced[1] if replaced else 0)
        self._entries[key] = value, size
        while self._size > self._limit and len(self._entries) > 1:
            _, (_, freed) = self._entries.popitem(last=False)
            self._size -= freed
        return value
