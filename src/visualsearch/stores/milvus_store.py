"""One version of an index in Milvus; see ``contract.Store``."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from visualsearch.datatypes import Buckets, Failure, Found, Item, Matrix, Vector
from visualsearch.errors import RefusedItems
from visualsearch.stores.checks import unit_enough, unit_rows
from visualsearch.stores.milvus_catalogue import Catalogue, Version
from visualsearch.stores.milvus_client import MOST_ROWS, Connection
from visualsearch.stores.milvus_counts import Census, by_bucket
from visualsearch.stores.milvus_rows import NO_BUCKET, item_of, key_of, listed, row_of, size_of, token, too_large
from visualsearch.stores.milvus_search import Seeker
from visualsearch.stores.portions import portions
from visualsearch.stores.texts import unescaped

AT_ONCE = 1_000
"""Items that are asked for by id in one request; of vectors fewer, by ``NUMBERS_AT_ONCE``."""

NUMBERS_AT_ONCE = 2_000_000
"""Bounds an answer with vectors to some 8 MB."""

Row = Mapping[str, Any]


class MilvusStore:
    """Items and vectors in one collection; failures and tombstones in another beside it.

    What is written is found at once, by every process: all reading is of the consistency ``Strong``.
    """

    def __init__(self, connection: Connection, version: Version, catalogue: Catalogue) -> None:
        """Open a version that exists; the connection is closed with the store."""
        self.version = version
        self.fingerprint = version.fingerprint
        self.dim = version.dim
        self._connection = connection
        self._catalogue = catalogue
        self._seeker = Seeker(connection, version, self._vectors, self._census)
        self._writer = threading.RLock()

    def upsert(self, items: Sequence[Item], vectors: Matrix) -> None:
        """Write items, replacing those with the same id.

        Milvus has no transactions, so of "all of them or none" this holds: everything is checked before
        anything is sent, a request is written whole, and the items of one path (the faces of one
        picture) travel in one request where they are written together. Requests that were written
        before an error stay, and to write them again is harmless.

        Raises:
            RefusedItems: items that are larger than Milvus allows; no item of their paths is written.
        """
        matrix = unit_enough(unit_rows(vectors, self.dim, len(items)))
        rows = {item.id: row_of(item, vector) for item, vector in zip(items, matrix, strict=True)}
        paths = {item.id: item.path for item in items}
        reasons = {item: reason for item, row in rows.items() if (reason := too_large(row)) is not None}
        refused = {paths[item] for item in reasons}
        pictures: dict[str, list[Row]] = {}
        for item, row in rows.items():
            if paths[item] not in refused:
                pictures.setdefault(paths[item], []).append(row)
        with self._writing():
            for batch in portions(pictures.values(), self._connection.options.batch_mib << 20, size_of):
                self._connection.ask("upsert", self.version.name, batch)
        if reasons:
            item = next(iter(reasons))
            told = f"refused the item {item[:80]!r} of {paths[item][:80]}: {reasons[item]}"
            error = self._connection.error("store-refused", told, "mend it or leave it out, and run again")
            raise RefusedItems(str(error), slug=error.slug, reasons=reasons)

    def delete(self, ids: Collection[str]) -> None:
        """Remove items; an id that is not there is no error."""
        keys = [key_of(item) for item in dict.fromkeys(ids)]
        with self._writing():
            for start in range(0, len(keys), AT_ONCE):
                chosen = f"key in {listed(keys[start : start + AT_ONCE])}"
                self._connection.ask("delete", self.version.name, filter=chosen)

    def search(self, vectors: Matrix, k: int, buckets: Sequence[Buckets], where: Mapping[str, str]) -> list[Found]:
        """Return, for each row of ``vectors``, its k nearest items; see ``contract.Store``."""
        queries = unit_enough(unit_rows(vectors, self.dim, len(buckets)))
        with self._connection.lock:
            return self._seeker.search(queries, k, buckets, where)

    def get(self, ids: Collection[str]) -> list[Item]:
        """Return the items with these ids that exist, ordered by id."""
        found = (item_of(row["item"]) for row in self._by_id(ids, "item", AT_ONCE))
        return sorted(found, key=lambda item: item.id)

    def vectors(self, ids: Sequence[str]) -> Matrix:
        """Return (n, dim) vectors in the order of ``ids``; a KeyError names an unknown id."""
        found = self._vectors(ids)
        return np.stack([found[item] for item in ids]) if len(ids) else np.empty((0, self.dim), np.float32)

    def pages(self, size: int = 1000) -> Iterator[list[Item]]:
        """Yield every item once, ordered by id, at most ``size`` at a time."""
        for page in self._connection.rows(self.version.name, ["item"], size=min(size, MOST_ROWS)):
            yield [item_of(row["item"]) for row in page]

    def count(self) -> int:
        """Return how many items there are."""
        return sum(self._census().values())

    def bucket_counts(self) -> dict[str, int]:
        """Return how many items live in each bucket; items in no bucket are not counted."""
        return by_bucket(self._census())

    def record_failures(self, failures: Sequence[Failure]) -> None:
        """Remember pictures that could not be indexed, one for each path."""
        self._catalogue.state.record_failures(self.version.name, failures)

    def failures(self) -> list[Failure]:
        """Return the remembered failures, ordered by path."""
        return self._catalogue.state.failures(self.version.name)

    def clear_failures(self, paths: Collection[str]) -> None:
        """Drop the failures of these paths."""
        self._catalogue.state.clear_failures(self.version.name, paths)

    def bury(self, contents: Collection[str]) -> None:
        """Remember content hashes (SHA-256) that must never be indexed again, in no version of this index."""
        self._catalogue.state.bury(contents)

    def buried(self) -> frozenset[str]:
        """Return the content hashes that were buried."""
        return self._catalogue.state.buried()

    def close(self) -> None:
        """Release what is open; closing twice is harmless."""
        self._connection.close()

    def remove_buried(self) -> None:
        """Remove the items whose content was forgotten for good."""
        contents = sorted(map(token, self.buried()))
        for start in range(0, len(contents), AT_ONCE):
            chosen = f"content in {listed(contents[start : start + AT_ONCE])}"
            for page in self._connection.rows(self.version.name, ["item"], chosen):
                self.delete([item_of(row["item"]).id for row in page])

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._writer, self._connection.lock:
            there = self._catalogue.read()
            if self.version not in (there.live, there.next):
                raise self._connection.error("store-replaced", f"{self.version.name} was replaced")
            try:
                yield
            finally:
                self._connection.memory.forget(self.version.name)

    def _census(self, chosen: str = "") -> Census:
        with self._connection.lock:
            return self._connection.memory.census(self.version.name, chosen, self._counted)

    def _counted(self, chosen: str) -> Census:
        counts: Counter[tuple[str, ...]] = Counter()
        for page in self._connection.rows(self.version.name, ["buckets"], chosen):
            counts.update(tuple(unescaped(name) for name in row["buckets"] if name != NO_BUCKET) for row in page)
        return counts

    def _by_id(self, ids: Collection[str], field: str, at_once: int) -> Iterator[Row]:
        keys = [key_of(item) for item in dict.fromkeys(ids)]
        for start in range(0, len(keys), at_once):
            chosen = f"key in {listed(keys[start : start + at_once])}"
            yield from self._connection.query(self.version.name, chosen, ["key", field])

    def _vectors(self, ids: Collection[str]) -> dict[str, Vector]:
        """Return the vectors of the ids that exist, to the bit."""
        names = {key_of(item): item for item in ids}
        at_once = max(1, min(AT_ONCE, NUMBERS_AT_ONCE // self.dim))
        return {names[row["key"]]: np.array(row["vector"], np.float32) for row in self._by_id(ids, "vector", at_once)}
