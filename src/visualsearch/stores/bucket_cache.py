"""The vectors of the buckets that were searched last, within a budget of memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visualsearch.datatypes import Matrix

OVERHEAD = 512
"""Bytes that one entry costs beside its arrays."""


def entry_bytes(items: int, dim: int) -> int:
    """Return what a list of so many items costs in the cache."""
    return OVERHEAD + items * (8 + 1 + 4 * dim)


@dataclass(frozen=True, slots=True)
class Part:
    """Items that lie together: their numbers, ascending, and their vectors, row by row.

    ``shared`` marks items that live in several buckets; ``dim`` is 0 in the list of a
    column's value, of which only the numbers are needed.
    """

    numbers: NDArray[np.int64]
    shared: NDArray[np.bool_]
    matrix: Matrix

    def __len__(self) -> int:
        """Return how many items there are."""
        return len(self.numbers)

    def only(self, allowed: NDArray[np.int64]) -> Part:
        """Return the items whose numbers are among ``allowed`` (ascending)."""
        kept = member(self.numbers, allowed)
        return self if kept.all() else Part(self.numbers[kept], self.shared[kept], self.matrix[kept])


def member(numbers: NDArray[np.int64], allowed: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which ``numbers`` are among ``allowed``, both ascending.

    >>> member(np.array([1, 4, 9]), np.array([4, 5, 9, 12])).tolist()
    [False, True, True]
    """
    if not len(allowed):
        return np.zeros(len(numbers), np.bool_)
    place = np.minimum(np.searchsorted(allowed, numbers), len(allowed) - 1)
    return np.asarray(allowed[place] == numbers, np.bool_)


class BucketCache:
    """Parts by the number of their list, the one that was used longest ago evicted first.

    A part belongs to a generation of its list: after a write, the old one is not found.
    """

    def __init__(self, budget_bytes: int) -> None:
        """Hold at most ``budget_bytes``, as ``entry_bytes`` counts them."""
        self.budget_bytes = budget_bytes
        self.held_bytes = 0
        self._entries: OrderedDict[int, tuple[int, int, Part]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, number: int, generation: int) -> Part | None:
        """Return the part of this list and generation, if it is here."""
        with self._lock:
            entry = self._entries.get(number)
            if entry is None or entry[0] != generation:
                return None
            self._entries.move_to_end(number)
            return entry[2]

    def make_room(self, number: int, size: int) -> None:
        """Drop the list's old part, and the least used, until ``size`` more bytes fit."""
        with self._lock:
            self._drop(number)
            self._evict(size)

    def put(self, number: int, generation: int, part: Part) -> None:
        """Keep a part, unless it alone is larger than the budget."""
        size = entry_bytes(len(part), part.matrix.shape[1])
        if size > self.budget_bytes:
            return
        with self._lock:
            self._drop(number)
            self._evict(size)
            self._entries[number] = generation, size, part
            self.held_bytes += size

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._entries.clear()
            self.held_bytes = 0

    def _drop(self, number: int) -> None:
        entry = self._entries.pop(number, None)
        self.held_bytes -= entry[1] if entry else 0

    def _evict(self, size: int) -> None:
        while self._entries and self.held_bytes + size > self.budget_bytes:
            self._drop(next(iter(self._entries)))
