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


def pattern(bucket: str, seed: int) -> Crop:
    """Draw 4 x 4 squares in the bucket's own colours, shifted a little and noisy: as many kinds as there are names."""
    colours = np.random.default_rng([*bucket.encode()]).integers(0, 256, (4, 4, 3))
    rng = np.random.default_rng((seed, *bucket.encode()))
    squares = np.roll(colours.repeat(8, axis=0).repeat(8, axis=1), rng.integers(-2, 3, 2), (0, 1))
    return Crop(np.clip(squares + rng.normal(0, 12, squares.shape), 0, 255).astype(np.uint8))


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


def stage_cost(side: int, number: int) -> int:
    """Count the multiply-accumulates of a stage of ResNet50 by hand (He et al. 2015, table 1): 0 is conv2, 3 is conv5.

    Its first block has a stride of 2 (but in conv2) in its first convolution and in the one of
    its shortcut, so all its convolutions are at the positions of the stage's own map.
    """
    width, blocks, positions = 64 * 2**number, (3, 4, 6, 3)[number], (side // 2 ** (number + 2)) ** 2
    entered = 64 if number == 0 else 2 * width
    first = entered * width + 9 * width * width + width * 4 * width + entered * 4 * width
    further = 4 * width * width + 9 * width * width + width * 4 * width
    return positions * (first + (blocks - 1) * further)


def trunk_cost(side: int) -> int:
    """Count those of all convolutions of ResNet50, the first of 7 x 7 at half the side among them."""
    return (side // 2) ** 2 * 49 * 3 * 64 + sum(stage_cost(side, number) for number in range(4))
