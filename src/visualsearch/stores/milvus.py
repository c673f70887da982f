"""Milvus: for those who have it. A file of Milvus Lite or a server; versions of the index behind an alias."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from visualsearch.errors import EngineError
from visualsearch.stores.contract import Store
from visualsearch.stores.milvus_catalogue import Catalogue, Version
from visualsearch.stores.milvus_client import Connection
from visualsearch.stores.milvus_options import MilvusOptions, base_name
from visualsearch.stores.milvus_store import MilvusStore

MOST_DIMENSIONS = 32_768
"""Of a vector."""

OF_A_SERVER = (
    "Milvus: what was deleted leaves its storage when its own garbage collection comes by, which no client can make it "
    "do: dataCoord.gc in its configuration says when"
)


class MilvusShelf:
    """Versions of one index in Milvus, and the aliases that say which is live and which is being filled.

    The version that was replaced last is kept for those who have it open; the next publication
    removes it.
    """

    Options = MilvusOptions

    def __init__(self, options: MilvusOptions, folder: Path) -> None:
        """Look after the index that the options name, or else the model that ``folder`` is of."""
        self._options = options
        self._base = base_name(options.collection, folder.parent.name)
        self._path = Path((options.uri or "").removeprefix("file:")) if options.uri else folder / "milvus.db"

    def live(self) -> Store | None:
        """Open the index that searches use, or return None before the first one."""
        if self._options.is_file and not self._path.exists():
            return None
        connection = Connection(self._options, self._path)
        try:
            catalogue = Catalogue(connection, self._base)
            version = catalogue.read().live if catalogue.state.open() else None
            if version is not None:
                connection.load(version.name)
                return MilvusStore(connection, version, catalogue)
        except BaseException:
            connection.close()
            raise
        connection.close()
        return None

    def begin(self, fingerprint: str, dim: int) -> Store:
        """Open the unpublished index for these embeddings, making or resuming it.

        Failures of the live index are carried over, tombstones hold for every version. An
        unfinished one of another fingerprint, index or metric is removed.
        """
        if dim > MOST_DIMENSIONS:
            message = (
                f"store milvus: expected at most {MOST_DIMENSIONS} dimensions; received {dim}: "
                "set extractor.dim, or choose another store."
            )
            raise EngineError(message, slug="store-dimensions")
        connection = Connection(self._options, self._path)
        try:
            with connection.lock:
                return self._begun(connection, fingerprint, dim)
        except BaseException:
            connection.close()
            raise

    def _begun(self, connection: Connection, fingerprint: str, dim: int) -> Store:
        catalogue = Catalogue(connection, self._base)
        catalogue.state.create()
        while True:
            there = catalogue.read()
            if there.next is not None and self._fits(there.next, fingerprint, dim):
                connection.load(there.next.name)
                return MilvusStore(connection, there.next, catalogue)
            version = catalogue.create(fingerprint, dim)
            if version is not None:
                if there.live is not None:
                    catalogue.state.record_failures(version.name, catalogue.state.failures(there.live.name))
                return MilvusStore(connection, version, catalogue)

    def _fits(self, version: Version, fingerprint: str, dim: int) -> bool:
        options = self._options
        wanted = (fingerprint, dim, options.index, options.metric, options.build)
        return (version.fingerprint, version.dim, version.index, version.metric, version.build) == wanted

    def publish(self, store: Store) -> None:
        """Make a begun index the live one in one step and close ``store``; open it again with ``live``.

        What was forgotten in the live index while this one was being built is forgotten here too.

        Raises:
            EngineError: the index was not begun here, or removed since (``store-replaced``).
        """
        connection = Connection(self._options, self._path)
        try:
            with connection.lock:
                catalogue = Catalogue(connection, self._base)
                catalogue.state.create()
                there = catalogue.read()
                if not isinstance(store, MilvusStore) or store.version not in (there.next, there.live):
                    raise connection.error("store-replaced", "the index to publish was removed", "begin it again")
                if store.version != there.live:
                    store.remove_buried()
                    catalogue.swap(store.version)
                    store.remove_buried()
                    kept = {one.name for one in (store.version, there.live) if one is not None}
                    catalogue.remove_others(kept)
        finally:
            connection.close()
        store.close()

    def erase(self, contents: Collection[str], paths: Collection[str]) -> tuple[str, ...]:
        """Delete what is of these contents, and write a file anew; see ``contract.Shelf`` and what is returned.

        An index that is being built in a file is given up, and begun anew by the next rebuild.
        """
        if self._options.is_file and not self._path.exists():
            return ()
        connection = Connection(self._options, self._path)
        try:
            with connection.lock:
                return self._erased(connection, contents, paths)
        finally:
            connection.close()

    def _erased(self, connection: Connection, contents: Collection[str], paths: Collection[str]) -> tuple[str, ...]:
        catalogue = Catalogue(connection, self._base)
        there = catalogue.read() if catalogue.state.open() else None
        if there is None or there.live is None:
            return ()
        catalogue.state.bury(contents)
        kept = [version for version in (there.live, there.next) if version is not None]
        for version in kept:
            connection.load(version.name)
            MilvusStore(connection, version, catalogue).remove_buried()
            failures = catalogue.state.failures(version.name)
            gone = {one.path for one in failures if one.source.content in contents or one.path in paths}
            catalogue.state.clear_failures(version.name, gone)
        catalogue.remove_others({version.name for version in kept})
        if connection.is_lite:
            _write_anew(connection, catalogue, there.live)
            catalogue.state.write_anew()
            return ()
        for version in kept:
            connection.ask("flush", version.name)
            connection.ask("compact", version.name)
        return (OF_A_SERVER,)


def _write_anew(connection: Connection, catalogue: Catalogue, live: Version) -> None:
    """Put a copy in the place of the live version, and remove all others with their files."""
    version = catalogue.create(live.fingerprint, live.dim)
    if version is None:
        raise connection.error("store-busy", "another index is being begun")
    old, new = (MilvusStore(connection, one, catalogue) for one in (live, version))
    for page in old.pages():
        new.upsert(page, old.vectors([item.id for item in page]))
    new.record_failures(old.failures())
    catalogue.swap(version)
    catalogue.remove_others({version.name})
