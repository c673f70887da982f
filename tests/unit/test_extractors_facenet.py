"""FaceNet's layers, files and pixels; tests/soak/test_deepface.py compares its numbers with DeepFace's."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image
from published import randomised, write_legacy
from pydantic import ValidationError

from visualsearch.datatypes import Crop
from visualsearch.errors import EngineError
from visualsearch.extractors import facenet_network
from visualsearch.extractors.facenet import FACENETS, FacenetExtractor
from visualsearch.extractors.loading import load_file
from visualsearch.extractors.preparation import pad, squeeze
from visualsearch.runtimes import create_runtime

DEEPFACES = "e8c4d8a83a5cd6480e445a3e2c955e3357e830ef226efeff6cf86701183aa492"
"""SHA-256 of the 245 lines "name [shapes]" that DeepFace 0.0.103 gives for its layers with weights, 128 dimensions."""

FEW = {"Block35": 1, "Block17": 2, "Block8": 1}


@pytest.fixture
def few_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each kind of block once or twice, so that building it takes no time."""
    monkeypatch.setattr(facenet_network, "REPEATS", FEW)


def make(file: Path, name: str = "facenet", **options: Any) -> FacenetExtractor:
    made = FacenetExtractor.Options(name=name, weights=f"file:{file}", **options)
    return FacenetExtractor(made, create_runtime("tensorflow"), file.parent)


def write(path: Path, dim: int | None = 128, seed: int = 1, **layout: Any) -> Path:
    return write_legacy(randomised(facenet_network.build(dim), seed, centred=True), path, **layout)


def test_the_layers_are_those_of_deepface() -> None:
    """Their names, order and shapes, which the published files have; 22,808,144 values in all."""
    graph = facenet_network.build(128)
    lines = [f"{layer.name} {[tuple(w.shape) for w in layer.weights]}" for layer in graph.layers if layer.weights]
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == DEEPFACES
    assert (graph.input_shape, graph.output_shape) == ((None, 160, 160, 3), (None, 128))
    assert graph.count_params() == 22_808_144


@pytest.mark.usefixtures("few_blocks")
@pytest.mark.parametrize("rename", [str, lambda name: f"other_{name}"], ids=["by name", "by order"])
def test_a_file_gives_its_values_by_name_or_order(rename: Any, tmp_path: Path) -> None:
    source = randomised(facenet_network.build(128), 1)
    write_legacy(source, file := tmp_path / "facenet_weights.h5", rename=rename)
    load_file(target := facenet_network.build(128), file)
    for mine, theirs in zip(target.weights, source.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(mine), np.asarray(theirs))


@pytest.mark.usefixtures("few_blocks")
def test_the_pooled_features_are_those_before_the_embedding(tmp_path: Path) -> None:
    """By hand: embedding = (pooled x kernel - mean) / sqrt(variance + 0.001) + beta."""
    file = write(tmp_path / "facenet_weights.h5")
    crops = [Crop(np.random.default_rng(seed).integers(0, 256, (170, 150, 3), np.uint8)) for seed in range(2)]
    pooled, whole = make(file, "facenet_pool"), make(file)
    assert (pooled.dim, whole.dim) == (1792, 128)
    with h5py.File(file) as arrays:
        own = {
            name: np.asarray(arrays[f"Bottleneck_BatchNorm/Bottleneck_BatchNorm/{name}:0"], np.float64)
            for name in ("beta", "moving_mean", "moving_variance")
        }
        kernel = np.asarray(arrays["Bottleneck/Bottleneck/kernel:0"], np.float64)
    rows = pooled._pass(pooled.batch(crops)).astype(np.float64) @ kernel
    rows = (rows - own["moving_mean"]) / np.sqrt(own["moving_variance"] + 1e-3) + own["beta"]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(whole.embed(crops), rows, atol=1e-5)


@pytest.mark.usefixtures("few_blocks")
def test_a_file_of_another_embedding_is_refused_with_both_shapes(tmp_path: Path) -> None:
    file = write(tmp_path / "facenet512_weights.h5", dim=512)
    with pytest.raises(EngineError, match=r"'Bottleneck': expected .*1792, 128.*, found .*1792, 512") as raised:
        make(file).graph()
    assert raised.value.slug == "weights-mismatch"
    assert make(file, "facenet512").graph().output_shape == (None, 512)


