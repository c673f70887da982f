"""Items → buckets: by a column, or by the nearest centroid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from visualsearch.clusters import Clusters
from visualsearch.datatypes import Item, Matrix
from visualsearch.stages.assembly import Parts
from visualsearch.stores.contract import Store


class Placing(Protocol):
    """Says in which buckets items live; of each item by itself, so that it does not matter when which one came."""

    def buckets_of(self, columns: Sequence[Mapping[str, str]], vectors: Matrix) -> list[tuple[str, ...]]:
        """Return the buckets of items with these columns and vectors, in their order."""
        ...

    def misplaced(self, item: Item) -> bool:
        """Return whether an item that is stored must be placed anew; its vector did not change."""
        ...


@dataclass(frozen=True, slots=True)
class ByColumn:
    """The value of a column is the bucket; None: there are no buckets."""

    column: str | None

    def buckets_of(self, columns: Sequence[Mapping[str, str]], vectors: Matrix) -> list[tuple[str, ...]]:
        """Return the values of the column; an item without one lies in no bucket."""
        return [self._of(one) for one in columns]

    def misplaced(self, item: Item) -> bool:
        """Return whether the column says otherwise."""
        return item.buckets != self._of(item.columns)

    def _of(self, columns: Mapping[str, str]) -> tuple[str, ...]:
        return (columns[self.column],) if self.column is not None and self.column in columns else ()


@dataclass(frozen=True, slots=True)
class ByCentroid:
    """The nearest centroid is the bucket."""

    clusters: Clusters

    def buckets_of(self, columns: Sequence[Mapping[str, str]], vectors: Matrix) -> list[tuple[str, ...]]:
        """Return the cluster of each vector."""
        return [(name,) for name in self.clusters.of(vectors)]

    def misplaced(self, item: Item) -> bool:
        """Return whether it lies in no cluster, or in one of those before: their names are others."""
        return len(item.buckets) != 1 or not self.clusters.has(item.buckets[0])


def placing(parts: Parts, column: str | None) -> Placing:
    """Return the rule of the YAML; before the first training there are no clusters, and so no buckets."""
    return ByColumn(column) if parts.clusters is None else ByCentroid(parts.clusters)


def reassign(store: Store, pages: Iterable[Sequence[Item]], rule: Placing) -> int:
    """Move items whose buckets changed, with the vectors they have; return how many."""
    moved = 0
    for page in pages:
        stale = [item for item in page if rule.misplaced(item)]
        if stale:
            vectors = store.vectors([item.id for item in stale])
            buckets = rule.buckets_of([item.columns for item in stale], vectors)
            store.upsert([replace(item, buckets=new) for item, new in zip(stale, buckets, strict=True)], vectors)
            moved += len(stale)
    return moved
