"""One query's answers → a row of the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from visualsearch.calibration.promises import Kind
from visualsearch.datatypes import Buckets, Hit, Vector
from visualsearch.evaluation.metrics import brier
from visualsearch.evaluation.runs import First, Guess, RunRow
from visualsearch.routing import Plan
from visualsearch.stages.judging import Judge, Question
from visualsearch.stages.missing import Missing
from visualsearch.stages.retrieval import Retrieved


@dataclass(frozen=True, slots=True)
class Asked:
    """What one query came to: the first plan, both searches, the classifier's say and the stages' milliseconds."""

    question: Question
    first: Plan
    routed: Retrieved
    exhaustive: Retrieved
    probabilities: Vector
    timings_ms: Mapping[str, float]


class Rows:
    """Makes rows: knows what is right, what the index lacks, and what routes must hold."""

    def __init__(self, judge: Judge, missing: Missing, learned: Sequence[str], kind: Kind, total: int) -> None:
        """Prepare for queries to an index of ``total`` items; ``learned`` are the classifier's buckets."""
        self.judge = judge
        self._missing = missing
        self._lacking = missing.by_value(judge.relevant)
        self._learned = tuple(learned)
        self._kind = kind
        self._total = max(total, 1)

    def row(self, asked: Asked) -> RunRow:
        """Return the row of a query that was searched."""
        question, near, far = asked.question, asked.routed, asked.exhaustive
        right, columns = self.judge.right_items(question), question.picture.columns
        wanted = self._wanted(question, far.found.hits)
        hits, best = near.found.hits, far.found.hits
        return RunRow(
            query=question.picture.path,
            group=columns.get(self.judge.group, question.picture.path),
            right_items=len(right),
            routed=tuple(hit.id for hit in hits),
            routed_right=tuple(hit.id in right for hit in hits),
            exhaustive=tuple(hit.id for hit in best),
            exhaustive_right=tuple(hit.id in right for hit in best),
            routed_compared=near.found.compared / self._total,
            exhaustive_compared=far.found.compared / self._total,
            right_bucket=self._right_bucket(columns),
            predicted_bucket=self._learned[int(np.argmax(asked.probabilities))] if len(asked.probabilities) else None,
            route_size=self.size(near.plan.names),
            widened=len(near.steps) > 1,
            best_score=best[0].score if best else None,
            stranger=question.stranger,
            route=_sorted(near.plan.names),
            routed_scores=tuple(hit.score for hit in hits),
            exhaustive_scores=tuple(hit.score for hit in best),
            routed_match=_matches(hits),
            first=self._first(asked, wanted),
            guess=self._guess(asked.probabilities, wanted),
            missing=self._missing.right_for(question, self.judge.relevant, self._lacking),
            timings_ms=asked.timings_ms,
        )

    def _right_bucket(self, columns: Mapping[str, str]) -> str | None:
        """Return the bucket that should come first; None where nobody knows, or the gallery has no such bucket."""
        named = columns.get(self.judge.bucket_column or "")
        return named if named in self.judge.bucket_names else None

    def failed(self, question: Question, reason: str) -> RunRow:
        """Return the row of a query that could not be searched."""
        columns = question.picture.columns
        return RunRow(
            query=question.picture.path,
            group=columns.get(self.judge.group, question.picture.path),
            right_items=len(self.judge.right_items(question)),
            routed=(),
            routed_right=(),
            exhaustive=(),
            exhaustive_right=(),
            routed_compared=0.0,
            exhaustive_compared=0.0,
            stranger=question.stranger,
            missing=self._missing.right_for(question, self.judge.relevant, self._lacking),
            failed=reason,
        )

    def size(self, buckets: Buckets) -> int:
        """Return how many buckets a route has."""
        return self.judge.buckets if buckets is None else len(buckets)

    def held(self, question: Question, names: Buckets, best: Sequence[Hit]) -> float | None:
        """Return which share of what must be in a question's route is in these buckets; None where nobody knows."""
        return self._held(names, best, self._wanted(question, best))

    def right_first(self, question: Question, first: Hit | None) -> float | None:
        """Return whether a first hit is right; None where the gallery has nothing right for this question."""
        right = self.judge.right_items(question)
        return float(first is not None and first.id in right) if right else None

    def right_among(self, question: Question, hits: Sequence[Hit]) -> list[Hit]:
        """Return those of the hits that are right."""
        right = self.judge.right_items(question)
        return [hit for hit in hits if hit.id in right]

    def _wanted(self, question: Question, best: Sequence[Hit]) -> dict[str, float]:
        """Return what a route must hold, each bucket with its share; empty where nobody knows.

        A bucket that the gallery does not have cannot be held, and a hit that lies in none is compared anyway.
        """
        if question.stranger:
            return {}
        if self._kind == "bucket":
            right = question.picture.columns.get(self.judge.bucket_column or "")
            return {right: 1.0} if right in self.judge.bucket_names else {}
        shares: dict[str, float] = {}
        for hit in best:
            for bucket in hit.buckets:
                shares[bucket] = shares.get(bucket, 0.0) + 1 / (len(best) * len(hit.buckets))
        return shares

    def _first(self, asked: Asked, wanted: Mapping[str, float]) -> First:
        names, promise = asked.first.names, asked.first.promise
        return First(
            _sorted(names),
            self.size(names),
            asked.routed.steps[0].compared,
            self._held(names, asked.exhaustive.found.hits, wanted),
            promise is not None and not promise["held"],
        )

    def _held(self, names: Buckets, best: Sequence[Hit], wanted: Mapping[str, float]) -> float | None:
        if not wanted:
            return None
        if self._kind == "bucket":
            return float(names is None or bool(wanted.keys() & names))
        return share_inside(names, best)

    def _guess(self, probabilities: Vector, wanted: Mapping[str, float]) -> Guess | None:
        if not len(probabilities):
            return None
        top = int(np.argmax(probabilities))
        if not wanted:
            return Guess(float(probabilities[top]))
        target = np.array([wanted.get(bucket, 0.0) for bucket in self._learned])
        strange = 1.0 - float(target @ probabilities) / sum(wanted.values())
        return Guess(float(probabilities[top]), float(target[top]), brier(probabilities, target), strange)


def share_inside(names: Buckets, best: Sequence[Hit]) -> float | None:
    """Return which share of hits a search of these buckets compares; None without hits."""
    if not best:
        return None
    inside = sum(names is None or not hit.buckets or not names.isdisjoint(hit.buckets) for hit in best)
    return inside / len(best)


def _sorted(names: Buckets) -> tuple[str, ...] | None:
    return None if names is None else tuple(sorted(names))


def _matches(hits: Sequence[Hit]) -> tuple[bool, ...] | None:
    """Return which hits were called a match; None where nobody called any of them anything."""
    called = [hit.match for hit in hits if hit.match is not None]
    return tuple(called) if len(called) == len(hits) else None
