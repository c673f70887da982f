"""Near-duplicates of a whole gallery against the comparison pair by pair."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from visualsearch.images import looks_alike
from visualsearch.stages.lookalikes import near_duplicates


@given(st.integers(0, 2**32 - 1), st.integers(0, 12))
def test_equals_the_comparison_of_every_pair(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 2, 256)
    looks = {}
    for number in range(size):
        bits = base.copy() if number % 2 else rng.integers(0, 2, 256)
        bits[rng.choice(256, rng.integers(0, 40), replace=False)] ^= 1
        looks[str(number)] = np.packbits(bits).tobytes().hex()
    looks["unknown"] = ""
    expected = {a: [b for b in looks if a != b and looks_alike(looks[a], looks[b])] for a in looks}
    assert near_duplicates(looks) == expected
