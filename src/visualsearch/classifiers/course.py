"""What a ResNet50 classifier is taught: its pictures, their split, and the activations that it learns from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visualsearch.classifiers.activations import Activations, Outputs, activations, affordable
from visualsearch.classifiers.augment import augment, shrunk
from visualsearch.classifiers.contract import Example, Job, Trunk
from visualsearch.classifiers.fitting import Lesson, Source
from visualsearch.classifiers.resnet50 import ResNet50Classifier
from visualsearch.classifiers.split import Rows, Split, remarks, sample, split
from visualsearch.classifiers.spread import shares
from visualsearch.classifiers.tails import FORKS, tapped
from visualsearch.datatypes import Crop, Matrix
from visualsearch.model import fingerprint

Options = ResNet50Classifier.Options


@dataclass(frozen=True, slots=True)
class Course:
    """What is taught, put together from the job once."""

    options: Options
    job: Job
    trunk: Trunk
    examples: Sequence[Example]
    buckets: tuple[str, ...]
    split: Split
    copies: int
    notes: tuple[str, ...]

    @property
    def lesson(self) -> Lesson:
        """Return labels and split for the training loop."""
        position = {bucket: i for i, bucket in enumerate(self.buckets)}
        labels = np.array([position[example.bucket] for example in self.examples], np.intp)
        return Lesson(labels, len(self.buckets), self.split, self.job.seed, self._spread())

    def _spread(self) -> Matrix | None:
        """Return how the neighbours of each example are spread over the buckets, where those are clusters."""
        spread = self.job.spread
        if spread is None:
            return None
        known = shares(spread.of_items(), len(spread.buckets))
        rows = {example.id: row for row, example in enumerate(self.job.examples)}
        columns = [spread.buckets.index(bucket) for bucket in self.buckets]
        some: Matrix = known[[rows[example.id] for example in self.examples]][:, columns]
        # of a large gallery only some may be learned, and neighbours may lie where none of those does
        spread_over: Matrix = some / np.maximum(some.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
        return spread_over

    @property
    def shared(self) -> bool:
        """Return whether the trunk is the extractor itself."""
        return self.trunk is self.job.extractor

    @property
    def fork(self) -> str | None:
        """Return the layer that the chosen tail continues from."""
        return FORKS[self.options.train]


def prepare(options: Options, job: Job, trunk: Trunk) -> Course:
    """Split by group, after leaving out what the bound on the disk does not allow."""
    first = job.examples[0]
    row_bytes = sum(array[0].size * 2 for array in _outputs(trunk, job, _tap(options))([job.crop_of(first)]))
    budget = affordable(len(job.examples), options.copies, row_bytes, int(options.cache_gib * 2**30))
    examples, notes = list(job.examples), []
    if budget.copies < options.copies:
        notes.append(
            f"{budget.copies} augmented copies instead of {options.copies}: classifier.cache_gib allows no more"
        )
    buckets = tuple(sorted({example.bucket for example in examples}))
    if budget.examples < len(examples):
        size = max(budget.examples, len(buckets))
        examples = sample(examples, size, job.seed)
        notes.append(
            f"{len(examples)} of {len(job.examples)} pictures, evenly from the buckets: classifier.cache_gib allows no more"
        )
    parts = split(examples, job.seed)
    return Course(options, job, trunk, examples, buckets, parts, budget.copies, (*notes, *remarks(examples, parts)))


@contextmanager
def activated(course: Course) -> Iterator[Activations]:
    """Compute pooled features, and the fork's activation where the tail needs it."""
    copies = np.full(len(course.examples), course.copies, np.intp)
    job, outputs = course.job, _outputs(course.trunk, course.job, _tap(course.options))
    with activations(
        course.examples, copies, job.crop_of, outputs, course.trunk.side, job.folder, job.seed, job.progress
    ) as known:
        yield known


def _tap(options: Options) -> str | None:
    """Return the layer that is kept beside the pooled features."""
    return FORKS["last_block"] if options.train == "last_block" else None


def _outputs(trunk: Trunk, job: Job, fork: str | None) -> Outputs:
    """Return the pass that gives pooled features and the activation of ``fork``."""
    key = trunk.graph_key if fork is None else fingerprint("tapped", trunk.graph_key, fork)
    build = trunk.graph if fork is None else lambda: tapped(trunk.graph(), fork)
    forward = job.runtime.compile(build, key)
    return lambda crops: forward(trunk.batch(crops))


def layer(known: Activations, number: int) -> Source:
    """Return a source of one of the kept layers."""
    return lambda rows, rng: known.read(number, rows, rng)


def source_of(course: Course, known: Activations) -> Source:
    """Return what the chosen tail is given."""
    if course.options.train == "head":
        return layer(known, 0)
    return _pictures(course) if course.fork is None else layer(known, 1)


def _pictures(course: Course) -> Source:
    """Return pictures themselves, augmented anew each time."""

    def source(rows: Rows, rng: np.random.Generator | None) -> NDArray[np.float32]:
        crops = [course.job.crop_of(course.examples[i]) for i in rows]
        if rng is not None:
            crops = [Crop(augment(shrunk(crop.pixels, course.trunk.side), rng)) for crop in crops]
        return course.trunk.batch(crops)

    return source
