"""Evidence and queries → how far the classifier's probabilities can be believed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visualsearch.calibration.conformal import Scores
from visualsearch.calibration.evidence import Evidence
from visualsearch.evaluation.metrics import brier
from visualsearch.evaluation.reliability import reliability
from visualsearch.evaluation.runs import RunRow
from visualsearch.evaluation.shift import shift


def calibration(evidence: Evidence | None, rows: Sequence[RunRow], seed: int) -> dict[str, Any] | None:
    """Return reliability of the queries and of the calibration pictures, and whether the two differ.

    None where no classifier said anything of any query.
    """
    guesses = [(row.guess, row.group) for row in rows if row.guess is not None and not row.stranger]
    if not guesses:
        return None
    judged = [one for one, _ in guesses if one.accuracy is not None]
    asked = reliability(
        [one.confidence for one in judged],
        [one.accuracy or 0.0 for one in judged],
        [one.brier or 0.0 for one in judged],
    )
    if evidence is None or not len(evidence.ids):
        return {"queries": asked, "pictures": None, "shift": None}
    known = [(one.strange, group) for one, group in guesses if one.strange is not None]
    if known:
        told, score, calibrated = known, "1 - p of what is wanted", evidence.scores()
    else:
        told, score = [(1.0 - one.confidence, group) for one, group in guesses], "1 - p of the most probable bucket"
        calibrated = 1.0 - evidence.probabilities.max(axis=1).astype(np.float64)
    compared = shift(
        calibrated, evidence.groups.tolist(), [value for value, _ in told], [group for _, group in told], seed
    )
    return {
        "queries": asked,
        "pictures": _of_evidence(evidence),
        "shift": None if compared is None else {**compared, "score": score},
    }


def _of_evidence(evidence: Evidence) -> dict[str, Any] | None:
    """Return the reliability of what was calibrated on."""
    targets = _targets(evidence)
    top = evidence.probabilities.argmax(axis=1)
    places = np.arange(len(top))
    briers = [brier(row, target) for row, target in zip(evidence.probabilities, targets, strict=True)]
    return reliability(evidence.probabilities[places, top], targets[places, top], briers)


def _targets(evidence: Evidence) -> Scores:
    """Return (n, buckets): which share of what was wanted lies in each bucket."""
    targets: NDArray[np.float64] = np.zeros(evidence.probabilities.shape, np.float64)
    rows, places = np.nonzero(evidence.wanted >= 0)
    np.add.at(targets, (rows, evidence.wanted[rows, places]), 1.0)
    shares: Scores = targets / np.maximum(targets.sum(axis=1, keepdims=True), 1.0)
    return shares
