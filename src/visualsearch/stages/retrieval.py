"""Plans → hits: search the planned buckets, and widen for those queries that found too little."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from visualsearch.datatypes import Found, Matrix, Route, Step
from visualsearch.routing import Plan, Router
from visualsearch.stores.contract import Store


@dataclass(slots=True)
class Retrieved:
    """What one query came to: its last plan, its hits, and the steps on the way."""

    plan: Plan
    found: Found = Found((), 0)
    steps: list[Step] = field(default_factory=list)

    def route(self, total: int) -> Route:
        """Return the route as the answer shows it, for an index of ``total`` items."""
        return Route(self.plan.buckets or (), tuple(self.steps), self.found.compared / max(total, 1))


def retrieve(
    store: Store, vectors: Matrix, plans: Sequence[Plan], k: int, where: Mapping[str, str], total: int
) -> list[Retrieved]:
    """Search each row of ``vectors`` within its plan, without widening."""
    answers = store.search(vectors, k, [plan.names for plan in plans], where)
    return [
        Retrieved(plan, found, [_step(plan, found, total, plan.why)])
        for plan, found in zip(plans, answers, strict=True)
    ]


def widen(
    store: Store,
    vectors: Matrix,
    probabilities: Matrix,
    retrieved: Sequence[Retrieved],
    router: Router,
    ladder: Sequence[str],
    k: int,
    where: Mapping[str, str],
) -> None:
    """Climb the ladder (``more``, ``all``) for the queries with fewer than k hits, in place.

    Each rung probes a superset of the one before, so the last step's cost is the query's.
    """
    for rung in ladder:
        rows = [i for i, one in enumerate(retrieved) if one.plan.buckets is not None and len(one.found.hits) < k]
        plans = {i: _wider(router, rung, retrieved[i].plan, probabilities[i]) for i in rows}
        rows = [i for i in rows if plans[i].names != retrieved[i].plan.names]
        if not rows:
            continue
        answers = store.search(vectors[rows], k, [plans[i].names for i in rows], where)
        for i, found in zip(rows, answers, strict=True):
            one, why = retrieved[i], f"{len(retrieved[i].found.hits)} of {k} hits: {plans[i].why}"
            one.plan, one.found = plans[i], found
            one.steps.append(_step(plans[i], found, router.total, why))


def _wider(router: Router, rung: str, plan: Plan, probabilities: Matrix) -> Plan:
    return router.more(plan, probabilities) if rung == "more" else router.everything(plan)


def _step(plan: Plan, found: Found, total: int, why: str) -> Step:
    return Step(why, len(plan.buckets or ()), found.compared / max(total, 1))
