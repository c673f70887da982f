"""Measure the crop `mtcnn` on a folder of pictures with one person each in the middle, such as LFW.

python tools/measure_faces.py FOLDER [--pictures 500]
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src")]

from visualsearch.crops.mtcnn import Faces  # noqa: E402  (src must be on the path first)
from visualsearch.datatypes import Crop, Pixels  # noqa: E402
from visualsearch.images import decode  # noqa: E402


def main() -> None:
    """Print how many centre faces are found, whether batches change them, and what a picture takes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=500)
    options = parser.parse_args()
    files = sorted(options.folder.rglob("*.jpg"))
    chosen = np.random.default_rng(0).permutation(len(files))[: options.pictures]
    pictures = [decode(files[i].read_bytes()) for i in sorted(chosen)]
    found = {number: timed(pictures, number) for number in (16, 1)}
    central = sum(any(covers_centre(crop, picture) for crop in crops) for crops, picture in paired(found[16], pictures))
    moved = [apart(one, other) for one, other in zip(found[16], found[1], strict=True)]
    print(
        f"{central} of {len(pictures)} pictures have a face over their centre; {sum(map(len, found[16]))} faces in all"
    )
    print(f"batches of 16 against one at a time: boxes differ by at most {max(moved)} pixels")


def timed(pictures: list[Pixels], number: int) -> list[list[Crop]]:
    """Crop the pictures, ``number`` at a time, and print what one takes."""
    cropper = Faces(Faces.Options(name="mtcnn"))
    cropper.crops([np.zeros_like(picture) for picture in pictures[:number]], "gallery")
    start, busy = time.perf_counter(), time.process_time()
    crops = [one for i in range(0, len(pictures), number) for one in cropper.crops(pictures[i : i + number], "gallery")]
    took, worked = (
        1000 * seconds / len(pictures) for seconds in (time.perf_counter() - start, time.process_time() - busy)
    )
    print(f"{number} at a time: {took:.1f} ms a picture, {worked:.1f} ms of processor time")
    return crops


def paired(crops: list[list[Crop]], pictures: list[Pixels]) -> zip[tuple[list[Crop], Pixels]]:
    """Return each picture's crops with it."""
    return zip(crops, pictures, strict=True)


def covers_centre(crop: Crop, picture: Pixels) -> bool:
    """Return whether the crop's box holds the centre of its picture."""
    left, top, right, bottom = crop.box or (0, 0, 0, 0)
    return left < picture.shape[1] / 2 < right and top < picture.shape[0] / 2 < bottom


def apart(one: list[Crop], other: list[Crop]) -> float:
    """Return the largest distance between edges of the same faces; infinite if they are not as many."""
    if len(one) != len(other):
        return float("inf")
    edges = [np.abs(np.subtract(a.box, b.box)).max() for a, b in zip(one, other, strict=True)]  # type: ignore[arg-type]
    return max(map(float, edges), default=0.0)


if __name__ == "__main__":
    main()
