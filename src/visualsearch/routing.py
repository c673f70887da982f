"""Probabilities → buckets: which part of the gallery a query is compared with, and how that widens.

Pure NumPy: nothing here knows a store or a network. A route is a tuple of buckets, most
probable first; ``None`` stands for the exhaustive search.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from visualsearch.calibration.promises import Promise
from visualsearch.datatypes import Buckets, Probability, Vector


@dataclass(frozen=True, slots=True)
class Plan:
    """What one query probes: ``buckets`` (None: everything), why, and what calibration promises of it."""

    buckets: tuple[Probability, ...] | None
    why: str
    widens: bool = True
    """Whether too few hits may widen it; never so where it is exhaustive or the caller's own."""
    promise: Mapping[str, Any] | None = None

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
        promise: what decides which buckets a route needs; None where everything is searched.
        at_most: largest share of the items that one search may compare, in (0, 1].
        unpromised: why there is no promise.
    """

    learned: tuple[str, ...]
    counts: Mapping[str, int]
    total: int
    promise: Promise | None
    at_most: float = 1.0
    unpromised: str = "routing is not calibrated, run train"

    @property
    def unlearned(self) -> tuple[str, ...]:
        """Return the buckets that were added since training; every route probes them."""
        return tuple(sorted(set(self.counts) - set(self.learned)))

    def plan(self, probabilities: Vector) -> Plan:
        """Return the first plan for one query; ``probabilities`` is a row of (buckets,) that sums to 1."""
        if self.promise is None:
            return exhaustive(self.unpromised)
        if self.promise.thresholds is None and self.at_most >= 1.0:
            return Plan(None, self.promise.why, widens=False, promise=self.promise.as_dict(held=True))
        admitted = self.promise.admitted(probabilities)
        # none may be likely enough; the most probable one is searched all the same
        admitted[int(np.argmax(probabilities))] = True
        wanted = [bucket for bucket, place in self._ranked(probabilities) if admitted[place]]
        plan = self._cut(wanted, self.promise.why)
        learned = len(plan.buckets or ()) - len(self.unlearned)
        return replace(plan, promise=self.promise.as_dict(held=learned == len(wanted)))

    def more(self, plan: Plan, probabilities: Vector) -> Plan:
        """Return a plan with twice as many learned buckets as ``plan`` has, those of ``plan`` among them."""
        had = [bucket for bucket in plan.buckets or () if bucket.probability is not None]
        others = [bucket for bucket, _ in self._ranked(probabilities) if bucket not in had]
        wider = self._cut([*had, *others[: max(len(had), 1)]], "widened to more buckets")
        return replace(wider, promise=plan.promise)

    def everything(self, plan: Plan) -> Plan:
        """Return the exhaustive plan, or ``plan`` itself where ``at_most`` forbids it."""
        if self.at_most < 1.0:
            return plan
        return Plan(None, "widened to everything", widens=False, promise=plan.promise)

    def _ranked(self, probabilities: Vector) -> list[tuple[Probability, int]]:
        """Return the learned buckets, most probable first, each with its position."""
        order = np.argsort(-probabilities, kind="stable")
        return [(Probability(self.learned[i], float(probabilities[i])), int(i)) for i in order]

    def _cut(self, wanted: Sequence[Probability], why: str) -> Plan:
        """Take the wanted buckets, the first at least, and all unlearned ones, within ``at_most`` of the items."""
        room = self.at_most * self.total - sum(self.counts[name] for name in self.unlearned)
        taken: list[Probability] = []
        for bucket in wanted:
            room -= self.counts.get(bucket.name, 0)
            if not taken and room < 0:
                why += f", which alone is more than {self.at_most:g} of the gallery"
            if taken and room < 0:
                why += f", but at most {self.at_most:g} of the gallery"
                break
            taken.append(bucket)
        return Plan((*taken, *(Probability(name, None) for name in self.unlearned)), why)


def exhaustive(why: str) -> Plan:
    """Return the plan that compares a query with every item."""
    return Plan(None, f"exhaustive: {why}", widens=False)


def chosen(names: Collection[str]) -> Plan:
    """Return the plan of buckets that the caller names."""
    return Plan(tuple(Probability(name, None) for name in names), "chosen by the caller", widens=False)
