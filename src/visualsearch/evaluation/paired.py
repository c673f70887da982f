"""Whether two systems differ on the same queries: paired tests over groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visualsearch.evaluation import bootstrap

DRAWS = 9999
"""Of signs, where there are too many groups to try every combination."""

FEW = 13
"""Up to so many groups every combination of signs is tried."""


def paired(one: Sequence[float], other: Sequence[float], groups: Sequence[str], seed: int = 0) -> dict[str, Any] | None:
    """Return how far two figures of the same queries differ, as mean differences; None where no query has both.

    The interval is a paired bootstrap over groups, the p-value of a sign test by permutation: were the systems
    alike, each group's difference would as well have the other sign (Fisher's randomization test; Smucker, Allan and
    Carterette, "A Comparison of Statistical Significance Tests for Information Retrieval Evaluation", 2007).

    Args:
        one: (n,) what each query says of the figure; NaN is nothing.
        other: (n,) the same of the other system.
        groups: (n,) queries of one group are no independent evidence, and change their signs together.
        seed: of all draws.

    Returns:
        ``this`` and ``other`` (means over queries that have both), ``difference``, its 95 % ``interval`` (None
        with fewer than two groups), ``p_value``, ``queries``.
    """
    mine, theirs = (np.asarray(values, dtype=np.float64) for values in (one, other))
    both = ~np.isnan(mine) & ~np.isnan(theirs)
    if not both.any():
        return None
    differences = (mine - theirs)[both]
    names = [group for group, known in zip(groups, both, strict=True) if known]
    bounds = bootstrap.intervals(differences[:, None], names, seed=seed)[0].tolist() if len(set(names)) > 1 else None
    return {
        "this": float(mine[both].mean()),
        "other": float(theirs[both].mean()),
        "difference": float(differences.mean()),
        "interval": bounds,
        "p_value": sign_test(differences, names, seed),
        "queries": int(both.sum()),
    }


def sign_test(differences: Sequence[float] | NDArray[np.float64], groups: Sequence[str], seed: int = 0) -> float:
    """Return how probable so large a sum of differences is where each group's sign is a matter of chance.

    >>> sign_test([1.0, 1.0, 1.0], ["a", "b", "c"])  # +++ and --- of eight
    0.25
    >>> sign_test([1.0, 1.0, 1.0], ["a", "a", "a"])
    1.0
    """
    _, places = np.unique(np.asarray(groups, dtype=object).astype(str), return_inverse=True)
    sums = np.bincount(places, np.asarray(differences, dtype=np.float64))
    sums = sums[sums != 0]
    seen = abs(sums.sum()) - 1e-9
    if len(sums) <= FEW:
        signs = 1 - 2 * (np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums)) & 1)
        return float((abs(signs @ sums) >= seen).mean())
    random = np.random.default_rng(seed)
    reached = sum(
        int((abs(random.choice((-1.0, 1.0), (size, len(sums))) @ sums) >= seen).sum())
        for size in np.diff([*range(0, DRAWS, 1000), DRAWS])
    )
    return (1 + reached) / (1 + DRAWS)
