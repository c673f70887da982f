"""Changes, carried out on a simulated index, must give what indexing from nothing would."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from visualsearch.changes import Changes, diff
from visualsearch.datatypes import Failure, Item, Source
from visualsearch.gallery import Picture

PATHS = [f"{folder}/{name}" for folder in "ab" for name in "123"]


@dataclass(frozen=True)
class File:
    """What a path holds: a content (None: cannot be read; "bad…": no picture), a time, a label."""

    content: str | None
    time: int
    label: str

    @property
    def stamp(self) -> str:
        """Return a stamp that, as on a disk, differs wherever content does."""
        return f"{self.content}:{self.time}"


Folder = dict[str, File]


@dataclass
class Index:
    """A naive index: path → item, path → failure, and which pictures it had to look at."""

    items: dict[str, Item] = field(default_factory=dict)
    failed: dict[str, Failure] = field(default_factory=dict)
    embedded: list[str] = field(default_factory=list)

    def update(self, folder: Folder, buried: Iterable[str] = ()) -> tuple[Changes, list[str]]:
        """Bring the index to the folder's state; return the changes, and what was read for them."""
        read: list[str] = []

        def read_hash(picture: Picture) -> str | None:
            read.append(picture.path)
            return folder[picture.path].content

        pictures = listing(folder)
        changes = diff(pictures, list(self.items.values()), list(self.failed.values()), set(buried), read_hash)
        sources = dict(self.items)
        for old, new in (*changes.renamed, *changes.copied):
            self.items[new.path] = item(new, sources[old].source.content)
        for new in (*changes.relabelled, *changes.touched):
            self.items[new.path] = item(new, self.items[new.path].source.content)
        for old, _ in changes.renamed:
            del self.items[old]
        for new in (*changes.added, *changes.changed):
            self._embed(new, folder[new.path].content)
        for path in changes.removed:
            del self.items[path]
        for path in changes.recovered:
            del self.failed[path]
        return changes, read

    def _embed(self, picture: Picture, content: str | None) -> None:
        self.items.pop(picture.path, None)
        self.failed.pop(picture.path, None)
        if content is None or content.startswith("bad"):
            source = Source(content or "", picture.stamp)
            self.failed[picture.path] = Failure(picture.path, "broken", source)
        else:
            self.embedded.append(content)
            self.items[picture.path] = item(picture, content)


def listing(folder: Folder) -> list[Picture]:
    """Return a folder as the gallery lists it."""
    return [Picture(path, Path(path), {"label": one.label}, one.stamp) for path, one in sorted(folder.items())]


def item(picture: Picture, content: str) -> Item:
    """Return what a store would hold of a picture."""
    return Item(picture.path, picture.path, dict(picture.columns), (), Source(content, picture.stamp))


