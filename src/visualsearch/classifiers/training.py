"""The entry to training: check what there is to learn from, then hand it to the plug-in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from visualsearch.classifiers import CLASSIFIERS
from visualsearch.classifiers.contract import Curve, Example, Job, Training
from visualsearch.classifiers.spread import Spread
from visualsearch.datatypes import Crop
from visualsearch.errors import DataError
from visualsearch.extractors.contract import Extractor
from visualsearch.plugins import Options, load
from visualsearch.progress import Progress, silent
from visualsearch.runtimes.contract import Runtime

__all__ = ["Curve", "Example", "Training", "train"]


def train(
    options: Options,
    extractor: Extractor,
    runtime: Runtime,
    examples: Sequence[Example],
    crop_of: Callable[[Example], Crop],
    folder: Path,
    seed: int = 0,
    progress: Progress = silent,
    spread: Spread | None = None,
) -> Training:
    """Train the classifier that ``options`` name and keep it in the model folder.

    A training that is interrupted or fails leaves the classifier before it in place.

    Args:
        options: validated options of the classifier plug-in.
        extractor: its layers are shared where they can be; it is not changed.
        runtime: computes the activations of layers that are not trained.
        examples: labelled crops; the buckets are those that occur.
        crop_of: reads an example's crop; called once or more for each.
        folder: the model folder.
        seed: of split, augmentation and training.
        progress: told how far the work is.
        spread: where buckets are clusters, how neighbours are spread over them; its rows are the examples.

    Raises:
        DataError: there are no labelled pictures, or all lie in one bucket.
        EngineError: the disk is full or the weights are missing.
    """
    _refuse_few({example.bucket for example in examples})
    job = Job(extractor, runtime, examples, crop_of, folder, seed, progress, spread)
    training: Training = load(CLASSIFIERS, options.name, "classifier").train(options, job)
    return training


def _refuse_few(buckets: set[str]) -> None:
    if not buckets:
        raise DataError(
            "train: expected labelled pictures; received none: label some, or search exhaustively.", slug="no-labels"
        )
    if len(buckets) == 1:
        message = f"train: expected two buckets or more; received only {buckets.pop()!r}: add another, or search exhaustively."
        raise DataError(message, slug="single-bucket")
