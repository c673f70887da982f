"""Small things that a classifier can learn: pictures of coloured shapes, and a ResNet50 of random weights."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from visualsearch.classifiers.contract import Example
from visualsearch.datatypes import Crop
from visualsearch.runtimes.frameworks import import_keras

SIDE = 64
COLOURS = {"red": (220, 40, 40), "green": (40, 190, 60), "blue": (50, 70, 220), "yellow": (230, 210, 50)}
SHAPES = {"disc": "ellipse", "square": "rectangle"}


def picture(bucket: str, seed: int) -> Crop:
    """Draw what a bucket such as ``red disc`` names, at a random place, size and background."""
    rng = np.random.default_rng((seed, *bucket.encode()))
    colour, shape = bucket.split()
    image = Image.fromarray(rng.integers(90, 150, (SIDE, SIDE, 3), np.uint8))
    size = int(rng.integers(SIDE // 2, SIDE - 8))
    left, top = (int(value) for value in rng.integers(0, SIDE - size, 2))
    draw = ImageDraw.Draw(image)
    getattr(draw, SHAPES[shape])((left, top, left + size, top + size), fill=COLOURS[colour])
    return Crop(np.asarray(image))


def examples(buckets: list[str], groups: int = 5, views: int = 2) -> list[Example]:
    """Return ``groups`` x ``views`` examples of each bucket."""
    return [Example(f"{b}/{g}/{v}", b, f"{b}/{g}") for b in buckets for g in range(groups) for v in range(views)]


def crop_of(example: Example) -> Crop:
    """Draw an example; pictures of one group differ in their last number only."""
    _, group, view = example.id.split("/")
    return picture(example.bucket, 100 * int(group) + int(view))


def write_starter(folder: Path, side: int = SIDE, seed: int = 0) -> Path:
    """Write a ResNet50 with random weights in the layout of the starter, and its card."""
    keras = import_keras()
    keras.utils.set_random_seed(seed)
    graph = keras.applications.ResNet50(include_top=False, weights=None)
    for layer in graph.layers:
        if layer.name.endswith("_3_bn"):  # a calm residual branch, as training leaves it
            layer.gamma.assign(0.3 * layer.gamma)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "resnet50.npz"
    np.savez(file, **{variable.path: variable.numpy().astype(np.float16) for variable in graph.variables})
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    card = {"name": "resnet50", "side": side, "preprocessing": "caffe", "sha256": sha256}
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    return folder
