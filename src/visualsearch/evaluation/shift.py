"""Whether queries are like what a promise was calibrated on: a two-sample test on how strange they look."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEVEL = 0.01
"""Queries that are like the calibration's are called shifted so seldom, or less."""


def one_of_each(scores: ArrayLike, groups: Sequence[Hashable], random: np.random.Generator) -> NDArray[np.float64]:
    """Return the score of one picture of each group, drawn at random.

    Pictures of one group are no independent evidence. A drawn one is distributed like any other however many
    its group has, where a mean would not be: a mean of many varies less than a mean of few.
    """
    values = np.asarray(scores, dtype=np.float64)
    drawn = {groups[place]: values[place] for place in random.permutation(len(values))}
    return np.array(list(drawn.values()), dtype=np.float64)


def shift(
    calibration: ArrayLike,
    calibration_groups: Sequence[Hashable],
    queries: ArrayLike,
    query_groups: Sequence[Hashable],
    seed: int = 0,
) -> dict[str, Any] | None:
    """Test whether queries are stranger to the classifier than what it was calibrated on.

    One-sided: queries that are less strange are held more often than promised, which is no harm. The test is
    that of Mann and Whitney ("On a test of whether one of two random variables is stochastically larger than the
    other", 1947), on one picture of each group.

    Args:
        calibration: (n,) how strange each calibration picture is: 1 - p of what was wanted.
        calibration_groups: (n,) the group of each.
        queries: (m,) the same of the queries.
        query_groups: (m,) the group of each.
        seed: of the draw of a picture from each group.

    Returns:
        The p-value, whether it is below ``LEVEL``, and how many groups were compared; None where there are none.
    """
    random = np.random.default_rng(seed)
    known, asked = (
        one_of_each(scores, groups, random)
        for scores, groups in ((calibration, calibration_groups), (queries, query_groups))
    )
    if not len(known) or not len(asked):
        return None
    from scipy.stats import mannwhitneyu  # slow to import, and needed by nothing else

    p_value = float(mannwhitneyu(asked, known, alternative="greater").pvalue)
    groups = {"calibration": len(known), "queries": len(asked)}
    return {"p_value": p_value, "shifted": p_value < LEVEL, "level": LEVEL, "groups": groups}
