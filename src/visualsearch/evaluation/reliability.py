"""How far a classifier's probabilities can be believed: reliability, by bins of confidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

BINS = 15


def bins(confidence: ArrayLike, accuracy: ArrayLike, number: int = BINS) -> list[dict[str, Any]]:
    """Return the bins of equal width that hold anything, the least confident first.

    Args:
        confidence: (n,) the probability of each most probable bucket; a bin is open below and closed above.
        accuracy: (n,) whether that bucket was right: 1 or 0, or a share.
        number: how many bins from 0 to 1.

    >>> bins([0.9, 1.0, 0.2], [1, 0, 1], number=2)[1]
    {'low': 0.5, 'high': 1.0, 'count': 2, 'confidence': 0.95, 'accuracy': 0.5}
    """
    said, right = (np.asarray(values, dtype=np.float64) for values in (confidence, accuracy))
    edges = np.linspace(0.0, 1.0, number + 1)
    place = np.clip(np.searchsorted(edges, said, side="left") - 1, 0, number - 1)
    return [
        {
            "low": float(edges[i]),
            "high": float(edges[i + 1]),
            "count": int(inside.sum()),
            "confidence": float(said[inside].mean()),
            "accuracy": float(right[inside].mean()),
        }
        for i in range(number)
        if (inside := place == i).any()
    ]


def calibration_error(binned: Sequence[Mapping[str, Any]]) -> float:
    """Return the expected calibration error: how far confidence and accuracy of a bin differ, a mean over queries.

    Guo, Pleiss, Sun and Weinberger, "On Calibration of Modern Neural Networks", 2017, equation 3.

    >>> round(calibration_error(bins([0.9, 1.0, 0.2], [1, 0, 1], number=2)), 4)  # (2 · 0.45 + 1 · 0.8) / 3
    0.5667
    """
    counts, gaps = zip(*((one["count"], abs(one["confidence"] - one["accuracy"])) for one in binned), strict=True)
    return float(np.average(gaps, weights=counts))


def reliability(confidence: ArrayLike, accuracy: ArrayLike, briers: ArrayLike) -> dict[str, Any] | None:
    """Return what a report says of some pictures: how many, calibration error, Brier score, bins; None without any."""
    binned = bins(confidence, accuracy)
    if not binned:
        return None
    count = sum(one["count"] for one in binned)
    return {
        "n": count,
        "ece": calibration_error(binned),
        "brier": float(np.asarray(briers, dtype=np.float64).mean()),
        "bins": binned,
    }
