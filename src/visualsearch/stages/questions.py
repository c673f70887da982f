"""What an evaluation asks: the pictures of a folder, the gallery one picture at a time, or a part of it."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from visualsearch.config import Application
from visualsearch.datatypes import Item
from visualsearch.errors import DataError
from visualsearch.gallery import Picture, file_of, list_pictures
from visualsearch.stages.assembly import Parts
from visualsearch.stages.fitting import group_of
from visualsearch.stages.judging import Question
from visualsearch.stages.lookalikes import near_duplicates


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder of queries, for ``list_pictures``."""

    folder: Path
    path: str | None
    table: Path | None = None


def questions(parts: Parts, items: Mapping[str, Item]) -> Iterator[Question]:
    """Yield every query of the YAML, the strangers last.

    Raises:
        DataError: a folder is missing or has no pictures, or there is no group to draw.
    """
    queries = parts.settings.queries
    if queries.folder is not None:
        listing = list_pictures(_Folder(queries.folder, queries.path))
        yield from (Question(picture) for picture in listing.pictures)
    else:
        asked = None if queries.split is None else _drawn(parts, items.values(), queries.split)
        for question in left_out_one_by_one(parts, items):
            if asked is None or group_of(parts, question.picture) in asked:
                yield question
    if queries.strangers is not None:
        listing = list_pictures(_Folder(queries.strangers, queries.path))
        yield from (Question(picture, stranger=True) for picture in listing.pictures)


def left_out_one_by_one(parts: Parts, items: Mapping[str, Item]) -> Iterator[Question]:
    """Yield each indexed picture, with itself and what looks like it left out."""
    by_path: defaultdict[str, list[Item]] = defaultdict(list)
    for item in items.values():
        by_path[item.path].append(item)
    alike = near_duplicates({path: group[0].source.look for path, group in by_path.items()})
    for path, group in by_path.items():
        file = file_of(parts.settings.gallery.folder, path)
        out = frozenset(item.id for other in (path, *alike[path]) for item in by_path[other])
        yield Question(Picture(path, file, group[0].columns, group[0].source.stamp), left_out=out)


def _drawn(parts: Parts, items: Iterable[Item], share: float) -> frozenset[str]:
    drawn = drawn_groups(parts, items)
    if not drawn:
        message = (
            f"queries.split: expected a bucket with two groups or more, of which {share:g} can be drawn as queries; "
            "there is none. Leave it out, and every picture of the gallery is a query."
        )
        raise DataError(message, slug="nothing-to-draw")
    return drawn


def drawn_groups(parts: Parts, items: Iterable[Item]) -> frozenset[str]:
    """Return the groups that ``queries.split`` draws as queries, which must be new to the classifier; else none.

    Clusters are made without them, so that there every group can be drawn.
    """
    share, free = parts.settings.queries.split, parts.settings.buckets.clusters is not None
    if share is None:
        return frozenset()
    homes = [(group_of(parts, item), () if free else item.buckets) for item in items]
    return asked_groups(homes, share, parts.settings.runtime.seed)


def asked_groups(homes: Iterable[tuple[str, tuple[str, ...]]], share: float, seed: int) -> frozenset[str]:
    """Return the groups that are drawn as queries: ``share`` of them, at least one where that can be.

    A group is drawn by its own name, so that pictures which are added later change nothing for the others. Each
    bucket keeps a group to learn from. ``homes`` are pairs of a group and the buckets of one of its pictures.

    >>> names = [(f"mug{number}", ("mug",)) for number in range(100)]
    >>> few, more = (asked_groups(names[:some], 0.2, seed=0) for some in (50, 100))
    >>> len(few), len(more), few < more
    (8, 18, True)
    """
    buckets: defaultdict[str, set[str]] = defaultdict(set)
    for group, some in homes:
        buckets[group].update(some)
    left = Counter(bucket for some in buckets.values() for bucket in some)
    places = {group: _place(group, seed) for group in buckets}
    drawn: set[str] = set()
    for group in sorted(places, key=lambda group: places[group]):
        if places[group] >= share and drawn:
            break
        if all(left[bucket] > 1 for bucket in buckets[group]):
            drawn.add(group)
            left.subtract(buckets[group])
    return frozenset(drawn)


def _place(group: str, seed: int) -> float:
    """Return where in [0, 1) a group's name puts it."""
    digest = hashlib.sha256(f"{seed}/{group}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def refuse_missing_queries(settings: Application) -> None:
    """Say before the long work that its end would fail.

    Raises:
        DataError: a folder of queries or strangers does not exist.
    """
    for key in ("folder", "strangers"):
        folder = getattr(settings.queries, key)
        if folder is not None and not folder.is_dir():
            message = f"queries.{key}: expected a folder of pictures; there is none at {folder}."
            raise DataError(message, slug="queries-missing")
