"""What `check --deep` looks at: every vector, and searches beside brute force."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from visualsearch.datatypes import Matrix
from visualsearch.stages.findings import Finding, Level, problem
from visualsearch.stores.contract import Store
from visualsearch.stores.ranking import Ranking

COMPARED_SEARCHES, COMPARED_HITS = 32, 20
"""How many searches `check --deep` compares with brute force, and how many hits of each."""

GOOD_AGREEMENT = 0.99


def vector_findings(store: Store) -> Iterator[Finding]:
    """Read every vector: each must be of unit length, and searches must find what brute force over all of them does."""
    wrong = seen = 0
    queries = np.empty((0, store.dim), np.float32)
    ranking = Ranking(queries, COMPARED_HITS)
    for page in store.pages():
        matrix = store.vectors([item.id for item in page])
        if not seen:  # ids are hashes, so the first are a sample
            queries = matrix[:COMPARED_SEARCHES]
            ranking = Ranking(queries, COMPARED_HITS)
        wrong += int((np.abs(np.linalg.norm(matrix, axis=1) - 1) > 1e-3).sum())
        ranking.add(np.arange(len(queries)), np.arange(seen, seen + len(page)), matrix)
        seen += len(page)
    if wrong:
        yield problem("vectors", f"{wrong} are not of unit length: run index --rebuild")
        return
    yield Finding("ok", "vectors", "all of unit length")
    if seen:
        yield _agreement(store, queries, ranking)


def _agreement(store: Store, queries: Matrix, ranking: Ranking) -> Finding:
    """Say which share of brute force's hits the store's exhaustive searches return, ties aside."""
    found = store.search(queries, COMPARED_HITS, [None] * len(queries), {})
    right = wanted = 0
    for (_, scores), some in zip(ranking.best(), found, strict=True):
        best = scores[:COMPARED_HITS]
        right += sum(hit.score >= best[-1] - 1e-5 for hit in some.hits)
        wanted += len(best)
    share = right / wanted
    says = f"{len(queries)} exhaustive searches return {share:.3f} of the {COMPARED_HITS} hits that brute force returns"
    level: Level = "ok" if share >= GOOD_AGREEMENT else "note"
    more = ": have the store look at more (num_candidates, nprobe or ef), or choose its flat type, which is exact"
    return Finding(level, "agreement", says + ("" if level == "ok" else more))
