"""Changes → store: write what changed, in batches that can be interrupted anywhere."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from visualsearch.changes import Changes
from visualsearch.crops.contract import Cropper, why_nothing
from visualsearch.datatypes import Crop, Failure, Item, Matrix, Pixels, Source
from visualsearch.errors import PictureError, RefusedItems
from visualsearch.gallery import Picture, content_hash
from visualsearch.images import decode, look, read
from visualsearch.progress import Progress
from visualsearch.stages.ahead import batches
from visualsearch.stages.cropping import cropped
from visualsearch.stages.placing import Placing
from visualsearch.stores.contract import Store

BATCH = 64

REFUSED = "the store refused it"
"""How the reason begins of a picture that is well in itself."""


@dataclass(frozen=True, slots=True)
class IndexSummary:
    """What ``index`` did, in pictures; ``failed`` lists every picture that is not searchable."""

    added: int
    changed: int
    renamed: int
    removed: int
    unchanged: int
    failed: tuple[Failure, ...]
    seconds: float
    unmatched: int = 0
    """Pictures whose path does not fit ``gallery.path``."""
    former_gallery: Path | None = None
    """The folder that the model was indexed from before, where it was another."""

    def __str__(self) -> str:
        """Return the numbers in a sentence."""
        kinds = ("added", "changed", "renamed", "removed", "unchanged")
        told = [f"{number} {kind}" for kind in kinds if (number := getattr(self, kind))]
        return f"{', '.join([*told, f'{len(self.failed)} failed'])} in {self.seconds:.1f} s"

    def as_dict(self) -> dict[str, Any]:
        """Return what ``index --json`` prints."""
        failed = [{"path": one.path, "reason": one.reason} for one in self.failed]
        told = {**asdict(self), "failed": failed, "seconds": round(self.seconds, 3)}
        del told["unmatched"], told["former_gallery"]
        return told


@dataclass(frozen=True, slots=True)
class Described:
    """One picture, read: its crops, or the reason why there is none; both are missing until it is cropped."""

    picture: Picture
    source: Source
    crops: tuple[Crop, ...]
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Writer:
    """Applies changes to a store. New things are written before old ones go, so nothing is ever missing."""

    store: Store
    cropper: Cropper
    embed: Callable[[Sequence[Crop]], Matrix]
    placing: Placing
    progress: Progress

    def apply(self, changes: Changes, ids_of: Mapping[str, Sequence[str]]) -> IndexSummary:
        """Bring the store to the gallery's state; ``ids_of`` names the items of each stored path."""
        start = time.perf_counter()
        self._move(changes, ids_of)
        searchable = self._describe(changes, ids_of)
        gone = [item_id for path in changes.removed for item_id in ids_of.get(path, ())]
        self.store.delete(gone)
        self.store.clear_failures(changes.recovered)
        return IndexSummary(
            added=sum(one.path in searchable for one in changes.added) + len(changes.copied),
            changed=sum(one.path in searchable for one in changes.changed) + len(changes.relabelled),
            renamed=len(changes.renamed),
            removed=len(changes.removed),
            unchanged=changes.unchanged,
            failed=tuple(self.store.failures()),
            seconds=time.perf_counter() - start,
        )

    def _move(self, changes: Changes, ids_of: Mapping[str, Sequence[str]]) -> None:
        """Write again, with the vectors they have, the items whose path, columns or stamp changed."""
        moves = [(old, new) for old, new in changes.renamed]
        moves += [(source, new) for source, new in changes.copied]
        moves += [(one.path, one) for one in (*changes.relabelled, *changes.touched)]
        for batch in batches(moves, BATCH * 8):
            olds = [(item_id, new) for old, new in batch for item_id in ids_of[old]]
            items = {item.id: item for item in self.store.get([item_id for item_id, _ in olds])}
            vectors = self.store.vectors([item_id for item_id, _ in olds])
            moved = [_moved(items[item_id], new) for item_id, new in olds]
            self.store.upsert(self._placed(moved, vectors), vectors)
        self.store.delete([item_id for old, _ in changes.renamed for item_id in ids_of[old]])

    def _placed(self, items: Sequence[Item], vectors: Matrix) -> list[Item]:
        """Return the items with the buckets that they live in."""
        buckets = self.placing.buckets_of([item.columns for item in items], vectors)
        return [replace(item, buckets=new) for item, new in zip(items, buckets, strict=True)]

    def _describe(self, changes: Changes, ids_of: Mapping[str, Sequence[str]]) -> set[str]:
        """Read, crop, embed and write the pictures that are new or changed; return the paths that went well."""
        pictures: list[Picture] = [*changes.added, *changes.changed]
        done, searchable = 0, set[str]()
        if pictures:
            self.progress("embedding pictures", 0, len(pictures))
        for prepared in batches(described(pictures, self.cropper), BATCH):
            batch = self._written(prepared)
            stale = {i for one in batch for i in ids_of.get(one.picture.path, ())}
            self.store.delete(stale - {i for one in batch for i in _ids(one)})
            done += len(batch)
            searchable.update(one.picture.path for one in batch if one.reason is None)
            self.progress("embedding pictures", done, len(pictures))
        return searchable

    def _written(self, batch: Sequence[Described]) -> list[Described]:
        """Write a batch and what failed; return it with the reasons of those that the store refused."""
        good = [one for one in batch if one.reason is None]
        refused = self._refused(good) if good else {}
        told = [
            replace(one, crops=(), reason=refused[one.picture.path]) if one.picture.path in refused else one
            for one in batch
        ]
        self.store.clear_failures([one.picture.path for one in told if one.reason is None])
        self.store.record_failures(
            [Failure(one.picture.path, one.reason, one.source) for one in told if one.reason is not None]
        )
        return told

    def _refused(self, good: Sequence[Described]) -> dict[str, str]:
        """Write pictures; return why the store refused some of them, by path.

        Raises:
            RefusedItems: it refused all of several, so the fault is hardly theirs.
        """
        items = [_item(one, number) for one in good for number in range(len(one.crops))]
        vectors = self.embed([crop for one in good for crop in one.crops])
        try:
            self.store.upsert(self._placed(items, vectors), vectors)
        except RefusedItems as error:
            paths = {item.id: item.path for item in items}
            refused = {paths[item]: f"{REFUSED}: {reason}" for item, reason in error.reasons.items()}
            if len(refused) == len(good) > 1:
                raise
            return refused
        return {}


