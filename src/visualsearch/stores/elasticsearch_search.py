"""Searching: vectors and buckets to one `_msearch`, its scores to cosines, near ties told apart exactly."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from visualsearch.datatypes import Buckets, Found, Hit, Item, Matrix, Vector
from visualsearch.stores.elasticsearch_client import Busy, Connection, passes, slug_of
from visualsearch.stores.elasticsearch_mapping import condition, cosine, dumped, item_of, vector_text
from visualsearch.stores.ranking import exact

MOST_HITS = 10_000
"""The server returns no more of one search."""

SPARE = 1
"""Hits beyond k that are asked for, to see whether the k-th ties with the next; only if it does, more are asked for."""

NEAR = 4e-6
"""Cosines closer than this may come in either order from the server, which adds in float32."""

SEARCHES_AT_ONCE = 64
HITS_AT_ONCE = 20_000
"""Bounds of one `_msearch`: its answer is held in memory on both sides."""

OVERSAMPLE = 3.0
"""Of the `int8_` types: how many times k candidates are scored again with the vectors themselves."""

Fetch = Callable[[Sequence[str]], Mapping[str, Vector]]
"""Ids → the vectors of those that exist."""


@dataclass(slots=True)
class Candidate:
    """A hit on its way."""

    score: float
    item: Item


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
        while pending := [row for row, one in enumerate(some) if _undecided(one, k, size)]:
            size = min(4 * size, MOST_HITS)
            for row, answer in zip(pending, self._ask(searches(pending)), strict=True):
                some[row] = _candidates(answer["hits"]["hits"])
        self._settle(queries, k, some)
        return [Found(_hits(one, k), max(count, len(one))) for one, count in zip(some, counts, strict=True)]

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

    def _settle(self, queries: Matrix, k: int, candidates: Sequence[list[Candidate]]) -> None:
        """Score near ties again from the vectors, in float64, as the embedded store does."""
        close = [[some[place] for place in _near_ties(some, k)] for some in candidates]
        wanted = list({one.item.id: None for some in close for one in some})
        vectors = self._fetch(wanted) if wanted else {}
        for row, some in enumerate(close):
            there = [one for one in some if one.item.id in vectors]  # the others were deleted since
            if there:
                matrix = np.stack([vectors[one.item.id] for one in there])
                scores = exact(queries, matrix, np.full(len(there), row, np.intp), np.arange(len(there)))
                for one, score in zip(there, scores.tolist(), strict=True):
                    one.score = score


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
    made = [Candidate(cosine(hit["_score"]), item_of(hit["_source"])) for hit in hits]
    return sorted(made, key=lambda one: (-one.score, one.item.id))


def _undecided(some: Sequence[Candidate], k: int, size: int) -> bool:
    """Return whether items that were not returned may tie with the k-th."""
    return len(some) == size < MOST_HITS and len(some) > k and some[k - 1].score - some[-1].score <= NEAR


def _near_ties(some: Sequence[Candidate], k: int) -> list[int]:
    """Return the places of those that nearly tie with a neighbour, as far as the first k depend on them."""
    close = [one.score - other.score <= NEAR for one, other in itertools.pairwise(some)]
    end = min(k, len(close))
    while end < len(close) and close[end - 1] and close[end]:
        end += 1
    pairs = [place for place in range(max(end, 0)) if close[place]]
    return sorted({*pairs, *(place + 1 for place in pairs)})


def _hits(some: Sequence[Candidate], k: int) -> tuple[Hit, ...]:
    best = sorted(some, key=lambda one: (-one.score, one.item.id))[: max(k, 0)]
    return tuple(
        Hit(one.item.id, one.item.path, one.item.columns, one.item.buckets, one.score, rank, one.item.box)
        for rank, one in enumerate(best, 1)
    )
