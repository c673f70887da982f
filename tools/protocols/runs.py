"""Search every picture of an index for all others, in the store that the configuration names."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tools.protocols.figures import DEPTH, Near
from tools.protocols.people import People
from visualsearch.datatypes import Answer, Found, Item, Matrix, Query
from visualsearch.gallery import file_of
from visualsearch.progress import Progress, silent
from visualsearch.reranking import Expansion
from visualsearch.stages.ahead import batches
from visualsearch.stages.reranking import reranked
from visualsearch.stores.contract import Store

NEAREST = 51
"""How many pictures a search returns, itself among them: so many that one of a random 80 % is always there."""

BATCH = 256


@dataclass(frozen=True, slots=True)
class Run:
    """What every picture was answered with.

    ``near`` has the store's own order, ``ranked`` the one that ``search.rerank`` makes of it with each query left
    out. ``places[i]`` is the row of picture i in ``vectors``, -1 where it has no face.
    """

    near: Near
    ranked: Near
    places: NDArray[np.int64]
    vectors: Matrix
    search_ms: float

    @property
    def without_face(self) -> int:
        """Return how many pictures are not in the index."""
        return int((self.places < 0).sum())


def searched(store: Store, people: People, rerank: Expansion | None = None, progress: Progress = silent) -> Run:
    """Search each picture's vector, as it is in the index, and note the numbers of the pictures that come."""
    items = one_item_each(store, people)
    numbers = sorted(items)
    near, ranked = (np.full((len(people.paths), NEAREST), -1, np.int32) for _ in range(2))
    places = np.full(len(people.paths), -1, np.int64)
    places[numbers] = np.arange(len(numbers))
    parts, seconds = [], 0.0
    for done, batch in enumerate(batches(numbers, BATCH)):
        parts.append(store.vectors([items[number].id for number in batch]))
        start = time.perf_counter()
        found = store.search(parts[-1], NEAREST, [None] * len(batch), {})
        others = [_without(one, people.paths[number]) for number, one in zip(batch, found, strict=True)]
        settled = reranked(store, parts[-1], others, rerank, NEAREST)
        seconds += time.perf_counter() - start
        for number, one, two in zip(batch, found, settled, strict=True):
            _note(near[number], one, people)
            _note(ranked[number], two, people)
        progress("searching each picture", min((done + 1) * BATCH, len(numbers)), len(numbers))
    vectors = np.concatenate(parts) if parts else np.empty((0, store.dim), np.float32)
    return Run(near, ranked, places, vectors, 1000 * seconds / max(len(numbers), 1))


def _without(found: Found, path: str) -> Found:
    return replace(found, hits=tuple(hit for hit in found.hits if hit.path != path))


def _note(row: Near, found: Found, people: People) -> None:
    numbers = list(dict.fromkeys(people.number[hit.path] for hit in found.hits))
    row[: len(numbers)] = numbers


def one_item_each(store: Store, people: People) -> dict[int, Item]:
    """Return the item of each picture that has one; of several faces the largest."""
    items: dict[int, Item] = {}
    for page in store.pages():
        for item in page:
            number = people.number.get(item.path)
            if number is not None and (number not in items or _area(item) > _area(items[number])):
                items[number] = item
    return items


def answers(
    store: Store, people: People, run: Run, queries: Sequence[int], rerank: Expansion | None = None
) -> list[Answer]:
    """Return what these pictures are answered with, themselves left out, as a montage shows it."""
    return [_answer(store, people, run, query, rerank) for query in queries]


def _answer(store: Store, people: People, run: Run, query: int, rerank: Expansion | None) -> Answer:
    path = str(file_of(people.folder, people.paths[query]))
    if run.places[query] < 0:
        return Answer(Query(path), error="no face found")
    vector = run.vectors[run.places[query]][None]
    found = store.search(vector, NEAREST, [None], {})[0]
    own = next((hit.box for hit in found.hits if hit.path == people.paths[query]), None)
    [settled] = reranked(store, vector, [_without(found, people.paths[query])], rerank, DEPTH)
    return Answer(Query(path, own), tuple(replace(hit, rank=rank) for rank, hit in enumerate(settled.hits, 1)))


def _area(item: Item) -> int:
    if item.box is None:
        return 0
    left, top, right, bottom = item.box
    return (right - left) * (bottom - top)
