"""How many items live in which buckets: to know it all items are read, so it is remembered."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from visualsearch.datatypes import Buckets

Census = Mapping[tuple[str, ...], int]
"""The buckets of an item, each once and in order → how many items have just these."""

MOST_KNOWN = 100
"""Filters whose censuses are remembered."""


class Memory:
    """Censuses of collections; threads may share them, and none waits for another."""

    def __init__(self, seconds: float) -> None:
        """Remember for ``seconds``, or until ``forget``."""
        self._seconds = seconds
        self._writes: dict[str, int] = {}
        self._known: dict[tuple[str, str], tuple[Census, int, float]] = {}

    def census(self, collection: str, chosen: str, count: Callable[[str], Census]) -> Census:
        """Return what is known of those items of a collection that pass a filter, else what ``count`` says of it."""
        # Both are read before anything is counted: what is written meanwhile makes the census an old one.
        writes, now = self._writes.get(collection, 0), time.monotonic()
        known = self._known.get((collection, chosen))
        if known is None or known[1] != writes or now >= known[2]:
            if len(self._known) >= MOST_KNOWN:
                self._known = {}
            known = self._known[collection, chosen] = (count(chosen), writes, now + self._seconds)
        return known[0]

    def forget(self, collection: str) -> None:
        """Take note that something was written."""
        self._writes[collection] = self._writes.get(collection, 0) + 1


def by_bucket(census: Census) -> dict[str, int]:
    """Return how many items live in each bucket.

    >>> by_bucket({("key", "mug"): 2, ("mug",): 1, (): 5})
    {'key': 2, 'mug': 3}
    """
    counts: dict[str, int] = {}
    for buckets, number in census.items():
        for bucket in buckets:
            counts[bucket] = counts.get(bucket, 0) + number
    return dict(sorted(counts.items()))


def within(census: Census, route: Buckets) -> int:
    """Return how many items a route is compared with: those in one of its buckets, or in none.

    >>> within({("key", "mug"): 2, ("mug",): 1, (): 5}, frozenset({"key"}))
    7
    """
    return sum(n for buckets, n in census.items() if probed(buckets, route))


def probed(buckets: tuple[str, ...], route: Buckets) -> bool:
    """Return whether a route leads to the items that live in these buckets."""
    return route is None or not buckets or not route.isdisjoint(buckets)
