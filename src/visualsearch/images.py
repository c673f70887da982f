"""Bytes → RGB array, or a reason why not; and the look by which near-duplicates are found.

Whatever a file holds comes out as (height, width, 3) uint8 RGB, upright by its EXIF
orientation, on white where it is transparent, the first frame where it has several.
Reasons name no file: who knows the name puts it before them.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import (  # a plug-in's import registers its format
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from visualsearch.beginnings import beginning
from visualsearch.colours import from_array, to_rgb
from visualsearch.datatypes import Pixels
from visualsearch.errors import PictureError
from visualsearch.gallery import in_its_place

LIMIT_PIXELS = 160_000_000
"""Pictures with more pixels are refused by their header; as RGB this many take 480 MB."""

LIMIT_BYTES = 2**31

Picturelike = Path | str | bytes | Image.Image | NDArray[Any]
"""What can be searched for: a path, a file's bytes, a PIL image or an array."""

ALIKE_BITS = 26
"""Looks of near-duplicates differ in at most this many of their 256 bits.

Measured (LFW, Caltech-101): over 99 % of pictures at 60 % of their size and JPEG quality 40 stay below
it; of pairs of different photographs the closest in 10,000 differ in 68."""

_FORMATS = (
    JpegImagePlugin.JpegImageFile,
    PngImagePlugin.PngImageFile,
    WebPImagePlugin.WebPImageFile,
    GifImagePlugin.GifImageFile,
    BmpImagePlugin.BmpImageFile,
    TiffImagePlugin.TiffImageFile,
    AvifImagePlugin.AvifImageFile,
)
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read(path: Path | str) -> bytes:
    """Return the bytes of a file.

    Raises:
        PictureError: ``picture-missing``, ``picture-unreadable`` or ``picture-too-large``.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(LIMIT_BYTES + 1)
    except FileNotFoundError as error:
        raise PictureError("there is no such file", slug="picture-missing") from error
    except IsADirectoryError as error:
        raise PictureError(f"a folder, not a picture: {in_its_place(Path(path))}", slug="picture-unreadable") from error
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise PictureError(f"the file cannot be read: {why}", slug="picture-unreadable") from error
    if len(data) > LIMIT_BYTES:
        raise PictureError(f"more than {LIMIT_BYTES >> 20:,} MiB in one file", slug="picture-too-large")
    return data


def decode(data: bytes, limit_pixels: int = LIMIT_PIXELS) -> Pixels:
    """Turn the bytes of a JPEG, PNG, WebP, GIF, BMP, TIFF or AVIF file into RGB.

    Raises:
        PictureError: ``picture-empty``, ``not-a-picture``, ``picture-too-large``,
            ``picture-truncated``, ``picture-broken`` or ``picture-memory``.
    """
    if not data:
        raise PictureError("an empty file: 0 bytes", slug="picture-empty")
    with _pillow_is_quiet:
        image = _open(data)
        return _rgb(image, image.format or "picture", limit_pixels)


def to_pixels(image: Path | str | bytes | Image.Image | NDArray[Any], limit_pixels: int = LIMIT_PIXELS) -> Pixels:
    """Return RGB from a path, a file's bytes, a PIL image or an array.

    An array is (height, width), (height, width, 1), 3 (RGB) or 4 (RGBA), uint8, or float from 0 to 1.

    Raises:
        PictureError: as `read` and `decode`, or ``picture-array``, or ``picture-type``.

    >>> to_pixels(np.array([[0.0, 1.0]])).tolist()
    [[[0, 0, 0], [255, 255, 255]]]
    """
    if isinstance(image, np.ndarray):
        return from_array(image)
    if isinstance(image, Image.Image):
        with _pillow_is_quiet:
            return _rgb(image, image.format or "picture", limit_pixels)
    if isinstance(image, bytes | bytearray | memoryview):
        return decode(bytes(image), limit_pixels)
    if not isinstance(image, str | Path):
        what = f"expected a path, bytes, a PIL image or an array; received {type(image).__name__}"
        raise PictureError(f"image: {what}", slug="picture-type")
    return decode(read(image), limit_pixels)


def shrunk(pixels: Pixels, shorter: int = 640) -> Pixels:
    """Return a large picture averaged over whole blocks, its shorter side still at least ``shorter`` pixels.

    Networks see a few hundred pixels: what a batch keeps of a photograph need not be all of it.

    >>> shrunk(np.zeros((3000, 4000, 3), np.uint8)).shape, shrunk(np.zeros((1279, 4000, 3), np.uint8)).shape
    ((750, 1000, 3), (1279, 4000, 3))
    """
    factor = min(pixels.shape[:2]) // shorter
    return pixels if factor < 2 else np.asarray(Image.fromarray(pixels).reduce(factor))


def look(pixels: Pixels) -> str:
    """Return the horizontal difference hash of a picture: 256 bits as 64 hexadecimal digits.

    Each bit of a 16 × 16 grid says whether the picture, reduced to 17 × 16 grey cells, grows
    brighter from one cell to its right neighbour (N. Krawetz, "Kind of Like That", 2013).
    """
    grey = Image.fromarray(pixels).convert("L").resize((17, 16), Image.Resampling.LANCZOS, reducing_gap=3.0)
    cells = np.asarray(grey, dtype=np.int16)
    return np.packbits(cells[:, 1:] > cells[:, :-1]).tobytes().hex()


def looks_alike(a: str, b: str) -> bool:
    """Tell whether two looks are of near-duplicates: the same picture resized, re-encoded or retouched.

    Pictures with little structure must agree more closely, and one without any (one colour, one
    even gradient) is alike to nothing.

    >>> looks_alike("0f" * 32, "0f" * 31 + "0e"), looks_alike("0f" * 32, "f0" * 32)
    (True, False)
    >>> looks_alike("00" * 32, "00" * 32)
    False
    """
    if not a or not b:
        return False
    one, other = int(a, 16), int(b, 16)
    structure = min(min(ones, 256 - ones) for ones in (one.bit_count(), other.bit_count()))
    return structure > 0 and (one ^ other).bit_count() <= min(ALIKE_BITS, structure // 4)


def _open(data: bytes) -> ImageFile.ImageFile:
    """Parse the header only; `PIL.Image.open` would refuse large pictures without saying their size."""
    for name in (kind.format for kind in _FORMATS):
        factory, accept = Image.OPEN[name]
        accepted = accept(data[:16]) if accept else True
        if accepted and not isinstance(accepted, str):  # a string: Pillow was built without this format
            with _foreign_errors(name):
                return factory(io.BytesIO(data), "")
    raise PictureError(f"not a picture: {beginning(data)}", slug="not-a-picture")


def _rgb(image: Image.Image, name: str, limit_pixels: int) -> Pixels:
    width, height = image.size
    if width * height > limit_pixels:
        message = f"{width:,} × {height:,} pixels is more than the limit of {limit_pixels:,}"
        raise PictureError(message, slug="picture-too-large")
    if width * height == 0:
        raise PictureError(f"{width} × {height} pixels: nothing to see", slug="picture-broken")
    with _foreign_errors(name):
        image.load()
        turn = _UPRIGHT.get(_orientation(image) or 1)
        flat = to_rgb(image)
        return np.asarray(flat.transpose(turn) if turn is not None else flat)


def _orientation(image: Image.Image) -> int | None:
    """Return the EXIF orientation; damaged EXIF is no reason to refuse a picture that can be seen."""
    try:
        found = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # whatever bytes can provoke in the parser
        return None
    return found if isinstance(found, int) else None


@contextmanager
def _foreign_errors(name: str) -> Iterator[None]:
    """Turn what Pillow raises on broken bytes, which may be nearly anything, into a reason."""
    try:
        yield
    except MemoryError as error:
        raise PictureError("too little memory for its pixels", slug="picture-memory") from error
    except Image.DecompressionBombError as error:
        raise PictureError(f"more pixels than can be decoded: {error}", slug="picture-too-large") from error
    except Exception as error:
        why = str(error)
        if isinstance(error, EOFError) or "truncated" in why.lower():
            raise PictureError(f"truncated {name}: the file ends early", slug="picture-truncated") from error
        raise PictureError(f"broken {name}: {why or type(error).__name__}", slug="picture-broken") from error


class _Quiet:
    """Silences Pillow's warnings while any thread decodes.

    `warnings.catch_warnings` is not safe from several threads: the first in opens it, the last out closes it.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._filters = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._filters.__exit__(None, None, None)


_pillow_is_quiet = _Quiet()