@pytest.mark.usefixtures("few_blocks")
def test_a_file_without_a_layer_or_with_more_blocks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "a.h5")
    with h5py.File(file, "r+") as arrays:
        names = arrays.attrs["layer_names"]
        arrays.attrs["layer_names"] = [name for name in names if "Block17_2_Branch_0" not in str(name)]
    with pytest.raises(EngineError) as raised:
        make(file).graph()
    assert raised.value.slug == "weights-mismatch"
    write(file)
    monkeypatch.setattr(facenet_network, "REPEATS", {**FEW, "Block17": 1})
    with pytest.raises(EngineError, match="expected no 'Block17_2_") as raised:
        make(file).graph()
    assert raised.value.slug == "weights-mismatch"


@pytest.mark.parametrize("name", FACENETS)
def test_published_weights_are_found_in_deepfaces_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path))
    options, runtime = FacenetExtractor.Options(name=name), create_runtime("tensorflow")
    file = "facenet512_weights.h5" if name == "facenet512" else "facenet_weights.h5"
    path = tmp_path / ".deepface" / "weights" / file
    with pytest.raises(EngineError, match=f"DeepFace's {file} at {path}; there is none: fetch it from") as raised:
        FacenetExtractor(options, runtime, tmp_path)
    assert raised.value.slug == "weights-missing"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"values")
    assert FacenetExtractor(options, runtime, tmp_path).fingerprint == make(path, name).fingerprint
    monkeypatch.delenv("DEEPFACE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert FacenetExtractor(options, runtime, tmp_path).fingerprint == make(path, name).fingerprint


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (path := tmp_path / "facenet_weights.h5").write_bytes(b"values")
    return path


PIXELS = np.random.default_rng(0).integers(0, 256, (90, 45, 3), np.uint8)


def standard(pixels: np.ndarray) -> np.ndarray:
    values = pixels.astype(np.float64)
    return (values - values.mean()) / values.std()


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("facenet", {}, standard(squeeze(PIXELS, 160))),
        ("facenet_pool", {}, standard(squeeze(PIXELS, 160))),
        ("facenet512", {}, (squeeze(PIXELS, 160) - 127.5) / 128),
        ("facenet", {"normalisation": "fixed"}, (squeeze(PIXELS, 160) - 127.5) / 128),
        ("facenet", {"normalisation": "base", "channels": "bgr"}, squeeze(PIXELS, 160)[..., ::-1] / 255),
        ("facenet", {"normalisation": "base", "fit": "pad"}, pad(PIXELS, 160) / 255),
    ],
)
def test_pixels_become_what_the_weights_were_trained_on(
    name: str, options: dict[str, Any], expected: np.ndarray, file: Path
) -> None:
    batch = make(file, name, **options).batch([Crop(PIXELS)])
    assert (batch.shape, batch.dtype) == ((1, 160, 160, 3), np.float32)
    np.testing.assert_allclose(batch[0], expected, atol=1e-5)


def test_a_uniform_picture_stays_finite(file: Path) -> None:
    batch = make(file).batch([Crop(np.full((9, 9, 3), 200, np.uint8))])
    assert (batch == 0).all()


def test_padding_keeps_the_aspect_ratio_in_the_middle() -> None:
    padded = pad(PIXELS, 160)
    assert (padded[:, :40] == 0).all() and (padded[:, 120:] == 0).all()
    expected = np.asarray(Image.fromarray(PIXELS).resize((80, 160), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(padded[:, 40:120], expected)


def test_options_and_content_are_in_the_fingerprint(file: Path, tmp_path: Path) -> None:
    changes = (
        {},
        {"normalisation": "base"},
        {"channels": "bgr"},
        {"fit": "pad"},
        {"mirror": True},
        {"alignment": "arcface-112"},
        {"name": "facenet_pool"},
        {"name": "facenet512"},
    )
    prints = {make(file, **change).fingerprint for change in changes}
    assert len(prints) == len(changes)
    assert make(file, normalisation="image").fingerprint == make(file).fingerprint
    (other := tmp_path / "other.h5").write_bytes(b"other values")
    assert make(other).fingerprint not in prints


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"name": "facenet256"}, "expected one of facenet, facenet512, facenet_pool; received 'facenet256'"),
        ({"weights": "vggface2"}, "expected published or file:PATH; received 'vggface2'"),
        ({"normalisation": "prewhiten"}, "base"),
        ({"size": 160}, "size"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        FacenetExtractor.Options(**options)
