"""Which versions of an index a cluster has: made, found and swapped by their aliases.

visualsearch-NAME-v3            a version; its ``_meta`` says what its vectors were made with
visualsearch-NAME               alias of the version that searches use
visualsearch-NAME-next          alias of the version that is being filled
visualsearch-NAME-v3-9f2c11ab   alias of a version for life: never given twice, unlike its number
visualsearch-NAME-state         failures and tombstones
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import elasticsearch

from visualsearch import __version__
from visualsearch.errors import EngineError
from visualsearch.stores.elasticsearch_client import Connection
from visualsearch.stores.elasticsearch_mapping import FORMAT, index_body


@dataclass(frozen=True, slots=True)
class Version:
    """One index of items, as the cluster knows it."""

    name: str
    handle: str
    """The alias by which it is read and written. Once the index is removed, nothing is found under it."""
    fingerprint: str
    dim: int
    kind: str
    shards: int
    settings: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """Of the index, as they were when the catalogue was read."""

    @property
    def is_sorted(self) -> bool:
        """Return whether the items of a bucket lie together in each segment."""
        return "buckets" in self.settings.get("sort", {}).get("field", ())

    @property
    def base(self) -> str:
        """Return the alias of the live version."""
        return self.name.rpartition("-v")[0]

    def superseded(self, connection: Connection) -> bool:
        """Return whether this is neither the live version nor the next one any more."""
        found = Catalogue(connection, self.base).read()
        return self not in (found.live, found.next)


@dataclass(frozen=True, slots=True)
class Versions:
    """What there is at one moment, by number."""

    by_number: Mapping[int, Version]
    live: Version | None
    next: Version | None


class Catalogue:
    """The versions of one index."""

    def __init__(self, connection: Connection, base: str) -> None:
        """Look at the names that begin with ``base``."""
        self._connection = connection
        self._base = base
        self._next = f"{base}-next"

    def read(self) -> Versions:
        """Return what there is now.

        Raises:
            EngineError: an index of a newer format, or of somebody else (``store-format``).
        """
        names = [self._base, self._next, f"{self._base}-v*"]
        found = dict(self._connection.ask(lambda client: client.indices.get(index=names, ignore_unavailable=True)))
        numbers = {name: re.fullmatch(re.escape(self._base) + r"-v(\d+)", name) for name in found}
        for name in (name for name, match in numbers.items() if not match):
            self._refuse_foreign(name, found[name])
        made = {int(match[1]): self._version(name, found[name]) for name, match in numbers.items() if match}
        return Versions(made, self._under(self._base, found, made), self._under(self._next, found, made))

    def _refuse_foreign(self, name: str, index: Mapping[str, Any]) -> None:
        """Refuse an index that has the name of an alias of ours, or that alias, and is no version."""
        for alias in {self._base, self._next} & {name, *index["aliases"]}:
            what = "an index of that name" if name == alias else f"one of the index {name}"
            reason = f"{alias}: expected an alias of a version that visualsearch made, or nothing; received {what}"
            advice = "choose another store.index, or remove or rename what is there"
            raise self._connection.error("store-format", reason, advice)

    def _under(self, alias: str, found: Mapping[str, Any], made: Mapping[int, Version]) -> Version | None:
        # Of two that began at the same moment the later one counts.
        there = [number for number, version in made.items() if alias in found[version.name]["aliases"]]
        return made[max(there)] if there else None

    def _version(self, name: str, index: Mapping[str, Any]) -> Version:
        meta = index["mappings"].get("_meta", {})
        handles = [alias for alias in index["aliases"] if re.fullmatch(re.escape(name) + "-[0-9a-f]{8}", alias)]
        if not handles or meta.get("format") != FORMAT:
            reason = f"{name}: expected an index of format {FORMAT}; received {meta.get('format', 'another')}"
            advice = "update visualsearch, choose another store.index, or remove it"
            raise self._connection.error("store-format", reason, advice)
        settings = index["settings"]["index"]
        shards = int(settings["number_of_shards"])
        return Version(name, handles[0], meta["fingerprint"], meta["dim"], meta["type"], shards, settings)

    def new_name(self, versions: Versions) -> tuple[str, str]:
        """Return name and handle for one more version."""
        name = f"{self._base}-v{max(versions.by_number, default=0) + 1}"
        return name, f"{name}-{secrets.token_hex(4)}"

    def create(self, version: Version) -> bool:
        """Make a version, as the next one; return False where another process has just taken the number."""
        options = self._connection.options
        meta = {"fingerprint": version.fingerprint, "made_by": f"visualsearch {__version__}"}
        body = index_body(version.dim, version.kind, version.shards, meta)
        body["settings"] |= loading(options.loading_replicas)
        body["aliases"] = {self._next: {}, version.handle: {}}

        def make(client: Any) -> bool:
            try:
                client.indices.create(index=version.name, **body)
            except elasticsearch.BadRequestError as error:
                if error.error != "resource_already_exists_exception":
                    raise
                # perhaps this very call has made it, and the answer was lost
                return bool(client.indices.exists_alias(index=version.name, name=version.handle))
            return True

        return self._connection.ask(make)

    def swap(self, new: Version, old: Version | None) -> None:
        """Let searches see ``new`` from now on instead of ``old``, in one step.

        Raises:
            EngineError: ``store-replaced``: one of both is no longer what it was.
        """
        actions: list[dict[str, Any]] = [
            {"remove": {"index": new.name, "alias": self._next, "must_exist": True}},
            {"add": {"index": new.name, "alias": self._base}},
        ]
        if old is not None:
            actions.append({"remove": {"index": old.name, "alias": self._base, "must_exist": True}})
        try:
            self._connection.ask(lambda client: client.indices.update_aliases(actions=actions))
        except EngineError as error:
            # an answer may have been lost, and the second call found the work done
            if error.slug != "store-replaced" or self.read().live != new:
                raise

    def set(self, version: Version, settings: Mapping[str, Any]) -> None:
        """Change settings of a version."""
        self._connection.ask(lambda client: client.indices.put_settings(index=version.name, settings=settings))

    def remove(self, versions: Collection[Version]) -> None:
        """Remove versions; one that is gone is no error."""
        for name in [version.name for version in versions]:
            self._connection.ask(partial(_remove, name=name))

    def wait_for_copies(self, version: Version, replicas: int | None) -> None:
        """Wait until every copy of every shard is there, where there are nodes enough, as long as patience lasts."""
        if (replicas or 0) < self._health(version)["number_of_data_nodes"]:
            self._wait(version, "green")

    def is_lost(self, version: Version) -> bool:
        """Return whether a shard of a version is not to be had, even after patience."""
        return self._wait(version, "yellow") == "red"

    def _wait(self, version: Version, wanted: str) -> str:
        deadline = time.monotonic() + self._connection.options.patience_s
        while True:
            answer = self._health(version, wait_for_status=wanted, timeout="1s")
            if not answer["timed_out"] or time.monotonic() > deadline:
                return str(answer["status"])

    def _health(self, version: Version, **wanted: str) -> Mapping[str, Any]:
        def look(client: Any) -> Mapping[str, Any]:
            # 408: what was wanted did not come about in time
            return dict(client.options(ignore_status=408).cluster.health(index=version.name, **wanted))

        return self._connection.ask(look)


def _remove(client: Any, name: str) -> None:
    client.options(ignore_status=404).indices.delete(index=name)


def loading(replicas: int) -> dict[str, Any]:
    """Return the settings of an index that is filled before anybody searches it."""
    return {"refresh_interval": "-1", "auto_expand_replicas": "false", "number_of_replicas": replicas}


def searching(replicas: int | None, refresh_s: float) -> dict[str, Any]:
    """Return the settings of an index that is searched."""
    expand = {"auto_expand_replicas": "0-1"}
    copies = expand if replicas is None else {"auto_expand_replicas": "false", "number_of_replicas": replicas}
    return {"refresh_interval": f"{round(refresh_s * 1000)}ms", **copies}
