"""Deleted documents leave the disk: merged away, and the log that still had them cut off."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from visualsearch.stores.elasticsearch_client import Connection

PATIENCE_S = 120.0
"""How long nothing may happen until a sentence says that documents are left."""

PAUSE_S = 0.25

AT_ONCE: Mapping[str, Any] = {
    "index.merge.policy.expunge_deletes_allowed": 0,
    "index.soft_deletes.retention_lease.sync_interval": "200ms",
}
"""A segment with a single deleted document is merged, and no copy keeps deleted ones for another to catch up."""

ON_ITS_OWN: Mapping[str, Any] = {"only_expunge_deletes": True, "wait_for_completion": False}
"""A merge may take longer than a request: it is asked for, and looked after."""

AS_BEFORE = dict.fromkeys(AT_ONCE)


def expunge(connection: Connection, index: str) -> bool:
    """Merge what was deleted out of an index and its copies; return False where documents are left after patience."""
    _set(connection, index, AT_ONCE)
    try:
        return _expunged(connection, index)
    finally:
        _set(connection, index, AS_BEFORE)


def _expunged(connection: Connection, index: str) -> bool:
    deadline, least = time.monotonic() + PATIENCE_S, None
    while True:
        # a commit without them, or the log keeps what was written before it was deleted
        connection.ask(lambda client: client.indices.flush(index=index, force=True, wait_if_ongoing=True))
        connection.ask(lambda client: client.indices.refresh(index=index))
        left, merging = _left(connection, index)
        if not left:
            return True
        if merging or least is None or left < least:
            deadline, least = time.monotonic() + PATIENCE_S, left
        if time.monotonic() > deadline:
            return False
        if not merging:
            connection.ask(lambda client: client.indices.forcemerge(index=index, **ON_ITS_OWN))
        time.sleep(PAUSE_S)


def _left(connection: Connection, index: str) -> tuple[int, bool]:
    """Return how many deleted documents the files have, of all copies, and whether they are being merged."""
    answer = connection.ask(lambda client: client.indices.stats(index=index, metric=["docs", "merge"]))
    total = answer["_all"]["total"]
    return int(total["docs"]["deleted"]), bool(total["merges"]["current"])


def _set(connection: Connection, index: str, settings: Mapping[str, Any]) -> None:
    connection.ask(lambda client: client.indices.put_settings(index=index, settings=dict(settings)))
