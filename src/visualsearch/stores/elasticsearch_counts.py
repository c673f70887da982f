"""How many items an index has, in all and by bucket: every search asks, so the answer is remembered for a moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from visualsearch.stores.elasticsearch_mapping import item_of, token
from visualsearch.stores.texts import MARK, unescaped

BUCKETS_AT_ONCE = 1_000
"""Buckets that are counted in one request."""

Ask = Callable[..., Mapping[str, Any]]
"""What a search asks, as keywords → the server's answer, with all that this process wrote."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Items in all, and of each bucket."""

    total: int
    buckets: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Known:
    """Counts, and what they hold for: this many writes, until this time."""

    counts: Counts
    writes: int
    until: float


class Counter:
    """Counts the items of one index; threads may share it, and none waits for another."""

    def __init__(self, ask: Ask, seconds: float) -> None:
        """Ask ``ask``, and remember for ``seconds`` what it answered."""
        self._ask = ask
        self._seconds = seconds
        self._writes = 0
        self._known: Known | None = None

    def counts(self) -> Counts:
        """Return the counts of now, or of ``seconds`` ago where nobody said ``forget`` since."""
        # All of this is read before anything is asked: what is written meanwhile makes the answer an old one.
        known, writes, now = self._known, self._writes, time.monotonic()
        if known is None or known.writes != writes or now >= known.until:
            self._known = known = Known(self._counted(), writes, now + self._seconds)
        return known.counts

    def forget(self) -> None:
        """Take note that something was written."""
        self._writes += 1

    def _counted(self) -> Counts:
        asked: dict[str, Any] = {
            "size": BUCKETS_AT_ONCE,
            "sources": [{"bucket": {"terms": {"field": "buckets"}}}],
        }
        buckets: dict[str, int] = {}
        total: int | None = None
        while True:
            # The first answer has both: one request is all that it takes where buckets are not many.
            answer = self._ask(size=0, aggs={"buckets": {"composite": asked}}, track_total_hits=total is None)
            total = int(answer["hits"]["total"]["value"]) if total is None else total
            page = answer["aggregations"]["buckets"]
            buckets.update({self._name(one["key"]["bucket"]): one["doc_count"] for one in page["buckets"]})
            if len(page["buckets"]) < BUCKETS_AT_ONCE:
                return Counts(total, dict(sorted(buckets.items())))
            asked["after"] = page["after_key"]

    def _name(self, key: str) -> str:
        """Return a bucket's name; of a long one the index has a token only, so an item of it is asked."""
        if not key.startswith(f"{MARK}#"):
            return unescaped(key)
        hits = self._ask(query={"term": {"buckets": {"value": key}}}, size=1)["hits"]["hits"]
        return next((name for hit in hits for name in item_of(hit["_source"]).buckets if token(name) == key), key)
