"""What every extractor must do: the kinds of ours, and those of others.

VISUALSEARCH_TEST_EXTRACTORS=package.module:Class,... runs the suite on those too.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from networks import write_keras, write_onnx
from published import randomised, write_legacy
from toys import write_starter

from visualsearch.datatypes import Crop
from visualsearch.embedder import Embedder
from visualsearch.extractors import EXTRACTORS, facenet_network, weights
from visualsearch.extractors.contract import Extractor, LearnedExtractor
from visualsearch.extractors.graphs import GraphExtractor
from visualsearch.plugins import load
from visualsearch.runtimes import create_runtime
from visualsearch.runtimes.frameworks import import_keras

KINDS = (
    "network",
    "reduced network",
    "network with discriminants",
    "starter",
    "dlib",
    "onnx",
    "keras",
    "facenet",
    "fakes:Grid",
)
OTHERS = [name for name in os.environ.get("VISUALSEARCH_TEST_EXTRACTORS", "").split(",") if name]

Make: TypeAlias = Callable[[str], Extractor]
"""The engine of the runtime → a new extractor; twice the same engine: twice the same extractor."""


def noise(n: int, seed: int = 0) -> list[Crop]:
    """Return crops of many sizes: blocks of colour under noise."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(n):
        height, width = rng.integers(20, 90, 2)
        blocks = np.kron(rng.integers(0, 200, (3, 3, 3)), np.ones((30, 30, 1)))[:height, :width]
        made.append(Crop((blocks + rng.integers(0, 55, blocks.shape)).astype(np.uint8)))
    return made


ODD = {
    "grey": np.full((64, 64, 3), 128, np.uint8),
    "black": np.zeros((64, 64, 3), np.uint8),
    "one pixel": np.full((1, 1, 3), 77, np.uint8),
    "very wide": noise(1)[0].pixels[:1].repeat(60, axis=1),
    "very high": noise(1)[0].pixels[:, :1].repeat(60, axis=0),
    "not contiguous": noise(1)[0].pixels[::-2, ::-1],
}


def write_network(path: Path, seed: int) -> Path:
    """Write random weights of the network of the table that is built fastest."""
    keras = import_keras()
    keras.utils.set_random_seed(seed)
    keras.applications.MobileNet(weights=None, include_top=False, input_shape=(224, 224, 3)).save_weights(path)
    return path


