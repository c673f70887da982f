"""Weights files of every layout, written here, into networks of Keras."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from fakes import paint
from published import randomised, write_legacy

from visualsearch.errors import EngineError
from visualsearch.extractors.loading import build, load_file
from visualsearch.extractors.networks import NETWORKS
from visualsearch.extractors.weights import Weights, find_weights
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
    assert raised.value.slug in ("weights-layout", "weights-damaged")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_half_a_file_is_one_sentence(layout: str, share: float, source: Any, target: Any, tmp_path: Path) -> None:
    whole = (path := save(source, tmp_path, layout)).read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(EngineError, match="received") as raised:
        load_file(target, path)
    assert raised.value.slug in ("weights-layout", "weights-damaged")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_bytes_gone_wrong_are_one_sentence_or_numbers(layout: str, source: Any, target: Any, tmp_path: Path) -> None:
    """Nothing but EngineError comes out of a file in which whole blocks were overwritten."""
    whole = (path := save(source, tmp_path, layout)).read_bytes()
    rng = np.random.default_rng(3)
    for _ in range(12):
        place = int(rng.integers(0, len(whole) if rng.random() < 0.5 else 4096))
        path.write_bytes(whole[:place] + rng.bytes(64) + whole[place + 64 :])
        with contextlib.suppress(EngineError):
            load_file(target, path)


def test_a_zip_of_something_else_is_one_sentence(target: Any, tmp_path: Path) -> None:
    with zipfile.ZipFile(path := tmp_path / "photos.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(EngineError, match=r"expected weights of .*3, 3, 3, 8.*found \[\]"):
        load_file(target, path)


def test_groups_that_are_data_are_one_sentence(target: Any, tmp_path: Path) -> None:
    with h5py.File(path := tmp_path / "photos.h5", "w") as file:
        file["layers"] = file["model_weights"] = np.zeros(3)
    with pytest.raises(EngineError, match=r"expected a \.h5, .* received something else"):
        load_file(target, path)


def reordered(graph: Any, path: Path, place: int) -> Path:
    """Write the published layout with one more layer, at ``place`` in its list."""
    write_legacy(graph, path)
    with h5py.File(path, "r+") as file:
        names = [layer.name.encode() for layer in graph.layers]
        file.attrs["layer_names"] = [*names[:place], b"another", *names[place:]]
        (own := file.create_group("another")).attrs["weight_names"] = [b"another/kernel:0"]
        own["another/kernel:0"] = np.zeros((7, 5))
    return path


def test_layers_between_the_networks_own_are_refused(source: Any, target: Any, tmp_path: Path) -> None:
    """A deeper network may have every layer of a shallower one, by name and shape: ResNet101 has ResNet50's."""
    load_file(target, reordered(source, tmp_path / "head.h5", len(source.layers)))
    np.testing.assert_allclose(answers(target), answers(source), rtol=1e-5)
    with pytest.raises(EngineError, match=r"expected no 'another' between its layers, found .*\(7, 5\)") as raised:
        load_file(target, reordered(source, tmp_path / "deeper.h5", 20))
    assert raised.value.slug == "weights-mismatch"


def test_arrays_between_the_networks_own_are_refused(source: Any, target: Any, tmp_path: Path) -> None:
    arrays = [(variable.path, np.asarray(variable)) for variable in source.weights]
    np.savez(tmp_path / "head.npz", **dict([*arrays, ("another/kernel", np.zeros((7, 5)))]))
    load_file(target, tmp_path / "head.npz")
    np.savez(tmp_path / "deeper.npz", **dict([*arrays[:9], ("another/kernel", np.zeros((7, 5))), *arrays[9:]]))
    with pytest.raises(EngineError, match=r"expected no 'another/kernel' between its layers, found .*\(7, 5\)"):
        load_file(target, tmp_path / "deeper.npz")


def test_vgg16s_file_for_resnet50_is_refused_with_both_shapes(keras: Any, tmp_path: Path) -> None:
    vgg16 = keras.applications.VGG16(weights=None, include_top=False, input_shape=(SIDE, SIDE, 3))
    path = write_legacy(vgg16, tmp_path / "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5")
    sentence = r"resnet50; .*'conv1_conv': expected .*\(7, 7, 3, 64\).*, found .*\(3, 3, 3, 64\)"
    with pytest.raises(EngineError, match=sentence) as raised:
        build(NETWORKS["resnet50"], SIDE, Weights("file", "hash", path))
    assert raised.value.slug == "weights-mismatch"


