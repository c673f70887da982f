"""Weights files of every layout, written here, into networks of Keras."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from visualsearch.errors import EngineError
from visualsearch.extractors.loading import build, load_file
from visualsearch.extractors.networks import NETWORKS
from visualsearch.extractors.weights import Weights
from visualsearch.runtimes import create_runtime
from visualsearch.runtimes.frameworks import import_keras

SIDE = 32


@pytest.fixture(scope="module")
def keras() -> Any:
    return import_keras()


def small(keras: Any, seed: int, **changes: Any) -> Any:
    """A MobileNet of a quarter of the width, every variable random (also those that start as 0 or 1)."""
    options = {"alpha": 0.25, "weights": None, "include_top": False, "pooling": "avg", "input_shape": (SIDE, SIDE, 3)}
    return randomised(keras.applications.MobileNet(**{**options, **changes}), seed)


def randomised(graph: Any, seed: int) -> Any:
    """Give every variable a random value under which activations neither vanish nor overflow."""
    rng = np.random.default_rng(seed)
    for variable in graph.weights:
        shape = tuple(variable.shape)
        if len(shape) == 4:
            inputs = shape[0] * shape[1] * (1 if "dw" in variable.path else shape[2])
            variable.assign(rng.normal(0, (2 / inputs) ** 0.5, shape))
        else:
            variable.assign(rng.uniform(0.8, 1.2, shape))
    return graph


@pytest.fixture(scope="module")
def source(keras: Any) -> Any:
    return small(keras, 1)


@pytest.fixture(scope="module")
def reused(keras: Any) -> Any:
    return small(keras, 2)


@pytest.fixture
def target(reused: Any) -> Any:
    return randomised(reused, 2)


def answers(graph: Any) -> np.ndarray:
    noise = np.random.default_rng(0).normal(size=(2, *graph.input_shape[1:])).astype(np.float32)
    return np.asarray(graph(noise, training=False))


def write_legacy(graph: Any, path: Path, rename: Callable[[str], str] = str, inside: str | None = None) -> None:
    """Write the layout in which Keras publishes: a group for each layer, names with ':0', all listed in attributes."""
    with h5py.File(path, "w") as file:
        group = file.create_group(inside) if inside else file
        group.attrs["layer_names"] = [rename(layer.name).encode() for layer in graph.layers]
        group.attrs["keras_version"] = b"2.1.6"
        for layer in graph.layers:
            name = rename(layer.name)
            own = group.create_group(name)
            # Not the order of ``weights``: trainable ones come first, moving averages last.
            variables = [*layer.trainable_weights, *layer.non_trainable_weights]
            own.attrs["weight_names"] = [f"{name}/{variable.name}:0".encode() for variable in variables]
            for variable in variables:
                own.create_dataset(f"{name}/{variable.name}:0", data=np.asarray(variable))


def save(graph: Any, folder: Path, layout: str) -> Path:
    if layout == "legacy":
        write_legacy(graph, path := folder / "notop.h5")
    elif layout == "legacy, model inside":
        write_legacy(graph, path := folder / "model.h5", inside="model_weights")
    elif layout == "keras":
        graph.save(path := folder / "network.keras")
    elif layout == "weights":
        graph.save_weights(path := folder / "network.weights.h5")
    else:
        np.savez(path := folder / "network.npz", **{v.path: np.asarray(v) for v in graph.weights})
    return path


LAYOUTS = ("legacy", "legacy, model inside", "keras", "weights", "npz")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_values(layout: str, source: Any, target: Any, tmp_path: Path) -> None:
    assert not np.allclose(answers(source), answers(target), rtol=1e-2)
    load_file(target, save(source, tmp_path, layout))
    np.testing.assert_allclose(answers(target), answers(source), rtol=1e-5)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_another_width_is_refused_with_both_shapes(layout: str, keras: Any, target: Any, tmp_path: Path) -> None:
    path = save(small(keras, 1, alpha=0.5), tmp_path, layout)
    with pytest.raises(EngineError) as raised:
        load_file(target, path)
    assert raised.value.slug == "weights-mismatch"
    assert str(path) in str(raised.value)
    assert "3, 3, 3, 8" in str(raised.value) and "3, 3, 3, 16" in str(raised.value)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_head_in_the_file_is_left_out(layout: str, keras: Any, target: Any, tmp_path: Path) -> None:
    whole = small(keras, 1, include_top=True, classes=5)
    load_file(target, save(whole, tmp_path, layout))
    pooling = next(layer for layer in whole.layers if layer.name.startswith("global_average_pooling2d"))
    features = keras.Model(whole.input, pooling.output)
    np.testing.assert_allclose(answers(target), answers(features).reshape(2, -1), rtol=1e-5)


def test_automatic_layer_names_are_matched_by_order(source: Any, target: Any, tmp_path: Path) -> None:
    write_legacy(source, tmp_path / "numbered.h5", rename=lambda name: f"old_{name}")
    load_file(target, tmp_path / "numbered.h5")
    np.testing.assert_allclose(answers(target), answers(source), rtol=1e-5)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_of_fewer_layers_is_refused(layout: str, keras: Any, source: Any, target: Any, tmp_path: Path) -> None:
    part = keras.Model(source.input, source.get_layer("conv_pw_1_relu").output)
    with pytest.raises(EngineError, match="expected 54 layers with weights, found 6|conv_dw_2") as raised:
        load_file(target, save(part, tmp_path, layout))
    assert raised.value.slug == "weights-mismatch"


def test_a_long_list_of_layers_is_read_in_pieces(source: Any, target: Any, tmp_path: Path) -> None:
    """HDF5 bounds an attribute at 64 KiB, so Keras writes layer_names0, layer_names1, …."""
    write_legacy(source, path := tmp_path / "long.h5")
    with h5py.File(path, "r+") as file:
        names = file.attrs["layer_names"]
        del file.attrs["layer_names"]
        for piece, part in enumerate(np.array_split(names, 12)):
            file.attrs[f"layer_names{piece}"] = part
    load_file(target, path)
    np.testing.assert_allclose(answers(target), answers(source), rtol=1e-5)


@pytest.mark.parametrize("content", [b"", b"these are no weights", b"\x89HDF\r\n\x1a\n broken"])
def test_what_is_no_weights_file_is_one_sentence(content: bytes, target: Any, tmp_path: Path) -> None:
    (path := tmp_path / "weights.h5").write_bytes(content)
    with pytest.raises(EngineError, match="expected") as raised:
        load_file(target, path)
    assert raised.value.slug in ("weights-layout", "weights-mismatch")
    assert "\n" not in str(raised.value)


def test_a_zip_of_something_else_is_one_sentence(target: Any, tmp_path: Path) -> None:
    with zipfile.ZipFile(path := tmp_path / "photos.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(EngineError, match="expected weights of"):
        load_file(target, path)


@pytest.fixture(scope="module")
def efficientnets(keras: Any, tmp_path_factory: Any) -> Any:
    """EfficientNet without weights, and as Keras builds it for its published ones, given our file for them."""
    shape = {"include_top": False, "pooling": "avg", "input_shape": (SIDE, SIDE, 3)}
    plain = randomised(keras.applications.EfficientNetB0(weights=None, **shape), 1)
    plain.get_layer("normalization").finalize_state()
    write_legacy(plain, stand_in := tmp_path_factory.mktemp("efficientnet") / "stand-in.h5")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("keras.src.utils.file_utils.get_file", lambda *_, **__: str(stand_in))
        published = keras.applications.EfficientNetB0(weights="imagenet", **shape)
    assert not np.allclose(answers(plain), answers(published), atol=1e-2)
    return plain, published


@pytest.mark.parametrize("layout", LAYOUTS[:4])
def test_published_efficientnet_rescales_twice(layout: str, efficientnets: Any, tmp_path: Path) -> None:
    """Keras adds a layer for its published weights only; a file of theirs must compute what Keras computes."""
    plain, published = efficientnets
    load_file(randomised(plain, 2), save(published, tmp_path, layout))
    np.testing.assert_allclose(answers(plain), answers(published), atol=1e-5)


def test_the_published_resnet50_layout_loads_for_real(keras: Any, tmp_path: Path) -> None:
    source = randomised(keras.applications.ResNet50(weights=None, include_top=False), 1)
    path = tmp_path / "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
    write_legacy(source, path)
    graph = build(NETWORKS["resnet50"], SIDE, Weights("file", "hash", path))
    assert (graph.input_shape, graph.output_shape) == ((None, SIDE, SIDE, 3), (None, 2048))
    for name in ("conv1_conv", "conv3_block2_2_bn", "conv5_block3_3_conv"):
        for mine, theirs in zip(graph.get_layer(name).weights, source.get_layer(name).weights, strict=True):
            np.testing.assert_array_equal(np.asarray(mine), np.asarray(theirs))


PUBLISHED = """
import os, pathlib, socket, sys
from visualsearch.errors import EngineError
from visualsearch.extractors.loading import build
from visualsearch.extractors.networks import NETWORKS
from visualsearch.extractors.weights import find_weights

