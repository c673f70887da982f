"""Any network in an ONNX file as an extractor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from visualsearch.errors import ConfigError
from visualsearch.extractors.foreign import FileOptions, ForeignExtractor, identity_of, mismatch, side_of
from visualsearch.model import fingerprint
from visualsearch.runtimes.contract import Batch, Forward, Runtime
from visualsearch.runtimes.onnx import Run, Shape, read_onnx

VERSION = 1
"""Raised whenever this code would turn the same crop into another embedding."""

PLACES = {"nchw": (1, 2, 3), "nhwc": (3, 1, 2)}
"""Where channels, height and width stand."""


class OnnxExtractor(ForeignExtractor):
    """Run one input and one output of an ONNX file; a map of features is averaged over its positions."""

    class Options(FileOptions):
        """The file, and what its network expects."""

        name: str = "onnx"
        layout: Literal["nchw", "nhwc"] | None = None
        """Where the channels stand in the input. null: where the file has an axis of three."""
        output: str | None = None
        """Which output are the embeddings. null: the only one."""

    def __init__(self, options: Options, runtime: Runtime, folder: Path) -> None:
        """Hash the file, read the shapes of its input and outputs and compare them. Nothing is kept in ``folder``.

        Raises:
            EngineError: there is no such file, or its network takes or gives something else.
            ConfigError: the options contradict the file.
        """
        identity = identity_of(options.file)
        self._file_options = options
        self._onnx = read_onnx(options.file, runtime.name)
        self._layout = self._agreed_layout(options)
        self._output = self._agreed_output(options)
        shape = self._onnx.inputs[0].shape
        side = side_of(options, *(shape[place] for place in PLACES[self._layout][1:]))
        how = options.model_dump(exclude={"file", "size", "layout"})
        whole = fingerprint("onnx", VERSION, identity, self._layout, side, how)
        super().__init__(options.name, side, whole, options.mirror)

    def _agreed_layout(self, options: Options) -> str:
        inputs = self._onnx.inputs
        received = ", ".join(f"{port.kind} {_written(port.shape)}" for port in inputs)
        if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].kind != "float32":
            raise mismatch(options.file, "one input of float32 (pictures, channels, height, width)", received)
        shape = inputs[0].shape
        fitting = [name for name, (channels, *_) in PLACES.items() if shape[channels] in (3, None)]
        if options.layout is not None and options.layout not in fitting:
            raise mismatch(options.file, f"an input of three channels as layout: {options.layout} says", received)
        if options.layout is None and len(fitting) == 2:
            fitting = [name for name in fitting if shape[PLACES[name][0]] == 3]
        if not fitting:
            raise mismatch(options.file, "an input of three channels, or a layout that says where they stand", received)
        return options.layout or fitting[0]

    def _agreed_output(self, options: Options) -> int:
        names = [port.name for port in self._onnx.outputs]
        if options.output is None and len(names) > 1 or options.output is not None and options.output not in names:
            message = f"extractor.output: expected one of {', '.join(names)}; received {options.output or 'none'}."
            raise ConfigError(message, slug="unknown-output")
        number = names.index(options.output) if options.output is not None else 0
        shape = self._onnx.outputs[number].shape
        if len(shape) not in (0, 2, 4):
            raise mismatch(options.file, "an output of (pictures, features) or a map of features", _written(shape))
        return number

    def _compile(self) -> Forward:
        run, layout = self._onnx.compile(self._output), self._layout
        at_once = self._onnx.inputs[0].shape[0]

        def forward(batch: Batch) -> list[NDArray[np.float32]]:
            ready = np.ascontiguousarray(batch.transpose(0, 3, 1, 2) if layout == "nchw" else batch, np.float32)
            if at_once is None:
                return [self._pooled(run(ready))]
            return [np.concatenate([self._pooled(rows) for rows in _by(at_once, ready, run)])[: len(batch)]]

        return forward

    def _pooled(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        if rows.ndim == 2:
            return rows
        if rows.ndim != 4:
            raise mismatch(self._file_options.file, "an output of (pictures, features)", rows.shape)
        pooled: NDArray[np.float32] = rows.mean(axis=PLACES[self._layout][1:])
        return pooled


def _written(shape: Shape) -> str:
    """Return a shape as text.

    >>> _written((None, 3, 112, 112))
    '(any, 3, 112, 112)'
    """
    return f"({', '.join('any' if axis is None else str(axis) for axis in shape)})"


def _by(size: int, batch: Batch, run: Run) -> Iterator[NDArray[np.float32]]:
    """Yield the rows of a network that takes exactly ``size`` pictures at once; zeros fill the last pass."""
    for start in range(0, len(batch), size):
        part = batch[start : start + size]
        missing = np.zeros((size - len(part), *batch.shape[1:]), np.float32)
        yield run(np.concatenate([part, missing]))
