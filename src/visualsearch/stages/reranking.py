"""Found → found: put the hits of several queries in order anew, by their vectors in the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from visualsearch.datatypes import Found, Hit, Matrix, Vector
from visualsearch.reranking import Expansion, reordered
from visualsearch.stores.contract import Store


def reranked(store: Store, vectors: Matrix, found: Sequence[Found], how: Expansion | None, k: int) -> list[Found]:
    """Return, for each row of ``vectors``, its first ``k`` hits after those that ``how`` looks at were reordered."""
    if how is not None:
        heads = [one.hits[: how.among] for one in found]
        ids = list(dict.fromkeys(hit.id for hits in heads for hit in hits))
        try:
            rows = dict(zip(ids, store.vectors(ids), strict=True))
        except KeyError:  # one was removed since it was found: the store's own order is as good an answer
            rows = {}
        if rows:
            found = [
                replace(one, hits=(*_anew(row, hits, rows, how), *one.hits[how.among :]))
                for row, hits, one in zip(vectors, heads, found, strict=True)
            ]
    return [one if len(one.hits) <= k else replace(one, hits=one.hits[:k]) for one in found]


def _anew(query: Vector, hits: Sequence[Hit], rows: Mapping[str, Vector], how: Expansion) -> tuple[Hit, ...]:
    return reordered(query, hits, np.stack([rows[hit.id] for hit in hits]), how) if hits else ()
