"""What a system takes for another person's face, the surest mistakes first: to see whether it or the label is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tools.protocols.figures import Codes, Near
from tools.protocols.people import People
from tools.protocols.runs import Run
from visualsearch.datatypes import Answer, Hit, Matrix, Query
from visualsearch.gallery import file_of
from visualsearch.stores.contract import Store

SHOWN = 16
"""Mistakes that are drawn."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """A query, the picture of another person that came first, and the most similar one of its own; as numbers."""

    query: int
    first: int
    own: int
    score: float
    own_score: float


def mistakes(ranked: Near, codes: Codes, places: Codes, vectors: Matrix) -> list[Mistake]:
    """Return the queries whose first hit shows another person though there is one of their own, surest first.

    Args:
        ranked: (pictures, depth) as of ``Run.ranked``.
        codes: (pictures,) whose each picture is.
        places: (pictures,) the row of each picture in ``vectors``, -1 without a face.
        vectors: (n, dim), of unit length.
    """
    found = []
    for query, row in enumerate(ranked):
        others = row[(row >= 0) & (row != query)]
        own = np.flatnonzero((codes == codes[query]) & (places >= 0) & (np.arange(len(codes)) != query))
        if places[query] < 0 or not len(others) or not len(own) or codes[others[0]] == codes[query]:
            continue
        vector, first = vectors[places[query]], int(others[0])
        scores = vectors[places[own]] @ vector
        best = int(np.argmax(scores))
        score = float(vectors[places[first]] @ vector)
        found.append(Mistake(query, first, int(own[best]), score, float(scores[best])))
    return sorted(found, key=lambda one: -one.score)


def shown(store: Store, people: People, run: Run, some: Sequence[Mistake]) -> list[Answer]:
    """Return mistakes as answers to draw: the picture that came first, and the query's own that came later."""
    return [_answer(store, people, run, one) for one in some]


def _answer(store: Store, people: People, run: Run, one: Mistake) -> Answer:
    vector = run.vectors[run.places[one.query]][None]
    hits = {hit.path: hit for hit in reversed(store.search(vector, store.count(), [None], {})[0].hits)}
    pair: list[Hit] = [hits[people.paths[number]] for number in (one.first, one.own)]
    own = hits.get(people.paths[one.query])
    query = Query(str(file_of(people.folder, people.paths[one.query])), None if own is None else own.box)
    return Answer(query, tuple(replace(hit, rank=rank) for rank, hit in enumerate(pair, 1)))
