"""How sure it is that a hit shows what the query shows: more than its cosine says. Pure NumPy.

A cosine means different things for different queries: a picture that is close to everything is
close to strangers too. So a hit's cosine is reduced by what query and hit have in common with things
that are something else (adaptive score normalisation: Auckenthaler, Carey and Lloyd-Thomas 2000;
Matějka et al. 2017), and several hits of one value speak together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from visualsearch.datatypes import Matrix, Vector

Values = NDArray[np.str_]
"""(n,), what each picture shows."""

Scores = NDArray[np.float64]

LOOKED_AT = 20
"""Hits that speak for each other, and in which calibration looks for the best."""

AGREEMENT = 0.7
"""Weight of the cosine with the mean of the hits of one value; the rest is that of the hit's own cosine."""

COMMON = 0.5
"""Weight of what query and hit have in common with other things."""

NEAREST = 0.005
"""Share of the cohort that is nearest to a picture: what it may be taken for."""


@dataclass(frozen=True)
class Cohort:
    """Pictures of the gallery that stand for all other things: (n,) ids, (n,) values, (n, dim) vectors."""

    ids: NDArray[np.str_]
    values: Values
    vectors: Matrix

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {item_id: row for row, item_id in enumerate(self.ids.tolist())}

    @cached_property
    def _members(self) -> dict[str, list[int]]:
        members: defaultdict[str, list[int]] = defaultdict(list)
        for row, value in enumerate(self.values.tolist()):
            members[value].append(row)
        return dict(members)

    def rows_of(self, ids: Collection[str]) -> list[int]:
        """Return which of its pictures are these."""
        return [self._rows[one] for one in ids if one in self._rows]

    def showing(self, value: str) -> list[int]:
        """Return which of its pictures have this value."""
        return self._members.get(value, [])

    def nearness(self, vectors: Matrix, values: Sequence[str], left_out: Sequence[int]) -> Scores:
        """Return the mean cosine of each row with the nearest pictures that have another value than the row's.

        ``vectors`` may be one row for all values. Where no picture is left, it is 0.
        """
        cosines = vectors @ self.vectors.T
        if len(cosines) < len(values):
            cosines = np.repeat(cosines, len(values), axis=0)
        for row, value in zip(cosines, values, strict=True):
            row[self.showing(value)] = -np.inf
        cosines[:, list(left_out)] = -np.inf
        most = min(len(self.ids), max(1, round(NEAREST * len(self.ids))))
        if most:
            cosines.partition(len(self.ids) - most, axis=1)
        best = cosines[:, len(self.ids) - most :].astype(np.float64)
        known = np.isfinite(best)
        means: Scores = np.where(known, best, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        return means


def match_scores(
    query: Vector, cosines: Scores, vectors: Matrix, values: Sequence[str], cohort: Cohort, left_out: Sequence[int]
) -> Scores:
    """Return how sure it is of each hit that it shows what the query shows, (k,); higher is surer.

    Args:
        query: its vector.
        cosines: (k,) of the hits.
        vectors: (k, dim) of the hits.
        values: of the hits; an empty one is like no other.
        cohort: what stands for other things.
        left_out: which of the cohort must not be looked at.
    """
    if not len(cosines):
        return np.empty(0)
    kinds = list(dict.fromkeys(values))
    place = np.array([kinds.index(value) for value in values])
    same = (place[:, None] == place) & np.array([bool(value) for value in values]) | np.eye(len(values), dtype=bool)
    means = same.astype(vectors.dtype) @ vectors
    agreed = (means @ query) / np.maximum(np.linalg.norm(means, axis=1), 1e-12)
    own = cohort.nearness(query[None], kinds, left_out)[place]
    theirs = cohort.nearness(vectors, values, left_out)
    scores: Scores = AGREEMENT * agreed + (1 - AGREEMENT) * cosines - COMMON * (theirs + own) / 2
    return scores