def searchable(folder: Folder, buried: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return what an index of a folder must hold: path → content and label."""
    return {
        path: (one.content, one.label)
        for path, one in folder.items()
        if one.content is not None and not one.content.startswith("bad") and one.content not in buried
    }


def held(index: Index) -> dict[str, tuple[str, str]]:
    """Return what an index does hold."""
    return {path: (one.source.content, one.columns["label"]) for path, one in index.items.items()}


CONTENTS = st.sampled_from(["x", "y", "z", "w", "bad1", "bad2", None])
FILES = st.builds(File, CONTENTS, st.integers(0, 2), st.sampled_from("lm"))
FOLDERS = st.dictionaries(st.sampled_from(PATHS), FILES)
BURIED = st.sets(st.sampled_from(["x", "bad1"]))


@settings(max_examples=400)
@given(st.lists(st.tuples(FOLDERS, BURIED), min_size=1, max_size=4))
def test_every_history_ends_in_what_the_folder_holds(history: list[tuple[Folder, set[str]]]) -> None:
    index = Index()
    buried: set[str] = set()
    for folder, forgotten in history:
        buried |= forgotten
        index.update(folder, buried)
        assert held(index) == searchable(folder, buried)
        failing = {path for path, one in folder.items() if one.content is None or one.content.startswith("bad")}
        assert set(index.failed) == {path for path in failing if folder[path].content not in buried}


@settings(max_examples=400)
@given(FOLDERS, FOLDERS)
def test_each_picture_is_in_one_list_and_the_counts_add_up(before: Folder, after: Folder) -> None:
    index = Index()
    index.update(before)
    stored, failed = set(index.items), dict(index.failed)
    changes, _ = index.update(after)
    new = [one.path for one in (*changes.added, *changes.changed, *changes.relabelled)]
    new += [one.path for _, one in (*changes.renamed, *changes.copied)]
    assert len(new) == len(set(new))
    still_failing = [path for path in failed if path in after and path in index.failed and path not in new]
    assert len(new) + changes.unchanged + len(still_failing) == len(after)
    gone = set(changes.removed) | {old for old, _ in changes.renamed}
    assert gone == stored - set(after)


@settings(max_examples=400)
@given(FOLDERS, FOLDERS)
def test_nothing_is_read_whose_stamp_is_known_nor_embedded_that_a_new_path_brings_again(
    before: Folder, after: Folder
) -> None:
    index = Index()
    index.update(before)
    stamps = {path: one.source.stamp for path, one in index.items.items()}
    stamps |= {path: one.source.stamp for path, one in index.failed.items() if one.source.content}
    contents = {one.source.content for one in index.items.values()}
    index.embedded.clear()
    changes, read = index.update(after)
    assert all(after[path].stamp != stamps.get(path) for path in read)
    assert len(read) == len(set(read))
    assert not contents & {after[one.path].content for one in changes.added}


@given(FOLDERS, BURIED)
def test_a_second_run_finds_nothing_to_do(folder: Folder, buried: set[str]) -> None:
    index = Index()
    index.update(folder, buried)
    changes, _ = index.update(folder, buried)
    assert changes == Changes(unchanged=len(index.items))


def test_by_hand() -> None:
    before = {path: File(path, 0, "l") for path in PATHS} | {"a/bad": File("bad1", 0, "l")}
    index = Index()
    index.update(before)
    after = dict(before)
    after["a/new"] = File("fresh", 0, "l")
    after["a/1"] = File("other", 1, "l")
    after["c/2"] = after.pop("a/2")
    after["c/3"] = after["a/3"]
    after["b/1"] = File("b/1", 1, "l")
    after["b/2"] = File("b/2", 0, "m")
    del after["b/3"]
    changes, read = index.update(after)
    assert [one.path for one in changes.added] == ["a/new"]
    assert [one.path for one in changes.changed] == ["a/1"]
    assert [(old, one.path) for old, one in changes.renamed] == [("a/2", "c/2")]
    assert [(old, one.path) for old, one in changes.copied] == [("a/3", "c/3")]
    assert [one.path for one in changes.touched] == ["b/1"]
    assert [one.path for one in changes.relabelled] == ["b/2"]
    assert changes.removed == ["b/3"]
    assert changes.unchanged == 2  # a/3 and the touched b/1
    assert sorted(read) == ["a/1", "a/new", "b/1", "c/2", "c/3"]


def test_an_interrupted_forget_is_finished() -> None:
    folder = {"a/1": File("x", 0, "l"), "a/2": File("y", 0, "l")}
    index = Index()
    index.update(folder)
    changes, read = index.update(folder, {"x"})
    assert changes.removed == ["a/1"]
    assert read == []


def test_a_picture_that_became_readable_is_tried_though_its_stamp_is_old() -> None:
    picture = Picture("a/1", Path("a/1"), {}, "")
    failure = Failure("a/1", "the disk did not answer", Source("", ""))
    assert diff([picture], [], [failure], (), lambda _: None) == Changes()
    assert diff([picture], [], [failure], (), lambda _: "x") == Changes(added=[picture])


def test_a_failure_beside_an_item_is_dropped() -> None:
    picture = Picture("a/1", Path("a/1"), {}, "s")
    failure = Failure("a/1", "broken before", Source("old", "r"))
    changes = diff([picture], [item(picture, "x")], [failure], (), lambda _: "x")
    assert changes == Changes(unchanged=1, recovered=["a/1"])
