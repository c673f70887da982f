"""Which versions of an index Milvus has: made, found and swapped by their aliases.

visualsearch_NAME_v3_9f2c11ab   a version; the number grows, the rest comes only once
visualsearch_NAME               alias of the version that searches use
visualsearch_NAME_next          alias of the version that is being filled
visualsearch_NAME_state         a row for each version: what its vectors were made with; failures, tombstones
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from visualsearch.errors import EngineError
from visualsearch.stores.milvus_client import Connection
from visualsearch.stores.milvus_rows import FORMAT, LONGEST_TEXT, MOST_ELEMENTS
from visualsearch.stores.milvus_state import State


@dataclass(frozen=True, slots=True)
class Version:
    """One collection of items."""

    name: str
    fingerprint: str
    dim: int
    index: str
    metric: str
    build: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Versions:
    """What there is at one moment."""

    live: Version | None
    next: Version | None


class Catalogue:
    """The versions of one index."""

    def __init__(self, connection: Connection, base: str) -> None:
        """Look at the names that begin with ``base``."""
        self._connection = connection
        self._base = base
        self._next = f"{base}_next"
        self.state = State(connection, f"{base}_state")

    def read(self) -> Versions:
        """Return what there is now.

        Raises:
            EngineError: a collection of a newer format, or of somebody else (``store-format``).
        """
        live, following = self._under(self._base), self._under(self._next)
        return Versions(self._version(live), None if following == live else self._version(following))

    def _under(self, alias: str) -> str | None:
        try:
            return str(self._connection.ask("describe_alias", alias)["collection_name"])
        except EngineError as error:
            if error.slug != "store-replaced":
                raise
            return None

    def _version(self, name: str | None) -> Version | None:
        if name is None:
            return None
        made = self.state.version(name)
        if made is None or made.pop("format", None) != FORMAT:
            reason = f"{name}: expected a collection of format {FORMAT}; received another"
            advice = "update visualsearch, choose another store.collection, or remove it"
            raise self._connection.error("store-format", reason, advice)
        return Version(**made)

    def create(self, fingerprint: str, dim: int) -> Version | None:
        """Make a version, as the next one; return None where another process has just made one."""
        options = self._connection.options
        number = max(self._names().values(), default=0) + 1
        name = f"{self._base}_v{number}_{secrets.token_hex(4)}"
        version = Version(name, fingerprint, dim, options.index, options.metric, options.build)
        unfinished = self._under(self._next)
        self.state.record_version(name, {"format": FORMAT, **asdict(version)})
        self._make(version)
        if unfinished is not None:
            self._connection.ask("alter_alias", name, self._next)
            if unfinished != self._under(self._base):
                self.remove([unfinished])
            return version
        try:
            self._connection.ask("create_alias", name, self._next)
        except EngineError:
            if self._under(self._next) is None:
                raise
            self.remove([name])
            return None
        return version

    def _make(self, version: Version) -> None:
        # The client sends each parameter by itself, where Milvus Lite looks for one that has them all.
        build = {"params": dict(version.build)} if self._connection.is_lite else dict(version.build)
        index = {"index_type": version.index, "metric_type": version.metric.upper(), "params": build}
        self._connection.create(version.name, fields(version.dim), index)
        if not self._connection.is_lite:  # which has no index of arrays
            self._connection.index(version.name, "buckets", index_type="INVERTED")
            self._connection.index(version.name, "facts", index_type="INVERTED")
        self._connection.index(version.name, "content", index_type="INVERTED")
        self._connection.load(version.name)

    def swap(self, new: Version) -> None:
        """Let searches see ``new`` from now on instead of what is live, in one step."""
        known = self._under(self._base) is not None
        self._connection.ask("alter_alias" if known else "create_alias", new.name, self._base)
        self._connection.ask("drop_alias", self._next)

    def remove_others(self, keep: Collection[str]) -> None:
        """Remove all versions but those."""
        self.remove([name for name in self._names() if name not in keep])

    def remove(self, names: Collection[str]) -> None:
        """Remove versions, and what is known of them; one that is gone is no error."""
        for name in names:
            self._connection.ask("drop_collection", name)
            self.state.drop(name)

    def _names(self) -> dict[str, int]:
        """Return the names of all versions, with their numbers."""
        pattern = re.compile(re.escape(self._base) + r"_v(\d+)_[0-9a-f]{8}")
        found = {name: pattern.fullmatch(name) for name in self._connection.ask("list_collections")}
        return {name: int(match[1]) for name, match in found.items() if match}


def fields(dim: int) -> list[tuple[str, dict[str, Any]]]:
    """Return the fields of a collection of items."""
    from pymilvus import DataType

    text = {"datatype": DataType.VARCHAR, "max_length": LONGEST_TEXT}
    texts = {"datatype": DataType.ARRAY, "element_type": DataType.VARCHAR, "max_capacity": MOST_ELEMENTS}
    return [
        ("key", {**text, "is_primary": True}),
        ("vector", {"datatype": DataType.FLOAT_VECTOR, "dim": dim}),
        ("home", text),
        ("buckets", {**texts, "max_length": LONGEST_TEXT}),
        ("facts", {**texts, "max_length": LONGEST_TEXT}),
        ("content", text),
        ("item", {"datatype": DataType.JSON}),
    ]
