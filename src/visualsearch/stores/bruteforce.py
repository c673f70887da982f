"""scikit-learn's NearestNeighbors in memory: the oracle, and for measuring; keeps nothing on disk."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visualsearch.datatypes import Buckets, Failure, Found, Hit, Item, Matrix
from visualsearch.errors import EngineError
from visualsearch.plugins import Options
from visualsearch.stores.checks import unit_rows
from visualsearch.stores.contract import Store

TIE = 1e-6
"""Distance within which scikit-learn's float32 cannot tell two items apart."""


@dataclass(slots=True, eq=False)
class Contents:
    """What one index holds, shared by the stores that were opened on it."""

    fingerprint: str
    dim: int
    items: dict[str, tuple[Item, Matrix]] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)
    buried: set[str] = field(default_factory=set)
    lock: threading.RLock = field(default_factory=threading.RLock)


class BruteForceStore:
    """A dictionary of items, fitted anew for every search; see ``contract.Store``."""

    def __init__(self, contents: Contents) -> None:
        """Look into ``contents`` until closed."""
        self._contents: Contents | None = contents
        self.fingerprint = contents.fingerprint
        self.dim = contents.dim

    @property
    def contents(self) -> Contents:
        """Return what is inside.

        Raises:
            EngineError: the store was closed (``store-closed``).
        """
        if self._contents is None:
            raise EngineError("store bruteforce: the index is closed; open it again.", slug="store-closed")
        return self._contents

    def upsert(self, items: Sequence[Item], vectors: Matrix) -> None:
        """Write items, replacing those with the same id: all of them or, on an error, none."""
        matrix = unit_rows(vectors, self.dim, len(items)).copy()
        with self.contents.lock:
            for item, row in zip(items, matrix, strict=True):
                self.contents.items[item.id] = item, row

    def delete(self, ids: Collection[str]) -> None:
        """Remove items; an id that is not there is no error."""
        with self.contents.lock:
            for item in ids:
                self.contents.items.pop(item, None)

    def search(self, vectors: Matrix, k: int, buckets: Sequence[Buckets], where: Mapping[str, str]) -> list[Found]:
        """Return, for each row of ``vectors``, its k nearest items; see ``contract.Store``."""
        queries = unit_rows(vectors, self.dim, len(buckets))
        found: dict[int, Found] = {}
        for route in dict.fromkeys(buckets):
            rows = [row for row, other in enumerate(buckets) if other == route]
            found.update(zip(rows, self._search(queries[rows], k, route, where), strict=True))
        return [found[row] for row in range(len(buckets))]

    def _search(self, queries: Matrix, k: int, route: Buckets, where: Mapping[str, str]) -> list[Found]:
        with self.contents.lock:
            pairs = [pair for pair in self.contents.items.values() if _compared(pair[0], route, where)]
        if not pairs or k < 1:
            return [Found((), len(pairs))] * len(queries)
        items = [item for item, _ in pairs]
        matrix = np.stack([vector for _, vector in pairs])
        return [
            Found(_hits([items[place] for place in near], matrix[near], query, k), len(pairs))
            for query, near in zip(queries, _nearest(matrix, queries, k), strict=True)
        ]

    def get(self, ids: Collection[str]) -> list[Item]:
        """Return the items with these ids that exist, ordered by id."""
        with self.contents.lock:
            return [self.contents.items[item][0] for item in sorted(set(ids)) if item in self.contents.items]

    def vectors(self, ids: Sequence[str]) -> Matrix:
        """Return (n, dim) vectors in the order of ``ids``; a KeyError names an unknown id."""
        with self.contents.lock:
            rows = [self.contents.items[item][1] for item in ids]
        return np.stack(rows) if rows else np.empty((0, self.dim), np.float32)

    def pages(self, size: int = 1000) -> Iterator[list[Item]]:
        """Yield every item once, ordered by id, at most ``size`` at a time."""
        with self.contents.lock:
            ids = sorted(self.contents.items)
        for start in range(0, len(ids), size):
            page = self.get(ids[start : start + size])
            if page:
                yield page

    def count(self) -> int:
        """Return how many items there are."""
        return len(self.contents.items)

    def bucket_counts(self) -> dict[str, int]:
        """Return how many items live in each bucket; items in no bucket are not counted."""
        counts: dict[str, int] = {}
        with self.contents.lock:
            for item, _ in self.contents.items.values():
                for bucket in set(item.buckets):
                    counts[bucket] = counts.get(bucket, 0) + 1
        return dict(sorted(counts.items()))

    def record_failures(self, failures: Sequence[Failure]) -> None:
        """Remember pictures that could not be indexed, one for each path."""
        with self.contents.lock:
            self.contents.failures.update((failure.path, failure) for failure in failures)

    def failures(self) -> list[Failure]:
        """Return the remembered failures, ordered by path."""
        with self.contents.lock:
            return [failure for _, failure in sorted(self.contents.failures.items())]

    def clear_failures(self, paths: Collection[str]) -> None:
        """Drop the failures of these paths."""
        with self.contents.lock:
            for path in paths:
                self.contents.failures.pop(path, None)

    def bury(self, contents: Collection[str]) -> None:
        """Remember content hashes (SHA-256) that must never be indexed again."""
        with self.contents.lock:
            self.contents.buried.update(contents)

    def buried(self) -> frozenset[str]:
        """Return the content hashes that were buried."""
        with self.contents.lock:
            return frozenset(self.contents.buried)

    def close(self) -> None:
        """Release what is open; closing twice is harmless."""
        self._contents = None


