"""Render the sample gallery, or a training set of other instances, from a seed."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

LIBRARIES = ("mitsuba", "trimesh", "shapely", "mapbox_earcut", "scipy", "numpy", "pillow")
TOOL_VERSION = 1


@dataclass(frozen=True)
class Job:
    """The pictures of one instance that are still to be made."""

    space: str
    seed: int
    label: str
    instance: int
    pictures: tuple[tuple[int, str], ...]
    side: int
    samples: int
    over: float
    quality: int


def _one_thread() -> None:
    import drjit

    drjit.set_thread_count(1)


def work(job: Job) -> int:
    """Render a job's pictures and return how many there were."""
    from render import recipe, scenes

    subject = scenes.Subject(
        recipe.family_of(job.label), recipe.instance_rng(job.space, job.seed, job.label, job.instance)
    )
    for view, name in job.pictures:
        parameters = recipe.view_of(job.space, job.seed, job.label, job.instance, view)
        image = subject.render(parameters, job.side, job.samples, job.over)
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Written under another name first: an interrupted run leaves no half pictures behind.
        partial = path.with_suffix(".part")
        image.save(partial, "JPEG", quality=job.quality, subsampling=0 if job.side < 128 else 2, optimize=True)
        partial.replace(path)
    return len(job.pictures)


def run(jobs: list[Job], workers: int) -> None:
    """Render all jobs in worker processes and print progress."""
    total = sum(len(job.pictures) for job in jobs)
    print(f"{total} pictures to render", flush=True)
    start, done, shown = time.monotonic(), 0, 0.0
    with multiprocessing.get_context("spawn").Pool(workers, initializer=_one_thread) as pool:
        for count in pool.imap_unordered(work, jobs):
            done += count
            spent = time.monotonic() - start
            if spent - shown > 15 or done == total:
                shown = spent
                left = spent / done * (total - done)
                print(f"{done}/{total} after {spent:.0f} s, about {left:.0f} s left", flush=True)


def _missing(folder: Path, stem: str, views: range, digits: int) -> tuple[tuple[int, str], ...]:
    paths = [(view, folder / f"{stem}-{view:0{digits}d}.jpg") for view in views]
    return tuple((view, str(path)) for view, path in paths if not path.exists())


def sample_jobs(out: Path, options: argparse.Namespace) -> Iterator[Job]:
    """Yield the jobs of the sample: gallery and queries of each instance, and the strangers."""
    from render import families

    for label in families.GALLERY:
        for instance in range(options.instances_per_family):
            stem = f"{label}{instance:02d}"
            pictures = _missing(out / "gallery" / label, stem, range(8), 1)
            pictures += _missing(out / "queries" / label, stem, range(8, 10), 1)
            yield Job(
                "sample",
                options.seed,
                label,
                instance,
                pictures,
                options.side,
                options.samples,
                2.0,
                options.quality,
            )
    for label in families.STRANGERS:
        for instance in range(4):
            pictures = _missing(out / "strangers" / label, f"{label}{instance:02d}", range(2), 1)
            yield Job(
                "strangers",
                options.seed,
                label,
                instance,
                pictures,
                options.side,
                options.samples,
                2.0,
                options.quality,
            )


def training_jobs(out: Path, options: argparse.Namespace) -> Iterator[Job]:
    """Yield the jobs of the training set, the first views of all instances before the later ones."""
    from render import families

    for first in range(0, options.views, 4):
        views = range(first, min(first + 4, options.views))
        for instance in range(options.instances_per_family):
            for label in families.GALLERY:
                pictures = _missing(out / label, f"{label}{instance:03d}", views, 2)
                yield Job(
                    "training",
                    options.seed,
                    label,
                    instance,
                    pictures,
                    options.side,
                    options.samples,
                    1.5,
                    92,
                )


def write_recipe(out: Path, options: argparse.Namespace) -> None:
    """Write how each picture of the sample was made."""
    from render import families, recipe

    pictures: dict[str, Any] = {}
    for folder in ("gallery", "queries", "strangers"):
        for path in sorted((out / folder).glob("*/*.jpg")):
            stem, view = path.stem.rsplit("-", 1)
            label = path.parent.name
            space = "strangers" if label in families.STRANGERS else "sample"
            number = int(stem.removeprefix(label))
            made = recipe.view_of(space, options.seed, label, number, int(view))
            pictures[path.relative_to(out).as_posix()] = {"family": label, "instance": number, **made}
    head = {
        "tool": TOOL_VERSION,
        "seed": options.seed,
        "side": options.side,
        "samples": options.samples,
        "quality": options.quality,
        "libraries": {name: version(name) for name in LIBRARIES},
    }
    lines = ",\n".join(
        f"{json.dumps(name)}:{json.dumps(made, separators=(',', ':'))}" for name, made in pictures.items()
    )
    text = json.dumps(head, indent=1)[:-2] + f',\n "pictures": {{\n{lines}\n}}}}\n'
    (out / "recipe.json").write_text(text, encoding="utf-8")


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    products = parser.add_subparsers(dest="product", required=True)
    for name, side, count, seed in (("sample", 160, 8, 3), ("training", 80, 75, 1)):
        product = products.add_parser(name)
        product.add_argument("--out", type=Path, required=True)
        product.add_argument("--seed", type=int, default=seed)
        product.add_argument("--side", type=int, default=side, help="pixels along the shorter side")
        product.add_argument("--instances-per-family", type=int, default=count)
        product.add_argument("--samples", type=int, default=2 if name == "sample" else 1)
        product.add_argument("--workers", type=int, default=os.cpu_count() or 1)
        if name == "training":
            product.add_argument("--views", type=int, default=16)
        else:
            product.add_argument("--quality", type=int, default=90)
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Render the product asked for, skipping pictures that exist."""
    options = parse(arguments)
    make = sample_jobs if options.product == "sample" else training_jobs
    options.out.mkdir(parents=True, exist_ok=True)
    run([job for job in make(options.out, options) if job.pictures], options.workers)
    if options.product == "sample":
        write_recipe(options.out, options)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
