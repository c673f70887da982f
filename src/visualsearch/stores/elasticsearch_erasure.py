"""Deleted documents leave the disk: merged away, and the log that still had them cut off."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from visualsearch.stores.elasticsearch_client import Connection

PATIENCE_S = 120.0
"""How long nothing may happen until it is said that documents are left.

A server keeps what was deleted for copies that may have to catch up, and looks every half minute whether they have.
"""

PAUSE_S = 0.25

AT_ONCE: Mapping[str, Any] = {"index.merge.policy.expunge_deletes_allowed": 0}
"""A segment with a single deleted document is merged."""

ON_ITS_OWN: Mapping[str, Any] = {"only_expunge_deletes": True, "wait_for_completion": False}
"""A merge may take longer than a request: it is asked for, and looked after."""


def expunge(connection: Connection, indices: Sequence[str]) -> int:
    """Merge what was deleted out of indices and their copies; return how many documents are left after patience."""
    connection.ask(lambda client: client.indices.put_settings(index=indices, settings=dict(AT_ONCE)))
    deadline, least = time.monotonic() + PATIENCE_S, None
    while True:
        # a commit without them, or the log keeps what was written before it was deleted
        connection.ask(lambda client: client.indices.flush(index=indices, force=True, wait_if_ongoing=True))
        connection.ask(lambda client: client.indices.refresh(index=indices))
        left, merging = _left(connection, indices)
        if merging or least is None or left < least:
            deadline, least = time.monotonic() + PATIENCE_S, left
        if not left or time.monotonic() > deadline:
            return left
        if not merging:
            connection.ask(lambda client: client.indices.forcemerge(index=indices, **ON_ITS_OWN))
        time.sleep(PAUSE_S)


def _left(connection: Connection, indices: Sequence[str]) -> tuple[int, bool]:
    """Return how many deleted documents the files have, of all copies, and whether they are being merged."""
    answer = connection.ask(lambda client: client.indices.stats(index=indices, metric=["docs", "merge"]))
    total = answer["_all"]["total"]
    return int(total["docs"]["deleted"]), bool(total["merges"]["current"])
