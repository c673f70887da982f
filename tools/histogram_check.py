"""Measure how far colour alone gives a sample's categories and instances away."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image

BINS = 8


def histogram(path: Path) -> np.ndarray:
    """Return the share of a picture's pixels in each of 8 x 8 x 8 colours."""
    pixels = np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3) // (256 // BINS)
    index = (pixels.astype(int) * [BINS * BINS, BINS, 1]).sum(1)
    return np.bincount(index, minlength=BINS**3) / len(index)


def read(folder: Path) -> tuple[np.ndarray, list[str], list[str]]:
    """Return the histograms, labels and instances of a folder's pictures."""
    paths = sorted(folder.glob("*/*.jpg"))
    instances = [path.stem.rsplit("-", 1)[0] for path in paths]
    return np.array([histogram(path) for path in paths]), [path.parent.name for path in paths], instances


def main(arguments: list[str]) -> int:
    """Print the nearest neighbour's hit rates; fail where the category's is above the limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sample", type=Path, help="folder with gallery/ and queries/")
    parser.add_argument("--limit", type=float, default=0.30)
    options = parser.parse_args(arguments)
    known, labels, instances = read(options.sample / "gallery")
    asked, true_labels, true_instances = read(options.sample / "queries")
    # Two histograms overlap by the sum of the smaller shares.
    nearest = [int(np.minimum(known, one).sum(1).argmax()) for one in asked]
    category = float(np.mean([labels[n] == t for n, t in zip(nearest, true_labels, strict=True)]))
    instance = float(np.mean([instances[n] == t for n, t in zip(nearest, true_instances, strict=True)]))
    print(f"{len(asked)} queries against {len(known)} pictures, colour histogram of {BINS} x {BINS} x {BINS}")
    print(f"category top-1 {category:.3f} (limit {options.limit:.2f}, chance {1 / len(set(labels)):.3f})")
    print(f"instance top-1 {instance:.3f} (chance {1 / len(set(instances)):.3f})")
    return 0 if category <= options.limit else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
