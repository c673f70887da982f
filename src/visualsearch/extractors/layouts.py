"""Weights files of every layout that Keras has had → the arrays of each layer of a graph."""

from __future__ import annotations

import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from visualsearch.errors import EngineError

if TYPE_CHECKING:
    import keras

Arrays = Sequence[NDArray[Any]]

ARCHIVED = "model.weights.h5"
"""Where Keras' archive keeps the weights; nothing else in it is trusted or run."""


def read_arrays(path: Path, layers: Sequence[keras.Layer]) -> list[Arrays]:
    """Return the arrays that a file has for each of a network's layers, their shapes not yet compared.

    Known are NumPy arrays (``.npz``, keyed by variable path), Keras' archive (``.keras``), its
    weights file (``.weights.h5``) and the older HDF5 layout in which the networks are published
    (``.h5``), recognised by their content. A head that a file holds is left out. Where the file has
    fewer layers, so has the list.

    Raises:
        EngineError: no known layout.
        ValueError, KeyError: the file is of a deeper network, or contradicts itself.
        OSError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error: the file is damaged.
    """
    if zipfile.is_zipfile(path) and not _is_archive(path):
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            return _by_path(file, layers)
    with _hdf5(path) as file:
        if (published := _published(file)) is not None:
            return _by_name_or_order(published, layers)
        if (own := _numbered(file)) is not None:
            return _by_number(own, layers)
    raise _unknown(path)


def variables(layer: keras.Layer) -> list[Any]:
    """Return a layer's variables in the order in which both HDF5 layouts keep them."""
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def rescalings(path: Path) -> int:
    """Return how many rescaling layers the file's network has, as far as the layout says."""
    if zipfile.is_zipfile(path) and not _is_archive(path):
        return 0
    with _hdf5(path) as file:
        published = _published(file)
        names = _texts(published, "layer_names") if published is not None else list(_numbered(file) or ())
    return sum(name.startswith("rescaling") for name in names)


def _is_archive(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return ARCHIVED in archive.namelist()


@contextmanager
def _hdf5(path: Path) -> Iterator[Any]:
    import h5py

    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive, archive.open(ARCHIVED) as weights, h5py.File(weights) as file:
            yield file
    elif h5py.is_hdf5(path):
        with h5py.File(path) as file:
            yield file
    else:
        raise _unknown(path)


def _unknown(path: Path) -> EngineError:
    message = f"{path}: expected a .h5, .weights.h5, .keras or .npz file of weights; received something else."
    return EngineError(message, slug="weights-layout")


def _published(file: Any) -> Any:
    """Return the group with the layers of the older layout, or None where the file is none."""
    group = _group(file, "model_weights") or file
    return group if {"layer_names", "layer_names0"} & set(group.attrs) else None


def _numbered(file: Any) -> Any:
    """Return the group with the layers of Keras 3's layout (or its forerunner), or None where the file is none."""
    return _group(file, "layers") or _group(file, "_layer_checkpoint_dependencies")


def _group(file: Any, name: str) -> Any:
    """Return what lies under ``name`` where it is a group, else None."""
    found = file.get(name)
    return found if hasattr(found, "keys") else None


def _by_path(file: Mapping[str, NDArray[Any]], layers: Sequence[keras.Layer]) -> list[Arrays]:
    paths = [[variable.path for variable in variables(layer)] for layer in layers]
    _refuse_deeper(list(file), {path for own in paths for path in own}, lambda path: [file[path].shape])
    return [[file[path] for path in own if path in file] for own in paths]


def _by_name_or_order(group: Any, layers: Sequence[keras.Layer]) -> list[Arrays]:
    """Match by name, or, where Keras had numbered the names automatically, by order."""
    stored = {name: _texts(group[name], "weight_names") for name in _texts(group, "layer_names")}
    stored = {name: keys for name, keys in stored.items() if keys}
    names = [layer.name for layer in layers]
    if set(names) <= set(stored):
        _refuse_deeper(list(stored), set(names), lambda name: [group[name][key].shape for key in stored[name]])
    else:
        names = list(stored)[: len(names)]
    return [[np.asarray(group[name][key]) for key in stored[name]] for name in names]


def _refuse_deeper(stored: Sequence[str], own: Set[str], shapes: Callable[[str], list[tuple[int, ...]]]) -> None:
    """Refuse ResNet101's file for ResNet50, whose layers it all has, and others between them.

    What comes behind the last of the network's own is a head. Where layers are matched by number
    or by order, those of a deeper network differ in their shapes.
    """
    last = max((place for place, name in enumerate(stored) if name in own), default=0)
    for name in stored[:last]:
        if name not in own:
            raise ValueError(f"expected no {name!r} between its layers, found one of the shapes {shapes(name)}")


def _by_number(group: Any, layers: Sequence[keras.Layer]) -> list[Arrays]:
    """Match by class and number: Keras calls the third Conv2D ``conv2d_2``, whatever its name."""
    seen: Counter[str] = Counter()
    found: list[Arrays] = []
    for layer in layers:
        kind = _snake_case(type(layer).__name__)
        stored = _group(group, f"{kind}_{seen[kind]}" if seen[kind] else kind) or {}
        seen[kind] += 1
        if hasattr(layer, "layers"):  # A network within the network, such as ConvNeXt's stem.
            nested = _by_number(_group(stored, "layers") or {}, layer.layers)
            found.append([array for arrays in nested for array in arrays])
        else:
            values = _group(stored, "vars") or {}
            found.append([np.asarray(values[key]) for key in sorted(values, key=int)])
    return found


def _snake_case(name: str) -> str:
    """Return a class name as Keras writes it in files.

    >>> _snake_case("DepthwiseConv2D"), _snake_case("LayerScale")
    ('depthwise_conv2d', 'layer_scale')
    """
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()


def _texts(group: Any, name: str) -> list[str]:
    """Return the strings of an attribute; Keras cuts long ones into ``name0``, ``name1``, …, as HDF5 demands."""
    pieces = [group.attrs[name]] if name in group.attrs else []
    while f"{name}{len(pieces)}" in group.attrs:
        pieces.append(group.attrs[f"{name}{len(pieces)}"])
    return [text.decode() if isinstance(text, bytes) else str(text) for piece in pieces for text in piece]
