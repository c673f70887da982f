"""Milvus: for those who have it. A file of Milvus Lite or a server; versions of the index behind an alias."""

from __future__ import annotations

from pathlib import Path

from visualsearch.errors import EngineError
from visualsearch.stores.contract import Store
from visualsearch.stores.milvus_catalogue import Catalogue, Version
from visualsearch.stores.milvus_client import Connection
from visualsearch.stores.milvus_options import MilvusOptions, base_name
from visualsearch.stores.milvus_store import MilvusStore

MOST_DIMENSIONS = 32_768
"""Of a vector."""


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
