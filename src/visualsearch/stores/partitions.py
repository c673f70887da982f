"""Which rows a search must be compared with, as few and as large matrices as memory allows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from sqlite3 import Connection

import numpy as np
from numpy.typing import NDArray

from visualsearch.datatypes import Buckets
from visualsearch.stores.bucket_cache import BucketCache, Part, entry_bytes, member
from visualsearch.stores.sqlite import as_text, from_text

SMALL = 256
"""Rows below which copying parts together costs less than comparing each on its own."""

LARGE = 32_768
"""Rows of the largest block: bounds the memory of the scores of a large batch."""

PAGE = 4_096
"""Rows that are read from the file at a time."""

SELECTIVE = 8
"""A filter that leaves less than one row in so many is applied while reading the file."""

_OF_LIST = (
    "SELECT number, shared, vector FROM postings JOIN vectors ON number = item WHERE list = ? {condition} ORDER BY item"
)
_OF_ALL = "SELECT number, 0, vector FROM vectors WHERE true {condition} ORDER BY number"
_LIST_OF_COLUMN = "SELECT number, generation, size FROM lists WHERE kind = 'column' AND name = ? AND value = ?"
_AMONG = "AND number IN (SELECT value FROM json_each(?))"


@dataclass(frozen=True, slots=True)
class Listing:
    """A list of items in one state of the file."""

    number: int
    generation: int
    size: int


@dataclass(frozen=True, slots=True)
class Directory:
    """The lists of buckets after so many writes; ``loose`` holds the items in no bucket."""

    writes: int
    buckets: Mapping[str, Listing]
    loose: tuple[Listing, ...]
    size_bytes: int
    """What all of them would cost in the cache."""

    def of(self, route: Buckets) -> Iterator[Listing]:
        """Yield the lists that a route is compared with."""
        yield from self.loose
        if route is None:
            yield from self.buckets.values()
        else:
            yield from (self.buckets[name] for name in sorted(route) if name in self.buckets)


class Partitions:
    """Read the lists that a batch of routes needs: from the cache, else from the file."""

    def __init__(self, cache: BucketCache, dim: int) -> None:
        """Keep in ``cache`` what is read of vectors with ``dim`` numbers."""
        self._cache = cache
        self._dim = dim
        self._directory = Directory(-1, {}, (), 0)

    def blocks(
        self, db: Connection, routes: Sequence[Buckets], where: Mapping[str, str]
    ) -> Iterator[tuple[tuple[int, ...], Part]]:
        """Yield blocks of distinct items, each with the indices of the routes that need it.

        An item that lives in several buckets of a route may come in several blocks. What
        does not fit into the cache together is read block by block and not kept.
        """
        allowed = self._allowed(db, where)
        if allowed is not None and not len(allowed):
            return
        directory = self.directory(db)
        left = list(range(len(routes)))
        if directory.size_bytes > self._cache.budget_bytes:
            whole = tuple(route for route in left if routes[route] is None)
            left = [route for route in left if routes[route] is not None]
            if whole:
                yield from ((whole, block) for block in self._stream(db, _OF_ALL, (), allowed))
        needed: dict[Listing, list[int]] = {}
        for route in left:
            for listing in directory.of(routes[route]):
                needed.setdefault(listing, []).append(route)
        keep = self._bytes(needed) <= self._cache.budget_bytes
        groups: dict[tuple[int, ...], list[Listing]] = {}
        for listing, wanted in needed.items():
            groups.setdefault(tuple(wanted), []).append(listing)
        for together, listings in groups.items():
            parts = (part for listing in listings for part in self._parts(db, listing, keep, allowed))
            yield from ((together, block) for block in gathered(parts))

    def directory(self, db: Connection) -> Directory:
        """Return the lists of buckets, read again only after a write."""
        writes = db.execute("SELECT writes FROM meta").fetchone()[0]
        directory = self._directory
        if directory.writes == writes:
            return directory
        rows = db.execute("SELECT kind, value, number, generation, size FROM lists WHERE kind != 'column'")
        lists = [(kind, from_text(value), Listing(*rest)) for kind, value, *rest in rows]
        buckets = {value: listing for kind, value, listing in lists if kind == "bucket"}
        loose = tuple(listing for kind, _, listing in lists if kind == "loose")
        # Assigned in one step: another thread sees the old directory or this one.
        size_bytes = self._bytes([*loose, *buckets.values()])
        self._directory = directory = Directory(writes, buckets, loose, size_bytes)
        return directory

    def _bytes(self, listings: Iterable[Listing]) -> int:
        return sum(entry_bytes(listing.size, self._dim) for listing in listings)

    def _allowed(self, db: Connection, where: Mapping[str, str]) -> NDArray[np.int64] | None:
        allowed = None
        for name, value in where.items():
            row = db.execute(_LIST_OF_COLUMN, (as_text(name), as_text(value))).fetchone()
            if row is None:
                return np.zeros(0, np.int64)
            numbers = self._numbers(db, Listing(*row))
            allowed = numbers if allowed is None else allowed[member(allowed, numbers)]
        return allowed

    def _numbers(self, db: Connection, listing: Listing) -> NDArray[np.int64]:
        part = self._cache.get(listing.number, listing.generation)
        if part is None:
            cursor = db.execute("SELECT item FROM postings WHERE list = ? ORDER BY item", (listing.number,))
            numbers = np.fromiter((row[0] for row in cursor), np.int64, listing.size)
            part = Part(numbers, np.zeros(listing.size, np.bool_), np.zeros((listing.size, 0), np.float32))
            self._cache.put(listing.number, listing.generation, part)
        return part.numbers

    def _parts(self, db: Connection, listing: Listing, keep: bool, allowed: NDArray[np.int64] | None) -> Iterator[Part]:
        part = self._cache.get(listing.number, listing.generation)
        selective = allowed is not None and len(allowed) * SELECTIVE < listing.size
        if part is None and keep and not selective:
            part = self._load(db, listing)
        if part is None:
            yield from self._stream(db, _OF_LIST, (listing.number,), allowed)
        else:
            yield part if allowed is None else part.only(allowed)

    def _load(self, db: Connection, listing: Listing) -> Part:
        self._cache.make_room(listing.number, entry_bytes(listing.size, self._dim))
        numbers, shared = np.empty(listing.size, np.int64), np.empty(listing.size, np.bool_)
        matrix = np.empty((listing.size, self._dim), np.float32)
        start = 0
        for block in self._stream(db, _OF_LIST, (listing.number,), None):
            rows = slice(start, start := start + len(block))
            numbers[rows], shared[rows], matrix[rows] = block.numbers, block.shared, block.matrix
        part = Part(numbers, shared, matrix)
        self._cache.put(listing.number, listing.generation, part)
        return part

    def _stream(
        self, db: Connection, statement: str, values: tuple[int, ...], allowed: NDArray[np.int64] | None
    ) -> Iterator[Part]:
        among = () if allowed is None else (json.dumps(allowed.tolist()),)
        cursor = db.execute(statement.format(condition=_AMONG if among else ""), (*values, *among))
        while rows := cursor.fetchmany(PAGE):
            numbers, shared, vectors = zip(*rows, strict=True)
            flat = np.frombuffer(b"".join(vectors), "<f4").astype(np.float32, copy=False)
            matrix = flat.reshape(len(rows), self._dim)
            yield Part(np.array(numbers, np.int64), np.array(shared, np.bool_), matrix)


def gathered(parts: Iterable[Part]) -> Iterator[Part]:
    """Yield the same items in blocks that are neither tiny nor huge, distinct within each."""
    pending: list[Part] = []
    for part in parts:
        if len(part) < SMALL:
            pending.append(part)
        else:
            for start in range(0, len(part), LARGE):
                rows = slice(start, start + LARGE)
                yield Part(part.numbers[rows], part.shared[rows], part.matrix[rows])
        if sum(map(len, pending)) >= 8 * SMALL or len(pending) >= 8 * SMALL:
            yield joined(pending)
            pending = []
    if pending:
        yield joined(pending)


def joined(parts: Sequence[Part]) -> Part:
    """Return several parts as one, an item that is in several of them once."""
    if len(parts) == 1:
        return parts[0]
    numbers = np.concatenate([part.numbers for part in parts])
    shared = np.concatenate([part.shared for part in parts])
    matrix = np.concatenate([part.matrix for part in parts])
    if not shared.any():
        return Part(numbers, shared, matrix)
    numbers, first = np.unique(numbers, return_index=True)
    return Part(numbers, shared[first], matrix[first])
