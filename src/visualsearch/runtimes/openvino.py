"""Run a graph in OpenVINO: two to three times as fast as Keras on a processor, and without TensorFlow once kept."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock, local
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from visualsearch.errors import EngineError
from visualsearch.files import sha256
from visualsearch.runtimes.contract import Batch, Forward
from visualsearch.runtimes.frameworks import import_openvino

if TYPE_CHECKING:
    import keras

log = logging.getLogger(__name__)

KEPT = 4
"""Compiled graphs in a folder; older ones are removed, for each is as large as its weights."""

ABANDONED_S = 3600.0
"""After how long an unfinished folder counts as left behind; a conversion takes seconds."""

TOLERANCE = 1e-3
"""How far a compiled graph may be from Keras, relative to the largest value; float32 gives about 1e-6."""


class OpenVINORuntime:
    """Convert a graph once, check it against Keras, keep it, and compile it for the processor.

    A kept graph is a folder ``<key>/`` with ``graph.xml``, ``graph.bin`` and ``card.json``, which
    has their hashes: one that is damaged or unfinished is made again.
    """

    name = "openvino"

    def __init__(self, folder: Path | None = None) -> None:
        """Keep compiled graphs in ``folder``; None keeps none.

        Raises:
            EngineError: OpenVINO is not installed.
        """
        self._folder = folder
        self._openvino = import_openvino()
        self._core = self._openvino.Core()
        # A mapped file cannot be renamed on every system, nor replaced under a running search.
        self._core.set_property({"ENABLE_MMAP": False})
        self._lock = Lock()

    def compile(self, build: Callable[[], keras.Model], key: str) -> Forward:
        """Return the forward pass of the kept graph ``key``, or of the one that ``build`` makes.

        Raises:
            EngineError: OpenVINO cannot run the graph, or runs it to other values than Keras.
        """
        with self._lock:
            return self._load_kept(key) or self._convert(build(), key)

    def keep_only(self, keys: Collection[str]) -> None:
        """Remove the graphs kept under other keys; a process that is about to read one converts it anew."""
        if self._folder is None:
            return
        for kept in self._folder.glob("*/card.json"):
            if kept.parent.name not in keys and not kept.parent.name.startswith("."):
                with suppress(OSError):
                    kept.unlink()  # first: without it nobody takes what is left for whole
                shutil.rmtree(kept.parent, ignore_errors=True)

    def _load_kept(self, key: str) -> Forward | None:
        if self._folder is None or not _intact(self._folder / key):
            return None
        try:
            return self._forward(self._core.read_model(self._folder / key / "graph.xml"))
        except RuntimeError as error:  # A newer OpenVINO wrote it.
            log.info("the kept graph %s is converted again: %s", key, error)
            shutil.rmtree(self._folder / key, ignore_errors=True)
            return None

    def _convert(self, graph: keras.Model, key: str) -> Forward:
        from tensorflow.errors import OpError

        with tempfile.TemporaryDirectory(prefix="visualsearch-") as exported:
            try:
                graph.export(exported, format="tf_saved_model", verbose=False)
                # The C++ reader; openvino.convert_model would report its use over the network.
                converted = self._core.read_model(exported)
                return self._keep(converted, graph, key)
            except (RuntimeError, OSError, ValueError, OpError) as error:
                reason = " ".join(str(error).split())[:300]
                message = f"runtime.engine: OpenVINO cannot convert {graph.name} ({reason}): use engine: tensorflow."
                raise EngineError(message, slug="runtime-conversion") from error

    def _keep(self, converted: Any, graph: keras.Model, key: str) -> Forward:
        """Save, read back, check and move into place; where nothing can be written, go on without."""
        if self._folder is None:
            return _checked(self._forward(converted), graph)
        part = None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            part = Path(tempfile.mkdtemp(dir=self._folder, prefix=".part-"))
            self._openvino.save_model(converted, part / "graph.xml", compress_to_fp16=False)
            forward = _checked(self._forward(self._core.read_model(part / "graph.xml")), graph)
            _seal(part, self._folder / key)
            _prune(self._folder)
            return forward
        except (OSError, RuntimeError) as error:
            log.warning("%s: networks cannot be kept here and are converted at each start: %s", self._folder, error)
            return _checked(self._forward(converted), graph)
        finally:
            if part is not None:
                shutil.rmtree(part, ignore_errors=True)

    def _forward(self, model: Any) -> Forward:
        outputs, infer = float32_pass(self._core, model)
        order = sorted(range(len(outputs)), key=lambda index: _position(outputs[index]))

        def forward(batch: Batch) -> list[NDArray[np.float32]]:
            results = infer(np.ascontiguousarray(batch, np.float32))
            return [results[index] for index in order]

        return forward


def float32_pass(core: Any, model: Any) -> tuple[Sequence[Any], Callable[[Batch], Any]]:
    """Compile a model; return its outputs, and a pass from a batch to their values by number, safe from several threads.

    Raises:
        RuntimeError: OpenVINO cannot run it.
    """
    # Measured on two cores: a second stream and asynchronous requests gain nothing over one stream.
    settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    compiled = core.compile_model(model, "CPU", settings)
    requests = local()

    def infer(batch: Batch) -> Any:
        if not hasattr(requests, "own"):
            requests.own = compiled.create_infer_request()
        return requests.own.infer([batch])

    return compiled.outputs, infer


def _position(output: Any) -> int:
    """Return the place of an output in the Keras graph; its export calls them output_0, output_1, …."""
    return min(int(name.removeprefix("output_")) for name in output.get_names() if name.startswith("output_"))


def _checked(forward: Forward, graph: keras.Model) -> Forward:
    """Return ``forward`` if it agrees with Keras on noise."""
    noise = np.random.default_rng(0).normal(0, 60, (2, *graph.input_shape[1:])).astype(np.float32)
    outputs = graph(noise, training=False)
    expected = [np.asarray(output) for output in (outputs if isinstance(outputs, list) else [outputs])]
    for mine, theirs in zip(forward(noise), expected, strict=True):
        tolerance = TOLERANCE * max(1e-3, float(np.abs(theirs).max()))
        if not np.allclose(mine, theirs, rtol=0, atol=tolerance, equal_nan=True):
            message = f"runtime.engine: OpenVINO and Keras differ on {graph.name}: use engine: tensorflow."
            raise EngineError(message, slug="runtime-differs")
    return forward


def _seal(part: Path, target: Path) -> None:
    """Write the hashes and move the folder into place; what another process put there meanwhile is as good."""
    (part / "card.json").write_text(json.dumps(_hashes(part)), encoding="utf-8")
    part.chmod(0o755)
    if target.exists() and not _intact(target):
        shutil.rmtree(target)
    if not target.exists():
        part.rename(target)


def _hashes(kept: Path) -> dict[str, str]:
    return {name: sha256(kept / name) for name in ("graph.xml", "graph.bin")}


def _intact(kept: Path) -> bool:
    try:
        hashes = json.loads((kept / "card.json").read_text(encoding="utf-8"))
        return bool(hashes == _hashes(kept))
    except (OSError, ValueError):
        return False


def _prune(folder: Path) -> None:
    """Remove all but the newest graphs, and what an interrupted conversion left behind."""
    kept = sorted(folder.glob("*/card.json"), key=lambda card: card.stat().st_mtime, reverse=True)
    abandoned = [part for part in folder.glob(".part-*") if part.stat().st_mtime < time.time() - ABANDONED_S]
    for old in [*(card.parent for card in kept[KEPT:]), *abandoned]:
        shutil.rmtree(old, ignore_errors=True)
