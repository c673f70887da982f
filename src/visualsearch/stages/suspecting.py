"""Gallery → pictures that look mislabelled: each is asked about by its neighbours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from visualsearch.datatypes import Item
from visualsearch.evaluation.suspects import NEIGHBOURS, Seen, Suspect, suspect, worst
from visualsearch.progress import Progress
from visualsearch.stages.ahead import batches
from visualsearch.stages.assembly import Parts
from visualsearch.stages.judging import relevant_column
from visualsearch.stages.lookalikes import same_picture
from visualsearch.stages.searching import Searcher

BATCH = 256

LOOKED_AT = 5000
"""Pictures at most; of a larger gallery a part that is drawn at random."""

TWINS = 30
"""So many near-duplicates are looked past; a picture that has more is not asked about."""


def mislabelled(parts: Parts, searcher: Searcher, progress: Progress) -> list[Suspect]:
    """Return the pictures whose label their neighbours contradict most; none without a column that labels them.

    The column is that of the buckets, or else the one by which a hit is right. Of a picture with several crops
    the first is looked at.
    """
    items = {item.id: item for page in searcher.store.pages() for item in page}
    names = {name for one in items.values() for name in one.columns}
    column = parts.bucket_column or relevant_column(None, names, items)
    if column is None:
        return []
    numbers = Counter(item.columns[column] for item in items.values() if column in item.columns)
    asked = _drawn(items, column, parts.settings.runtime.seed)
    found: list[tuple[Suspect, float]] = []
    for done, batch in enumerate(batches(asked, BATCH)):
        for item, neighbours in _neighbours(searcher, batch, items, column):
            value = item.columns[column]
            one = suspect(Seen(item.path, value), neighbours, numbers[value])
            found += [] if one is None else [(one, neighbours[0].score)]
        progress("comparing labels", min((done + 1) * BATCH, len(asked)), len(asked))
    return worst(found)


def _drawn(items: Mapping[str, Item], column: str, seed: int) -> list[Item]:
    """Return the first crop of each labelled picture, or of a part of them."""
    firsts: dict[str, Item] = {}
    for item_id in sorted(items):
        firsts.setdefault(items[item_id].path, items[item_id])
    labelled = [item for item in firsts.values() if column in item.columns]
    if len(labelled) <= LOOKED_AT:
        return labelled
    chosen = np.random.default_rng(seed).choice(len(labelled), LOOKED_AT, replace=False)
    return [labelled[place] for place in sorted(chosen)]


def _neighbours(
    searcher: Searcher, batch: Sequence[Item], items: Mapping[str, Item], column: str
) -> Iterator[tuple[Item, list[Seen]]]:
    """Yield each item with its nearest other pictures, best first; near-duplicates of it or of each other count once."""
    vectors = searcher.store.vectors([item.id for item in batch])
    answers = searcher.store.search(vectors, 1 + TWINS + NEIGHBOURS, [None] * len(batch), {})
    for item, found in zip(batch, answers, strict=True):
        known, neighbours = [item], list[Seen]()
        for hit in found.hits:
            other = items.get(hit.id)
            if other is not None and column in other.columns and not any(same_picture(other, one) for one in known):
                known.append(other)
                neighbours.append(Seen(other.path, other.columns[column], hit.score))
        yield item, neighbours[:NEIGHBOURS]
