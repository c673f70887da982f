"""Queries that were embedded → what every level of ``routing.keep`` would keep, and cost, before widening."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from visualsearch import routing
from visualsearch.calibration.evidence import Evidence
from visualsearch.calibration.promises import Promise
from visualsearch.datatypes import Buckets, Hit
from visualsearch.embedder import Embedded
from visualsearch.errors import DataError
from visualsearch.evaluation.losses import DEPTH
from visualsearch.evaluation.sweep import LEVELS, Point, swept
from visualsearch.progress import Progress
from visualsearch.routing import Router
from visualsearch.stages.asking import Rows, share_inside
from visualsearch.stages.assembly import Parts
from visualsearch.stages.judging import Question
from visualsearch.stages.measuring import embedded_of, embedded_questions, judge_of, open_memo, promised_kind, without
from visualsearch.stages.missing import Missing
from visualsearch.stages.questions import questions
from visualsearch.stages.searching import Request, Searcher


@dataclass(frozen=True, slots=True)
class _Batch:
    """Questions with their embeddings, and what an exhaustive search finds for each."""

    questions: Sequence[Question]
    embedded: Embedded
    best: Sequence[tuple[Hit, ...]]


def sweep(parts: Parts, searcher: Searcher, progress: Progress) -> dict[str, Any]:
    """Route the YAML's queries at every level, and choose one; nothing is trained, nor embedded that was before.

    Raises:
        DataError: there is no calibrated classifier, or no query that can be searched.
    """
    evidence = parts.evidence
    if evidence is None:
        message = f"evaluate --sweep: expected calibrated routes; {parts.unrouted}: run `visualsearch train`."
        raise DataError(message, slug="not-calibrated")
    items = {item.id: item for page in searcher.store.pages() for item in page}
    asked = [question for question in questions(parts, items) if not question.stranger]
    judge = judge_of(parts, items, asked)
    made = Rows(judge, Missing({}), searcher.embedder.buckets, promised_kind(parts, judge), len(items))
    promises = [_promise(parts, evidence, keep) for keep in LEVELS]
    points: list[list[Point]] = [[] for _ in LEVELS]
    memo = open_memo(parts, searcher)
    for known, _ in embedded_questions(searcher, asked, memo, progress):
        if known:
            batch = _batch(searcher, known, embedded_of(memo, known))
            for some, promise in zip(points, promises, strict=True):
                some += _points(searcher, batch, made, promise)
    memo.save()
    if not points[0]:
        raise DataError("evaluate --sweep: none of the queries could be searched.", slug="queries-unreadable")
    return swept(promises, points)


def _promise(parts: Parts, evidence: Evidence, keep: float) -> Promise | None:
    """Return the promise of a level; None where everything is searched anyway."""
    if keep >= 1.0:
        return None
    return evidence.promise_per_bucket(keep)[0] if parts.settings.routing.per_bucket else evidence.promise(keep)


def _batch(searcher: Searcher, known: Sequence[Question], embedded: Embedded) -> _Batch:
    depth = DEPTH + max(len(question.left_out) for question in known)
    found = searcher.store.search(embedded.vectors, depth, [None] * len(known), {})
    best = [without(one, question.left_out, DEPTH).hits for question, one in zip(known, found, strict=True)]
    return _Batch(known, embedded, best)


def _points(searcher: Searcher, batch: _Batch, made: Rows, promise: Promise | None) -> list[Point]:
    """Return what each query comes to where its route keeps this promise."""
    reach = searcher.reach(Request(DEPTH))
    router = Router(searcher.embedder.buckets, reach.router.counts, reach.router.total, promise, searcher.at_most)
    probabilities = batch.embedded.probabilities
    if promise is None or probabilities is None:
        plans = [routing.exhaustive("asked for")] * len(batch.questions)
    else:
        plans = [router.plan(row) for row in probabilities]
    names = [plan.names for plan in plans]
    firsts = _firsts(searcher, batch, names)
    return [
        Point(
            held=made.held(question, wanted, best),
            kept=share_inside(wanted, best),
            right=share_inside(wanted, made.right_among(question, best)),
            hit=made.right_first(question, first),
            compared=_cost(router, wanted),
            size=made.size(wanted),
        )
        for question, wanted, best, first in zip(batch.questions, names, batch.best, firsts, strict=True)
    ]


def _firsts(searcher: Searcher, batch: _Batch, names: Sequence[Buckets]) -> list[Hit | None]:
    """Return the first hit of each route: the best that lies in it, or else what a search of it finds."""
    firsts: list[Hit | None] = [
        next((hit for hit in best if share_inside(wanted, [hit])), None)
        for best, wanted in zip(batch.best, names, strict=True)
    ]
    rows = [row for row, hit in enumerate(firsts) if hit is None and names[row] is not None]
    if rows:
        depth = 1 + max(len(batch.questions[row].left_out) for row in rows)
        found = searcher.store.search(batch.embedded.vectors[np.array(rows)], depth, [names[row] for row in rows], {})
        for row, one in zip(rows, found, strict=True):
            firsts[row] = next(iter(without(one, batch.questions[row].left_out, 1).hits), None)
    return firsts


def _cost(router: Router, names: Buckets) -> float:
    """Return the share of the items that a search of these buckets compares, those in no bucket among them."""
    if names is None:
        return 1.0
    in_none = max(0, router.total - sum(router.counts.values()))
    return min(1.0, (in_none + sum(router.counts.get(name, 0) for name in names)) / max(router.total, 1))
