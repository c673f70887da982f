"""Galleries that are hard to learn from: tiny, lopsided, wrongly labelled, of many buckets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from toys import examples, pattern, picture

from visualsearch.classifiers import load_classifier
from visualsearch.classifiers.contract import Example, Training
from visualsearch.classifiers.training import train
from visualsearch.datatypes import Crop, Matrix
from visualsearch.extractors.contract import Extractor
from visualsearch.plugins import Options
from visualsearch.runtimes.contract import Forward, Runtime

COLOURS = ("blue disc", "green disc", "red disc", "yellow disc")


def drawn(example: Example) -> Crop:
    """Draw an example as its id says, whatever its label says."""
    kind, group, view = example.id.split("/")
    return (picture if kind in COLOURS else pattern)(kind, 100 * int(group) + int(view))


def few(each: int) -> list[Example]:
    """Return ``each`` pictures of four buckets, no two of one group."""
    return examples(list(COLOURS), groups=each, views=1)


def lopsided() -> list[Example]:
    """Return two hundred pictures of one bucket and two of another."""
    return examples(["red disc"], groups=200, views=1) + examples(["yellow disc"], groups=2, views=1)


def mislabelled(each: int = 40, share: float = 0.3) -> list[Example]:
    """Return ``each`` pictures of four buckets, of which ``share`` have another's label."""
    rng = np.random.default_rng(0)
    wrong = {name: [other for other in COLOURS if other != name] for name in COLOURS}
    return [
        Example(e.id, str(rng.choice(wrong[e.bucket])) if rng.random() < share else e.bucket, e.group)
        for e in few(each)
    ]


def many(buckets: int = 500, each: int = 3) -> list[Example]:
    """Return ``each`` pictures of as many buckets."""
    return examples([f"kind {number:03d}" for number in range(buckets)], groups=each, views=1)


def unseen(kinds: Sequence[str], each: int) -> list[Example]:
    """Return pictures of groups that no training has."""
    return [Example(f"{kind}/{900 + i}/0", kind, "") for kind in kinds for i in range(each)]


class Kept:
    """A runtime that compiles a graph once, however many trainings ask for it."""

    name = "kept"

    def __init__(self, runtime: Runtime) -> None:
        """Compile by ``runtime``."""
        self._runtime = runtime
        self._forwards: dict[str, Forward] = {}

    def compile(self, build: Callable[[], Any], key: str) -> Forward:
        """Return the graph's forward pass, the same for the same key."""
        if key not in self._forwards:
            self._forwards[key] = self._runtime.compile(build, key)
        return self._forwards[key]


@dataclass(frozen=True)
class Learned:
    """A training, and the probabilities of pictures that it has not seen."""

    training: Training
    probabilities: Matrix
    right: dict[str, float]
    """Kind → the share of its unseen pictures whose most probable bucket is right."""

    @property
    def top1(self) -> float:
        """Return the mean over kinds."""
        return float(np.mean(list(self.right.values())))


def learn(
    options: Options, extractor: Extractor, runtime: Runtime, pictures: Sequence[Example], folder: Path, each: int = 20
) -> Learned:
    """Train on ``pictures``, load what came of it, and ask it about ``each`` unseen pictures of each kind."""
    training = train(options, extractor, runtime, pictures, drawn, folder)
    classifier = load_classifier(options, folder, extractor, runtime)
    assert classifier.buckets == training.buckets
    kinds = sorted({example.id.split("/")[0] for example in pictures})
    asked = unseen(kinds, each)
    probabilities = classifier.predict([drawn(example) for example in asked])
    assert probabilities.shape == (len(asked), len(classifier.buckets))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-4)
    hits = [classifier.buckets[i] == one.bucket for i, one in zip(probabilities.argmax(axis=1), asked, strict=True)]
    return Learned(
        training, probabilities, {kind: float(np.mean(hits[i * each :][:each])) for i, kind in enumerate(kinds)}
    )
