"""Searching: vectors and buckets to one `_msearch`, its scores to cosines, near ties told apart exactly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from visualsearch.datatypes import Buckets, Found, Matrix, Vector
from visualsearch.stores.elasticsearch_client import Busy, Connection, passes, slug_of
from visualsearch.stores.elasticsearch_mapping import condition, cosine, dumped, item_of, vector_text
from visualsearch.stores.ties import SPARE, Candidate, Fetch, hits_of, ordered, settle, undecided

MOST_HITS = 10_000
"""The server returns no more of one search."""

SEARCHES_AT_ONCE = 64
HITS_AT_ONCE = 20_000
"""Bounds of one `_msearch`: its answer is held in memory on both sides."""

OVERSAMPLE = 3.0
"""Of the `int8_` types: how many times k candidates are scored again with the vectors themselves."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One search of an `_msearch`: its body, and how many hits it may return."""

    body: str
    size: int


class Seeker:
    """Searches one index."""

    def __init__(self, connection: Connection, target: str, kind: str, fetch: Fetch) -> None:
        """Search ``target``, whose vectors are kept as ``kind``."""
        self._connection = connection
        self._target = target
        self._kind = kind
        self._exact = kind == "flat"
        self._fetch = fetch

    def search(self, queries: Matrix, k: int, buckets: Sequence[Buckets], where: Mapping[str, str]) -> list[Found]:
        """Return what ``contract.Store.search`` promises; beyond 10,000 hits ties with the last may be cut."""
        filters = {route: dumped(condition(route, where)) for route in dict.fromkeys(buckets)}
        size = min(max(k, 0) + SPARE, MOST_HITS)

        def searches(rows: Iterable[int]) -> list[Asked]:
            return [Asked(self._body(queries[row], size, filters[buckets[row]]), size) for row in rows]

        answers = self._ask([*(Asked(_count_body(one), 0) for one in filters.values()), *searches(range(len(buckets)))])
        compared = {route: int(next(answers)["hits"]["total"]["value"]) for route in filters}
        some = [_candidates(answer["hits"]["hits"]) for answer in answers]
        # Where fewer came than were asked for, they are all that there are: the count may be older by a moment.
        counts = [
            len(one) if self._exact and len(one) < size else compared[buckets[row]] for row, one in enumerate(some)
        ]
        while pending := [row for row, one in enumerate(some) if undecided(one, k, size, MOST_HITS)]:
            size = min(4 * size, MOST_HITS)
            for row, answer in zip(pending, self._ask(searches(pending)), strict=True):
                some[row] = _candidates(answer["hits"]["hits"])
        settle(queries, k, some, self._fetch)
        return [Found(hits_of(one, k), max(count, len(one))) for one, count in zip(some, counts, strict=True)]

    def _body(self, query: Vector, size: int, filtered: str) -> str:
        """Return the body of one search; the filter stands inside `knn`, so that it takes away no hits.

        `knn` is the query: beside a query it would cost two rounds more of each shard.
        """
        options = self._connection.options
        more = f',"rescore_vector":{{"oversample":{OVERSAMPLE}}}' if self._kind.startswith("int8") else ""
        candidates = size if self._exact else min(MOST_HITS, max(2 * size, options.num_candidates))
        return (
            f'{{"size":{size},"track_total_hits":false,"query":{{"knn":{{"field":"vector","k":{size},'
            f'"num_candidates":{candidates},"filter":{filtered}{more},"query_vector":{vector_text(query)}}}}}}}'
        )

    def _ask(self, asked: Sequence[Asked]) -> Iterator[dict[str, Any]]:
        for some in _portions(asked):
            yield from self._connection.ask(partial(self._msearch, asked=some))

    def _msearch(self, client: Any, asked: Sequence[Asked]) -> list[dict[str, Any]]:
        # An answer of some shards only would be a wrong one.
        head = dumped({"index": self._target, "allow_partial_search_results": False})
        lines = [line for one in asked for line in (head, one.body)]
        answers: list[dict[str, Any]] = client.msearch(searches=lines)["responses"]
        for answer in answers:
            if "error" in answer:
                raise self._refused(answer)
        return answers

    def _refused(self, answer: dict[str, Any]) -> Exception:
        status = int(answer["status"])
        cause = (answer["error"].get("root_cause") or [answer["error"]])[0]
        told = f"{cause.get('type')}: {cause.get('reason')}"
        if passes(status, told):
            return Busy(status, told)
        return self._connection.error(slug_of(status, told), told)


def _count_body(filtered: str) -> str:
    return f'{{"size":0,"track_total_hits":true,"query":{{"bool":{{"filter":{filtered}}}}}}}'


def _portions(asked: Sequence[Asked]) -> Iterator[list[Asked]]:
    gathered: list[Asked] = []
    hits = 0
    for one in asked:
        if gathered and (len(gathered) == SEARCHES_AT_ONCE or hits + one.size > HITS_AT_ONCE):
            yield gathered
            gathered, hits = [], 0
        gathered.append(one)
        hits += one.size
    if gathered:
        yield gathered


def _candidates(hits: Sequence[dict[str, Any]]) -> list[Candidate]:
    return ordered([Candidate(cosine(hit["_score"]), item_of(hit["_source"])) for hit in hits])
