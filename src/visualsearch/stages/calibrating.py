"""Classifier → promises: hold groups out of its training, and ask it about them afterwards."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from visualsearch.calibration.conformal import needed
from visualsearch.calibration.evidence import Evidence
from visualsearch.calibration.promises import Kind
from visualsearch.classifiers.contract import Classifier, Example
from visualsearch.datatypes import Crop, Matrix
from visualsearch.embedder import CHUNK, Embedder
from visualsearch.progress import Progress

SHARE, LARGEST_SHARE = 0.2, 0.3
"""How many of the groups are calibrated on, and how many at most where ``routing.keep`` needs more."""

MOST_GROUPS = 400
"""More groups make a threshold hardly steadier, and are better learned from."""

MOST_PICTURES = 8
"""Of one group, which counts once however many there are."""


def withheld(examples: Sequence[Example], keep: float, seed: int) -> frozenset[str]:
    """Return the groups to calibrate on: drawn evenly from the buckets; each bucket keeps a group to learn from.

    >>> pictures = [Example(f"{b}{i}", b, f"{b}{i // 2}") for b in "xy" for i in range(60)]
    >>> len(withheld(pictures, 0.9, seed=0))
    12
    """
    homes: defaultdict[str, set[str]] = defaultdict(set)
    for example in examples:
        homes[example.group].add(example.bucket)
    left = Counter(bucket for buckets in homes.values() for bucket in buckets)
    wanted = SHARE * len(homes) if keep >= 1.0 else max(SHARE * len(homes), needed(keep))
    wanted = min(round(wanted), int(LARGEST_SHARE * len(homes)), MOST_GROUPS)
    rng = np.random.default_rng((seed, len(homes)))
    # one bucket after the other, and every so many groups one: each bucket gives its share
    order = sorted(rng.permutation(sorted(homes)).tolist(), key=lambda group: sorted(homes[group]))
    places = (np.arange(wanted) + rng.random()) * len(order) / max(wanted, 1)
    drawn: set[str] = set()
    for group in (order[int(place)] for place in places):
        if all(left[bucket] > 1 for bucket in homes[group]):
            drawn.add(group)
            left.subtract(homes[group])
    return frozenset(drawn)


def gathered(
    classifier: Classifier,
    embedder: Embedder,
    examples: Sequence[Example],
    crop_of: Callable[[Example], Crop],
    seed: int,
    progress: Progress,
) -> Evidence:
    """Ask the classifier about pictures of groups that it has not learned."""
    positions = {bucket: place for place, bucket in enumerate(classifier.buckets)}
    some = some_of_each(examples, seed)
    wanted = np.array([[positions[example.bucket]] for example in some], np.intp).reshape(-1, 1)
    return evidence_of("bucket", classifier, some, guessed(classifier, embedder, some, crop_of, progress), wanted)


def guessed(
    classifier: Classifier,
    embedder: Embedder,
    examples: Sequence[Example],
    crop_of: Callable[[Example], Crop],
    progress: Progress,
) -> Matrix:
    """Return the classifier's probabilities of the examples' crops, (n, buckets)."""
    rows: list[Matrix] = [np.empty((0, len(classifier.buckets)), np.float32)]
    for start in range(0, len(examples), CHUNK):
        guess = embedder.embed([crop_of(example) for example in examples[start : start + CHUNK]]).probabilities
        rows += [] if guess is None else [guess]
        progress("calibrating", min(start + CHUNK, len(examples)), len(examples))
    return np.concatenate(rows)


def evidence_of(
    kind: Kind,
    classifier: Classifier,
    examples: Sequence[Example],
    probabilities: Matrix,
    wanted: NDArray[np.intp],
    sizes: NDArray[np.float64] | None = None,
) -> Evidence:
    """Return what the classifier said of examples whose routes must hold the ``wanted`` buckets."""
    numbers = {group: number for number, group in enumerate(sorted({example.group for example in examples}))}
    ids = np.array([example.id for example in examples], np.str_)
    groups = np.array([numbers[example.group] for example in examples], np.intp)
    return Evidence(kind, classifier.fingerprint, ids, groups, probabilities, wanted, sizes)


def some_of_each(examples: Sequence[Example], seed: int) -> list[Example]:
    """Return at most so many pictures of each group."""
    members: defaultdict[str, list[Example]] = defaultdict(list)
    for place in np.random.default_rng(seed).permutation(len(examples)):
        members[examples[place].group].append(examples[place])
    return [example for group in sorted(members) for example in members[group][:MOST_PICTURES]]
