"""What a file of somebody else's network must be told with: its size, its channels, how its pixels are scaled."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Self

import numpy as np
from pydantic import AfterValidator, BeforeValidator, PositiveInt, ValidationInfo, model_validator

from visualsearch import plugins
from visualsearch.datatypes import Crop, Pixels
from visualsearch.errors import ConfigError, EngineError
from visualsearch.extractors.alignment import Alignment, aligned
from visualsearch.extractors.graphs import NetworkExtractor
from visualsearch.extractors.preparation import grey
from visualsearch.files import located, sha256
from visualsearch.runtimes.contract import Batch

Channels = float | tuple[float, float, float]


def _without_prefix(value: object) -> object:
    return value.removeprefix("file:") if isinstance(value, str) else value


def _located(path: Path, info: ValidationInfo) -> Path:
    """Return an absolute path: relative ones are meant from the YAML's folder."""
    return located(path, (info.context or {}).get("base", Path.cwd()))


class FileOptions(plugins.Options):
    """A file with a network, and what it expects its pictures to be."""

    file: Annotated[Path, BeforeValidator(_without_prefix), AfterValidator(_located)]
    """The file with the network."""
    size: PositiveInt | None = None
    """Height and width of the input in pixels. null: as the file says."""
    channels: Annotated[str, AfterValidator(lambda value: _one_of(value, ("rgb", "bgr")))] = "rgb"
    """The order of the colours, `rgb` or `bgr`."""
    mean: Channels = 0.0
    """What is subtracted from the pixels (0 to 255): one number, or one for each channel in their order."""
    scale: Channels = 1.0
    """What they are divided by afterwards: one number, or one for each channel."""
    alignment: Alignment = "none"
    """Where a face's landmarks come to lie; `none`: the whole crop is squeezed into the square."""
    mirror: bool = False
    """Average with the mirror image."""

    @model_validator(mode="after")
    def _divisible(self) -> Self:
        numbers = np.atleast_1d([*np.ravel(self.mean), *np.ravel(self.scale)])
        if not np.isfinite(numbers).all() or not np.all(self.scale):
            raise ValueError("scale: expected numbers other than 0, as it divides the pixels")
        return self


def _one_of(value: str, choices: Sequence[str]) -> str:
    if value not in choices:
        raise ValueError(f"expected {' or '.join(choices)}; received {value!r}")
    return value


class ForeignExtractor(NetworkExtractor):
    """A network in a file: faces are cut and scaled as the options say, and ``dim`` is what comes out."""

    _file_options: FileOptions

    @cached_property
    def dim(self) -> int:
        """Return the length of the rows, as a first pass gives it."""
        return int(self._rows([grey()]).shape[1])

    def face(self, crop: Crop) -> Pixels:
        """Return a crop aligned by its landmarks, or squeezed."""
        return aligned(crop, self._file_options.alignment, self.side)

    def normalise(self, batch: Batch) -> Batch:
        """Return (pixels - mean) / scale, in the order of the network's channels."""
        ordered = batch[..., ::-1] if self._file_options.channels == "bgr" else batch
        mean, scale = (np.asarray(values, np.float32) for values in (self._file_options.mean, self._file_options.scale))
        return (ordered - mean) / scale


def identity_of(path: Path) -> tuple[str, ...]:
    """Return the hash of a network's file, and of the one with its arrays where they lie beside it.

    Raises:
        EngineError: there is no such file.
    """
    if not path.is_file():
        message = f"extractor.file: expected a network at {path}; there is none: check the path."
        raise EngineError(message, slug="weights-missing")
    beside = path.with_name(f"{path.name}.data")
    try:
        return tuple(sha256(file) for file in (path, beside) if file.is_file())
    except OSError as error:
        raise EngineError(f"{path}: the network cannot be read: {error.strerror}.", slug="weights-missing") from error


def side_of(options: FileOptions, height: int | None, width: int | None) -> int:
    """Return the side of the input, of which the file says height and width or leaves them open.

    Raises:
        ConfigError: they are not equal, differ from the options, or nothing says them.
    """
    said = {side for side in (height, width, options.size) if side is not None}
    if len(said) == 1:
        return said.pop()
    if not said:
        message = f"extractor.size: {options.file} takes pictures of any size: say which, such as size: 112."
        raise ConfigError(message, slug="size-missing")
    message = (
        f"extractor.size: expected a square of one size; {options.file} takes {height or 'any'} x {width or 'any'} pixels "
        f"and size is {options.size or 'not given'}."
    )
    raise ConfigError(message, slug="size-mismatch")


def mismatch(path: Path, expected: str, received: object) -> EngineError:
    """Return the error for a network that takes or gives something else."""
    return EngineError(f"{path}: expected {expected}; received {received}.", slug="network-mismatch")
