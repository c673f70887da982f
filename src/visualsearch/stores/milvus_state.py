"""What is known beside the items: versions, pictures that failed, content that was forgotten for good."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from visualsearch.datatypes import Failure
from visualsearch.stores.milvus_client import Connection
from visualsearch.stores.milvus_rows import LONGEST_TEXT, listed
from visualsearch.stores.remembered import failure_of, failure_texts, key_of
from visualsearch.stores.texts import escaped, unescaped

AT_ONCE = 1_000
"""Rows that are written or named in one request."""

NOTHING = [1.0, 0.0]
"""A collection must have a vector."""


class State:
    """Versions; failures, each of one version; and tombstones, which hold for all of them."""

    def __init__(self, connection: Connection, collection: str) -> None:
        """Read and write ``collection``."""
        self._connection = connection
        self._collection = collection
        self._copy = f"{collection}_copy"

    def open(self) -> bool:
        """Make ready what there is, and return whether it is there."""
        there = self._is_there(self._collection)
        if not there and self._is_there(self._copy):  # its writing was interrupted when it was whole
            self._connection.ask("rename_collection", self._copy, self._collection)
            there = True
        if there:
            self._connection.load(self._collection)
        return there

    def _is_there(self, collection: str) -> bool:
        return bool(self._connection.ask("has_collection", collection))

    def create(self) -> None:
        """Make the collection where it is not there yet."""
        from pymilvus import DataType

        if self.open():
            return
        text = {"datatype": DataType.VARCHAR, "max_length": LONGEST_TEXT}
        fields: list[tuple[str, dict[str, Any]]] = [("key", {**text, "is_primary": True}), ("kind", text), ("of", text)]
        fields += [("data", {"datatype": DataType.JSON}), ("vector", {"datatype": DataType.FLOAT_VECTOR, "dim": 2})]
        self._connection.create(self._collection, fields, {"index_type": "FLAT", "metric_type": "L2"})
        self._connection.load(self._collection)

    def record_version(self, name: str, data: Mapping[str, Any]) -> None:
        """Remember what a version is made of."""
        self._put("version", name, {name: data})

    def version(self, name: str) -> dict[str, Any] | None:
        """Return what a version is made of."""
        return next((dict(data) for data in self._all("version", name)), None)

    def record_failures(self, of: str, failures: Collection[Failure]) -> None:
        """Remember failures of the version ``of``, one for each path."""
        self._put("failure", of, {failure.path: failure_texts(failure) for failure in failures})

    def failures(self, of: str) -> list[Failure]:
        """Return the failures of the version ``of``, ordered by path."""
        return sorted(map(failure_of, self._all("failure", of)), key=lambda failure: failure.path)

    def clear_failures(self, of: str, paths: Collection[str]) -> None:
        """Drop the failures of these paths."""
        self._drop([key_of("failure", of, path) for path in paths])

    def bury(self, contents: Collection[str]) -> None:
        """Remember content hashes."""
        self._put("tombstone", "", {content: {"content": escaped(content)} for content in contents})

    def buried(self) -> frozenset[str]:
        """Return the content hashes that were buried."""
        return frozenset(unescaped(data["content"]) for data in self._all("tombstone", ""))

    def drop(self, of: str) -> None:
        """Forget all about a version."""
        for page in self._connection.rows(self._collection, [], f'of == "{of}"'):
            self._drop([row["key"] for row in page])

    def write_anew(self) -> None:
        """Put a copy in the collection's place: the files of Milvus Lite keep what was dropped until it merges them."""
        self._connection.ask("drop_collection", self._copy)
        State(self._connection, self._copy).create()
        for page in self._connection.rows(self._collection, ["kind", "of", "data"], size=AT_ONCE):
            self._connection.ask("upsert", self._copy, [{**row, "vector": NOTHING} for row in page])
        self._connection.ask("drop_collection", self._collection)
        self.open()

    def _put(self, kind: str, of: str, named: Mapping[str, Mapping[str, Any]]) -> None:
        rows = [
            {"key": key_of(kind, of, name), "kind": kind, "of": of, "data": data, "vector": NOTHING}
            for name, data in named.items()
        ]
        for start in range(0, len(rows), AT_ONCE):
            self._connection.ask("upsert", self._collection, rows[start : start + AT_ONCE])

    def _drop(self, keys: list[str]) -> None:
        for start in range(0, len(keys), AT_ONCE):
            self._connection.ask("delete", self._collection, filter=f"key in {listed(keys[start : start + AT_ONCE])}")

    def _all(self, kind: str, of: str) -> Iterator[Mapping[str, Any]]:
        for page in self._connection.rows(self._collection, ["data"], f'kind == "{kind}" and of == "{of}"', AT_ONCE):
            yield from (row["data"] for row in page)