def _item(one: Described, number: int) -> Item:
    """Return the item of a crop, which has no buckets yet."""
    path = one.picture.path
    return Item(item_id(path, number), path, one.picture.columns, (), one.source, one.crops[number].box)


def _moved(item: Item, new: Picture) -> Item:
    """Return the item of the same crop, as its picture is called now."""
    number = item.id.rpartition("-")[2]
    source = replace(item.source, stamp=new.stamp)
    return replace(item, id=item_id(new.path, int(number)), path=new.path, columns=new.columns, source=source)


def item_id(path: str, number: int) -> str:
    """Return the stable id of a picture's crop.

    >>> item_id("mug/mug01-0.jpg", 0)
    '59955d978c6db2209983-0'
    """
    return f"{hashlib.sha256(path.encode('utf-8', 'surrogateescape')).hexdigest()[:20]}-{number}"


def described(pictures: Iterable[Picture], cropper: Cropper) -> Iterator[Described]:
    """Read, hash, decode and crop pictures, in order; what is wrong with one becomes its reason."""
    for one in cropped(pictures, _opened, cropper, "gallery"):
        nothing = None if one.known.reason or one.crops else why_nothing(cropper)
        yield replace(one.known, crops=one.crops, reason=one.known.reason or nothing)


def _opened(picture: Picture) -> tuple[Described, Pixels | None]:
    source = Source("", picture.stamp)
    try:
        data = read(picture.file)
        source = Source(content_hash(data), picture.stamp)
        pixels = decode(data)
    except PictureError as error:
        return Described(picture, source, (), str(error)), None
    return Described(picture, replace(source, look=look(pixels)), ()), pixels


def _ids(one: Described) -> list[str]:
    return [item_id(one.picture.path, number) for number in range(len(one.crops))]
