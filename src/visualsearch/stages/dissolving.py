"""Forgotten items → centroids: none may tell of an item that is gone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

from visualsearch.clusters import FEWEST, FILE
from visualsearch.datatypes import Item, Matrix
from visualsearch.extractors.preparation import unit
from visualsearch.files import erase
from visualsearch.stages.assembly import Parts
from visualsearch.stages.placing import ByCentroid, reassign
from visualsearch.stores.contract import Store


def forget_centroids(parts: Parts, store: Store, gone: Collection[Item], left: Sequence[Item]) -> list[str]:
    """Make anew the centroids of the clusters that lose items, of what is left in them; return what was done.

    A cluster with fewer than two items left would be a single picture's own vector, so it is dissolved: that
    item moves to the nearest of the others. Run again, it does the same.
    """
    file, clusters = parts.model.path / FILE, parts.clusters
    if clusters is None:
        if file.exists():  # of other embeddings, or damaged: of no use, and nobody knows whose means they are
            erase(file)
        return []
    hurt = {name for item in gone for name in item.buckets if clusters.has(name)}
    if not hurt:
        return []
    members: defaultdict[str, list[str]] = defaultdict(list)
    for item in left:
        for name in hurt.intersection(item.buckets):
            members[name].append(item.id)
    changed: dict[str, Matrix | None] = {name: None for name in hurt}
    for name, ids in members.items():
        if len(ids) >= FEWEST:
            changed[name] = unit(store.vectors(ids).mean(axis=0, keepdims=True))[0]
    fewer = clusters.without([item.id for item in gone], changed)
    if len(fewer.names):
        fewer.save(parts.model.path)
        reassign(store, [[item for item in left if hurt.intersection(item.buckets)]], ByCentroid(fewer))
    else:
        erase(file)
    dissolved = sum(centroid is None for centroid in changed.values())
    parts.forget_classifier()
    return [_told(len(hurt) - dissolved, dissolved)]


def _told(moved: int, dissolved: int) -> str:
    """Say what became of the clusters.

    >>> _told(2, 1)
    'clusters: 2 centroids are means of the pictures that are left, 1 cluster with fewer than two is dissolved'
    """
    means = f"{moved} centroids are means" if moved != 1 else "1 centroid is the mean"
    gone = f"{dissolved} clusters with fewer than two are" if dissolved != 1 else "1 cluster with fewer than two is"
    told = [f"{means} of the pictures that are left"] if moved else []
    return "clusters: " + ", ".join([*told, f"{gone} dissolved"] if dissolved else told)
