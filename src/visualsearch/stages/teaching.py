"""Index → classifier: gather what there is to learn from, train, calibrate, and note it in the model's card."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import dataclass

from visualsearch.calibration.evidence import Evidence
from visualsearch.classifiers.contract import Classifier
from visualsearch.classifiers.spread import Spread
from visualsearch.classifiers.training import Example, Training
from visualsearch.classifiers.training import train as fit
from visualsearch.datatypes import Item
from visualsearch.errors import DataError
from visualsearch.progress import Progress
from visualsearch.stages.assembly import Parts
from visualsearch.stages.calibrating import gathered, withheld
from visualsearch.stages.clustering import clustered
from visualsearch.stages.deciding import calibrate_now
from visualsearch.stages.fitting import group_of
from visualsearch.stages.indexing import bucket_column
from visualsearch.stages.placing import ByColumn, reassign
from visualsearch.stages.questions import drawn_groups
from visualsearch.stages.teaching_crops import CropReader
from visualsearch.stores.contract import Store


@dataclass(frozen=True, slots=True)
class _Lesson:
    """What a classifier learns: pictures and their buckets, or how their neighbours are spread over clusters.

    ``calibrate`` asks the trained classifier about the groups that were held out of it.
    """

    examples: Sequence[Example]
    crops: CropReader
    calibrate: Callable[[Classifier], Evidence]
    spread: Spread | None = None


def train(parts: Parts, progress: Progress) -> Training:
    """Train the classifier on what is indexed; the index keeps its vectors. Where buckets are clusters, make them anew.

    Raises:
        DataError: nothing is indexed, there are no buckets, or only one.
    """
    live = parts.shelf.live()
    if live is None:
        raise DataError("train: nothing is indexed yet. Run `visualsearch index` first.", slug="index-missing")
    with closing(live) as store:
        column = bucket_column(parts, frozenset(parts.model.card().get("index", {}).get("columns", ())))
        if parts.settings.buckets.clusters is not None:
            lesson = _by_clusters(parts, store, progress)
        else:
            lesson = _by_column(parts, store, column, progress)
    split, seed = parts.settings.queries.split, parts.settings.runtime.seed
    training = fit(
        parts.settings.classifier,
        parts.extractor,
        parts.runtime,
        lesson.examples,
        lesson.crops.crop_of,
        parts.model.path,
        seed,
        progress,
        lesson.spread,
    )
    index = {**parts.model.card().get("index", {}), "bucket_column": column}
    parts.model.update(index=index)
    parts.model.update(training={**training.as_dict(), "made_for": parts.classifier_purpose, "split": split})
    parts.forget_classifier()
    parts.embedder.ready()  # here and not in the first search, which would wait for it
    if parts.classifier is not None:
        lesson.calibrate(parts.classifier).save(parts.model.path)
        parts.model.update()
        parts.forget_classifier()
    calibrate_now(parts, progress)
    parts.remove_unused_graphs()
    return training


def _by_column(parts: Parts, store: Store, column: str | None, progress: Progress) -> _Lesson:
    """Return the pictures whose column names their bucket; some groups are held out of them.

    Raises:
        DataError: there is no such column.
    """
    if column is None:
        message = (
            "train: the gallery has no buckets (no column `label`, or buckets: {none: true}); searches stay "
            "exhaustive. Name a column in buckets.column, or have buckets made: {clusters: auto}."
        )
        raise DataError(message, slug="no-buckets")
    reassign(store, list(store.pages()), ByColumn(column))
    items = [item for page in store.pages() for item in page if item.buckets]
    crops, seed = _reader(parts, items), parts.settings.runtime.seed
    examples = [Example(item.id, item.buckets[0], group_of(parts, item)) for item in items]
    asked = drawn_groups(parts, items)
    examples = [one for one in examples if one.group not in asked]
    apart = withheld(examples, parts.settings.routing.keep, seed)
    kept_out = [example for example in examples if example.group in apart]
    return _Lesson(
        [example for example in examples if example.group not in apart],
        crops,
        lambda classifier: gathered(classifier, parts.embedder, kept_out, crops.crop_of, seed, progress),
    )


def _by_clusters(parts: Parts, store: Store, progress: Progress) -> _Lesson:
    """Make clusters of what is not held out, and return how the neighbours of its items are spread over them."""
    made = clustered(parts, store, progress)
    crops = _reader(parts, [item for page in store.pages() for item in page])
    return _Lesson(
        [made.examples[row] for row in made.learned],
        crops,
        lambda classifier: made.evidence(parts, classifier, crops, parts.settings.search.k, progress),
        made.spread(),
    )


def _reader(parts: Parts, items: Collection[Item]) -> CropReader:
    return CropReader(parts, {item.id: item for item in items})