@pytest.fixture(scope="module", params=[*KINDS, *OTHERS])
def make(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Return a function that makes extractors of one kind, all in one model folder."""
    folder = tmp_path_factory.mktemp("extractor")
    options = {"name": request.param}
    if request.param == "starter":
        patch = pytest.MonkeyPatch()
        request.addfinalizer(patch.undo)
        patch.setattr(weights, "STARTER_FOLDERS", (write_starter(folder / "starter"),))
        options = {"name": "resnet50", "weights": "starter"}
    elif request.param in ("network", "reduced network", "network with discriminants"):
        file = write_network(folder / "network.weights.h5", seed=1)
        options = {"name": "mobilenet", "weights": f"file:{file}"}
        options |= {"dim": 6} if request.param == "reduced network" else {}
        options |= {"discriminant": 5} if request.param == "network with discriminants" else {}
    elif request.param == "onnx":
        options |= {"file": write_onnx(folder / "small.onnx"), "scale": 255}
    elif request.param == "keras":
        options |= {"file": write_keras(folder / "small.keras"), "scale": 255, "layer": "features"}
    elif request.param == "facenet":
        patch = pytest.MonkeyPatch()
        request.addfinalizer(patch.undo)
        patch.setattr(facenet_network, "REPEATS", {"Block35": 1, "Block17": 1, "Block8": 1})  # of 5, 10 and 5
        file = write_legacy(randomised(facenet_network.build(128), seed=1, centred=True), folder / "facenet_weights.h5")
        options |= {"weights": f"file:{file}"}
    plugin = load(EXTRACTORS, options["name"], "extractor")

    def made(engine: str) -> Extractor:
        runtime = create_runtime(engine, folder=folder / "runtime")
        extractor: Extractor = plugin(plugin.Options(**options), runtime, folder)
        if isinstance(extractor, LearnedExtractor) and extractor.unfitted:
            extractor.fit(extractor.raw(noise(80, seed=9)), [str(number % 40) for number in range(80)], seed=0)
        return extractor

    return made


@pytest.fixture(scope="module")
def extractor(make: Make) -> Extractor:
    return make("auto")


def test_rows_are_float32_of_unit_length(extractor: Extractor) -> None:
    rows = extractor.embed(noise(5))
    assert (rows.shape, rows.dtype) == ((5, extractor.dim), np.float32)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_no_crops_give_no_rows(extractor: Extractor) -> None:
    rows = extractor.embed([])
    assert (rows.shape, rows.dtype) == ((0, extractor.dim), np.float32)


def test_a_crop_alone_is_what_it_is_in_company(extractor: Extractor) -> None:
    crops = noise(35)  # more than one forward pass
    together = extractor.embed(crops)
    alone = np.concatenate([extractor.embed([crops[i]]) for i in (0, 17, 34)])
    np.testing.assert_allclose(together[[0, 17, 34]], alone, atol=1e-4)


def test_rows_follow_the_order_of_the_crops(extractor: Extractor) -> None:
    crops = noise(6)
    np.testing.assert_allclose(extractor.embed(crops[::-1]), extractor.embed(crops)[::-1], atol=1e-4)


def test_different_crops_are_told_apart(extractor: Extractor) -> None:
    rows = extractor.embed(noise(4)).astype(np.float64)
    distances = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    assert distances[~np.eye(4, dtype=bool)].min() > 1e-3


@pytest.mark.parametrize("name", ODD)
def test_odd_crops_have_a_direction_too(name: str, extractor: Extractor) -> None:
    rows = extractor.embed([Crop(ODD[name])])
    assert np.isfinite(rows).all()
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def test_crops_are_not_changed(extractor: Extractor) -> None:
    crops = noise(3)
    before = [crop.pixels.copy() for crop in crops]
    extractor.embed(crops)
    for crop, pixels in zip(crops, before, strict=True):
        np.testing.assert_array_equal(crop.pixels, pixels)


def test_a_graph_is_compiled_ahead_of_the_first_picture(make: Make) -> None:
    extractor = make("auto")
    if isinstance(extractor, GraphExtractor) and not isinstance(extractor, LearnedExtractor):  # to fit is a first pass
        assert "_compiled" not in vars(extractor)
        Embedder(extractor, None, extractor._runtime).ready_for_vectors()
        assert "_compiled" in vars(extractor)


def test_made_again_it_is_the_same(extractor: Extractor, make: Make) -> None:
    again = make("auto")
    assert (again.fingerprint, again.dim) == (extractor.fingerprint, extractor.dim)
    np.testing.assert_allclose(again.embed(noise(3)), extractor.embed(noise(3)), atol=1e-5)


def test_the_runtime_changes_neither_vectors_nor_fingerprint(extractor: Extractor, make: Make) -> None:
    other = make("tensorflow")
    assert other.fingerprint == extractor.fingerprint
    np.testing.assert_allclose(other.embed(noise(4)), extractor.embed(noise(4)), atol=1e-4)


def test_other_weights_give_another_fingerprint_and_other_vectors(tmp_path: Path) -> None:
    plugin = load(EXTRACTORS, "mobilenet", "extractor")
    made = []
    for seed in (1, 2):
        file = write_network(tmp_path / f"{seed}.weights.h5", seed)
        options = plugin.Options(name="mobilenet", weights=f"file:{file}")
        made.append(plugin(options, create_runtime("tensorflow"), tmp_path))
    assert made[0].fingerprint != made[1].fingerprint
    first, second = (extractor.embed(noise(1))[0] for extractor in made)
    assert float(first @ second) < 0.99
