"""Run an ONNX file: in OpenVINO, which reads it itself, or in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visualsearch.errors import EngineError
from visualsearch.runtimes.frameworks import import_onnxruntime, import_openvino
from visualsearch.runtimes.openvino import float32_pass

Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""A batch in, the values of one output out. Safe from several threads."""

Shape = tuple[int | None, ...]
"""Lengths of the axes; None where the file leaves one open."""


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of a network; ``kind`` is that of its numbers, such as ``float32``."""

    name: str
    kind: str
    shape: Shape


@dataclass(frozen=True, slots=True)
class OnnxNetwork:
    """What a file holds; ``compile`` makes a forward pass to the output of that number."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    compile: Callable[[int], Run]


def read_onnx(path: Path, engine: str) -> OnnxNetwork:
    """Read an ONNX file for ``engine``: OpenVINO where it is that, else ONNX Runtime.

    Raises:
        EngineError: the engine is not installed, or cannot read the file.
    """
    return _in_openvino(path) if engine == "openvino" else _in_onnxruntime(path)


def _in_openvino(path: Path) -> OnnxNetwork:
    core = import_openvino().Core()
    try:
        model = core.read_model(path)
    except RuntimeError as error:
        raise _unreadable(path, "OpenVINO", error) from error

    def compile_to(number: int) -> Run:
        try:
            infer = float32_pass(core, model)[1]
        except RuntimeError as error:
            raise _unreadable(path, "OpenVINO", error) from error

        def forward(batch: NDArray[np.float32]) -> NDArray[np.float32]:
            result: NDArray[np.float32] = infer(batch)[number]
            return result.copy()  # the next pass of this thread would overwrite it

        return forward

    inputs, outputs = (tuple(map(_openvino_port, ports)) for ports in (model.inputs, model.outputs))
    return OnnxNetwork(inputs, outputs, compile_to)


def _openvino_port(port: Any) -> Port:
    shape = port.get_partial_shape()
    lengths = None if shape.rank.is_dynamic else [axis.get_length() if axis.is_static else None for axis in shape]
    names = sorted(port.get_names()) or [""]
    return Port(names[0], np.dtype(port.get_element_type().to_dtype()).name, tuple(lengths or ()))


def _in_onnxruntime(path: Path) -> OnnxNetwork:
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors share no class but this one
        raise _unreadable(path, "ONNX Runtime", error) from error
    inputs, outputs = (tuple(map(_onnx_port, ports)) for ports in (session.get_inputs(), session.get_outputs()))

    def compile_to(number: int) -> Run:
        def forward(batch: NDArray[np.float32]) -> NDArray[np.float32]:
            result: NDArray[np.float32] = session.run([outputs[number].name], {inputs[0].name: batch})[0]
            return result

        return forward

    return OnnxNetwork(inputs, outputs, compile_to)


def _onnx_port(port: Any) -> Port:
    kind = port.type.removeprefix("tensor(").removesuffix(")")
    return Port(
        port.name,
        {"float": "float32"}.get(kind, kind),
        tuple(axis if isinstance(axis, int) else None for axis in port.shape),
    )


def _unreadable(path: Path, engine: str, error: Exception) -> EngineError:
    reason = " ".join(str(error).split())[:300]
    message = f"{path}: expected an ONNX network that {engine} can run; received one that it cannot ({reason})."
    return EngineError(message, slug="network-unreadable")
