"""Runtimes: what runs a network's forward pass."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from visualsearch.errors import ConfigError
from visualsearch.plugins import Plugin, load
from visualsearch.runtimes.contract import Runtime

RUNTIMES = {
    "onnxruntime": Plugin("visualsearch.runtimes.onnxruntime:OnnxRuntime", needs="onnx"),
    "openvino": Plugin("visualsearch.runtimes.openvino:OpenVINORuntime", needs="openvino"),
    "tensorflow": Plugin("visualsearch.runtimes.tensorflow:TensorFlowRuntime", needs="tensorflow"),
}

PRECISIONS = ("float32",)


def create_runtime(engine: str = "auto", precision: str = "float32", folder: Path | None = None) -> Runtime:
    """Return the runtime called ``engine``; ``auto`` is OpenVINO where it is installed, else TensorFlow.

    Args:
        engine: ``auto``, a row of ``RUNTIMES`` or ``package.module:Class``.
        precision: of the arithmetic; only ``float32``.
        folder: where compiled graphs are kept (``models/<name>/runtime``); None keeps none.

    Raises:
        ConfigError: there is no such engine or precision.
    """
    if precision not in PRECISIONS:
        message = f"runtime.precision: expected {' or '.join(PRECISIONS)}; received {precision!r}."
        raise ConfigError(message, slug="unknown-precision")
    name = engine if engine != "auto" else "openvino" if find_spec("openvino") else "tensorflow"
    runtime: Runtime = load(RUNTIMES, name, "runtime.engine")(folder)
    return runtime
