"""Small real plug-ins for tests: no weights, no network, deterministic."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from visualsearch import plugins
from visualsearch.crops.contract import Role
from visualsearch.datatypes import Crop, Matrix, Pixels
from visualsearch.model import fingerprint


class Grid:
    """An extractor: the colours of a picture shrunk to ``cells`` × ``cells``, less their mean."""

    class Options(plugins.Options):
        """How fine the grid is, and after how many crops the power fails."""

        cells: int = 4

    embedded = 0
    """Crops embedded by all instances, so that tests can count."""

    fails_after: int | None = None
    """Raise KeyboardInterrupt once this many more crops were embedded."""

    def __init__(self, options: Options, runtime: object, folder: Path) -> None:
        """Take options; the rest is not needed."""
        self.name = options.name
        self.cells = options.cells
        self.dim = 3 * options.cells**2
        self.fingerprint = fingerprint("grid", options.cells)

    def embed(self, crops: Sequence[Crop]) -> Matrix:
        """Return (n, dim) unit rows."""
        if Grid.fails_after is not None:
            Grid.fails_after -= len(crops)
            if Grid.fails_after < 0:
                raise KeyboardInterrupt
        Grid.embedded += len(crops)
        return np.stack([self._one(crop) for crop in crops]) if crops else np.empty((0, self.dim), np.float32)

    def _one(self, crop: Crop) -> Matrix:
        small = Image.fromarray(crop.pixels).resize((self.cells, self.cells), Image.Resampling.BOX)
        row = np.asarray(small, np.float32).ravel() - 127.5
        unit: Matrix = (row / max(float(np.linalg.norm(row)), 1e-6)).astype(np.float32)
        return unit


def paint(path: Path, seed: int, hue: int = 0, size: tuple[int, int] = (48, 40)) -> Path:
    """Write a PNG of random blocks; pictures of one ``hue`` (0, 1 or 2) share a strong colour channel."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 90, (4, 4, 3), dtype=np.uint8)
    blocks[..., hue] += 160
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(blocks).resize(size, Image.Resampling.NEAREST).save(path)
    return path


def paint_gallery(folder: Path, labels: Sequence[str] = ("blue", "green", "red"), each: int = 6) -> Path:
    """Write ``each`` pictures for each label, distinct, in sub-folders; at most three labels."""
    for number, label in enumerate(labels):
        for i in range(each):
            paint(folder / label / f"{label}{i:02d}.png", seed=100 * number + i, hue=2 - number % 3)
    return folder


class Taught(Grid):
    """A grid that is told the gallery's groups before the first index, and only remembers them."""

    lesson: tuple[Matrix, list[str]] | None = None
    """Rows and groups that the last one was fitted on."""

    unfitted = supervised = True

    def raw(self, crops: Sequence[Crop]) -> Matrix:
        """Return what it embeds."""
        return self.embed(crops)

    def fit(self, raw: Matrix, groups: Sequence[str], seed: int = 0) -> None:
        """Remember what was told."""
        Taught.lesson = raw, list(groups)
        self.unfitted = False


class Shy:
    """A crop: all of a picture, but nothing where it is black."""

    class Options(plugins.Options):
        """There is nothing to choose."""

        name: str = "shy"

    nothing = "the picture is black"

    def __init__(self, options: Options) -> None:
        """Take options."""
        self.fingerprint = "shy-1"

    def crops(self, images: Sequence[Pixels], role: Role) -> list[list[Crop]]:
        """Return each image as its only crop, or no crop."""
        return [[Crop(image)] if image.any() else [] for image in images]


def paint_things(
    folder: Path, labels: Sequence[str] = ("blue", "green", "red"), things: int = 8, views: Sequence[int] = (0, 1, 2)
) -> Path:
    """Write ``label/label03-1.png``: views of a thing are alike, but no near-duplicates."""
    for number, label in enumerate(labels):
        for thing in range(things):
            rng = np.random.default_rng((number, thing))
            blocks = rng.integers(0, 90, (4, 4, 3))
            blocks[..., 2 - number % 3] += 160
            for view in views:
                noise = np.random.default_rng((number, thing, view)).integers(-20, 21, (40, 48, 3))
                pixels = np.kron(blocks, np.ones((10, 12, 1), np.int64)) + noise
                file = folder / label / f"{label}{thing:02d}-{view}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(file)
    return folder
