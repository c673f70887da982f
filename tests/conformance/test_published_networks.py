"""Networks with weights of the published layout through the whole pipeline, compared with Keras' own loading.

The weights are random, but of the published shapes, names and file layout. What is expected is
computed by Keras alone: its constructor loads the file, its ``preprocess_input`` prepares the
pictures, and every picture is compared with every other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from published import write_legacy
from toys import picture

from visualsearch import VisualSearch
from visualsearch.extractors.networks import NETWORKS
from visualsearch.runtimes.frameworks import import_keras

YAML = """
gallery: {{folder: gallery}}
extractor: {{name: {name}, weights: "file:published.h5"}}
classifier: {classifier}
runtime: {{engine: {engine}}}
"""
HEAD_OF_ITS_OWN = "{name: extractor}"
SHARED_TRUNK = "{name: resnet50, train: head, epochs: 2, copies: 0}"
BUCKETS = ("red disc", "blue square")

QUICK = ("resnet50", "mobilenet", "efficientnet_b0")
SLOW = ("vgg16", "xception", "convnext_tiny")
WITH_HEAD = ("resnet50",)
"""Networks whose file is the published one with the head, which is left out."""


def lively(graph: Any, seed: int) -> Any:
    """Move what scales the channels away from 1; random offsets would drown the little that random kernels let pass."""
    rng = np.random.default_rng(seed)
    for variable in graph.weights:
        if any(word in variable.path for word in ("gamma", "moving_variance", "layer_scale")):
            variable.assign(rng.uniform(0.8, 1.2, variable.shape))
    return graph


def write_gallery(folder: Path) -> list[str]:
    """Write four pictures of each bucket; return their paths, sorted."""
    for bucket in BUCKETS:
        (folder / bucket).mkdir(parents=True)
        for number in range(4):
            Image.fromarray(picture(bucket, number).pixels).save(folder / bucket / f"{number}.png")
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))


def cosines_of_keras(name: str, file: Path, pictures: list[Path]) -> np.ndarray:
    """Return (n, n) cosines of the pictures, computed without this project."""
    row, keras = NETWORKS[name], import_keras()
    constructor, module = getattr(keras.applications, row.constructor), getattr(keras.applications, row.module)
    if name in WITH_HEAD:
        whole = constructor(weights=str(file))
        graph = keras.Model(whole.input, whole.get_layer("avg_pool").output)
    else:
        graph = constructor(weights=str(file), include_top=False, pooling="avg")
    size = (row.side, row.side)
    pixels = [np.asarray(Image.open(path).resize(size, Image.Resampling.BILINEAR), np.float32) for path in pictures]
    rows = np.asarray(graph.predict(module.preprocess_input(np.stack(pixels)), verbose=0), np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows @ rows.T


def run(name: str, engine: str, folder: Path) -> None:
    """Index, train and search with a new random network, and compare every score."""
    keras = import_keras()
    keras.utils.set_random_seed(1)
    constructor = getattr(keras.applications, NETWORKS[name].constructor)
    write_legacy(lively(constructor(weights=None, include_top=name in WITH_HEAD), 1), folder / "published.h5")
    classifier = SHARED_TRUNK if name == "resnet50" else HEAD_OF_ITS_OWN
    (folder / "a.yaml").write_text(YAML.format(name=name, classifier=classifier, engine=engine))
    paths = write_gallery(folder / "gallery")
    expected = cosines_of_keras(name, folder / "published.h5", [folder / "gallery" / path for path in paths])
    assert np.ptp(expected) > 0.005, "the network tells nothing apart, so the comparison would prove nothing"
    with VisualSearch.from_yaml(folder / "a.yaml") as search:
        assert search.index().added == len(paths)
        assert set(search.train().buckets) == set(BUCKETS)
        for number in (0, len(paths) - 1):
            query = folder / "gallery" / paths[number]
            everywhere, routed = search.search(query, k=len(paths), exhaustive=True), search.search(query, k=3)
            found = {hit.path: hit.score for hit in everywhere.hits}
            assert (everywhere.hits[0].path, everywhere.route.compared) == (paths[number], 1.0)
            assert everywhere.hits[0].score == pytest.approx(1, abs=1e-4)
            np.testing.assert_allclose([found[path] for path in paths], expected[number], atol=1e-4)
            assert len(routed.hits) == 3
            for hit in routed.hits:
                assert hit.score == pytest.approx(expected[number, paths.index(hit.path)], abs=1e-4)


@pytest.mark.parametrize("name", QUICK)
def test_scores_are_those_that_keras_gives(name: str, tmp_path: Path) -> None:
    run(name, "tensorflow", tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("name", [*SLOW, *QUICK])
def test_scores_are_those_that_keras_gives_on_the_default_engine_too(name: str, tmp_path: Path) -> None:
    run(name, "auto", tmp_path)