def test_random_weights_are_those_of_he_and_the_same_each_time(keras: Any) -> None:
    one, other = (build(NETWORKS["mobilenet"], SIDE, find_weights("mobilenet", "random")) for _ in range(2))
    for mine, twin in zip(one.weights, other.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(mine), np.asarray(twin))
    inputs = {"conv1": 27, "conv_dw_13": 9, "conv_pw_13": 1024}
    for name, number in inputs.items():
        drawn = np.asarray(one.get_layer(name).weights[0])
        assert np.sqrt((drawn**2).mean()) == pytest.approx((2 / number) ** 0.5, rel=0.1)
    first, second = answers(one)
    assert np.isfinite(first).all() and not np.allclose(first, second)


DEEPER = (
    ("resnet50", "resnet101"),
    ("resnet50_v2", "resnet152_v2"),
    ("vgg16", "vgg19"),
    ("efficientnet_b0", "efficientnet_b1"),
    ("densenet121", "densenet169"),
    ("convnext_tiny", "convnext_small"),
)


@pytest.mark.soak
@pytest.mark.parametrize(("shallow", "deep"), DEEPER)
def test_a_deeper_network_of_the_same_family_is_refused(shallow: str, deep: str, keras: Any, tmp_path: Path) -> None:
    shape = {"weights": None, "include_top": False, "pooling": "avg", "input_shape": (SIDE, SIDE, 3)}
    source = getattr(keras.applications, NETWORKS[deep].constructor)(**shape)
    for layout in ("legacy", "keras", "weights", "npz"):
        with pytest.raises(EngineError) as raised:
            build(NETWORKS[shallow], SIDE, Weights("file", "hash", save(source, tmp_path, layout)))
        assert raised.value.slug == "weights-mismatch"


@pytest.fixture(scope="module")
def efficientnets(keras: Any, tmp_path_factory: Any) -> Any:
    """EfficientNet without weights, and as Keras builds it for its published ones, given our file for them."""
    shape = {"include_top": False, "pooling": "avg", "input_shape": (SIDE, SIDE, 3)}
    plain = randomised(keras.applications.EfficientNetB0(weights=None, **shape), 1)
    next(layer for layer in plain.layers if type(layer).__name__ == "Normalization").finalize_state()
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


@pytest.mark.parametrize("layout", ["legacy", "weights"])
def test_the_published_efficientnet_file_itself_is_known_by_its_variance(
    layout: str, efficientnets: Any, tmp_path: Path
) -> None:
    """It is older than the second rescaling, and keeps ImageNet's deviation where a variance belongs."""
    plain, published = efficientnets
    deviation = np.array([0.229, 0.224, 0.225], np.float32)
    for graph in (plain, published):
        normalization = next(layer for layer in graph.layers if layer.name.startswith("normalization"))
        normalization.adapt_variance.assign(deviation)
        normalization.finalize_state()
    file = save(plain, tmp_path, layout)
    assert not np.allclose(answers(plain), answers(published), atol=1e-2)
    load_file(plain, file)
    np.testing.assert_allclose(answers(plain), answers(published), atol=1e-5)


@pytest.mark.parametrize("top", [False, True])
def test_the_published_resnet50_files_load_as_keras_loads_them(top: bool, keras: Any, tmp_path: Path) -> None:
    source = randomised(keras.applications.ResNet50(weights=None, include_top=top), 1)
    path = write_legacy(source, tmp_path / "resnet50_weights_tf_dim_ordering_tf_kernels.h5")
    graph = build(NETWORKS["resnet50"], SIDE, Weights("file", "hash", path))
    assert (graph.input_shape, graph.output_shape) == ((None, SIDE, SIDE, 3), (None, 2048))
    randomised(source, 2).load_weights(path)
    theirs = {variable.path: np.asarray(variable) for variable in source.weights}
    assert len(theirs) == len(graph.weights) + (2 if top else 0) == (320 if top else 318)
    for mine in graph.weights:
        np.testing.assert_array_equal(np.asarray(mine), theirs[mine.path])


