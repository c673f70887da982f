"""Are two pictures of one person? The ten folds of LFW: a threshold from nine of them, applied to the tenth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tools.protocols.people import Pair, People
from visualsearch.datatypes import Matrix

Scores = NDArray[np.float64]

LOWEST = -1.0
"""The cosine of a pair of which one picture has no face."""


def scores_of(pairs: Sequence[Pair], people: People, places: NDArray[np.int64], vectors: Matrix) -> Scores:
    """Return each pair's cosine; ``places[i]`` is the row of picture i in ``vectors``, -1 without a face."""
    one, other = (
        np.array([places[people.stems[getattr(pair, side)]] for pair in pairs], np.int64) for side in ("one", "other")
    )
    cosines = np.einsum("ij,ij->i", vectors[one], vectors[other], dtype=np.float64)
    return np.where((one >= 0) & (other >= 0), cosines, LOWEST)


def accuracies(scores: Scores, same: NDArray[np.bool_], folds: NDArray[np.int64]) -> Scores:
    """Return the accuracy on each fold with the threshold that is best on the others.

    >>> scores, same = np.array([0.9, 0.1, 0.8, 0.3]), np.array([True, False, True, False])
    >>> accuracies(scores, same, np.array([0, 0, 1, 1])).tolist()
    [1.0, 1.0]
    """
    found = []
    for fold in np.unique(folds):
        held = folds == fold
        least = best_threshold(scores[~held], same[~held])
        found.append(float(((scores[held] >= least) == same[held]).mean()))
    return np.array(found)


def best_threshold(scores: Scores, same: NDArray[np.bool_]) -> float:
    """Return a score from which on calling pairs the same is right most often, half-way between two that occur.

    Of several that are equally good it is the one in the middle.
    """
    order = np.argsort(scores, kind="stable")
    ordered, right = scores[order], same[order]
    # a cut before place i: what lies below is called different, the rest the same
    correct = np.concatenate([[0], np.cumsum(~right)]) + (right.sum() - np.concatenate([[0], np.cumsum(right)]))
    edges = np.concatenate([[ordered[0] - 1], ordered, [ordered[-1] + 1]])
    possible = np.flatnonzero(np.diff(edges) > 0)  # equal scores are not told apart
    best = possible[correct[possible] == correct[possible].max()]
    cut = best[len(best) // 2]
    return float((edges[cut] + edges[cut + 1]) / 2)


def verified(
    pairs: Sequence[Pair], people: People, places: NDArray[np.int64], vectors: Matrix
) -> dict[str, float | int] | None:
    """Return mean accuracy and standard error over folds, of the pairs whose pictures are there.

    None where fewer than two folds have any, or they are all of one kind.
    """
    known = [pair for pair in pairs if pair.one in people.stems and pair.other in people.stems]
    folds, same = (np.array([getattr(pair, name) for pair in known]) for name in ("fold", "same"))
    if len(np.unique(folds)) < 2 or len(np.unique(same)) < 2:
        return None
    scores = scores_of(known, people, places, vectors)
    found = accuracies(scores, same, folds)
    error = float(found.std(ddof=1) / np.sqrt(len(found)))
    return {
        "accuracy": float(found.mean()),
        "standard_error": error,
        "folds": len(found),
        "pairs": len(known),
        "without_face": int((scores == LOWEST).sum()),
    }
