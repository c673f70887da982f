"""One index in one SQLite file: exact search over matrices of the buckets, kept in memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visualsearch.datatypes import Buckets, Failure, Found, Hit, Item, Matrix
from visualsearch.errors import EngineError
from visualsearch.stores import sqlite_items as tables
from visualsearch.stores.bucket_cache import BucketCache, Part
from visualsearch.stores.checks import unit_rows
from visualsearch.stores.partitions import Partitions
from visualsearch.stores.ranking import Ranking
from visualsearch.stores.sqlite import Database, as_text
from visualsearch.stores.sqlite_schema import open_index, read_meta


class EmbeddedStore:
    """Items, vectors, failures and tombstones in one file; see ``contract.Store``.

    SQLite is the truth. A search reads the generations of its buckets, compares with the
    matrices in the cache that are of that generation, and reads the others first.
    """

    def __init__(self, path: Path, memory_mib: int = 1024, timeout_s: float = 60.0) -> None:
        """Open an index that exists; at most ``memory_mib`` MiB of vectors are kept in memory."""
        self.path = path
        self.database = Database(path, timeout_s=timeout_s)
        try:
            meta = open_index(self.database)
        except EngineError:
            self.database.close()
            raise
        self.fingerprint = meta.fingerprint
        self.dim = meta.dim
        self.cache = BucketCache(memory_mib << 20)
        self._partitions = Partitions(self.cache, meta.dim)

    def upsert(self, items: Sequence[Item], vectors: Matrix) -> None:
        """Write items, replacing those with the same id: all of them or, on an error, none."""
        matrix = unit_rows(vectors, self.dim, len(items))
        last = {item.id: row for row, item in enumerate(items)}
        rows = list(last.values())
        with self._writing() as db:
            tables.write(db, {item: items[row] for item, row in last.items()}, matrix[rows])

    def delete(self, ids: Collection[str]) -> None:
        """Remove items; an id that is not there is no error."""
        with self._writing() as db:
            tables.remove(db, ids)

    def search(self, vectors: Matrix, k: int, buckets: Sequence[Buckets], where: Mapping[str, str]) -> list[Found]:
        """Return, for each row of ``vectors``, its k nearest items; see ``contract.Store``."""
        queries = unit_rows(vectors, self.dim, len(buckets))
        routes = list(dict.fromkeys(buckets))
        place = {route: index for index, route in enumerate(routes)}
        route_of = np.array([place[route] for route in buckets], np.intp)
        rows = [np.flatnonzero(route_of == index) for index in range(len(routes))]
        ranking, tallies = Ranking(queries, k), [Tally() for _ in routes]
        with self.database.reading() as db:
            for needed, block in self._partitions.blocks(db, routes, where):
                ranking.add(np.concatenate([rows[route] for route in needed]), block.numbers, block.matrix)
                for route in needed:
                    tallies[route].add(block)
            best = ranking.best()
            wanted = {number for numbers, _ in best for number in numbers}
            found = {row[0]: tables.item_of(row) for row in tables.select(db, "number", list(wanted))}
        compared = [tally.total() for tally in tallies]
        hits = (_hits([found[number] for number in numbers], scores, k) for numbers, scores in best)
        return [Found(some, compared[route]) for some, route in zip(hits, route_of, strict=True)]

    def get(self, ids: Collection[str]) -> list[Item]:
        """Return the items with these ids that exist, ordered by id."""
        with self.database.reading() as db:
            rows = tables.select(db, "id", [as_text(item) for item in set(ids)])
            return sorted(map(tables.item_of, rows), key=lambda item: item.id)

    def vectors(self, ids: Sequence[str]) -> Matrix:
        """Return (n, dim) vectors in the order of ``ids``; a KeyError names an unknown id."""
        matrix = np.empty((len(ids), self.dim), np.float32)
        statement = "SELECT vector FROM items JOIN vectors USING (number) WHERE id = ?"
        with self.database.reading() as db:
            for row, item in enumerate(ids):
                blob = db.execute(statement, (as_text(item),)).fetchone()
                if blob is None:
                    raise KeyError(item)
                matrix[row] = np.frombuffer(blob[0], "<f4")
        return matrix

    def pages(self, size: int = 1000) -> Iterator[list[Item]]:
        """Yield every item once, ordered by id, at most ``size`` at a time."""
        # Each page is a reading of its own: the caller may write between two of them.
        after: tuple[Any, ...] = ()
        while True:
            condition = "WHERE id > ?" if after else ""
            statement = f"SELECT {tables.COLUMNS} FROM items {condition} ORDER BY id LIMIT ?"
            with self.database.reading() as db:
                page = [tables.item_of(row) for row in db.execute(statement, (*after, size))]
            if not page:
                return
            yield page
            after = (as_text(page[-1].id),)

    def count(self) -> int:
        """Return how many items there are."""
        with self.database.reading() as db:
            return read_meta(db).items

    def bucket_counts(self) -> dict[str, int]:
        """Return how many items live in each bucket; items in no bucket are not counted."""
        with self.database.reading() as db:
            buckets = self._partitions.directory(db).buckets
            return {name: buckets[name].size for name in sorted(buckets)}

    def record_failures(self, failures: Sequence[Failure]) -> None:
        """Remember pictures that could not be indexed, one for each path."""
        with self._writing() as db:
            tables.record_failures(db, failures)

    def failures(self) -> list[Failure]:
        """Return the remembered failures, ordered by path."""
        with self.database.reading() as db:
            return tables.failures(db)

    def clear_failures(self, paths: Collection[str]) -> None:
        """Drop the failures of these paths."""
        with self._writing() as db:
            tables.clear_failures(db, paths)

    def bury(self, contents: Collection[str]) -> None:
        """Remember content hashes (SHA-256) that must never be indexed again."""
        with self._writing() as db:
            tables.bury(db, contents)

    def buried(self) -> frozenset[str]:
        """Return the content hashes that were buried."""
        with self.database.reading() as db:
            return tables.buried(db)

    def close(self) -> None:
        """Release what is open; closing twice is harmless."""
        self.database.close()
        self.cache.clear()

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self.database.writing() as db:
            if read_meta(db).retired:
                message = f"{self.path}: a newer index was published: open that one."
                raise EngineError(message, slug="store-replaced")
            yield db


class Tally:
    """Count distinct items over blocks in which those of several buckets may come again."""

    def __init__(self) -> None:
        """Begin at 0."""
        self._single = 0
        self._shared: list[NDArray[np.int64]] = []

    def add(self, block: Part) -> None:
        """Count the items of a block."""
        shared = block.numbers[block.shared]
        self._single += len(block) - len(shared)
        if len(shared):
            self._shared.append(shared)

    def total(self) -> int:
        """Return how many distinct items there were."""
        return self._single + (len(np.unique(np.concatenate(self._shared))) if self._shared else 0)


def _hits(items: Sequence[Item], scores: Sequence[float], k: int) -> tuple[Hit, ...]:
    order = sorted(zip(items, scores, strict=True), key=lambda pair: (-pair[1], pair[0].id))
    return tuple(
        Hit(item.id, item.path, item.columns, item.buckets, score, rank, item.box)
        for rank, (item, score) in enumerate(order[: max(k, 0)], 1)
    )
