"""Whether clusters still fit the items: what was added since they were made, and how large the largest has grown."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from visualsearch.clusters import LARGEST, Clusters
from visualsearch.stores.contract import Store

LOOKED_AT = 20_000
"""So many items are compared with the centroids; ids are hashes, so the first are a sample."""

ENOUGH = 30
"""Fewer newcomers among them say nothing."""

FAR = 0.5
"""Newcomers whose mean similarity is by so many standard deviations below the usual one are of another kind."""

MANY = 0.25
"""So large a share of newcomers is worth learning, of whatever kind they are."""


def drifted(clusters: Clusters | None, store: Store) -> Iterator[tuple[bool, str]]:
    """Yield whether it is a reason to train again, and what was measured; nothing where there are no clusters."""
    if clusters is None:
        return
    counts = store.bucket_counts()
    mean = max(store.count(), 1) / max(len(clusters.names), 1)
    largest = max((counts.get(str(name), 0) for name in clusters.names), default=0)
    large = largest > LARGEST * mean
    says = f"the largest of {len(clusters.names)} clusters has {largest:,} items, {largest / mean:.1f} times the mean"
    yield large, says + (f", where {LARGEST:g} are the most: run train" if large else "")
    known, near, seen = set(clusters.ids.tolist()), list[float](), 0
    for page in store.pages():
        fresh = [item.id for item in page if item.id not in known]
        near += clusters.similarities(store.vectors(fresh)).tolist() if fresh else []
        seen += len(page)
        if seen >= LOOKED_AT:
            break
    if len(near) >= ENOUGH:
        usual, deviation = (float(value) for value in clusters.usual)
        far, many = np.mean(near) < usual - FAR * deviation, len(near) > MANY * seen
        says = (
            f"{len(near):,} of {seen:,} items came after the clusters: mean similarity to the nearest centroid "
            f"{np.mean(near):.3f}, and {usual:.3f} of such items then"
        )
        yield bool(far or many), says + (": run train" if far or many else "")
