"""Gallery ⟷ index: what is new, changed, renamed, copied or gone. Pure: files are read only by who asks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from visualsearch.datatypes import Failure, Item
from visualsearch.gallery import Picture

ReadHash = Callable[[Picture], str | None]
"""Reads a picture's file and returns the hash of its content; None where it cannot be read."""


@dataclass(slots=True)
class Changes:
    """What must be done so that the index matches the gallery; each picture is in at most one list.

    ``added`` and ``changed`` must be embedded. ``renamed`` and ``copied`` pair the stored path
    whose vectors serve with the picture that gets them; the old path of a rename goes.
    ``relabelled`` have other columns, ``touched`` only another stamp. ``removed`` are stored
    paths that go, ``recovered`` paths whose remembered failure no longer holds. ``unchanged``
    counts the pictures with content and columns as stored, the touched among them.
    """

    added: list[Picture] = field(default_factory=list)
    changed: list[Picture] = field(default_factory=list)
    renamed: list[tuple[str, Picture]] = field(default_factory=list)
    copied: list[tuple[str, Picture]] = field(default_factory=list)
    relabelled: list[Picture] = field(default_factory=list)
    touched: list[Picture] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    recovered: list[str] = field(default_factory=list)
    unchanged: int = 0


def diff(
    pictures: Iterable[Picture],
    known: Iterable[Item],
    failures: Iterable[Failure],
    buried: Collection[str],
    read_hash: ReadHash,
) -> Changes:
    """Compare a listing with what a store holds.

    A file whose stamp is the stored one is not read. Of two stored pictures with the same
    content, one that is gone from the gallery makes a rename, else the first makes a copy. A
    failure is tried again only when content changed, or when it could not even be read. What
    was buried is neither indexed nor kept, under whatever name.
    """
    stored: dict[str, Item] = {}
    for item in known:
        stored.setdefault(item.path, item)
    gallery = {picture.path: picture for picture in pictures}
    comparison = _Comparison(gallery, stored, {one.path: one for one in failures}, frozenset(buried), read_hash)
    return comparison.changes()


@dataclass(frozen=True, slots=True)
class _Comparison:
    """The two sides by path, and the changes between them as they are found."""

    gallery: dict[str, Picture]
    stored: dict[str, Item]
    failures: dict[str, Failure]
    buried: frozenset[str]
    read_hash: ReadHash
    found: Changes = field(default_factory=Changes)

    def changes(self) -> Changes:
        for picture in self.gallery.values():
            if picture.path in self.stored:
                self._compare(picture, self.stored[picture.path])
        self._place({picture.path: picture for picture in self.gallery.values() if picture.path not in self.stored})
        moved = {old for old, _ in self.found.renamed}
        self.found.removed.extend(path for path in self.stored if path not in self.gallery and path not in moved)
        self.found.recovered.extend(path for path in self.failures if path not in self.gallery)
        return self.found

    def _compare(self, picture: Picture, item: Item) -> None:
        """Say what became of a picture that is stored under this path."""
        same_stamp = picture.stamp == item.source.stamp
        content = item.source.content if same_stamp else self.read_hash(picture)
        if content in self.buried:
            self.found.removed.append(picture.path)
            self._recover(picture)
        elif content != item.source.content:
            self.found.changed.append(picture)
        else:
            self._keep(picture, item, same_stamp)

    def _keep(self, picture: Picture, item: Item, same_stamp: bool) -> None:
        self._recover(picture)
        if dict(picture.columns) != dict(item.columns):
            self.found.relabelled.append(picture)
            return
        self.found.unchanged += 1
        if not same_stamp:
            self.found.touched.append(picture)

    def _place(self, newcomers: dict[str, Picture]) -> None:
        """Say what the pictures are whose path is not stored."""
        homes: defaultdict[str, list[str]] = defaultdict(list)
        for path, item in self.stored.items():
            homes[item.source.content].append(path)
        gone = {content: [path for path in paths if path not in self.gallery] for content, paths in homes.items()}
        for picture in newcomers.values():
            failure = self.failures.get(picture.path)
            if failure and failure.source.content and failure.source.stamp == picture.stamp:
                content: str | None = failure.source.content
            else:
                content = self.read_hash(picture)
            if content in self.buried:
                self._recover(picture)
            elif failure and _still_fails(failure, picture, content):
                continue
            elif content is None or content not in homes:
                self.found.added.append(picture)
            else:
                self._recover(picture)
                if gone[content]:
                    self.found.renamed.append((gone[content].pop(0), picture))
                else:
                    self.found.copied.append((homes[content][0], picture))

    def _recover(self, picture: Picture) -> None:
        if picture.path in self.failures:
            self.found.recovered.append(picture.path)


def _still_fails(failure: Failure, picture: Picture, content: str | None) -> bool:
    """Tell whether trying again is pointless: the content is the same, or it cannot be read still."""
    if content is None:
        return not failure.source.content and failure.source.stamp == picture.stamp
    return content == failure.source.content
