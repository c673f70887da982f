"""What a store promises; every back-end passes tests/conformance/test_stores.py."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol

from visualsearch.datatypes import Buckets, Failure, Found, Item, Matrix


class Store(Protocol):
    """Items with their vectors, and what else a second machine must know of the gallery.

    Vectors are unit-length float32; a score is their cosine, higher is closer. Ids are stable:
    writing an item twice leaves one. An item in no bucket is compared in every search.
    Every method may be called from several threads.
    """

    fingerprint: str
    """Of the embeddings in here."""

    dim: int

    def upsert(self, items: Sequence[Item], vectors: Matrix) -> None:
        """Write items, replacing those with the same id: all of them or, on an error, none.

        Raises:
            RefusedItems: only these were refused, each for a reason of its own, and for good;
                the others are written, but for those of the same path.
        """
        ...

    def delete(self, ids: Collection[str]) -> None:
        """Remove items; an id that is not there is no error."""
        ...

    def search(self, vectors: Matrix, k: int, buckets: Sequence[Buckets], where: Mapping[str, str]) -> list[Found]:
        """Return, for each row of ``vectors``, its k nearest items.

        Row i is compared with the items that live in one of ``buckets[i]`` (None: all) or in
        no bucket, and whose columns equal ``where``. Hits come best first, equal scores by id,
        with ranks from 1. A bucket that does not exist is empty.
        """
        ...

    def get(self, ids: Collection[str]) -> list[Item]:
        """Return the items with these ids that exist, ordered by id."""
        ...

    def vectors(self, ids: Sequence[str]) -> Matrix:
        """Return (n, dim) vectors in the order of ``ids``; a KeyError names an unknown id."""
        ...

    def pages(self, size: int = 1000) -> Iterator[list[Item]]:
        """Yield every item once, ordered by id, at most ``size`` at a time."""
        ...

    def count(self) -> int:
        """Return how many items there are."""
        ...

    def bucket_counts(self) -> dict[str, int]:
        """Return how many items live in each bucket; items in no bucket are not counted."""
        ...

    def record_failures(self, failures: Sequence[Failure]) -> None:
        """Remember pictures that could not be indexed, one for each path."""
        ...

    def failures(self) -> list[Failure]:
        """Return the remembered failures, ordered by path."""
        ...

    def clear_failures(self, paths: Collection[str]) -> None:
        """Drop the failures of these paths."""
        ...

    def bury(self, contents: Collection[str]) -> None:
        """Remember content hashes (SHA-256) that must never be indexed again."""
        ...

    def buried(self) -> frozenset[str]:
        """Return the content hashes that were buried."""
        ...

    def close(self) -> None:
        """Release what is open; closing twice is harmless."""
        ...


class Shelf(Protocol):
    """The place where an index lives, and where its successor is built beside it.

    A store plug-in class is built as ``Plugin(options, folder)`` and is a Shelf.
    """

    def live(self) -> Store | None:
        """Open the index that searches use, or return None before the first one."""
        ...

    def begin(self, fingerprint: str, dim: int) -> Store:
        """Open the unpublished index for these embeddings, making or resuming it.

        Failures and tombstones of the live index are carried over. An unfinished one of
        another fingerprint is removed.
        """
        ...

    def publish(self, store: Store) -> None:
        """Make a begun index the live one in one step and close ``store``; open it again with ``live``.

        Processes that still have the old one open go on searching it.
        """
        ...

    def erase(self, contents: Collection[str], paths: Collection[str]) -> tuple[str, ...]:
        """Leave nothing on the disk of what was deleted, of these ``contents``, and of failures under these ``paths``.

        Deleting alone promises that nothing is found any more; this, that nothing can be read from
        the store's files: items with their vectors, paths and columns, and failures are overwritten
        or written anew without them. It holds for the live index, for one that is being built, and for
        those that are kept for whoever has them open. What may survive for good is returned, a sentence each.

        Raises:
            EngineError: somebody was in the way; done again later, it completes.
        """
        ...
