"""What calibration is done with: a classifier's say on pictures that it never learned, kept beside the model."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visualsearch.arrays import read_arrays, write_arrays
from visualsearch.calibration.conformal import Scores, even_shares, needed, threshold
from visualsearch.calibration.promises import Kind, Promise, strangeness
from visualsearch.datatypes import Matrix

FILE = "calibration.npz"
"""In a model's folder."""

CHEAPEST = 0.05
"""No bucket counts as cheaper than this against the mean: a small one may grow."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a classifier says of pictures that it has not learned, and what their routes must hold.

    ``probabilities`` are (n, buckets), ``wanted`` (n, w) the positions of the buckets that must be
    in the route, -1 where there is none: the right bucket, or those of the exhaustive hits. ``groups`` are (n,)
    numbers, ``ids`` (n,) the items' ids, ``classifier`` the fingerprint of what was asked. Where buckets are
    clusters, ``sizes`` are (buckets,), how much searching each costs against the mean: what is
    calibrated is then the probability for that price, which makes the cheapest route of those that keep the promise.
    """

    kind: Kind
    classifier: str
    ids: NDArray[np.str_]
    groups: NDArray[np.intp]
    probabilities: Matrix
    wanted: NDArray[np.intp]
    sizes: Scores | None = None

    @property
    def n(self) -> int:
        """Return how many groups there are."""
        return len(np.unique(self.groups))

    @property
    def _prices(self) -> Scores:
        """Return what searching each bucket costs against the mean, (buckets,): the same where buckets are a column."""
        if self.sizes is None:
            return np.ones(self.probabilities.shape[1])
        prices: Scores = np.maximum(self.sizes / max(self.sizes.mean(), 1e-9), CHEAPEST)
        return prices

    def promise(self, level: float) -> Promise:
        """Return the promise of ``level`` that is the same for all buckets, below 1."""
        scores, shares, groups, _ = self._flat()
        found = threshold(scores, shares, groups, level)
        thresholds = None if found is None else 1 - self._prices * (1 - found)
        return Promise(self.kind, level, self.n, needed(level), thresholds)

    def promise_per_bucket(self, level: float) -> tuple[Promise, dict[int, int]]:
        """Return the promise that holds for the pictures of each bucket by themselves, below 1.

        Class-conditional conformal prediction (Vovk 2012, "Conditional validity of inductive conformal
        predictors", section 4). The second value counts the groups of those buckets that have too few; where
        it is not empty the promise admits everything.
        """
        scores, _, groups, buckets = self._flat()
        thresholds = np.full(self.probabilities.shape[1], np.nan)
        few: dict[int, int] = {}
        for bucket in range(len(thresholds)):
            rows = buckets == bucket
            own = groups[rows]
            found = threshold(scores[rows], even_shares(own), own, level) if rows.any() else None
            if found is None:
                few[bucket] = len(np.unique(own))
            else:
                thresholds[bucket] = 1 - self._prices[bucket] * (1 - found)
        return Promise(self.kind, level, self.n, needed(level), None if few else thresholds), few

    def scores(self) -> Scores:
        """Return 1 - p of each picture's wanted buckets, (n,): a mean where there are several."""
        wanted = self.wanted >= 0
        strange = np.take_along_axis(strangeness(self.probabilities), np.maximum(self.wanted, 0), axis=1)
        means: Scores = (strange * wanted).sum(axis=1) / np.maximum(wanted.sum(axis=1), 1)
        return means

    def _flat(self) -> tuple[Scores, Scores, NDArray[np.intp], NDArray[np.intp]]:
        """Return score, share of its group's mass, group and bucket of each wanted bucket."""
        rows, places = np.nonzero(self.wanted >= 0)
        buckets = self.wanted[rows, places]
        scores = 1 - (1 - strangeness(self.probabilities)[rows, buckets]) / self._prices[buckets]
        known, groups = np.unique(rows, return_inverse=True)[0], self.groups[rows]
        of_picture = even_shares(rows)
        in_group = np.zeros(len(self.groups))
        in_group[known] = even_shares(self.groups[known])
        return scores, of_picture * in_group[rows], groups, buckets

    def without(self, ids: Collection[str], buckets: Sequence[int] = (), classifier: str | None = None) -> Evidence:
        """Return the same without the rows of these items, and with no probability for these buckets.

        ``classifier`` is the fingerprint of one that can do without them.
        """
        rows = ~np.isin(self.ids, list(ids))
        probabilities = self.probabilities[rows]
        if len(buckets):
            probabilities[:, list(buckets)] = 0
            probabilities /= np.maximum(probabilities.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
        return replace(
            self,
            classifier=self.classifier if classifier is None else classifier,
            **{name: getattr(self, name)[rows] for name in ("ids", "groups", "wanted")},
            probabilities=probabilities,
        )

    def save(self, folder: Path) -> None:
        """Write it into a model's folder, whole or not at all; what was there is overwritten.

        Raises:
            EngineError: the file cannot be written.
        """
        kept = {field.name: getattr(self, field.name) for field in fields(self)}
        write_arrays(folder / FILE, {name: value for name, value in kept.items() if value is not None})

    @classmethod
    def load(cls, folder: Path, classifier: str | None = None) -> Evidence | None:
        """Return what ``save`` wrote of this classifier, or of any; None where there is none, or it is damaged."""
        names = ("ids", "groups", "probabilities", "wanted")
        kept = read_arrays(folder / FILE, ("kind", "classifier", *names))
        if kept is None or classifier not in (None, str(kept["classifier"])):
            return None
        kind: Kind = "hits" if str(kept["kind"]) == "hits" else "bucket"
        return cls(kind, str(kept["classifier"]), **{name: kept[name] for name in names}, sizes=kept.get("sizes"))
