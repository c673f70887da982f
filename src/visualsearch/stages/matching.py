"""Hits → verdicts: which hits are a match, and whether the query is a stranger."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from visualsearch.calibration.conformal import needed
from visualsearch.calibration.matching import LOOKED_AT, match_scores
from visualsearch.calibration.samples import Samples
from visualsearch.calibration.verdicts import Familiar, MatchRule, Verdict, verdict
from visualsearch.datatypes import Answer, Found, Hit, Matrix
from visualsearch.embedder import Embedded
from visualsearch.evaluation.runs import RunRow
from visualsearch.evaluation.verdicts import RATES, Told, summarise
from visualsearch.stores.contract import Store


@dataclass(frozen=True, slots=True)
class Judged:
    """What calibration says of one query: the match score of each hit, by id, and how well the query fits.

    ``least`` is the score from which on a hit is a match; None where that is not calibrated. ``p_value`` is None
    where strangers are not told.
    """

    scores: dict[str, float]
    least: float | None
    p_value: float | None
    stranger_rate: float

    @property
    def best(self) -> float | None:
        """Return the highest match score; None without hits."""
        return max(self.scores.values(), default=None)

    @property
    def matched(self) -> bool:
        """Return whether a hit is a match."""
        return self.least is not None and self.best is not None and self.best >= self.least

    @property
    def strange(self) -> bool:
        """Return whether the query fits nothing of what was searched."""
        return verdict(self.matched, self.p_value, self.stranger_rate) == "stranger"

    def marked(self, found: Found) -> Found:
        """Return the hits with their match scores, and whether they are matches."""
        return replace(found, hits=tuple(self._mark(hit) for hit in found.hits))

    def _mark(self, hit: Hit) -> Hit:
        score = self.scores.get(hit.id)
        if self.least is None:
            return replace(hit, match_score=score)
        return replace(hit, match_score=score, match=score is not None and score >= self.least)

    def verdict(self, hits: Sequence[Hit]) -> Verdict | None:
        """Return what to call the query, whose marked hits these are; None where nothing is calibrated."""
        if self.least is None and self.p_value is None:
            return None
        return verdict(any(hit.match for hit in hits), self.p_value, self.stranger_rate)


EXPECTED = 0.8
"""Share of the queries like the gallery that must have a match for one without to be searched for in more buckets."""


@dataclass(frozen=True)
class Matcher:
    """Judges hits by what was calibrated. ``rule`` is for matches, ``familiar`` for strangers."""

    samples: Samples
    rule: MatchRule
    familiar: Familiar
    stranger_rate: float

    @cached_property
    def expects_match(self) -> bool:
        """Return whether most queries that are like the gallery have a match."""
        near, least = self.samples.genuine.near, self.rule.least
        return least is not None and len(near) > 0 and float((near >= least).mean()) > EXPECTED

    def as_dict(self) -> dict[str, Any]:
        """Return the rates with what they came to: the least match score, and how many groups there are of how many."""
        strangers = {"rate": self.stranger_rate, "n": self.familiar.n, "needed": needed(1 - self.stranger_rate)}
        return {"relevant": self.samples.relevant, "match": asdict(self.rule), "stranger": strangers}

    def judged(
        self,
        store: Store,
        embedded: Embedded,
        found: Sequence[Found],
        left_out: Sequence[Collection[str]],
        strangers: bool,
    ) -> list[Judged]:
        """Judge the hits of each row of ``embedded``, without those that are ``left_out``.

        Hits speak for each other twenty at a time, and later ones are looked at only where one of the first is a
        match: calibration looks at no more. ``strangers`` says whether what is not near may be called a stranger:
        not where the caller has narrowed the search.
        """
        hits = [[hit for hit in one.hits if hit.id not in out] for one, out in zip(found, left_out, strict=True)]
        certain = [None] * len(hits) if embedded.probabilities is None else embedded.probabilities.max(axis=1).tolist()
        try:
            heads = self._scores(store, embedded.vectors, [some[:LOOKED_AT] for some in hits], left_out)
            judged = [self._judged(*each, strangers) for each in zip(heads, certain, strict=True)]
            for place, (one, some) in enumerate(zip(judged, hits, strict=True)):
                for start in range(LOOKED_AT, len(some) if one.matched else 0, LOOKED_AT):
                    later = some[start : start + LOOKED_AT]
                    more = self._scores(store, embedded.vectors[[place]], [later], [left_out[place]])
                    one.scores.update(more[0])
        except KeyError:  # an item was removed since it was found
            return [Judged({}, None, None, self.stranger_rate)] * len(hits)
        return judged

    def _scores(
        self, store: Store, vectors: Matrix, hits: Sequence[Sequence[Hit]], left_out: Sequence[Collection[str]]
    ) -> list[dict[str, float]]:
        ids = list(dict.fromkeys(hit.id for some in hits for hit in some))
        rows, cohort = dict(zip(ids, store.vectors(ids), strict=True)), self.samples.cohort
        scores: list[dict[str, float]] = []
        for vector, some, out in zip(vectors, hits, left_out, strict=True):
            values = [hit.columns.get(self.samples.relevant, "") for hit in some]
            cosines = np.array([hit.score for hit in some], np.float64)
            matrix = np.stack([rows[hit.id] for hit in some]) if some else np.empty((0, store.dim), np.float32)
            found = match_scores(vector, cosines, matrix, values, cohort, cohort.rows_of(out))
            scores.append({hit.id: float(score) for hit, score in zip(some, found, strict=True)})
        return scores

    def _judged(self, scores: dict[str, float], certain: float | None, strangers: bool) -> Judged:
        tells = strangers and self.familiar.n >= needed(1 - self.stranger_rate)
        nearest = max(scores.values(), default=-np.inf)
        p_value = self.familiar.p_value(nearest, certain) if tells else None
        return Judged(scores, self.rule.least, p_value, self.stranger_rate)


def verdict_summary(
    matcher: Matcher | None, rows: Sequence[RunRow], answers: Sequence[Answer]
) -> dict[str, Any] | None:
    """Return what an evaluation says of verdicts; None where nothing is calibrated."""
    if matcher is None:
        return None
    told = [
        Told(answer, row.stranger, bool(row.routed_right[:1] == (True,)) if row.answerable else None)
        for row, answer in zip(rows, answers, strict=True)
    ]
    least = {rate: matcher.samples.match_rule(rate).least for rate in RATES}
    return summarise(told, matcher.as_dict(), least)