class BruteForceShelf:
    """Indexes that live as long as this object."""

    class Options(Options):
        """What the YAML says under ``store``."""

        name: str = "bruteforce"

    def __init__(self, options: Options, folder: Path) -> None:
        """Begin empty; ``folder`` is left alone."""
        self._live: Contents | None = None
        self._building: Contents | None = None

    def live(self) -> Store | None:
        """Open the index that searches use, or return None before the first one."""
        return BruteForceStore(self._live) if self._live else None

    def begin(self, fingerprint: str, dim: int) -> Store:
        """Open the unpublished index for these embeddings, making or resuming it."""
        building = self._building
        if building is None or (building.fingerprint, building.dim) != (fingerprint, dim):
            building = Contents(fingerprint, dim)
            if self._live:
                building.failures.update(self._live.failures)
                building.buried.update(self._live.buried)
        self._building = building
        return BruteForceStore(building)

    def publish(self, store: Store) -> None:
        """Make a begun index the live one and close ``store``; open it again with ``live``.

        What was forgotten in the live index while this one was being built is forgotten here too.

        Raises:
            EngineError: the index was not begun here, or removed since (``store-replaced``).
        """
        contents = store.contents if isinstance(store, BruteForceStore) else None
        if contents is None or contents not in (self._building, self._live):
            message = "store bruteforce: the index to publish was removed: begin it again."
            raise EngineError(message, slug="store-replaced")
        if self._live and contents is not self._live:
            new = self._live.buried - contents.buried
            store.delete([item.id for item, _ in contents.items.values() if item.source.content in new])
            store.bury(new)
        self._live, self._building = contents, None
        store.close()

    def erase(self, contents: Collection[str], paths: Collection[str]) -> tuple[str, ...]:
        """Remove items and failures; there is nothing on the disk."""
        for one in filter(None, (self._live, self._building)):
            with one.lock:
                one.buried.update(contents)
                one.items = {key: pair for key, pair in one.items.items() if pair[0].source.content not in contents}
                failed = one.failures.items()
                one.failures = {p: f for p, f in failed if p not in paths and f.source.content not in contents}
        return ()


def _compared(item: Item, route: Buckets, where: Mapping[str, str]) -> bool:
    inside = route is None or not item.buckets or not route.isdisjoint(item.buckets)
    return inside and all(item.columns.get(name) == value for name, value in where.items())


def _nearest(matrix: Matrix, queries: Matrix, k: int) -> list[NDArray[np.intp]]:
    """Return, for each query, the places of its k nearest rows and of those that tie with the k-th."""
    from sklearn.neighbors import NearestNeighbors

    neighbours = NearestNeighbors(n_neighbors=min(k, len(matrix)), metric="cosine", algorithm="brute")
    neighbours.fit(matrix)
    furthest = neighbours.kneighbors(queries)[0][:, -1]
    return [
        neighbours.radius_neighbors(query[None], radius=radius + TIE, return_distance=False)[0]
        for query, radius in zip(queries, furthest, strict=True)
    ]


def _hits(items: Sequence[Item], matrix: Matrix, query: Matrix, k: int) -> tuple[Hit, ...]:
    scores = np.multiply(matrix, query, dtype=np.float64).sum(axis=1).clip(-1, 1).tolist()
    order = sorted(zip(items, scores, strict=True), key=lambda pair: (-pair[1], pair[0].id))
    return tuple(
        Hit(item.id, item.path, item.columns, item.buckets, score, rank, item.box)
        for rank, (item, score) in enumerate(order[:k], 1)
    )
