"""Elasticsearch: for those who outgrow one machine. Versions of the index behind an alias."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from visualsearch.errors import EngineError
from visualsearch.stores.contract import Store
from visualsearch.stores.elasticsearch_catalogue import Catalogue, Version, Versions, searching
from visualsearch.stores.elasticsearch_client import Connection
from visualsearch.stores.elasticsearch_erasure import expunge
from visualsearch.stores.elasticsearch_options import ElasticsearchOptions, index_name
from visualsearch.stores.elasticsearch_state import State
from visualsearch.stores.elasticsearch_store import ElasticsearchStore

MOST_DIMENSIONS = 4_096
"""Of a ``dense_vector``."""


class ElasticsearchShelf:
    """Versions of one index in a cluster, and the aliases that say which is live and which is being filled.

    The version that was replaced last is kept, closed to writing, for those who have it open; the
    next publication removes it.
    """

    Options = ElasticsearchOptions

    def __init__(self, options: ElasticsearchOptions, folder: Path) -> None:
        """Look after the index that the options name, or else the model that ``folder`` is of."""
        self._options = options
        self._base = index_name(options.index, folder.parent.name)

    def live(self) -> Store | None:
        """Open the index that searches use, or return None before the first one."""
        connection = Connection(self._options)
        try:
            version = Catalogue(connection, self._base).read().live
            if version is not None:
                return self._store(connection, version)
        except BaseException:
            connection.close()
            raise
        connection.close()
        return None

    def unfinished(self) -> str | None:
        """Return the name of a version that is being filled, or was until its writer ended; None where there is none."""
        with self._connected() as connection:
            found = Catalogue(connection, self._base).read().next
        return found.name if found is not None else None

    def begin(self, fingerprint: str, dim: int) -> Store:
        """Open the unpublished index for these embeddings, making or resuming it.

        Failures of the live index are carried over, tombstones hold for every version. An
        unfinished one of another fingerprint, type or number of shards is removed, and so is one
        that lost a shard with its node.
        """
        if dim > MOST_DIMENSIONS:
            message = (
                f"store elasticsearch: expected at most {MOST_DIMENSIONS} dimensions; received {dim}: "
                "set extractor.dim, or choose another store."
            )
            raise EngineError(message, slug="store-dimensions")
        connection = Connection(self._options)
        try:
            return self._begun(connection, fingerprint, dim)
        except BaseException:
            connection.close()
            raise

    def _begun(self, connection: Connection, fingerprint: str, dim: int) -> Store:
        catalogue, state = Catalogue(connection, self._base), self._state(connection)
        state.create()
        while True:
            there = catalogue.read()
            unfinished = there.next
            if unfinished and self._fits(unfinished, fingerprint, dim) and not catalogue.is_lost(unfinished):
                store = self._store(connection, unfinished)
                store.refresh()  # what another process wrote until it was killed
                return store
            name, handle = catalogue.new_name(there)
            version = Version(name, handle, fingerprint, dim, self._options.type, self._options.shards)
            if there.live is not None:
                state.record_failures(handle, state.failures(there.live.handle))
            if catalogue.create(version):
                catalogue.remove([unfinished] if unfinished else [])
                return self._store(connection, version)

    def _fits(self, version: Version, fingerprint: str, dim: int) -> bool:
        wanted = (fingerprint, dim, self._options.type, self._options.shards)
        return (version.fingerprint, version.dim, version.kind, version.shards) == wanted

    def publish(self, store: Store) -> None:
        """Make a begun index the live one in one step and close ``store``; open it again with ``live``.

        What was forgotten in the live index while this one was being built is forgotten here too.

        Raises:
            EngineError: the index was not begun here, or removed since (``store-replaced``).
        """
        with self._connected() as connection:
            catalogue = Catalogue(connection, self._base)
            there = catalogue.read()
            if not isinstance(store, ElasticsearchStore) or store.version not in (there.next, there.live):
                raise connection.error("store-replaced", "the index to publish was removed", "begin it again")
            if store.version != there.live:
                self._replace(catalogue, store, there)
                self._state(connection).drop_others([one.handle for one in catalogue.read().by_number.values()])
        store.close()

    def erase(self, contents: Collection[str], paths: Collection[str]) -> tuple[str, ...]:
        """Merge what was deleted, or is of these contents, out of the index; see ``contract.Shelf``.

        A version that was replaced is removed: whoever has it open is told to open the new one.

        Raises:
            EngineError: documents were left after patience (``store-busy``).
        """
        with self._connected() as connection:
            catalogue, state = Catalogue(connection, self._base), self._state(connection)
            there = catalogue.read()
            kept = [version for version in (there.live, there.next) if version is not None]
            if not kept:
                return ()
            catalogue.remove([version for version in there.by_number.values() if version not in kept])
            state.drop_others([version.handle for version in kept])
            state.bury(contents)
            for version in kept:
                store = self._store(connection, version)
                store.refresh()
                store.remove_buried()
                failures = state.failures(version.handle)
                state.clear_failures(version.handle, {one.path for one in failures if one.source.content in contents})
                state.clear_failures(version.handle, paths)
            names = [*(version.name for version in kept), state.index]
            if left := expunge(connection, names):
                reason = f"{left} documents that were deleted are on the disk still"
                raise connection.error(
                    "store-busy", reason, "wait until nobody else writes to it, and run forget again"
                )
        return ()

    def _replace(self, catalogue: Catalogue, store: ElasticsearchStore, there: Versions) -> None:
        store.remove_buried()
        store.refresh()
        catalogue.set(store.version, searching(self._options.replicas, self._options.refresh_s))
        catalogue.wait_for_copies(store.version, self._options.replicas)
        catalogue.swap(store.version, there.live)
        # Whoever still has the old one open may go on searching it, but nothing said to it is lost unheard.
        if there.live is not None:
            catalogue.set(there.live, {"index.blocks.write": True})
        store.remove_buried()
        keep = (store.version, there.live)
        catalogue.remove([version for version in there.by_number.values() if version not in keep])

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        connection = Connection(self._options)
        try:
            yield connection
        finally:
            connection.close()

    def _state(self, connection: Connection) -> State:
        return State(connection, f"{self._base}-state")

    def _store(self, connection: Connection, version: Version) -> ElasticsearchStore:
        return ElasticsearchStore(connection, version, self._state(connection))
