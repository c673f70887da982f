"""Small networks in files, with random values whose outputs NumPy can compute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from visualsearch.runtimes.frameworks import import_keras

FEATURES = 6


def values(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a 3 x 3 convolution of three channels to FEATURES, (3, 3, 3, FEATURES), and its offsets."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(3, 3, 3, FEATURES)).astype(np.float32), rng.normal(size=FEATURES).astype(np.float32)


def computed(batch: np.ndarray, seed: int) -> np.ndarray:
    """Return what the network below gives for (n, height, width, 3): convolved, offset, ReLU, averaged."""
    kernel, offsets = values(seed)
    windows = np.lib.stride_tricks.sliding_window_view(batch.astype(np.float64), (3, 3), axis=(1, 2))
    maps = np.einsum("nyxcij,ijcf->nyxf", windows, kernel.astype(np.float64)) + offsets
    return np.maximum(maps, 0).mean(axis=(1, 2))


def write_onnx(path: Path, seed: int = 0, **changes: Any) -> Path:
    """Write it as ONNX: ``layout``, ``batch`` and ``side`` (None: open), ``pooled`` or a map, or both."""
    facts = {"layout": "nchw", "batch": None, "side": 16, "pooled": True, "channels": 3, "kind": TensorProto.FLOAT}
    facts |= changes
    kernel, offsets = values(seed)
    batch, side, channels = facts["batch"] or "n", facts["side"] or "s", facts["channels"]
    arrays = {"kernel": kernel.transpose(3, 2, 0, 1)[:, :channels], "offsets": offsets}
    shape = [batch, channels, side, side] if facts["layout"] == "nchw" else [batch, side, side, channels]
    nodes = (
        [] if facts["layout"] == "nchw" else [helper.make_node("Transpose", ["pictures"], ["first"], perm=[0, 3, 1, 2])]
    )
    start = "pictures" if facts["layout"] == "nchw" else "first"
    nodes += [helper.make_node("Conv", [start, "kernel", "offsets"], ["convolved"])]
    nodes += [helper.make_node("Relu", ["convolved"], ["map"])]
    output = helper.make_tensor_value_info("map", TensorProto.FLOAT, [batch, FEATURES, None, None])
    outputs = [output]
    if facts["pooled"]:
        nodes += [helper.make_node("GlobalAveragePool", ["map"], ["pooled"])]
        nodes += [helper.make_node("Flatten", ["pooled"], ["features"])]
        outputs = [helper.make_tensor_value_info("features", TensorProto.FLOAT, [batch, FEATURES])]
    if facts["pooled"] == "both":
        outputs.append(output)
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("pictures", facts["kind"], shape)],
        outputs,
        [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def write_keras(path: Path, seed: int = 0, side: int | None = 16) -> Path:
    """Write it as a Keras network, with a layer of two buckets behind the features."""
    layers = import_keras().layers
    pictures = layers.Input((side, side, 3))
    convolution = layers.Conv2D(FEATURES, 3, activation="relu", name="map")
    pooled = layers.GlobalAveragePooling2D(name="features")(convolution(pictures))
    network = import_keras().Model(pictures, layers.Dense(2, name="buckets")(pooled))
    convolution.set_weights(list(values(seed)))
    network.save(path)
    return path
