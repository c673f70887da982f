"""Index → classifier: gather the labelled crops, train, and note it in the model's card."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from visualsearch.classifiers.training import Example, Training
from visualsearch.classifiers.training import train as fit
from visualsearch.crops.contract import Cropper
from visualsearch.datatypes import Box, Crop, Item
from visualsearch.errors import DataError, PictureError
from visualsearch.gallery import file_of
from visualsearch.images import decode, read
from visualsearch.progress import Progress
from visualsearch.stages.assembly import Parts
from visualsearch.stages.calibrating import gathered, withheld
from visualsearch.stages.deciding import calibrate_now
from visualsearch.stages.fitting import group_of
from visualsearch.stages.indexing import bucket_column, buckets_of, reassign
from visualsearch.stages.questions import asked_groups

NEAR = 0.1
"""Share of a box by which its edges may move when the picture is cropped again; arithmetic alone moves them by a pixel."""


def train(parts: Parts, progress: Progress) -> Training:
    """Train the classifier on what is indexed; the index keeps its vectors.

    Raises:
        DataError: nothing is indexed, there are no buckets, or only one.
    """
    live = parts.shelf.live()
    if live is None:
        raise DataError("train: nothing is indexed yet. Run `visualsearch index` first.", slug="index-missing")
    with closing(live) as store:
        column = bucket_column(parts, frozenset(parts.model.card().get("index", {}).get("columns", ())))
        if column is None:
            message = (
                "train: the gallery has no buckets (no column `label`, or buckets: {none: true}); searches stay "
                "exhaustive. Name a column in buckets.column."
            )
            raise DataError(message, slug="no-buckets")
        reassign(store, list(store.pages()), buckets_of(column))
        items = [item for page in store.pages() for item in page if item.buckets]
    crops = _CropReader(parts, {item.id: item for item in items})
    split, seed = parts.settings.queries.split, parts.settings.runtime.seed
    examples = _without_queries([Example(i.id, i.buckets[0], group_of(parts, i)) for i in items], split, seed)
    kept_out = withheld(examples, parts.settings.routing.keep, seed)
    training = fit(
        parts.settings.classifier,
        parts.extractor,
        parts.runtime,
        [example for example in examples if example.group not in kept_out],
        crops.crop_of,
        parts.model.path,
        seed,
        progress,
    )
    index = {**parts.model.card().get("index", {}), "bucket_column": column}
    parts.model.update(index=index)
    parts.model.update(training={**training.as_dict(), "made_for": parts.classifier_purpose, "split": split})
    parts.forget_classifier()
    parts.embedder.ready()  # here and not in the first search, which would wait for it
    _calibrate(parts, [example for example in examples if example.group in kept_out], crops, progress)
    calibrate_now(parts, progress)
    parts.remove_unused_graphs()
    return training


def _without_queries(examples: Sequence[Example], split: float | None, seed: int) -> list[Example]:
    """Return what may be learned from: what `evaluate` will ask must be new to the classifier."""
    homes = [(one.group, (one.bucket,)) for one in examples]
    asked = frozenset[str]() if split is None else asked_groups(homes, split, seed)
    return [one for one in examples if one.group not in asked]


def _calibrate(parts: Parts, examples: Sequence[Example], crops: _CropReader, progress: Progress) -> None:
    """Keep beside the model what the new classifier says of the groups that were held out of its training."""
    if parts.classifier is None:
        return
    seed = parts.settings.runtime.seed
    gathered(parts.classifier, parts.embedder, examples, crops.crop_of, seed, progress).save(parts.model.path)
    parts.model.update()
    parts.forget_classifier()


@dataclass(frozen=True, slots=True)
class _CropReader:
    """Reads an example's picture again; it was readable when it was indexed."""

    parts: Parts
    items: dict[str, Item]

    @property
    def cropper(self) -> Cropper:
        return self.parts.cropper

    def crop_of(self, example: Example) -> Crop:
        item = self.items[example.id]
        try:
            pixels = decode(read(file_of(self.parts.settings.gallery.folder, item.path)))
        except PictureError as error:
            raise _changed(item, str(error)) from error
        crops = self.cropper.crops([pixels], "gallery")[0]
        # by its place and not by its number: of two faces of one size either may come first
        same = min(crops, key=lambda crop: _apart(crop.box, item.box), default=None)
        if same is None or _apart(same.box, item.box) > NEAR:
            raise _changed(item, "it has no such crop any more")
        return same


def _apart(one: Box | None, other: Box | None) -> float:
    """Return the largest distance between edges of two boxes, as a share of the first one's longer side."""
    if one is None or other is None:
        return 0.0 if one is other else np.inf
    return float(np.abs(np.subtract(one, other)).max() / max(one[2] - one[0], one[3] - one[1], 1))


def _changed(item: Item, why: str) -> DataError:
    message = f"{item.path}: expected the picture that was indexed; {why}. Run `visualsearch index` again."
    return DataError(message, slug="gallery-changed")
