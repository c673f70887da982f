"""A folder of people's pictures: who is on which, the pairs to verify, the ten queries, and a part of it all for a trial."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visualsearch.config import GallerySettings
from visualsearch.errors import DataError
from visualsearch.gallery import list_pictures

Numbers = NDArray[np.int64]

TEN = (
    "Albert_Costa",
    "Angela_Bassett",
    "Arminio_Fraga",
    "Billy_Crystal",
    "Bob_Graham",
    "Boris_Becker",
    "Bulent_Ecevit",
    "Calista_Flockhart",
    "Cameron_Diaz",
    "Carmen_Electra",
)
"""Whose first pictures are the ten queries; elsewhere than in LFW the first ten people with two pictures take their place."""

PAIRS = "pairs.txt"


@dataclass(frozen=True)
class People:
    """Pictures by number, in the order of their paths, and whose they are."""

    folder: Path
    paths: tuple[str, ...]
    names: tuple[str, ...]

    @classmethod
    def of(cls, folder: Path) -> People:
        """List a folder with a sub-folder for each person; a picture beside the sub-folders is a person of its own."""
        pictures = list_pictures(GallerySettings(folder=folder)).pictures
        names = tuple(picture.columns.get("label", picture.path) for picture in pictures)
        return cls(folder, tuple(picture.path for picture in pictures), names)

    @cached_property
    def codes(self) -> Numbers:
        """Return a number for each picture's person, in alphabetical order."""
        return np.unique(np.array(self.names, dtype=object).astype(str), return_inverse=True)[1].astype(np.int64)

    @cached_property
    def others(self) -> Numbers:
        """Return how many further pictures of its person there are, for each picture."""
        return np.bincount(self.codes)[self.codes] - 1

    @cached_property
    def number(self) -> dict[str, int]:
        """Return each picture's number by its path."""
        return {path: number for number, path in enumerate(self.paths)}

    @cached_property
    def stems(self) -> dict[str, int]:
        """Return each picture's number by its path without the suffix."""
        return {path.rpartition(".")[0]: number for number, path in enumerate(self.paths)}

    @cached_property
    def ten(self) -> list[int]:
        """Return the numbers of the ten queries: the first picture of each person."""
        first: dict[str, int] = {}
        for number, name in enumerate(self.names):
            if self.others[number]:
                first.setdefault(name, number)
        return [first[name] for name in TEN if name in first] or list(first.values())[: len(TEN)]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures, by their paths without suffix, and whether one person is on both."""

    fold: int
    one: str
    other: str
    same: bool


def read_pairs(file: Path) -> list[Pair]:
    """Return the pairs of LFW's protocol: the folds and pairs per fold, then lines of three or four words.

    Raises:
        DataError: a line is something else, or there are not as many as the first one says.
    """
    lines = [line.split() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    try:
        folds, each = map(int, lines[0])
        pairs = [_pair(row // (2 * each), words) for row, words in enumerate(lines[1:])]
    except (ValueError, IndexError, ZeroDivisionError) as error:
        message = (
            f"{file}: expected `folds pairs`, then `name n n` or `name n name n`; received another line ({error})."
        )
        raise DataError(message, slug="pairs-broken") from error
    if len(pairs) != 2 * folds * each:
        message = f"{file}: expected {2 * folds * each} pairs, as its first line says; received {len(pairs)}."
        raise DataError(message, slug="pairs-broken")
    return pairs


def _pair(fold: int, words: Sequence[str]) -> Pair:
    if len(words) == 3:
        name, one, other = words
        return Pair(fold, _stem(name, one), _stem(name, other), same=True)
    name, one, stranger, other = words
    return Pair(fold, _stem(name, one), _stem(stranger, other), same=False)


def _stem(name: str, number: str) -> str:
    return f"{name}/{name}_{int(number):04d}"


def part(folder: Path, limit: int, place: Path) -> Path:
    """Return a folder of links to ``limit`` people: the ten, those of the pairs fold by fold, then others at random.

    Raises:
        DataError: there is no such folder.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: expected a folder of pictures; there is no such folder.", slug="gallery-missing")
    people = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    pairs = read_pairs(folder / PAIRS) if (folder / PAIRS).is_file() else []
    rest = np.random.default_rng(0).permutation(len(people))
    order = dict.fromkeys(chain(TEN, _in_turn(pairs), (people[place] for place in rest)))
    known = set(people)
    chosen = [name for name in order if name in known][:limit]
    link_all({name: folder / name for name in chosen}, place)
    return place


def _in_turn(pairs: Sequence[Pair]) -> Iterator[str]:
    """Yield the people of the first pair of one person and of two in each fold, then of the second ones, and so on."""
    folds: dict[tuple[int, bool], list[Pair]] = {}
    for pair in pairs:
        folds.setdefault((pair.fold, pair.same), []).append(pair)
    for turn in zip_longest(*folds.values()):
        for pair in turn:
            if pair is not None:
                yield from (pair.one.partition("/")[0], pair.other.partition("/")[0])


def link_all(links: dict[str, Path], place: Path) -> None:
    """Make ``place`` hold these links and no others."""
    for old in sorted(place.rglob("*"), reverse=True) if place.is_dir() else ():
        if old.is_symlink() and old.relative_to(place).as_posix() not in links:
            old.unlink()
    for name, target in links.items():
        link = place / name
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(target.resolve())
