"""What `check --deep` says of searches that approximate; compared with a store that loses hits on purpose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from visualsearch.datatypes import Buckets, Found, Item, Matrix, Source
from visualsearch.stages.checking import _vectors
from visualsearch.stores.bruteforce import BruteForceStore, Contents


class Forgetful(BruteForceStore):
    """Returns other items in place of every second hit, as a graph may that was walked too hastily."""

    def search(self, vectors: Matrix, k: int, buckets: Sequence[Buckets], where: Mapping[str, str]) -> list[Found]:
        """Keep the first, third, … hit."""
        return [
            replace(found, hits=found.hits[: 2 * k : 2]) for found in super().search(vectors, 2 * k, buckets, where)
        ]


@pytest.mark.parametrize(("kind", "level", "share"), [(BruteForceStore, "ok", "1.000"), (Forgetful, "note", "0.500")])
def test_the_share_of_brute_forces_hits_is_told(kind: type[BruteForceStore], level: str, share: str) -> None:
    store = kind(Contents("f", 8))
    vectors = np.random.default_rng(0).standard_normal((300, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    store.upsert([Item(f"{n:03}", f"{n}.jpg", {}, (), Source(str(n), "")) for n in range(300)], vectors)
    lengths, agreement = _vectors(store)
    assert lengths.level == "ok"
    assert (agreement.level, agreement.what) == (level, "agreement")
    assert f"return {share} of the 20 hits" in agreement.says
    assert list(_vectors(BruteForceStore(Contents("f", 8)))) == [lengths]
