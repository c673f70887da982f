"""Any saved Keras network, or a layer of one, as an extractor."""

from __future__ import annotations

import difflib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visualsearch.errors import ConfigError, EngineError
from visualsearch.extractors.foreign import FileOptions, ForeignExtractor, identity_of, mismatch, side_of
from visualsearch.extractors.graphs import GraphExtractor
from visualsearch.model import fingerprint
from visualsearch.runtimes.contract import Runtime
from visualsearch.runtimes.frameworks import import_keras

if TYPE_CHECKING:
    import keras

VERSION = 1
"""Raised whenever this code would turn the same crop into another embedding."""


class KerasExtractor(ForeignExtractor, GraphExtractor):
    """Load a ``.keras`` file in Keras' safe mode, so that no code in it runs; average a map of features."""

    class Options(FileOptions):
        """The file, and what its network expects."""

        name: str = "keras"
        layer: str | None = None
        """The name of the layer whose output are the embeddings. null: the network's own output."""

    def __init__(self, options: Options, runtime: Runtime, folder: Path) -> None:
        """Hash the file and read the shape of its input; the network is loaded when it is first needed.

        Nothing is kept in ``folder``.

        Raises:
            EngineError: there is no such file, or it is no network of pictures.
            ConfigError: the size contradicts the file.
        """
        identity = identity_of(options.file)
        side = side_of(options, *_input_size(options.file))
        key = fingerprint("keras", VERSION, identity, options.layer, side)
        how = options.model_dump(exclude={"file", "size"})
        self._file_options = options
        self._layer = options.layer
        whole = fingerprint(key, how)
        GraphExtractor.__init__(self, options.name, side, whole, runtime, key, options.mirror)

    def build(self) -> keras.Model:
        """Load the network, cut it at the layer and pool what has positions."""
        framework, path = import_keras(), self._file_options.file
        try:
            loaded = framework.saving.load_model(path, compile=False, safe_mode=True)
        except Exception as error:  # whatever the file makes Keras raise, most of it on purpose
            reason = " ".join(str(error).split())[:300].rstrip(".")
            message = (
                f"{path}: expected a network that Keras loads in safe mode; received one that it refuses ({reason})."
            )
            raise EngineError(message, slug="network-unreadable") from error
        inner = framework.Model(loaded.inputs, self._cut(loaded))
        pictures = framework.Input((self.side, self.side, 3))
        features = inner(pictures)
        if len(features.shape) == 4:
            features = framework.layers.GlobalAveragePooling2D()(features)
        if len(features.shape) != 2:
            raise mismatch(path, "an output of (pictures, features) or a map of features", features.shape)
        graph: keras.Model = framework.Model(pictures, features)
        return graph

    def _cut(self, loaded: Any) -> Any:
        """Return the output of the layer that the options name, or the network's only one."""
        if self._layer is None:
            if len(loaded.outputs) != 1:
                raise mismatch(
                    self._file_options.file, "one output, or a layer to take", f"{len(loaded.outputs)} outputs"
                )
            return loaded.outputs[0]
        names = [layer.name for layer in loaded.layers]
        if self._layer not in names:
            near = difflib.get_close_matches(self._layer, names, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            shown = ", ".join(names[-8:])
            message = f"extractor.layer: expected a layer of {self._file_options.file}, the last of which are {shown}; "
            raise ConfigError(f"{message}received {self._layer!r}.{hint}", slug="unknown-layer")
        return loaded.get_layer(self._layer).output


def _input_size(path: Path) -> tuple[int | None, int | None]:
    """Return height and width of the input as the file's description has them; Keras is not needed for that.

    Raises:
        EngineError: it is no ``.keras`` file, or takes something else than pictures.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            shape = next(_shapes(json.loads(archive.read("config.json"))), None)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        expected = "a network that Keras 3 saved as .keras"
        raise mismatch(path, expected, f"something else ({error or type(error).__name__})") from error
    if shape is None or len(shape) != 4 or shape[3] not in (3, None):
        raise mismatch(path, "an input of (pictures, height, width, 3)", shape)
    return shape[1], shape[2]


def _shapes(config: Any) -> Iterator[list[int | None]]:
    """Yield the shapes of the inputs, in the order in which the file's description names them."""
    if isinstance(config, dict):
        for key in ("batch_shape", "batch_input_shape", "input_shape"):
            if isinstance(config.get(key), list):
                yield config[key]
        config = list(config.values())
    if isinstance(config, list):
        for part in config:
            yield from _shapes(part)
