"""What is known beside the items: pictures that failed, and content that was forgotten for good."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from visualsearch.datatypes import Failure
from visualsearch.stores.elasticsearch_bulk import Bulk, deleting, putting
from visualsearch.stores.elasticsearch_client import Connection
from visualsearch.stores.remembered import failure_of, failure_texts, key_of
from visualsearch.stores.texts import escaped, unescaped

PAGE = 5_000

BODY = {
    "settings": {"number_of_shards": 1, "auto_expand_replicas": "0-1"},
    "mappings": {
        "dynamic": False,
        "properties": {
            "kind": {"type": "keyword"},
            "of": {"type": "keyword"},
            "key": {"type": "keyword"},
            **{name: {"type": "keyword", "index": False, "doc_values": False} for name in ("path", "content")},
            **{name: {"type": "keyword", "index": False, "doc_values": False} for name in ("reason", "stamp", "look")},
        },
    },
}


class State:
    """Failures, each of one version of the index, and tombstones, which hold for all of them.

    Nothing is said here often, so every word is visible at once.
    """

    def __init__(self, connection: Connection, index: str) -> None:
        """Read and write ``index``."""
        self.index = index
        self._connection = connection
        self._bulk = Bulk(connection, index, alias=False, refresh=True)

    def create(self) -> None:
        """Make the index where it is not there yet."""

        def make(client: Any) -> None:
            # 400: another process, or this one a moment ago, has made it
            if not client.indices.exists(index=self.index):
                client.options(ignore_status=400).indices.create(index=self.index, **BODY)

        self._connection.ask(make)

    def record_failures(self, of: str, failures: Sequence[Failure]) -> None:
        """Remember failures of the version ``of``, one for each path."""
        last = {failure.path: failure for failure in failures}
        self._bulk.all_or_error(
            putting(key_of("failure", of, path), {**_head("failure", of, path), **failure_texts(one)})
            for path, one in last.items()
        )

    def failures(self, of: str) -> list[Failure]:
        """Return the failures of the version ``of``, ordered by path."""
        found = map(failure_of, self._all("failure", of))
        return sorted(found, key=lambda failure: failure.path)

    def clear_failures(self, of: str, paths: Collection[str]) -> None:
        """Drop the failures of these paths."""
        keys = {key_of("failure", of, path) for path in paths}
        self._drop(sorted(keys & {made["key"] for made in self._all("failure", of)}) if keys else [])

    def drop_others(self, alive: Collection[str]) -> None:
        """Drop the failures of all versions but those."""
        self._drop([made["key"] for made in self._all("failure", None) if made["of"] not in alive])

    def bury(self, contents: Collection[str]) -> None:
        """Remember content hashes."""
        self._bulk.all_or_error(
            putting(key_of("tombstone", "", content), {**_head("tombstone", "", content), "content": escaped(content)})
            for content in dict.fromkeys(contents)
        )

    def buried(self) -> frozenset[str]:
        """Return the content hashes that were buried."""
        return frozenset(unescaped(made["content"]) for made in self._all("tombstone", None))

    def _drop(self, keys: Collection[str]) -> None:
        self._bulk.all_or_error(deleting(key, key) for key in keys)

    def _all(self, kind: str, of: str | None) -> Iterator[dict[str, Any]]:
        terms = [{"term": {"kind": kind}}, *([{"term": {"of": of}}] if of is not None else [])]
        asked: dict[str, Any] = {
            "index": self.index,
            "query": {"bool": {"filter": terms}},
            "sort": [{"key": "asc"}],
            "size": PAGE,
            "track_total_hits": False,
            "allow_partial_search_results": False,
            "ignore_unavailable": True,  # before the first index there is none
        }
        while True:
            hits = self._connection.ask(lambda client: client.search(**asked))["hits"]["hits"]
            yield from (hit["_source"] for hit in hits)
            if len(hits) < PAGE:
                return
            asked["search_after"] = hits[-1]["sort"]


def _head(kind: str, of: str, name: str) -> dict[str, str]:
    return {"kind": kind, "of": of, "key": key_of(kind, of, name)}
