"""What a route promises, and the threshold on probabilities that keeps it. Pure NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from visualsearch.datatypes import Matrix, Vector

Kind = Literal["bucket", "hits"]
"""``bucket``: the right bucket is in the route with probability ``level`` or more. ``hits``: on average at least the
share ``level`` of the hits of an exhaustive search lie in the route."""

_ROUNDING = 1e-6
"""By so much a network's probabilities differ between batches of different sizes."""


def strangeness(probabilities: Matrix) -> NDArray[np.float64]:
    """Return how far each bucket is from being predicted: 1 - p, the score of Sadinle, Lei and Wasserman (2019)."""
    scores: NDArray[np.float64] = 1.0 - probabilities.astype(np.float64)
    return scores


@dataclass(frozen=True, slots=True)
class Promise:
    """One level of one kind, and what it takes to keep it.

    ``n`` groups were calibrated on, ``needed`` are needed. ``thresholds`` are (buckets,): a bucket
    that is not stranger is in the route; None where there are too few groups.
    """

    kind: Kind
    level: float
    n: int
    needed: int
    thresholds: NDArray[np.float64] | None

    def admitted(self, probabilities: Vector) -> NDArray[np.bool_]:
        """Return which buckets a route needs, (buckets,); all where nothing can be promised of fewer."""
        if self.thresholds is None:
            return np.ones(len(probabilities), bool)
        inside: NDArray[np.bool_] = strangeness(probabilities[None])[0] <= self.thresholds + _ROUNDING
        return inside

    @property
    def says(self) -> str:
        """Return the promise in words."""
        if self.kind == "bucket":
            return f"the right bucket with probability {self.level:g} or more"
        return f"{self.level:g} or more of the exhaustive hits, on average"

    @property
    def why(self) -> str:
        """Return why a route is what it is."""
        if self.thresholds is None:
            return f"searched everything: {self.n} groups of {self.needed} that keep {self.level:g} needs"
        least = 1.0 - self.thresholds
        if np.ptp(least) > _ROUNDING:
            return f"{self.says}: each bucket that is likely enough for its kind"
        return f"{self.says}: each bucket of {max(least[0], 0.0):.4g} or more, and the most probable one"

    def as_dict(self, held: bool) -> dict[str, Any]:
        """Return what an answer says of it; it is not ``held`` where the route had to be cut."""
        return {"kind": self.kind, "level": self.level, "n": self.n, "held": held}
