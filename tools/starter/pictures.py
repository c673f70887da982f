"""Rendered pictures in memory, and which of them training may not see."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Pictures:
    """Pictures of one size with their family and instance.

    ``pixels`` is (n, side, side, 3) uint8 RGB; ``family`` and ``instance`` are (n,) positions in
    ``families`` and ``instances``. An instance's name is "family/instance".
    """

    pixels: Pixels
    family: Indices
    instance: Indices
    families: tuple[str, ...]
    instances: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of pictures."""
        return len(self.family)

    @property
    def arrays(self) -> tuple[Pixels, Indices, Indices]:
        """Return pixels, family and instance."""
        return self.pixels, self.family, self.instance

    def take(self, chosen: NDArray[np.bool_]) -> Pictures:
        """Return the chosen pictures; instances that have none left are numbered anew."""
        left, instance = np.unique(self.instance[chosen], return_inverse=True)
        names = tuple(self.instances[i] for i in left)
        return Pictures(self.pixels[chosen], self.family[chosen], instance, self.families, names)


def instance_of(path: Path) -> str:
    """Return "family/instance" of ``family/instance-view.jpg``.

    >>> instance_of(Path("renders/mug/mug-012-3.jpg"))
    'mug/mug-012'
    """
    return f"{path.parent.name}/{path.stem.rpartition('-')[0]}"


def listed(folder: Path) -> list[Path]:
    """Return every ``family/instance-view.jpg`` of a folder.

    Raises:
        SystemExit: there is none.
    """
    if paths := sorted(folder.glob("*/*-*.jpg")):
        return paths
    raise SystemExit(f"{folder}: expected pictures family/instance-view.jpg; found none. Render them first.")


def load(paths: Sequence[Path], side: int, families: Sequence[str] = (), instances: Sequence[str] = ()) -> Pictures:
    """Read pictures at ``side`` × ``side`` pixels.

    Families and instances are numbered by name, after those that are given.
    """
    names = _numbered(families, (path.parent.name for path in paths))
    return _gathered(paths, side, names, _numbered(instances, map(instance_of, paths)))


def with_new(pictures: Pictures, folder: Path, known: set[Path], share: int, room: int) -> Pictures:
    """Return the pictures and those that were rendered since, but for unseen instances.

    ``known`` are the paths that were looked at before; what is new is added to it. Instances
    beyond ``room`` are left out: the instance head has no place for them.
    """
    new = sorted(set(folder.glob("*/*-*.jpg")) - known)
    known.update(new)
    mine = [p for p in new if p.parent.name in pictures.families and not is_unseen(instance_of(p), share)]
    if not mine:
        return pictures
    more = load(mine, pictures.pixels.shape[1], pictures.families, pictures.instances)
    pixels, family, instance = (np.concatenate(p) for p in zip(pictures.arrays, more.arrays, strict=True))
    fits = instance < room
    return Pictures(pixels[fits], family[fits], instance[fits], more.families, more.instances[:room])


def _numbered(known: Sequence[str], names: Iterable[str]) -> tuple[str, ...]:
    return (*known, *sorted(set(names) - set(known)))


def _gathered(paths: Sequence[Path], side: int, families: tuple[str, ...], instances: tuple[str, ...]) -> Pictures:
    read = [(path, pixels) for path in paths if (pixels := _read(path, side)) is not None]
    family, instance = ({name: i for i, name in enumerate(names)} for names in (families, instances))
    return Pictures(
        np.stack([pixels for _, pixels in read]),
        np.array([family[path.parent.name] for path, _ in read]),
        np.array([instance[instance_of(path)] for path, _ in read]),
        families,
        instances,
    )


def _read(path: Path, side: int) -> Pixels | None:
    """Return the picture at ``side`` pixels; None where a renderer is still writing it."""
    try:
        with Image.open(path) as image:
            return resized(np.asarray(image.convert("RGB")), side)
    except OSError:
        return None


def resized(pixels: Pixels, side: int) -> Pixels:
    """Return a picture as ``side`` × ``side`` pixels, averaging where it shrinks."""
    if pixels.shape[:2] == (side, side):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR))


def is_unseen(instance: str, share: int) -> bool:
    """Return whether an instance is held out: about one in ``share`` is, chosen by its name alone.

    So it stays held out when the set grows.
    """
    return int.from_bytes(hashlib.sha256(instance.encode()).digest()[:4]) % share == 0


def unseen_paths(paths: Iterable[Path], share: int) -> list[Path]:
    """Return the pictures of instances that are held out."""
    return [path for path in paths if is_unseen(instance_of(path), share)]


def split_views(pictures: Pictures) -> NDArray[np.bool_]:
    """Return which pictures serve as gallery: the first half of each instance's views."""
    gallery = np.zeros(len(pictures), bool)
    for instance in range(len(pictures.instances)):
        mine = np.flatnonzero(pictures.instance == instance)
        gallery[mine[: (len(mine) + 1) // 2]] = True
    return gallery