def refuse(*_, **__):
    raise OSError("Network is unreachable")

socket.socket.connect = refuse
socket.getaddrinfo = refuse
try:
    build(NETWORKS["mobilenet"], 224, find_weights("mobilenet", "published"))
except EngineError as error:
    print(error.slug, error)
assert socket.getdefaulttimeout() is None
models = pathlib.Path(os.environ["KERAS_HOME"], "models")
models.mkdir(exist_ok=True)
os.replace(sys.argv[1], models / "mobilenet_1_0_224_tf_no_top.h5")
graph = build(NETWORKS["mobilenet"], 224, find_weights("mobilenet", "published"))
print(float(graph.get_layer("conv1").weights[0][0, 0, 0, 0]))
"""


def test_published_weights_are_one_sentence_out_of_reach_and_used_where_keras_has_them(
    keras: Any, tmp_path: Path
) -> None:
    """Keras keeps no hash of MobileNet's file, so one of ours can stand in for it. All of this without a network."""
    source = randomised(keras.applications.MobileNet(weights=None, include_top=False, input_shape=(224, 224, 3)), 1)
    write_legacy(source, tmp_path / "stand-in.h5")
    said = subprocess.run(
        [sys.executable, "-c", PUBLISHED, str(tmp_path / "stand-in.h5")],
        env={**os.environ, "KERAS_HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    refusal, first = said.stdout.splitlines()
    assert refusal.startswith(
        "weights-unreachable extractor.weights: Keras cannot load the published weights of MobileNet"
    )
    assert "weights: file:PATH" in refusal and "weights: starter" in refusal
    expected = float(np.asarray(source.get_layer("conv1").weights[0])[0, 0, 0, 0])
    assert float(first) == pytest.approx(expected, abs=1e-6)
    assert said.stderr == ""


FAMILIES = {row.module: name for name, row in reversed(NETWORKS.items())}
"""The first, smallest network of each family."""

AUTOMATIC_NAMES = ("inception_v3", "inception_resnet_v2", "xception", "mobilenet_v3", "efficientnet", "convnext")
"""Families with layers that Keras numbers anew with every network: no file of variable paths fits twice."""


@pytest.mark.soak
@pytest.mark.parametrize("name", sorted(FAMILIES.values()))
def test_every_family_loads_its_files_and_runs_on_openvino(name: str, keras: Any, tmp_path: Path) -> None:
    """The runtime itself compares OpenVINO with Keras and refuses a graph on which they differ."""
    pytest.importorskip("openvino", reason="pip install openvino")
    row = NETWORKS[name]
    shape = (row.side, row.side, 3)
    source = getattr(keras.applications, row.constructor)(
        weights=None, include_top=False, pooling="avg", input_shape=shape
    )
    expected = answers(source)
    for layout in ("legacy", "weights", "npz"):
        if layout == "npz" and row.module in AUTOMATIC_NAMES:
            continue
        graph = build(row, row.side, Weights("file", "hash", save(source, tmp_path, layout)))
        np.testing.assert_allclose(answers(graph), expected, atol=1e-5 * np.abs(expected).max())
    (output,) = create_runtime("openvino").compile(lambda: graph, "key")(np.zeros((1, *shape), np.float32))
    assert output.shape == (1, row.dim)
