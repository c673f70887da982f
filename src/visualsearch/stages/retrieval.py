"""Plans → hits: search the planned buckets, and widen for those queries that found too little."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from visualsearch.datatypes import Buckets, Found, Matrix, Route, Step, Vector
from visualsearch.embedder import Embedded
from visualsearch.routing import Plan, Router
from visualsearch.stages.filters import nothing_has
from visualsearch.stages.matching import Judged, Matcher
from visualsearch.stores.contract import Store


@dataclass(slots=True)
class Retrieved:
    """What one query came to: its last plan, its hits, and the steps on the way."""

    plan: Plan
    found: Found = Found((), 0)
    steps: list[Step] = field(default_factory=list)
    judged: Judged | None = None
    """What its hits are; None where nothing is calibrated."""

    def route(self, total: int) -> Route:
        """Return the route as the answer shows it, for an index of ``total`` items."""
        return Route(self.plan.buckets or (), tuple(self.steps), _share(self.found, total), self.plan.promise)

    @property
    def verdict(self) -> str | None:
        """Return what the hits say of the query; None where nothing is calibrated.

        A stranger is near nothing in the whole gallery: what was compared with a part of it is not called one.
        """
        if self.judged is None:
            return None
        said = self.judged.verdict(self.found.hits)
        return "similar" if said == "stranger" and self.plan.buckets is not None else said

    @property
    def fit(self) -> float | None:
        """Return which share of the queries that are like the gallery fits as badly as this one."""
        return None if self.judged is None else self.judged.p_value


@dataclass(frozen=True, slots=True)
class Matching:
    """What says of hits whether they are matches; ``left_out`` has, for each row, ids that may not answer it.

    ``strangers`` is False where the caller has narrowed the search, so that what is not near may be elsewhere.
    """

    matcher: Matcher
    left_out: Sequence[Collection[str]] | None
    strangers: bool

    def judge(self, store: Store, embedded: Embedded, retrieved: Sequence[Retrieved], rows: Sequence[int]) -> None:
        """Judge what these rows found; in place."""
        out = [() if self.left_out is None else self.left_out[i] for i in rows]
        some = embedded.rows(rows)
        judged = self.matcher.judged(store, some, [retrieved[i].found for i in rows], out, self.strangers)
        for i, one in zip(rows, judged, strict=True):
            retrieved[i].judged = one


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a search may go: ``k`` hits, among items with these columns, widening by this ladder."""

    router: Router
    ladder: Sequence[str]
    k: int
    where: Mapping[str, str]
    enough: int
    """Hits with which no search widens: k, or fewer where some of the k are only to be left out again."""
    values: Mapping[str, Collection[str]] = field(default_factory=dict)
    """What columns have, as far as it is known: to say what was meant by a filter that nothing satisfies."""
    matching: Matching | None = None
    """None where nothing is calibrated: then too few hits alone widen a search."""


def retrieve(store: Store, embedded: Embedded, plans: Sequence[Plan], reach: Reach) -> list[Retrieved]:
    """Search each row within its plan; widen for rows that found fewer than k hits, unless no item could be one.

    The ladder (``more``, ``all``) is climbed by routed rows only. Each rung probes a superset
    of the one before, so the last step's cost is the query's.
    """
    total = reach.router.total
    answers = store.search(embedded.vectors, reach.k, [plan.names for plan in plans], reach.where)
    retrieved = [
        Retrieved(plan, found, [_step(plan, found, total, plan.why)])
        for plan, found in zip(plans, answers, strict=True)
    ]
    if reach.matching is not None:
        reach.matching.judge(store, embedded, retrieved, range(len(retrieved)))
    if _in_vain(store, embedded.vectors, retrieved, reach):
        sentence = nothing_has(reach.where, reach.values)
        for one in retrieved:
            one.steps.append(_step(one.plan, one.found, total, sentence))
    elif embedded.probabilities is not None:
        for rung in reach.ladder:
            _climb(store, embedded, embedded.probabilities, retrieved, rung, reach)
    return retrieved


def _in_vain(store: Store, vectors: Matrix, retrieved: Sequence[Retrieved], reach: Reach) -> bool:
    """Return whether no item satisfies the filter; where nothing was found, one search more tells."""
    if not retrieved or not reach.where or any(one.found.hits for one in retrieved):
        return False
    if any(one.plan.buckets is None for one in retrieved):
        return True
    return reach.router.at_most >= 1.0 and not store.search(vectors[:1], 1, [None], reach.where)[0].hits


def _climb(
    store: Store, embedded: Embedded, probabilities: Matrix, retrieved: Sequence[Retrieved], rung: str, reach: Reach
) -> None:
    """Search again, one rung wider, for those rows that need it; in place."""
    reasons = {i: why for i, one in enumerate(retrieved) if one.plan.widens and (why := _lacking(one, rung, reach))}
    plans = {i: _wider(reach.router, rung, retrieved[i].plan, probabilities[i]) for i in reasons}
    rows = [i for i in reasons if plans[i].names != retrieved[i].plan.names]
    if not rows:
        return
    answers = store.search(embedded.vectors[rows], reach.k, [plans[i].names for i in rows], reach.where)
    for i, found in zip(rows, answers, strict=True):
        one = retrieved[i]
        before, one.plan, one.found = one.plan, plans[i], found
        why = f"{reasons[i]}: {plans[i].why}"
        one.steps.append(_step(plans[i], found, reach.router.total, why, before.names))
    if reach.matching is not None:
        reach.matching.judge(store, embedded, retrieved, rows)


def _lacking(one: Retrieved, rung: str, reach: Reach) -> str:
    """Say what a search lacks so that it should climb this rung; nothing where it has enough.

    Before a query is called a stranger it is compared with everything. One without a match is searched
    for in more buckets, but only where a query that is like the gallery mostly has a match: else most searches
    would be widened, for little.
    """
    if len(one.found.hits) < reach.enough:
        return f"{len(one.found.hits)} of {reach.enough} hits"
    if one.judged is None or reach.matching is None:
        return ""
    if one.judged.strange:
        return "nothing is near and no bucket fits"
    unmatched = one.judged.least is not None and not one.judged.matched
    return "none is a match" if unmatched and rung == "more" and reach.matching.matcher.expects_match else ""


def _wider(router: Router, rung: str, plan: Plan, probabilities: Vector) -> Plan:
    return router.more(plan, probabilities) if rung == "more" else router.everything(plan)


def _step(plan: Plan, found: Found, total: int, why: str, before: Buckets = frozenset()) -> Step:
    buckets = plan.buckets or ()
    added = tuple(bucket.name for bucket in buckets if bucket.name not in (before or ()))
    return Step(why, len(buckets), _share(found, total), added)


def _share(found: Found, total: int) -> float:
    """Return the share of the index that was compared; it may have grown since its items were counted."""
    return min(1.0, found.compared / max(total, 1))
