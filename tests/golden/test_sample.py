"""The sample gallery and the starter: what is shipped is what is promised of it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from visualsearch import VisualSearch
from visualsearch.datatypes import Crop
from visualsearch.extractors import PretrainedFactory
from visualsearch.extractors.applications import ApplicationExtractor
from visualsearch.runtimes import create_runtime

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "data/sample"
STARTER = ROOT / "models/starter"

Labelled = tuple[list[Path], NDArray[np.str_]]


def pictures(folder: str) -> Labelled:
    files = sorted((SAMPLE / folder).glob("*/*.jpg"))
    return files, np.array([file.parent.name for file in files])


def every(step: int, labelled: Labelled) -> Labelled:
    return labelled[0][::step], labelled[1][::step]


def read(file: Path) -> Crop:
    with Image.open(file) as image:
        return Crop(np.asarray(image.convert("RGB")))


def top1(known: NDArray[np.float32], asked: NDArray[np.float32], labels: Labelled, truth: Labelled) -> float:
    """Return how often the nearest neighbour has the right category."""
    return float((labels[1][(asked @ known.T).argmax(axis=1)] == truth[1]).mean())


def histograms(files: list[Path]) -> NDArray[np.float32]:
    """Return unit-length square roots of 8 × 8 × 8 colour histograms."""
    rows = []
    for file in files:
        pixels = read(file).pixels.reshape(-1, 3) // 32
        rows.append(np.bincount(pixels.astype(int) @ [64, 8, 1], minlength=512) / len(pixels))
    return np.sqrt(np.array(rows)).astype(np.float32)


def test_the_sample_has_the_pictures_that_are_promised() -> None:
    gallery, labels = pictures("gallery")
    queries, _ = pictures("queries")
    strangers, _ = pictures("strangers")
    assert (len(gallery), len(queries), len(strangers)) == (16 * 8 * 8, 16 * 8 * 2, 32)
    assert set(Counter(labels).values()) == {64}
    instances = Counter(file.stem.rsplit("-", 1)[0] for file in gallery)
    assert (len(instances), set(instances.values())) == (128, {8})
    assert not set(labels) & {file.parent.name for file in strangers}
    everything = [*gallery, *queries, *strangers]
    assert len({hashlib.sha256(file.read_bytes()).digest() for file in everything}) == len(everything)
    assert sum(file.stat().st_size for file in SAMPLE.rglob("*") if file.is_file()) < 12_000_000
    sizes = set()
    for file in everything:
        with Image.open(file) as image:
            sizes.add(min(image.size))
    assert sizes == {160}


def test_the_recipe_says_how_each_picture_was_made() -> None:
    recipe = json.loads((SAMPLE / "recipe.json").read_text())
    files = {file.relative_to(SAMPLE).as_posix() for file in SAMPLE.rglob("*.jpg")}
    assert set(recipe["pictures"]) == files
    assert {"seed", "libraries"} <= set(recipe)


def test_the_starter_is_far_above_colours_and_a_random_network(tmp_path: Path) -> None:
    gallery, queries = every(4, pictures("gallery")), every(2, pictures("queries"))  # two views of each thing, and one
    runtime = create_runtime("auto", "float32", tmp_path)
    colours = top1(histograms(gallery[0]), histograms(queries[0]), gallery, queries)
    assert colours <= 0.30
    starter = PretrainedFactory.create(ApplicationExtractor.Options(weights="starter"), runtime, tmp_path)
    known, asked = (starter.embed([read(file) for file in files]) for files, _ in (gallery, queries))
    reached = top1(known, asked, gallery, queries)
    assert reached >= colours + 0.25
    random = _random_network(tmp_path, runtime)
    known, asked = (random.embed([read(file) for file in files]) for files, _ in (gallery, queries))
    assert reached >= top1(known, asked, gallery, queries) + 0.25


def _random_network(folder: Path, runtime: object) -> ApplicationExtractor:
    """Return the starter's network with the weights that it started from, at the starter's input size."""
    import keras

    keras.utils.set_random_seed(0)
    network = keras.applications.ResNet50(weights=None, include_top=False, pooling="avg")
    file = folder / "random.npz"
    np.savez(file, **{variable.path: np.asarray(variable) for variable in network.variables})
    options = ApplicationExtractor.Options(weights=f"file:{file}")
    extractor = ApplicationExtractor(options, runtime, folder)  # type: ignore[arg-type]
    extractor.side = json.loads((STARTER / "card.json").read_text())["side"]
    return extractor


def test_the_starters_card_tells_where_it_comes_from() -> None:
    card = json.loads((STARTER / "card.json").read_text())
    assert {
        "name",
        "side",
        "preprocessing",
        "data",
        "seed",
        "steps",
        "seconds",
        "hardware",
        "figures",
        "licence",
    } <= set(card)
    assert card["sha256"] == hashlib.sha256((STARTER / "resnet50.npz").read_bytes()).hexdigest()
    with np.load(STARTER / "resnet50.npz") as arrays:
        assert {str(arrays[name].dtype) for name in arrays} == {"float16"}


EXPECTED = ROOT / "tests/golden/sample-hits.json"


def test_hits_of_the_sample_are_those_that_were_looked_at(tmp_path: Path) -> None:
    """Four queries, exhaustive: the paths of their five nearest, as a person saw them: all show the thing asked for."""
    overrides = [f"out={tmp_path}", "buckets={none: true}"]
    with VisualSearch.from_yaml(ROOT / "application.yaml", overrides) as search:
        search.index()
        names = ("ball/ball03-8", "mug/mug05-9", "clock/clock01-8", "wrench/wrench02-9")
        found = {n: [h.path for h in search.search(SAMPLE / f"queries/{n}.jpg", k=5).hits] for n in names}
    if not EXPECTED.exists():
        EXPECTED.write_text(json.dumps(found, indent=1) + "\n")
        pytest.fail(f"{EXPECTED.name} was written: look at it, commit it, and run again")
    expected = json.loads(EXPECTED.read_text())
    # the last of five may change places with the sixth where another processor rounds differently
    for name, paths in found.items():
        assert len(set(paths) & set(expected[name])) >= 4, name
        assert paths[0] == expected[name][0], name
