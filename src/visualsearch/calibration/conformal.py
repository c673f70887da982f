"""Thresholds that hold for finite samples: split conformal prediction and conformal risk control, over groups.

Pictures of one group (one thing, one burst) are no independent evidence, so it is groups that
are exchangeable, and a group counts once however many pictures it has. Pure NumPy.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
"""(n,), how strange each thing is: the threshold admits what is not stranger."""

Groups = NDArray[np.intp]
"""(n,), the number of the group of each."""

_ROUNDING = 1e-9


def needed(level: float) -> int:
    """Return the fewest groups from which ``level``, below 1, can be promised: n with n / (n + 1) ≥ level.

    >>> needed(0.5), needed(0.9), needed(0.99)
    (1, 9, 99)
    """
    return max(1, math.ceil(level / (1 - level) - _ROUNDING))


def threshold(scores: Scores, shares: Scores, groups: Groups, level: float) -> float | None:
    """Return the smallest score that what comes next does not exceed with probability ``level`` or more.

    Each of the n groups has a mass of 1 / (n + 1), which ``shares`` divides among its scores, and
    what is left lies above every score. With one score a group this is split conformal
    prediction (Papadopoulos et al. 2002; Vovk, Gammerman and Shafer 2005); with several it is
    hierarchical conformal prediction (Lee, Barber and Willett 2023, "Distribution-free inference
    with hierarchical data", equation 5): the promise is for a picture of a new group.

    Where a score stands for one of several things that a picture must keep, the mean share of
    them that exceeds the threshold is at most 1 - level: n / (n + 1) · (mean loss) + 1 / (n + 1)
    ≤ 1 - level is the condition of conformal risk control (Angelopoulos et al. 2022, "Conformal
    Risk Control", theorem 1), and that loss only falls as the threshold grows.

    Args:
        scores: (n,) of the calibration pictures.
        shares: (n,) of the mass of its group that each score has; they sum to 1 in each group.
        groups: (n,) the group of each.
        level: what is promised, in (0, 1).

    Returns:
        None where there are fewer than ``needed(level)`` groups.

    >>> threshold(np.arange(1.0, 10.0), np.ones(9), np.arange(9), 0.9)
    9.0
    >>> threshold(np.arange(1.0, 9.0), np.ones(8), np.arange(8), 0.9) is None
    True
    """
    count = len(np.unique(groups))
    if count < needed(level):
        return None
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum(shares[order]) / (count + 1)
    place = min(int(np.searchsorted(reached, level - _ROUNDING)), len(order) - 1)
    return float(scores[order[place]])


def even_shares(groups: Groups) -> Scores:
    """Return the share of each score where all scores of a group count the same.

    >>> even_shares(np.array([0, 0, 1])).tolist()
    [0.5, 0.5, 1.0]
    """
    _, places, counts = np.unique(groups, return_inverse=True, return_counts=True)
    shares: Scores = 1 / counts[places]
    return shares
