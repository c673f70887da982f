"""Index → clusters: make them of what may be learned from, place every item, and say what its neighbours' buckets are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from visualsearch import clusters
from visualsearch.calibration.evidence import Evidence
from visualsearch.classifiers.contract import Classifier, Example, VectorClassifier
from visualsearch.classifiers.spread import Rows, Spread, nearest_rows
from visualsearch.clusters import Clusters
from visualsearch.datatypes import Item, Matrix
from visualsearch.progress import Progress
from visualsearch.stages.assembly import Parts
from visualsearch.stages.calibrating import evidence_of, guessed, some_of_each, withheld
from visualsearch.stages.fitting import group_of
from visualsearch.stages.lookalikes import near_duplicates
from visualsearch.stages.questions import drawn_groups
from visualsearch.stages.teaching_crops import CropReader
from visualsearch.stores.contract import Store

AT_ONCE = 1000
"""Vectors that are read from the store in one call."""


@dataclass(frozen=True, slots=True)
class Clustered:
    """The items of an index in their clusters: ``examples`` and ``vectors``, (n, dim), row by row.

    ``apart`` are the groups that are calibrated on and ``asked`` those that `evaluate` asks, which neither the clusters
    nor the classifier may learn; ``twins`` the rows that are no
    neighbours of a row: other crops of its picture, and those of pictures that look like it.
    """

    clusters: Clusters
    examples: Sequence[Example]
    vectors: Matrix
    apart: frozenset[str]
    asked: frozenset[str]
    twins: Mapping[int, Sequence[int]]

    @property
    def learned(self) -> list[int]:
        """Return the rows that may be learned from."""
        unlearned = self.apart | self.asked
        return [row for row, example in enumerate(self.examples) if example.group not in unlearned]

    def spread(self) -> Spread:
        """Return what a classifier learns: the neighbours of learned items among learned items."""
        rows = self.learned
        places = {row: place for place, row in enumerate(rows)}
        twins = {places[row]: [places[one] for one in self.twins.get(row, ()) if one in places] for row in rows}
        names = tuple(str(name) for name in self.clusters.names)
        return Spread(names, self.clusters.centroids, self.vectors[rows], self.homes(names)[rows], twins)

    def evidence(
        self, parts: Parts, classifier: Classifier, crops: CropReader, hits: int, progress: Progress
    ) -> Evidence:
        """Return what the classifier says of the pictures that were held apart, and where their exhaustive hits lie."""
        some = some_of_each([one for one in self.examples if one.group in self.apart], parts.settings.runtime.seed)
        row_of = {example.id: row for row, example in enumerate(self.examples)}
        rows = np.array([row_of[example.id] for example in some], np.intp)
        if isinstance(classifier, VectorClassifier):
            probabilities = classifier.classify(self.vectors[rows])
        else:
            probabilities = guessed(classifier, parts.embedder, some, crops.crop_of, progress)
        homes = self.homes(classifier.buckets)
        left_out = {place: [row, *self.twins.get(int(row), ())] for place, row in enumerate(rows)}
        found = nearest_rows(self.vectors[rows], self.vectors, hits, left_out)
        sizes = np.bincount(homes[homes >= 0], minlength=len(classifier.buckets)).astype(np.float64)
        return evidence_of("hits", classifier, some, probabilities, homes[found], sizes)

    def homes(self, buckets: Sequence[str]) -> Rows:
        """Return the position of each item's bucket, (n,); -1 where it is none of these."""
        positions = {bucket: place for place, bucket in enumerate(buckets)}
        return np.array([positions.get(example.bucket, -1) for example in self.examples], np.intp)


def clustered(parts: Parts, store: Store, progress: Progress) -> Clustered:
    """Make clusters anew, keep them in the model folder, and place every item of the index.

    Raises:
        DataError: there are too few items.
    """
    pages = list(store.pages())
    items = [item for page in pages for item in page]
    asked = drawn_groups(parts, items)
    examples = [Example(item.id, "", group) for item in items if (group := group_of(parts, item)) not in asked]
    apart = withheld(examples, parts.settings.routing.keep, parts.settings.runtime.seed)
    progress("making clusters", 0, 1)
    made = clusters_of(parts, store, items, apart, asked)
    made.clusters.save(parts.model.path)
    _settle(store, pages, {example.id: example.bucket for example in made.examples})
    progress("making clusters", 1, 1)
    parts.model.update()
    parts.forget_classifier()
    return made


def _settle(store: Store, pages: Sequence[Sequence[Item]], homes: Mapping[str, str]) -> None:
    """Move every item into its cluster, with the vector that it has."""
    for page in pages:
        moved = [replace(item, buckets=(homes[item.id],)) for item in page if item.buckets != (homes[item.id],)]
        if moved:
            store.upsert(moved, store.vectors([item.id for item in moved]))


def clusters_of(
    parts: Parts, store: Store, items: Sequence[Item], apart: frozenset[str], asked: frozenset[str] = frozenset()
) -> Clustered:
    """Return clusters of all items but those of the groups ``apart`` and ``asked``; nothing is written.

    Raises:
        DataError: there are too few items.
    """
    read = [store.vectors([item.id for item in items[i : i + AT_ONCE]]) for i in range(0, len(items), AT_ONCE)]
    vectors = np.concatenate([np.empty((0, store.dim), np.float32), *read])
    groups = [group_of(parts, item) for item in items]
    learned = [row for row, group in enumerate(groups) if group not in apart | asked]
    wanted, seed = parts.settings.buckets.clusters or "auto", parts.settings.runtime.seed
    made = clusters.make(vectors, [item.id for item in items], learned, wanted, parts.embedding_fingerprint, seed)
    homes = made.all_of(vectors)
    examples = [Example(item.id, home, group) for item, home, group in zip(items, homes, groups, strict=True)]
    return Clustered(made, examples, vectors, apart, asked, _twins(items))


def _twins(items: Sequence[Item]) -> dict[int, list[int]]:
    """Return, for each row, the other rows of its picture and those of pictures that look like it."""
    rows: defaultdict[str, list[int]] = defaultdict(list)
    for row, item in enumerate(items):
        rows[item.path].append(row)
    alike = near_duplicates({path: items[of_path[0]].source.look for path, of_path in rows.items()})
    return {
        row: [other for path in (item.path, *alike[item.path]) for other in rows[path] if other != row]
        for row, item in enumerate(items)
    }
