"""Searching: vectors and buckets to searches of Milvus, its distances to cosines, near ties told apart exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from visualsearch.datatypes import Buckets, Found, Matrix
from visualsearch.stores.milvus_catalogue import Version
from visualsearch.stores.milvus_client import MOST_ROWS, Connection
from visualsearch.stores.milvus_counts import Census, probed, within
from visualsearch.stores.milvus_rows import condition, home, item_of
from visualsearch.stores.ties import SPARE, Candidate, Fetch, hits_of, ordered, settle, undecided

HITS_AT_ONCE = 20_000
"""Bounds of one search: its answer is held in memory on both sides."""

MOST_HOMES = 10_000
"""Sets of buckets beyond which a filter names the buckets instead."""


class Seeker:
    """Searches one collection."""

    def __init__(self, connection: Connection, version: Version, fetch: Fetch, census: Callable[[str], Census]) -> None:
        """Search ``version``; ``fetch`` has vectors by id, ``census`` counts those that pass a filter."""
        self._connection = connection
        self._version = version
        self._fetch = fetch
        self._census = census
        self._exact = version.index == "FLAT"

    def search(self, queries: Matrix, k: int, buckets: Sequence[Buckets], where: Mapping[str, str]) -> list[Found]:
        """Return what ``contract.Store.search`` promises; beyond 16,384 hits ties with the last may be cut."""
        found: dict[int, Found] = {}
        for route in dict.fromkeys(buckets):
            rows = [row for row, other in enumerate(buckets) if other == route]
            found.update(zip(rows, self._routed(queries[rows], k, route, where), strict=True))
        return [found[row] for row in range(len(buckets))]

    def _routed(self, queries: Matrix, k: int, route: Buckets, where: Mapping[str, str]) -> list[Found]:
        alone = self._connection.alone
        census = self._census(condition(None, where) if alone else "")
        if alone and not within(census, route):
            return [Found((), 0)] * len(queries)
        chosen = condition(route, where, self._homes(census, route))
        size = min(max(k, 0) + SPARE, MOST_ROWS)
        some = self._candidates(queries, size, chosen) if k > 0 else [[] for _ in queries]
        # Where fewer came than were asked for, they are all that there are: the census may be older by a moment.
        all_came = [self._exact and k > 0 and len(one) < size for one in some]
        counted = within(census, route) if alone or not where else 0 if all(all_came) else self._counted(chosen)
        counts = [len(one) if whole else counted for one, whole in zip(some, all_came, strict=True)]
        while pending := [row for row, one in enumerate(some) if undecided(one, k, size, MOST_ROWS)]:
            size = min(4 * size, MOST_ROWS)
            for row, more in zip(pending, self._candidates(queries[pending], size, chosen), strict=True):
                some[row] = more
        settle(queries, k, some, self._fetch)
        return [Found(hits_of(one, k), max(count, len(one))) for one, count in zip(some, counts, strict=True)]

    def _homes(self, census: Census, route: Buckets) -> list[str] | None:
        if not self._connection.alone or len(census) > MOST_HOMES:
            return None
        return sorted(home(buckets) for buckets in census if probed(buckets, route))

    def _counted(self, chosen: str) -> int:
        return int(self._connection.query(self._version.name, chosen, ["count(*)"])[0]["count(*)"])

    def _candidates(self, queries: Matrix, size: int, chosen: str) -> list[list[Candidate]]:
        made: list[list[Candidate]] = []
        at_once = max(1, HITS_AT_ONCE // size)
        for start in range(0, len(queries), at_once):
            answers = self._connection.ask(
                "search",
                self._version.name,
                data=list(queries[start : start + at_once]),
                anns_field="vector",
                filter=chosen,
                limit=size,
                output_fields=["item"],
                search_params={"metric_type": self._version.metric.upper(), "params": self._params(size)},
                consistency_level="Strong",
            )
            made.extend(ordered([self._candidate(hit) for hit in answer]) for answer in answers)
        return made

    def _candidate(self, hit: Mapping[str, Any]) -> Candidate:
        return Candidate(cosine(hit["distance"], self._version.metric), item_of(hit["entity"]["item"]))

    def _params(self, size: int) -> dict[str, int]:
        options = self._connection.options
        if self._version.index == "IVF_FLAT":
            return {"nprobe": min(options.nprobe, int(self._version.build["nlist"]))}
        return {"ef": max(options.ef, size)} if self._version.index == "HNSW" else {}


def cosine(distance: float, metric: str) -> float:
    """Return the cosine of what Milvus calls distance: of unit vectors the squared one, 2 - 2 cos, or the cosine itself.

    >>> cosine(0.0, "l2"), cosine(2.0, "l2"), cosine(4.0, "l2"), cosine(0.25, "cosine")
    (1.0, 0.0, -1.0, 0.25)
    """
    return min(1.0, max(-1.0, distance if metric == "cosine" else 1.0 - distance / 2.0))
