"""Render the sample gallery, a larger one to measure on, or a training set, each of other instances, from a seed."""

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


@dataclass(frozen=True)
class Gallery:
    """What a gallery with queries has: names of its random streams, and views of each instance."""

    instances: str
    strangers: str
    gallery_views: int
    query_views: int
    stranger_instances: int
    stranger_views: int


GALLERIES = {
    "sample": Gallery("sample", "strangers", 8, 2, stranger_instances=4, stranger_views=2),
    "trial": Gallery("trial", "trial strangers", 8, 8, stranger_instances=6, stranger_views=5),
}
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


def _job(
    space: str, label: str, instance: int, pictures: tuple[tuple[int, str], ...], given: argparse.Namespace
) -> Job:
    return Job(space, given.seed, label, instance, pictures, given.side, given.samples, given.over, given.quality)


def gallery_jobs(out: Path, options: argparse.Namespace) -> Iterator[Job]:
    """Yield the jobs of a gallery with queries: the views of each instance, and the strangers."""
    from render import families

    space = GALLERIES[options.product]
    first, last = space.gallery_views, space.gallery_views + space.query_views
    for label in families.GALLERY:
        for instance in range(options.instances_per_family):
            stem = f"{label}{instance:02d}"
            pictures = _missing(out / "gallery" / label, stem, range(first), 1)
            pictures += _missing(out / "queries" / label, stem, range(first, last), 1)
            yield _job(space.instances, label, instance, pictures, options)
    for label in families.STRANGERS if options.product == "sample" else families.STRANGERS | families.OUTSIDERS:
        for instance in range(space.stranger_instances):
            views = range(space.stranger_views)
            pictures = _missing(out / "strangers" / label, f"{label}{instance:02d}", views, 1)
            yield _job(space.strangers, label, instance, pictures, options)


def training_jobs(out: Path, options: argparse.Namespace) -> Iterator[Job]:
    """Yield the jobs of the training set, one instance of every family after the other."""
    from render import families

    for instance in range(options.instances_per_family):
        for label in families.GALLERY | families.TRAINING:
            pictures = _missing(out / label, f"{label}{instance:03d}", range(options.views), 2)
            yield _job("training", label, instance, pictures, options)


def claim(out: Path, options: argparse.Namespace) -> None:
    """Write into the folder's recipe what its pictures are made with, before the first of them.

    Raises:
        SystemExit: the folder holds pictures of another seed or size, which must not be mixed.
    """
    head, file = recipe_head(options), out / "recipe.json"
    known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else head
    differing = [name for name in ("seed", "side", "samples", "quality") if known.get(name) != head[name]]
    if differing:
        told = ", ".join(f"--{name} {known.get(name)}" for name in differing)
        raise SystemExit(f"{out}: expected a folder for these pictures; it has some of {told}: name another --out.")
    if not file.is_file():
        file.write_text(json.dumps(head, indent=1) + "\n", encoding="utf-8")


def recipe_head(options: argparse.Namespace) -> dict[str, Any]:
    """Return what all pictures of a folder are made with."""
    return {
        "tool": TOOL_VERSION,
        "seed": options.seed,
        "side": options.side,
        "samples": options.samples,
        "quality": options.quality,
        "libraries": {name: version(name) for name in LIBRARIES},
    }


def write_recipe(out: Path, options: argparse.Namespace) -> None:
    """Write how each picture of a gallery was made."""
    from render import recipe

    pictures: dict[str, Any] = {}
    space = GALLERIES[options.product]
    for folder in ("gallery", "queries", "strangers"):
        stream = space.strangers if folder == "strangers" else space.instances
        for path in sorted((out / folder).glob("*/*.jpg")):
            stem, view = path.stem.rsplit("-", 1)
            label = path.parent.name
            number = int(stem.removeprefix(label))
            made = recipe.view_of(stream, options.seed, label, number, int(view))
            pictures[path.relative_to(out).as_posix()] = {"family": label, "instance": number, **made}
    head = recipe_head(options)
    lines = ",\n".join(
        f"{json.dumps(name)}:{json.dumps(made, separators=(',', ':'))}" for name, made in pictures.items()
    )
    text = json.dumps(head, indent=1)[:-2] + f',\n "pictures": {{\n{lines}\n}}}}\n'
    (out / "recipe.json").write_text(text, encoding="utf-8")


@dataclass(frozen=True)
class Product:
    """The usual choices for one of the things that are rendered."""

    help: str
    seed: int
    side: int
    count: int
    samples: int
    over: float
    quality: int


PRODUCTS = {
    "sample": Product("the gallery that the project ships", 3, 160, 8, samples=2, over=2.0, quality=90),
    "training": Product("what the starter learns from", 1, 96, 100, samples=1, over=1.25, quality=92),
    "trial": Product("a larger gallery with queries, to measure on", 4, 128, 16, samples=1, over=1.5, quality=92),
}


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    products = parser.add_subparsers(dest="product", required=True)
    for name, what in PRODUCTS.items():
        product = products.add_parser(name, help=what.help, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        product.add_argument("--out", type=Path, required=True, help="folder; pictures that it has are kept")
        product.add_argument("--seed", type=int, default=what.seed, help="another seed gives other objects and views")
        product.add_argument("--side", type=int, default=what.side, help="pixels along the shorter side")
        product.add_argument("--instances-per-family", type=int, default=what.count, help="objects of each family")
        product.add_argument("--samples", type=int, default=what.samples, help="light paths for each rendered pixel")
        product.add_argument("--over", type=float, default=what.over, help="rendered so many times as large")
        product.add_argument("--quality", type=int, default=what.quality, help="of the JPEG files")
        product.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
        if name == "training":
            product.add_argument("--views", type=int, default=6, help="pictures of each object")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Render the product asked for, skipping pictures that exist."""
    options = parse(arguments)
    make = training_jobs if options.product == "training" else gallery_jobs
    options.out.mkdir(parents=True, exist_ok=True)
    claim(options.out, options)
    run([job for job in make(options.out, options) if job.pictures], options.workers)
    if options.product in GALLERIES:
        write_recipe(options.out, options)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
