"""Networks in ONNX and Keras files against NumPy's own computation, and files that do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import FEATURES, computed, write_keras, write_onnx
from onnx import TensorProto
from pydantic import ValidationError

from visualsearch.config import parse
from visualsearch.datatypes import Crop
from visualsearch.errors import ConfigError, EngineError
from visualsearch.extractors.alignment import aligned
from visualsearch.extractors.keras import KerasExtractor
from visualsearch.extractors.onnx import OnnxExtractor
from visualsearch.extractors.preparation import squeeze
from visualsearch.runtimes import create_runtime
from visualsearch.runtimes.frameworks import import_keras

ENGINES = ("openvino", "onnxruntime")
MEAN, SCALE = (110.0, 120.0, 130.0), (50.0, 60.0, 70.0)


def onnx_extractor(file: Path, engine: str = "onnxruntime", **options: Any) -> OnnxExtractor:
    return OnnxExtractor(OnnxExtractor.Options(file=file, **options), create_runtime(engine), file.parent)


def keras_extractor(file: Path, engine: str = "tensorflow", **options: Any) -> KerasExtractor:
    return KerasExtractor(KerasExtractor.Options(file=file, **options), create_runtime(engine), file.parent)


def crops(n: int = 3) -> list[Crop]:
    rng = np.random.default_rng(5)
    return [Crop(rng.integers(0, 256, (20 + i, 30, 3), np.uint8)) for i in range(n)]


def expected(pictures: list[Crop], side: int = 16, bgr: bool = False, seed: int = 0) -> np.ndarray:
    """Return the rows that NumPy computes, at unit length."""
    batch = np.stack([squeeze(crop.pixels, side) for crop in pictures]).astype(np.float64)
    batch = ((batch[..., ::-1] if bgr else batch) - MEAN) / SCALE
    rows = computed(batch, seed)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("written", "options"),
    [
        ({}, {}),
        ({"layout": "nhwc"}, {}),
        ({"pooled": False}, {}),
        ({"layout": "nchw"}, {"channels": "bgr"}),
        ({"batch": 1}, {}),
        ({"batch": 2}, {"layout": "nchw"}),
        ({"side": None}, {"size": 16}),
        ({"pooled": "both"}, {"output": "map"}),
    ],
)
def test_an_onnx_file_gives_what_numpy_computes(
    written: dict[str, Any], options: dict[str, Any], engine: str, tmp_path: Path
) -> None:
    file = write_onnx(tmp_path / "small.onnx", **written)
    extractor = onnx_extractor(file, engine, mean=MEAN, scale=SCALE, **options)
    assert (extractor.side, extractor.dim) == (16, FEATURES)
    rows = expected(crops(), bgr=options.get("channels") == "bgr")
    np.testing.assert_allclose(extractor.embed(crops()), rows, atol=1e-5)


@pytest.mark.parametrize("engine", ["openvino", "tensorflow"])
@pytest.mark.parametrize("layer", ["features", "map"])
@pytest.mark.parametrize("side", [16, None])
def test_a_layer_of_a_keras_file_gives_what_numpy_computes(
    side: int | None, layer: str, engine: str, tmp_path: Path
) -> None:
    file = write_keras(tmp_path / "small.keras", side=side)
    extractor = keras_extractor(file, engine, mean=MEAN, scale=SCALE, layer=layer, size=16)
    assert (extractor.side, extractor.dim) == (16, FEATURES)
    np.testing.assert_allclose(extractor.embed(crops()), expected(crops()), atol=1e-5)


def test_without_a_layer_it_is_the_networks_output(tmp_path: Path) -> None:
    file = write_keras(tmp_path / "small.keras")
    last = import_keras().saving.load_model(file).layers[-1]
    kernel, offset = (np.asarray(value, np.float64) for value in last.get_weights())
    batch = np.stack([squeeze(crop.pixels, 16) for crop in crops()]).astype(np.float64)
    rows = computed(batch, 0) @ kernel + offset
    found = keras_extractor(file)
    assert found.dim == 2
    np.testing.assert_allclose(found.embed(crops()), rows / np.linalg.norm(rows, axis=1, keepdims=True), atol=1e-4)


def test_a_sequential_network_is_one_too(tmp_path: Path) -> None:
    keras = import_keras()
    convolution = keras.layers.Conv2D(FEATURES, 3, activation="relu")
    keras.Sequential([keras.Input((16, 16, 3)), convolution]).save(file := tmp_path / "small.keras")
    network = keras.saving.load_model(file)
    batch = np.stack([squeeze(crop.pixels, 16) for crop in crops()]).astype(np.float32)
    rows = np.asarray(network(batch), np.float64).mean(axis=(1, 2))
    expected_rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(keras_extractor(file).embed(crops()), expected_rows, atol=1e-5)


def test_mirrored_it_is_the_mean_of_both(tmp_path: Path) -> None:
    file = write_onnx(tmp_path / "small.onnx")
    batch = np.stack([squeeze(crop.pixels, 16) for crop in crops()]).astype(np.float64)
    rows = computed(batch, 0) + computed(batch[:, :, ::-1], 0)
    found = onnx_extractor(file, mirror=True).embed(crops())
    np.testing.assert_allclose(found, rows / np.linalg.norm(rows, axis=1, keepdims=True), atol=1e-5)


def test_faces_are_aligned_as_the_template_says(tmp_path: Path) -> None:
    landmarks = np.array([[14, 12], [25, 13], [20, 18], [15, 23], [24, 24]], np.float32)
    crop = Crop(np.random.default_rng(1).integers(0, 256, (40, 40, 3), np.uint8), landmarks=landmarks)
    file = write_onnx(tmp_path / "small.onnx")
    chip = aligned(crop, "arcface-112", 16)
    assert np.abs(chip.astype(int) - squeeze(crop.pixels, 16)).max() > 20
    rows = onnx_extractor(file, alignment="arcface-112").embed([crop])
    np.testing.assert_allclose(rows, onnx_extractor(file).embed([Crop(chip)]), atol=1e-6)


@pytest.mark.parametrize(
    ("written", "options", "sentence"),
    [
        ({"channels": 1}, {}, r"expected an input of three channels, .*; received float32 \(any, 1, 16, 16\)"),
        ({}, {"layout": "nhwc"}, r"three channels as layout: nhwc says; received float32 \(any, 3, 16, 16\)"),
        (
            {"kind": TensorProto.FLOAT16},
            {},
            "expected one input of float32 .*; received float16|expected an ONNX network",
        ),
        ({}, {"size": 32}, "takes 16 x 16 pixels and size is 32"),
        ({"side": None}, {}, "takes pictures of any size: say which"),
        ({"pooled": "both"}, {}, "expected one of features, map; received none"),
        ({}, {"output": "fetures"}, "expected one of features; received fetures"),
    ],
)
@pytest.mark.parametrize("engine", ENGINES)
def test_an_onnx_file_that_does_not_fit_is_refused(
    written: dict[str, Any], options: dict[str, Any], sentence: str, engine: str, tmp_path: Path
) -> None:
    file = write_onnx(tmp_path / "small.onnx", **written)
    with pytest.raises((EngineError, ConfigError), match=sentence) as raised:
        onnx_extractor(file, engine, **options)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_no_onnx_file_is_one_sentence(engine: str, tmp_path: Path) -> None:
    (file := tmp_path / "small.onnx").write_bytes(b"no network")
    with pytest.raises(EngineError, match="expected an ONNX network") as raised:
        onnx_extractor(file, engine)
    assert raised.value.slug == "network-unreadable" and "\n" not in str(raised.value)


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    for make in (onnx_extractor, keras_extractor):
        with pytest.raises(EngineError, match="there is none: check the path") as raised:
            make(tmp_path / "none")
        assert raised.value.slug == "weights-missing"


def test_a_keras_file_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    file = write_keras(tmp_path / "small.keras")
    with pytest.raises(ConfigError, match="Did you mean 'features'"):
        keras_extractor(file, layer="feature").dim  # noqa: B018
    with pytest.raises(ConfigError, match="takes 16 x 16 pixels and size is 20"):
        keras_extractor(file, size=20)
    (other := tmp_path / "other.keras").write_bytes(b"no archive")
    with pytest.raises(EngineError, match="expected a network that Keras 3 saved"):
        keras_extractor(other)
    whole = file.read_bytes()
    other.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(EngineError, match="expected a network that Keras 3 saved"):
        keras_extractor(other)


def test_code_in_a_keras_file_is_not_run(tmp_path: Path) -> None:
    keras = import_keras()
    pictures = keras.Input((16, 16, 3))
    averaged = keras.layers.Lambda(lambda maps: maps[:, 0, 0])(pictures)
    keras.Model(pictures, averaged).save(file := tmp_path / "code.keras")
    with pytest.raises(EngineError, match="loads in safe mode; received one that it refuses") as raised:
        keras_extractor(file).dim  # noqa: B018
    assert raised.value.slug == "network-unreadable" and "\n" not in str(raised.value)


def test_options_and_content_are_in_the_fingerprint(tmp_path: Path) -> None:
    file, moved = write_onnx(tmp_path / "a.onnx"), write_onnx(tmp_path / "b.onnx")
    assert onnx_extractor(file).fingerprint == onnx_extractor(moved, size=16, layout="nchw").fingerprint
    changes = ({}, {"mean": 1.0}, {"scale": 2.0}, {"channels": "bgr"}, {"mirror": True}, {"alignment": "dlib"})
    assert len({onnx_extractor(file, **change).fingerprint for change in changes}) == len(changes)
    other = write_onnx(tmp_path / "c.onnx", seed=1)
    assert onnx_extractor(other).fingerprint != onnx_extractor(file).fingerprint
    saved = write_keras(tmp_path / "a.keras")
    assert len({keras_extractor(saved, layer=layer).fingerprint for layer in (None, "map", "features")}) == 3


def test_arrays_beside_the_file_are_in_the_fingerprint(tmp_path: Path) -> None:
    file = write_onnx(tmp_path / "a.onnx")
    before = onnx_extractor(file).fingerprint
    (tmp_path / "a.onnx.data").write_bytes(b"arrays")
    assert onnx_extractor(file).fingerprint != before


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "file"),
        ({"scale": 0}, "numbers other than 0"),
        ({"scale": (1, 0, 1)}, "numbers other than 0"),
        ({"mean": (1, 2)}, "mean"),
        ({"channels": "grb"}, "expected rgb or bgr; received 'grb'"),
        ({"alignment": "arcface"}, "arcface-112"),
        ({"layout": "hwc"}, "nchw"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        OnnxExtractor.Options(**({} if sentence == "file" else {"file": Path("a.onnx")}), **options)


@pytest.mark.parametrize("written", ["nets/small.onnx", "file:nets/small.onnx"])
def test_a_relative_path_is_meant_from_the_yaml(written: str, tmp_path: Path) -> None:
    text = f'gallery: {{folder: .}}\nextractor: {{name: onnx, file: "{written}"}}\n'
    assert parse(text, tmp_path).extractor.file == tmp_path / "nets/small.onnx"
