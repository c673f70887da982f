"""The one place where Keras, OpenVINO and ONNX Runtime are imported: silently, and with one sentence where they are missing."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module
from types import ModuleType

from visualsearch.errors import EngineError

CHATTER = (b"WARNING: All log messages before absl", b"I0000 ", b"To enable the following instructions")
"""How the lines begin that TensorFlow prints whenever it is loaded, whatever its log level."""


def import_keras() -> ModuleType:
    """Import Keras on TensorFlow without their start-up messages, and return it.

    Raises:
        EngineError: TensorFlow or Keras is not installed.
    """
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # its advice on speed is not for users
    try:
        with nullcontext() if "keras" in sys.modules else _without(CHATTER):
            return import_module("keras")
    except ImportError as error:
        message = f"this needs TensorFlow and Keras, which cannot be imported ({error}): pip install tensorflow."
        raise EngineError(message, slug="missing-package") from error


def import_openvino() -> ModuleType:
    """Import OpenVINO and return it.

    Raises:
        EngineError: it is not installed.
    """
    try:
        return import_module("openvino")
    except ImportError as error:
        message = f"runtime.engine: openvino cannot be imported ({error}): install it, or use engine: tensorflow."
        raise EngineError(message, slug="missing-package") from error


def import_onnxruntime() -> ModuleType:
    """Import ONNX Runtime and return it.

    Raises:
        EngineError: it is not installed.
    """
    try:
        return import_module("onnxruntime")
    except ImportError as error:
        message = f"this needs ONNX Runtime, which cannot be imported ({error}): pip install 'visualsearch[onnx]'."
        raise EngineError(message, slug="missing-package") from error


@contextmanager
def _without(chatter: tuple[bytes, ...]) -> Iterator[None]:
    """Hold back what C++ code writes to standard error, and pass on afterwards all but ``chatter``."""
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            held.seek(0)
            os.write(2, b"".join(line for line in held if not line.startswith(chatter)))
