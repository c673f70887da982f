"""Run ONNX files in ONNX Runtime, and Keras graphs in TensorFlow, for Keras writes no ONNX without further packages."""

from __future__ import annotations

from pathlib import Path

from visualsearch.runtimes.frameworks import import_onnxruntime
from visualsearch.runtimes.tensorflow import TensorFlowRuntime


class OnnxRuntime(TensorFlowRuntime):
    """TensorFlow for graphs; its name has the extractor ``onnx`` read its file by ONNX Runtime."""

    name = "onnxruntime"

    def __init__(self, folder: Path | None = None) -> None:
        """Accept a folder as every runtime does; this one writes nothing there.

        Raises:
            EngineError: ONNX Runtime is not installed.
        """
        super().__init__(folder)
        import_onnxruntime()