PUBLISHED = """
import contextlib, os, pathlib, socket, sys, urllib.request
from email.message import Message
from io import BytesIO
from urllib.response import addinfourl
from visualsearch.cli import main
from visualsearch.errors import EngineError
from visualsearch.extractors import loading
from visualsearch.extractors.networks import NETWORKS
from visualsearch.extractors.weights import find_weights

def fetch(name):
    try:
        return loading.build(NETWORKS[name], 224, find_weights(name, "published"))
    except EngineError as error:
        print(error.slug, error)

models = pathlib.Path(os.environ["KERAS_HOME"], "models")
models.mkdir()
with socket.socket() as closed:
    closed.bind(("127.0.0.1", 0))
    os.environ["https_proxy"] = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with contextlib.redirect_stderr(sys.stdout):
        print("exit", main(["-yml", sys.argv[2], "--json", "index"]))

(models / "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5").write_bytes(b"the first half of it")
fetch("vgg16")

with socket.create_server(("127.0.0.1", 0)) as silent:
    os.environ["https_proxy"] = f"http://127.0.0.1:{silent.getsockname()[1]}"
    urllib.request.install_opener(None)  # the default one has read the environment already
    loading.PATIENCE_S = 0.5
    fetch("mobilenet")
assert socket.getdefaulttimeout() is None

class Portal(urllib.request.HTTPSHandler):
    def https_open(self, request):
        response = addinfourl(BytesIO(b"<html>Please log in"), Message(), request.full_url, 200)
        response.msg = "OK"
        return response

urllib.request.install_opener(urllib.request.build_opener(Portal))
fetch("vgg16")

stand_in = models / "mobilenet_1_0_224_tf_no_top.h5"
whole = pathlib.Path(sys.argv[1]).read_bytes()
stand_in.write_bytes(whole[:100_000])
fetch("mobilenet")
stand_in.write_bytes(whole)
print(float(fetch("mobilenet").get_layer("conv1").weights[0][0, 0, 0, 0]))
"""

WAYS_OUT = "set https_proxy if your network needs a proxy, or bring that file yourself and use weights: file:PATH."


def test_published_weights_out_of_reach_are_one_sentence_and_used_where_keras_has_them(
    keras: Any, tmp_path: Path
) -> None:
    """Keras keeps no hash of MobileNet's file, so one of ours can stand in for it. All of this without a network."""
    source = randomised(keras.applications.MobileNet(weights=None, include_top=False, input_shape=(224, 224, 3)), 1)
    write_legacy(source, tmp_path / "stand-in.h5")
    paint(tmp_path / "gallery" / "a.png", seed=1)
    (tmp_path / "a.yaml").write_text("gallery: {folder: gallery}\nextractor: {name: resnet50, weights: published}\n")
    said = subprocess.run(
        [sys.executable, "-c", PUBLISHED, str(tmp_path / "stand-in.h5"), str(tmp_path / "a.yaml")],
        env={**os.environ, "no_proxy": "", "KERAS_HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    closed, exit_code, refused, silent, portal, damaged, first = said.stdout.splitlines()
    models = tmp_path / "models"
    notop = "weights_tf_dim_ordering_tf_kernels_notop.h5"
    assert exit_code == "exit 4"
    assert (
        '"slug": "weights-unreachable", "message": "weights: published: Keras cannot load those of ResNet50' in closed
    )
    assert f"resnet50_{notop}: None -- [Errno 111] Connection refused): {WAYS_OUT}" in closed
    assert f"; {models}/vgg16_{notop} did not have the hash that Keras knows and was removed): {WAYS_OUT}" in refused
    assert silent.startswith("weights-unreachable ") and f"timed out): {WAYS_OUT}" in silent
    for sentence in (portal, damaged):
        assert sentence.startswith("weights-damaged weights: published: Keras cannot load those of ")
        assert f"remove the file from {models} and run again, or bring another" in sentence
    assert "hash does not match" in portal and "truncated file" in damaged
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
