"""One version of an index in a cluster; see ``contract.Store``."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from visualsearch.datatypes import Buckets, Failure, Found, Item, Matrix, Vector
from visualsearch.errors import EngineError
from visualsearch.stores.checks import unit_enough, unit_rows
from visualsearch.stores.elasticsearch_bulk import Bulk, Operation, Outcome, deleting, writing
from visualsearch.stores.elasticsearch_catalogue import Catalogue, Version, searching
from visualsearch.stores.elasticsearch_client import Connection
from visualsearch.stores.elasticsearch_counts import Counter
from visualsearch.stores.elasticsearch_mapping import document_id, item_of, token
from visualsearch.stores.elasticsearch_search import MOST_HITS, Seeker
from visualsearch.stores.elasticsearch_state import State

log = logging.getLogger(__name__)

AT_ONCE = 1_000
"""Items that are asked for by id in one request; of vectors fewer, by ``NUMBERS_AT_ONCE``."""

NUMBERS_AT_ONCE = 500_000
"""Bounds an answer with vectors to some 6 MB of JSON."""


class ElasticsearchStore:
    """Items and vectors in one index, failures and tombstones in another beside it.

    What this store wrote, its own reads see; other processes see it after ``refresh_s``, and in
    their counts, which are remembered for as long, after twice that at most.
    """

    def __init__(self, connection: Connection, version: Version, state: State) -> None:
        """Open a version that exists; the connection is closed with the store."""
        self.version = version
        self.fingerprint = version.fingerprint
        self.dim = version.dim
        self.connection = connection
        self.state = state
        self._bulk = Bulk(connection, version.handle)
        self._seeker = Seeker(connection, version.handle, version.kind, self._vectors)
        self._counter = Counter(self._seen_answer, connection.options.refresh_s)
        self._lock = threading.RLock()
        self._unseen = False
        self._lost = False

    def adjust(self) -> None:
        """Put the options' ``replicas`` and ``refresh_s`` onto the live index, where it has others."""
        options, now = self.connection.options, self.version.settings
        wanted = searching(options.replicas, options.refresh_s)
        if any(str(now.get(name)) != str(value) for name, value in wanted.items()):
            Catalogue(self.connection, self.version.base).set(self.version, wanted)

    def notes(self) -> list[str]:
        """Say what works but could be better."""
        if self.version.is_sorted:
            return []
        how = "was made before items were sorted by bucket, so routed searches read more than they must"
        return [f"{self.version.name} {how}: run index --rebuild"]

    def upsert(self, items: Sequence[Item], vectors: Matrix) -> None:
        """Write items, replacing those with the same id.

        A cluster has no transactions, so of "all of them or none" this holds: vectors are checked
        before anything is sent, an item is written whole, and the items of one path (the faces
        of one picture) travel in one request; where some of them are refused for good, or their shard
        is away until patience ends, the others of that path are taken out again. So no picture is half there and taken for whole:
        `index` finds it missing and writes it again. Other pictures that were written before
        the error stay, and to write them again is harmless.

        Raises:
            RefusedItems: items that the server refused for good, with their reasons.
            EngineError: the cluster was away for longer than ``patience_s``.
        """
        matrix = unit_enough(unit_rows(vectors, self.dim, len(items)))
        last = {item.id: row for row, item in enumerate(items)}
        paths: dict[str, list[int]] = {}
        for row in last.values():
            paths.setdefault(items[row].path, []).append(row)
        groups = ([writing(items[row], matrix[row]) for row in rows] for rows in paths.values())
        with self._writing():
            outcome = self._bulk.send(groups)
            self._take_out_halves(outcome, ([items[row].id for row in rows] for rows in paths.values()))
            self._bulk.raise_for(outcome, {items[row].id: items[row].path for row in last.values()})

    def _take_out_halves(self, outcome: Outcome, pictures: Iterator[list[str]]) -> None:
        """Remove what was written of the pictures of which a part was refused, or whose shard was away."""
        lost = outcome.refused.keys() | outcome.unanswered
        halves = [ids for ids in pictures if 0 < sum(item in lost for item in ids) < len(ids)]
        if not halves:
            return
        # not those of the shard that is away: it would be waited for again
        doomed = [item for ids in halves for item in ids if item not in outcome.unanswered]
        left = self._bulk.send([self._deleting(item)] for item in doomed)
        if left.error or left.refused:
            log.warning("%s: some faces of %d pictures may be missing from the index.", self.version.name, len(halves))

    def delete(self, ids: Collection[str]) -> None:
        """Remove items; an id that is not there is no error."""
        if ids:
            with self._writing():
                self._bulk.all_or_error(self._deleting(item) for item in dict.fromkeys(ids))

    def search(self, vectors: Matrix, k: int, buckets: Sequence[Buckets], where: Mapping[str, str]) -> list[Found]:
        """Return, for each row of ``vectors``, its k nearest items; see ``contract.Store``."""
        queries = unit_enough(unit_rows(vectors, self.dim, len(buckets)))
        self._see()
        return self._seeker.search(queries, k, buckets, where) if len(buckets) else []

    def get(self, ids: Collection[str]) -> list[Item]:
        """Return the items with these ids that exist, ordered by id."""
        self._see()
        found = [item_of(hit["_source"]) for hit in self._by_id(list(dict.fromkeys(ids)), AT_ONCE, {})]
        return sorted(found, key=lambda item: item.id)

    def vectors(self, ids: Sequence[str]) -> Matrix:
        """Return (n, dim) vectors in the order of ``ids``; a KeyError names an unknown id."""
        self._see()
        found = self._vectors(list(dict.fromkeys(ids)))
        return np.stack([found[item] for item in ids]) if len(ids) else np.empty((0, self.dim), np.float32)

    def pages(self, size: int = 1000) -> Iterator[list[Item]]:
        """Yield every item once, ordered by id, at most ``size`` at a time."""
        # Each page is a search of its own: the caller may write between two of them.
        size = min(size, MOST_HITS)
        more: dict[str, Any] = {}
        while True:
            self._see()
            hits = self._search(size=size, sort=[{"id": "asc"}], **more)
            if hits:
                yield [item_of(hit["_source"]) for hit in hits]
            if len(hits) < size:
                return
            more = {"search_after": hits[-1]["sort"]}

    def count(self) -> int:
        """Return how many items there are."""
        return self._counter.counts().total

    def bucket_counts(self) -> dict[str, int]:
        """Return how many items live in each bucket; items in no bucket are not counted."""
        return dict(self._counter.counts().buckets)

    def record_failures(self, failures: Sequence[Failure]) -> None:
        """Remember pictures that could not be indexed, one for each path."""
        if failures:
            self.state.record_failures(self.version.handle, failures)

    def failures(self) -> list[Failure]:
        """Return the remembered failures, ordered by path."""
        return self.state.failures(self.version.handle)

    def clear_failures(self, paths: Collection[str]) -> None:
        """Drop the failures of these paths."""
        self.state.clear_failures(self.version.handle, paths)

    def bury(self, contents: Collection[str]) -> None:
        """Remember content hashes (SHA-256) that must never be indexed again, in no version of this index."""
        self.state.bury(contents)
        with self._lock:
            self._unseen = True  # what others have written of them is to be found by who removes it

    def buried(self) -> frozenset[str]:
        """Return the content hashes that were buried."""
        return self.state.buried()

    def close(self) -> None:
        """Release what is open; closing twice is harmless."""
        if self._unseen and not self._lost:
            try:
                self.refresh()
            except EngineError as error:
                if error.slug != "store-replaced":  # then nobody sees it, and it has been said
                    log.warning("%s: what was written last is seen a little later: %s", self.version.name, error)
        self._counter.forget()
        self.connection.close()

    def refresh(self) -> None:
        """Make everything visible that was written; batches that are on their way appear whole, later."""
        with self._lock:
            self.connection.ask(lambda client: client.indices.refresh(index=self.version.handle))
            self._unseen = False

    def remove_buried(self) -> None:
        """Remove the items whose content was forgotten for good."""
        contents = sorted(map(token, self.buried()))
        self._see()
        for start in range(0, len(contents), AT_ONCE):
            terms = {"terms": {"content": contents[start : start + AT_ONCE]}}
            while hits := self._search(query=terms, size=MOST_HITS):
                self.delete([item_of(hit["_source"]).id for hit in hits])
                self.refresh()

    def _see(self) -> None:
        if self._unseen:
            self.refresh()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except EngineError as error:
                self._lost = error.slug in ("store-unreachable", "store-busy", "store-shards", "store-replaced")
                if error.slug == "store-read-only" and self.version.superseded(self.connection):
                    raise self.connection.error("store-replaced", f"{self.version.name} was replaced") from error
                raise
            finally:
                self._unseen = True
                self._counter.forget()

    def _deleting(self, item: str) -> Operation:
        return deleting(document_id(item), item)

    def _answer(self, **asked: Any) -> Mapping[str, Any]:
        # An answer of some shards only would be a wrong one.
        fixed = {"index": self.version.handle, "allow_partial_search_results": False}
        whole = {"track_total_hits": False, **asked, **fixed}
        return self.connection.ask(lambda client: dict(client.search(**whole)))

    def _seen_answer(self, **asked: Any) -> Mapping[str, Any]:
        self._see()
        return self._answer(**asked)

    def _search(self, **asked: Any) -> list[dict[str, Any]]:
        hits: list[dict[str, Any]] = self._answer(**asked)["hits"]["hits"]
        return hits

    def _by_id(self, ids: Sequence[str], at_once: int, asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        for start in range(0, len(ids), at_once):
            keys = [document_id(item) for item in ids[start : start + at_once]]
            yield from self._search(query={"ids": {"values": keys}}, size=len(keys), **asked)

    def _vectors(self, ids: Sequence[str]) -> dict[str, Vector]:
        """Return the vectors of the ids that exist, to the bit, from their own storage."""
        names = {document_id(item): item for item in ids}
        at_once = max(1, min(AT_ONCE, NUMBERS_AT_ONCE // self.dim))
        asked = {"docvalue_fields": ["vector"], "_source": False}
        return {
            names[hit["_id"]]: np.array(hit["fields"]["vector"][0], np.float32)
            for hit in self._by_id(ids, at_once, asked)
        }
