"""FaceNet against DeepFace itself, in an environment of its own: random weights in a file of its layout, its outputs."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest

from visualsearch.extractors.facenet import FacenetExtractor
from visualsearch.extractors.facenet_network import build
from visualsearch.runtimes import create_runtime

PACKAGES = ("deepface==0.0.103", "tf-keras", "tensorflow")

WRITE = """
import os, sys
os.environ["TF_USE_LEGACY_KERAS"] = "1"
import numpy as np
from deepface.models.facial_recognition.tf.Facenet import InceptionResNetV1
from tensorflow.keras import Model

folder = sys.argv[1]
pictures = np.random.default_rng(5).uniform(-2, 2, (4, 160, 160, 3)).astype(np.float32)
for name, dimension in (("facenet", 128), ("facenet512", 512)):
    network, rng = InceptionResNetV1(dimension=dimension), np.random.default_rng(dimension)
    for layer in network.layers:
        drawn = []
        for variable in layer.weights:
            shape = tuple(variable.shape)
            if "moving_variance" in variable.name:
                drawn.append(rng.uniform(0.3, 3.0, shape))
            elif len(shape) > 1:
                drawn.append(rng.normal(0, np.prod(shape[:-1]) ** -0.5 * 1.4, shape))
            else:
                drawn.append(rng.normal(0, 0.3, shape))
        layer.set_weights(drawn)
    network.save_weights(f"{folder}/{name}_weights.h5")
    pooled = Model(network.input, network.get_layer("AvgPool").output)
    outputs = {"embedding": network(pictures, training=False), "pooled": pooled(pictures, training=False)}
    layers = [f"{layer.name} {[tuple(w.shape) for w in layer.weights]}" for layer in network.layers if layer.weights]
    np.savez(f"{folder}/{name}.npz", pictures=pictures, layers=layers, **outputs)
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with DeepFace's files and outputs; skip where its environment cannot be made."""
    folder = tmp_path_factory.mktemp("deepface")
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES]
    installed = subprocess.run(install, capture_output=True, text=True, check=False)
    if installed.returncode != 0:
        pytest.skip(f"deepface: its environment cannot be made here: {installed.stderr.strip()[-300:]}")
    alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    home = {**alone, "DEEPFACE_HOME": str(folder), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [str(python), "-c", WRITE, str(folder)], env=home, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("engine", ["tensorflow", "openvino"])
@pytest.mark.parametrize(
    ("name", "file", "output"),
    [
        ("facenet", "facenet", "embedding"),
        ("facenet512", "facenet512", "embedding"),
        ("facenet_pool", "facenet", "pooled"),
    ],
)
def test_it_computes_what_deepface_computes(name: str, file: str, output: str, engine: str, written: Path) -> None:
    options = FacenetExtractor.Options(name=name, weights=f"file:{written / file}_weights.h5")
    extractor = FacenetExtractor(options, create_runtime(engine), written)
    with np.load(written / f"{file}.npz") as theirs:
        pictures, expected = theirs["pictures"], theirs[output].astype(np.float64)
    found = extractor._pass(pictures)
    assert found.shape == expected.shape == (4, extractor.dim)
    assert expected.std(axis=0).mean() > 1e-3  # the pictures are told apart
    largest = np.abs(found - expected).max() / np.abs(expected).max()
    unit = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    apart = np.abs(extractor.finish(found) - unit).max()
    sys.stdout.write(f"{name} on {engine}: {largest:.1e} of the largest value, {apart:.1e} at unit length\n")
    assert largest < 1e-5 and apart < 1e-5


@pytest.mark.soak
def test_its_layers_are_those_of_deepface(written: Path) -> None:
    for name, dim in (("facenet", 128), ("facenet512", 512)):
        with np.load(written / f"{name}.npz") as theirs:
            expected = theirs["layers"].tolist()
        own = [layer for layer in build(dim).layers if layer.weights]
        assert [f"{layer.name} {[tuple(w.shape) for w in layer.weights]}" for layer in own] == expected
