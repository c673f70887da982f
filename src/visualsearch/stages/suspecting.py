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
from visualsearch.stages.judging import Question, relevant_column
from visualsearch.stages.measuring import without
from visualsearch.stages.questions import left_out_one_by_one
from visualsearch.stages.searching import Searcher

BATCH = 256

LOOKED_AT = 5000
"""Pictures at most; of a larger gallery a part that is drawn at random."""


def mislabelled(parts: Parts, searcher: Searcher, progress: Progress) -> list[Suspect]:
    """Return the pictures whose label their neighbours contradict most; none without a column that labels them.

    The column is that of the buckets, or else the one by which a hit is right.
    """
    items = {item.id: item for page in searcher.store.pages() for item in page}
    column = parts.bucket_column or relevant_column(
        None, {name for one in items.values() for name in one.columns}, items
    )
    if column is None:
        return []
    numbers = Counter(item.columns[column] for item in items.values() if column in item.columns)
    asked = [one for one in left_out_one_by_one(parts, items) if column in one.picture.columns]
    if len(asked) > LOOKED_AT:
        chosen = np.random.default_rng(parts.settings.runtime.seed).choice(len(asked), LOOKED_AT, replace=False)
        asked = [asked[place] for place in sorted(chosen)]
    found: list[tuple[Suspect, float]] = []
    ids = _first_ids(items)
    for done, batch in enumerate(batches(asked, BATCH)):
        for question, neighbours in _neighbours(searcher, batch, ids, column):
            value = question.picture.columns[column]
            one = suspect(Seen(question.picture.path, value), neighbours, numbers[value])
            found += [] if one is None else [(one, neighbours[0].score)]
        progress("comparing labels", min((done + 1) * BATCH, len(asked)), len(asked))
    return worst(found)


def _first_ids(items: Mapping[str, Item]) -> dict[str, str]:
    """Return, for each path, the id of its first crop."""
    ids: dict[str, str] = {}
    for item_id in sorted(items):
        ids.setdefault(items[item_id].path, item_id)
    return ids


def _neighbours(
    searcher: Searcher, batch: Sequence[Question], ids: Mapping[str, str], column: str
) -> Iterator[tuple[Question, list[Seen]]]:
    depth = NEIGHBOURS + max(len(question.left_out) for question in batch)
    vectors = searcher.store.vectors([ids[question.picture.path] for question in batch])
    answers = searcher.store.search(vectors, depth, [None] * len(batch), {})
    for question, found in zip(batch, answers, strict=True):
        hits = without(found, question.left_out, NEIGHBOURS).hits
        yield question, [Seen(hit.path, hit.columns[column], hit.score) for hit in hits if column in hit.columns]
