"""Probabilities → buckets: which part of the gallery a query is compared with, and how that widens.

Pure NumPy: nothing here knows a store or a network. A route is a tuple of buckets, most
probable first; ``None`` stands for the exhaustive search.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from visualsearch.datatypes import Buckets, Matrix, Probability, Vector


@dataclass(frozen=True, slots=True)
class Plan:
    """What one query probes: ``buckets`` (None: everything), and why."""

    buckets: tuple[Probability, ...] | None
    why: str
    widens: bool = True
    """Whether too few hits may widen it; never so where it is exhaustive or the caller's own."""

    @property
    def names(self) -> Buckets:
        """Return the buckets as the set that a store searches."""
        return None if self.buckets is None else frozenset(bucket.name for bucket in self.buckets)


@dataclass(frozen=True, slots=True)
class Router:
    """Chooses buckets from what the classifier says.

    Args:
        learned: the classifier's buckets, in the order of its columns.
        counts: how many items live in each bucket of the index.
        total: how many items the index has.
        keep: share of the probability that a route must cover, in (0, 1]; 1 is exhaustive.
        at_most: largest share of the items that one search may compare, in (0, 1].
    """

    learned: tuple[str, ...]
    counts: Mapping[str, int]
    total: int
    keep: float
    at_most: float = 1.0

    @property
    def unlearned(self) -> tuple[str, ...]:
        """Return the buckets that were added since training; every route probes them."""
        return tuple(sorted(set(self.counts) - set(self.learned)))

    def plan(self, probabilities: Vector) -> Plan:
        """Return the first plan for one query; ``probabilities`` is a row of (buckets,) that sums to 1."""
        if self.keep >= 1.0:
            return Plan(None, "exhaustive: routing.keep is 1", widens=False)
        ranked = self._ranked(probabilities)
        size = covering(np.array([bucket.probability for bucket in ranked]), self.keep)
        return self._cut(ranked, size, f"until {self.keep:g} of the probability is covered")

    def more(self, plan: Plan, probabilities: Vector) -> Plan:
        """Return a plan with twice as many learned buckets as ``plan`` has."""
        learned = [bucket for bucket in plan.buckets or () if bucket.probability is not None]
        return self._cut(
            self._ranked(probabilities), max(2 * len(learned), len(learned) + 1), "widened to more buckets"
        )

    def everything(self, plan: Plan) -> Plan:
        """Return the exhaustive plan, or ``plan`` itself where ``at_most`` forbids it."""
        return Plan(None, "widened to everything", widens=False) if self.at_most >= 1.0 else plan

    def _ranked(self, probabilities: Vector) -> list[Probability]:
        order = np.argsort(-probabilities, kind="stable")
        return [Probability(self.learned[i], float(probabilities[i])) for i in order]

    def _cut(self, ranked: Sequence[Probability], size: int, why: str) -> Plan:
        """Take the first ``size`` buckets and all unlearned ones, within ``at_most`` of the items."""
        room = self.at_most * self.total - sum(self.counts[name] for name in self.unlearned)
        taken: list[Probability] = []
        for bucket in ranked[:size]:
            room -= self.counts.get(bucket.name, 0)
            if taken and room < 0:
                why += f", but at most {self.at_most:g} of the gallery"
                break
            taken.append(bucket)
        return Plan((*taken, *(Probability(name, None) for name in self.unlearned)), why)


def covering(probabilities: Vector | Matrix, keep: float) -> int:
    """Return how many of the largest probabilities are needed to reach ``keep``.

    >>> covering(np.array([0.6, 0.3, 0.1]), 0.9)
    2
    >>> covering(np.array([0.6, 0.3, 0.1]), 0.5)
    1
    """
    covered = np.cumsum(np.sort(probabilities)[::-1].astype(np.float64))
    # float32 rows sum to 1 only within rounding: the tolerance keeps 0.9 of {0.6, 0.3, 0.1} at two
    return min(int(np.searchsorted(covered, keep - 1e-6)) + 1, len(covered))


def exhaustive(why: str) -> Plan:
    """Return the plan that compares a query with every item."""
    return Plan(None, f"exhaustive: {why}", widens=False)


def chosen(names: Collection[str]) -> Plan:
    """Return the plan of buckets that the caller names."""
    return Plan(tuple(Probability(name, None) for name in names), "chosen by the caller", widens=False)
