"""Real files of every kind, compared with pixels that were computed without Pillow's conversions."""

from __future__ import annotations

import io
import struct
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from visualsearch import images
from visualsearch.errors import PictureError
from visualsearch.images import decode, look, looks_alike, read, shrunk, to_pixels

RNG = np.random.default_rng(0)
COLOURS = np.kron(RNG.integers(0, 256, (4, 6, 3)), np.ones((4, 4, 1))).astype(np.uint8)
"""16 × 24 pixels in blocks of 4, so that lossy codecs come close."""

BROKEN_EXIF = b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x09\x01\x12"
"""Promises nine entries and holds a piece of one."""


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    """Return the bytes of a file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def close(a: NDArray[np.uint8], b: NDArray[np.uint8], by: float) -> bool:
    """Tell whether two pictures of one shape differ by at most ``by`` on average."""
    return a.shape == b.shape and float(np.abs(a.astype(int) - b.astype(int)).mean()) <= by


def slug_of(data: bytes, **options: int) -> str:
    """Return the slug and check that the sentence is one line."""
    with pytest.raises(PictureError) as caught:
        decode(data, **options)
    assert "\n" not in str(caught.value)
    return caught.value.slug


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    """Write a PNG by hand, so that Pillow's writer is not what its reader is compared with."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP", "GIF"])
def test_lossless_formats_keep_every_pixel(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    image = Image.fromarray(COLOURS)
    if kind == "GIF":
        image = image.quantize(256)
    pixels = decode(encode(image, kind, **options))
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, COLOURS)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF"])
def test_lossy_formats_come_close(kind: str) -> None:
    data = encode(Image.fromarray(COLOURS), kind, quality=95)
    assert close(decode(data), COLOURS, 12)


@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        (1, COLOURS),
        (2, COLOURS[:, ::-1]),
        (3, COLOURS[::-1, ::-1]),
        (4, COLOURS[::-1]),
        (5, COLOURS.transpose(1, 0, 2)),
        (6, np.rot90(COLOURS, 1)),
        (7, np.rot90(COLOURS.transpose(1, 0, 2), 2)),
        (8, np.rot90(COLOURS, -1)),
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_pictures_are_turned_upright(orientation: int, stored: NDArray[np.uint8], kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(Image.fromarray(np.ascontiguousarray(stored)), kind, exif=exif)
    assert np.array_equal(decode(data), COLOURS)


def test_damaged_exif_does_not_hide_the_picture() -> None:
    data = encode(Image.fromarray(COLOURS), "PNG", exif=BROKEN_EXIF)
    assert np.array_equal(decode(data), COLOURS)


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk(kind: str) -> None:
    inks = np.kron(RNG.integers(0, 256, (3, 3, 4)), np.ones((8, 8, 1))).astype(np.uint8)
    data = encode(Image.fromarray(inks, "CMYK"), kind, **({"quality": 95} if kind == "JPEG" else {}))
    share = inks.astype(float) / 255
    expected = (255 * (1 - share[:, :, :3]) * (1 - share[:, :, 3:])).astype(np.uint8)
    assert close(decode(data), expected, 6 if kind == "JPEG" else 1)


def test_16_bit_grey_png() -> None:
    values = np.array([[0, 257, 32_768, 65_535]], dtype=np.uint16)
    data = png(4, 1, 16, 0, b"\x00" + values.astype(">u2").tobytes())
    assert decode(data)[0, :, 0].tolist() == [0, 1, 128, 255]


def test_16_bit_colour_png() -> None:
    values = np.array([[[0, 32_768, 65_535], [65_535, 257, 0]]], dtype=">u2")
    assert decode(png(2, 1, 16, 2, b"\x00" + values.tobytes())).tolist() == [[[0, 128, 255], [255, 1, 0]]]


def test_16_bit_colour_and_alpha_png() -> None:
    values = np.array([[[65_535, 0, 0, 65_535], [65_535, 0, 0, 0]]], dtype=">u2")
    assert decode(png(2, 1, 16, 6, b"\x00" + values.tobytes())).tolist() == [[[255, 0, 0], [255, 255, 255]]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 257, 65_535]], np.uint16), [0, 1, 255]),
        (np.array([[0, 257, 65_535]], np.int32), [0, 1, 255]),
        (np.array([[-100, -60, 100]], np.int32), [0, 51, 255]),
        (np.array([[0, 100_000, 200_000]], np.int32), [0, 128, 255]),
        (np.array([[0.0, 0.2, 1.0]], np.float32), [0, 51, 255]),
        (np.array([[0.0, 128.0, 255.0]], np.float32), [0, 128, 255]),
        (np.array([[-1.0, 0.0, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[np.nan, 0.4, 1.0]], np.float32), [0, 102, 255]),
        (np.array([[np.nan, np.inf]], np.float32), [0, 0]),
        (np.array([[-7.0, -7.0]], np.float32), [0, 0]),
    ],
)
def test_deep_grey_tiff(values: NDArray[np.generic], expected: list[int]) -> None:
    pixels = decode(encode(Image.fromarray(values), "TIFF"))
    assert pixels[0].tolist() == [[value] * 3 for value in expected]


def test_grey_and_one_bit() -> None:
    grey = COLOURS[:, :, 0]
    assert np.array_equal(decode(encode(Image.fromarray(grey), "PNG")), np.dstack([grey] * 3))
    bits = grey > 127
    for kind in ("PNG", "TIFF", "BMP"):
        pixels = decode(encode(Image.fromarray(bits), kind))
        assert np.array_equal(pixels, np.dstack([bits * np.uint8(255)] * 3))


def test_alpha_lies_on_white() -> None:
    alpha = RNG.integers(0, 256, COLOURS.shape[:2]).astype(np.uint8)
    share = alpha[:, :, None] / 255
    expected = np.rint(COLOURS * share + 255 * (1 - share)).astype(np.uint8)
    image = Image.fromarray(np.dstack([COLOURS, alpha]))
    for kind, options in (("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True, "exact": True})):
        assert close(decode(encode(image, kind, **options)), expected, 1), kind


def test_grey_with_alpha_lies_on_white() -> None:
    image = Image.fromarray(np.array([[[10, 255], [10, 0], [0, 128]]], np.uint8), "LA")
    assert decode(encode(image, "PNG"))[0, :, 1].tolist() == pytest.approx([10, 255, 127], abs=1)


def test_palettes() -> None:
    image = Image.fromarray(COLOURS).quantize(256)
    assert np.array_equal(decode(encode(image, "PNG")), COLOURS)
    clear = image.getpixel((0, 0))
    for transparency in (clear, bytes(0 if index == clear else 255 for index in range(256))):
        pixels = decode(encode(image, "PNG", transparency=transparency))
        assert (pixels[0, 0] == 255).all()
        assert np.array_equal(pixels[:, 4:8], COLOURS[:, 4:8])


def test_a_transparent_colour_lies_on_white() -> None:
    data = encode(Image.fromarray(COLOURS), "PNG", transparency=tuple(int(value) for value in COLOURS[0, 0]))
    assert (decode(data)[0, 0] == 255).all()
    assert np.array_equal(decode(data)[8:, 8:], COLOURS[8:, 8:])


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "PNG"])
def test_of_several_frames_the_first(kind: str) -> None:
    first, second = (Image.new("RGB", (20, 10), colour) for colour in ("red", "blue"))
    options = {"lossless": True} if kind == "WEBP" else {}
    pixels = decode(encode(first, kind, save_all=True, append_images=[second], **options))
    assert (pixels == (255, 0, 0)).all()
    assert pixels.shape == (10, 20, 3)


def test_a_bomb_is_refused_by_its_header() -> None:
    data = png(30_000, 30_000, 8, 2, b"")  # a header, and no pixels that could be decoded
    with pytest.raises(PictureError, match=r"^30,000 × 30,000 pixels is more than the limit of 160,000,000$"):
        decode(data)
    assert slug_of(data) == "picture-too-large"


def test_the_limit_is_exact() -> None:
    data = encode(Image.new("RGB", (30, 20)), "PNG")
    assert decode(data, limit_pixels=600).shape == (20, 30, 3)
    assert slug_of(data, limit_pixels=599) == "picture-too-large"


@pytest.mark.parametrize("progressive", [False, True])
def test_truncated_jpegs_are_refused(progressive: bool) -> None:
    noise = RNG.integers(0, 256, (64, 64, 3)).astype(np.uint8)
    data = encode(Image.fromarray(noise), "JPEG", progressive=progressive)
    for share in (0.3, 0.5, 0.8, 0.95):
        assert slug_of(data[: int(len(data) * share)]) == "picture-truncated"
    with pytest.raises(PictureError, match="^truncated JPEG: the file ends early$"):
        decode(data[: len(data) // 2])


@pytest.mark.parametrize("kind", ["PNG", "GIF", "TIFF", "WEBP", "BMP", "AVIF"])
def test_other_truncated_files_are_refused(kind: str) -> None:
    data = encode(Image.fromarray(RNG.integers(0, 256, (64, 64, 3)).astype(np.uint8)), kind)
    for size in (20, len(data) // 2):
        assert slug_of(data[:size]) in ("picture-truncated", "picture-broken")


def test_files_that_are_no_pictures() -> None:
    assert slug_of(b"") == "picture-empty"
    assert slug_of(b"%!PS-Adobe-3.0 EPSF-3.0") == "not-a-picture"  # nothing that Pillow would run a program for
    assert slug_of(b"\xff\xd8\xff\xe0 and then nothing that a JPEG has") in (
        "picture-broken",
        "picture-truncated",
    )
    assert slug_of(png(0, 0, 8, 2, b"")) == "picture-broken"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"Hello, I am a text", "the text 'Hello, I am a text'"),
        (b"<!doctype html>\n<html lang='en'>" + b" " * 9000, "text that begins '<!doctype html> <html la…'"),
        (("\ufeffÜ" + "é" * 500).encode(), "text that begins 'Ü" + "é" * 23 + "…'"),
        (b"\x00\x01" + b"abc" * 100, "it begins with the bytes 00 01 61 62 63 61 62 63 …"),
        (b"\x1b[2J", "the bytes 1b 5b 32 4a"),
        (b"caf\xe9", "the bytes 63 61 66 e9"),
        (b" \n", "the bytes 20 0a"),
    ],
)
def test_what_is_no_picture_is_described_in_words(data: bytes, said: str) -> None:
    with pytest.raises(PictureError) as caught:
        decode(data)
    assert (str(caught.value), caught.value.slug) == (f"not a picture: {said}", "not-a-picture")


def test_random_damage_gives_pixels_or_a_reason() -> None:
    for kind in ("JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP"):
        whole = encode(Image.fromarray(COLOURS), kind)
        for _ in range(40):
            data = bytearray(whole)
            for place in RNG.integers(0, len(data), 3):
                data[place] = RNG.integers(0, 256)
            try:
                assert decode(bytes(data), limit_pixels=1_000_000).shape[2] == 3
            except PictureError as error:
                assert "\n" not in str(error)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    for name, slug in (("none.jpg", "picture-missing"), ("folder.jpg", "picture-unreadable")):
        with pytest.raises(PictureError) as caught:
            read(tmp_path / name)
        assert caught.value.slug == slug
    for name in ("loop.jpg", "null\0.jpg", "long" * 100 + ".jpg"):
        with pytest.raises(PictureError) as caught:
            read(tmp_path / name)
        assert caught.value.slug == "picture-unreadable"
        assert "\n" not in str(caught.value)


def test_a_file_of_enormous_size_is_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "LIMIT_BYTES", 2**20)
    path = tmp_path / "sparse.jpg"
    with path.open("wb") as file:
        file.truncate(2**20)
    assert len(read(path)) == 2**20
    with path.open("wb") as file:
        file.truncate(2**40)  # a tebibyte that takes no room on the disk
    with pytest.raises(PictureError, match="^more than 1 MiB in one file$"):
        read(path)


def test_a_file_without_permission(where_permissions_hold: Path) -> None:
    path = where_permissions_hold / "secret.jpg"
    path.write_bytes(b"x")
    path.chmod(0)
    with pytest.raises(PictureError, match="^the file cannot be read: Permission denied$") as caught:
        read(path)
    assert caught.value.slug == "picture-unreadable"


def test_a_path_s_reason_is_that_of_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_text("Hello")
    with pytest.raises(PictureError, match=r"^not a picture: the text 'Hello'$") as caught:
        to_pixels(path)
    assert caught.value.slug == "not-a-picture"


def test_every_way_in_gives_the_same_pixels(tmp_path: Path) -> None:
    path = tmp_path / "ü é.png"
    Image.fromarray(COLOURS).save(path)
    ways = (
        path,
        str(path),
        path.read_bytes(),
        Image.fromarray(COLOURS),
        Image.open(path),
        COLOURS,
        COLOURS / 255,
    )
    for way in ways:
        assert np.array_equal(to_pixels(way), COLOURS)


def test_images_from_memory_are_turned_and_limited() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    opened = Image.open(io.BytesIO(encode(Image.fromarray(np.rot90(COLOURS).copy()), "PNG", exif=exif)))
    assert np.array_equal(to_pixels(opened), COLOURS)
    with pytest.raises(PictureError, match="limit"):
        to_pixels(Image.new("L", (30, 20)), limit_pixels=599)


def test_arrays() -> None:
    grey = COLOURS[:, :, 0]
    expected = np.dstack([grey] * 3)
    assert np.array_equal(to_pixels(grey), expected)
    assert np.array_equal(to_pixels(grey[:, :, None]), expected)
    assert np.array_equal(to_pixels(grey.astype(np.float32) / 255), expected)
    assert to_pixels(np.array([[[9, 9, 9, 0]]], np.uint8)).tolist() == [[[255, 255, 255]]]
    assert np.array_equal(to_pixels(COLOURS[::-2, ::-1]), COLOURS[::-2, ::-1])


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.zeros(5, np.uint8), r"expected the shape \(height, width\[, 1, 3 or 4\]\); received \(5,\)"),
        (np.zeros((2, 2, 2), np.uint8), r"received \(2, 2, 2\)"),
        (np.zeros((0, 5, 3), np.uint8), r"received \(0, 5, 3\)"),
        (np.zeros((5, 5), np.int64), "expected uint8, or float from 0 to 1; received int64"),
        (np.full((5, 5), 255.0), "expected float from 0 to 1; received 255 to 255"),
        (np.full((5, 5), np.nan), "expected float from 0 to 1; received nan to nan"),
    ],
)
def test_arrays_that_are_no_pictures(array: NDArray[np.generic], sentence: str) -> None:
    with pytest.raises(PictureError, match=sentence) as caught:
        to_pixels(array)
    assert caught.value.slug == "picture-array"


def test_other_types_are_refused() -> None:
    with pytest.raises(PictureError, match="received list") as caught:
        to_pixels([[1]])  # type: ignore[arg-type]
    assert caught.value.slug == "picture-type"


def test_warnings_do_not_leak_from_any_thread() -> None:
    data = encode(Image.fromarray(COLOURS), "JPEG", exif=BROKEN_EXIF)
    with pytest.warns(UserWarning, match="Corrupt EXIF|Truncated"):
        Image.open(io.BytesIO(data)).getexif()
    caught: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(20):
                decode(data)
        except BaseException as error:
            caught.append(error)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = list(warnings.filters)
        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not caught
        assert list(warnings.filters) == before


def test_shrinking_averages_whole_blocks() -> None:
    blocks = RNG.integers(0, 256, (10, 13, 3)).astype(np.uint8)
    fine = np.kron(blocks, np.ones((4, 4, 1))).astype(np.uint8)
    assert np.array_equal(shrunk(fine, shorter=10), blocks)
    assert np.array_equal(shrunk(fine, shorter=21), fine)


def test_the_look_is_what_its_definition_says() -> None:
    cells = RNG.integers(0, 256, (16, 17)).astype(np.uint8)
    bits = "".join("1" if row[x + 1] > row[x] else "0" for row in cells.tolist() for x in range(16))
    assert look(np.dstack([cells] * 3)) == f"{int(bits, 2):064x}"


def test_near_duplicates_look_alike_and_others_do_not() -> None:
    def photograph(seed: int) -> Image.Image:
        coarse = np.random.default_rng(seed).integers(0, 256, (9, 9, 3)).astype(np.uint8)
        return Image.fromarray(coarse).resize((300, 220), Image.Resampling.BICUBIC)

    originals = [photograph(seed) for seed in range(20)]
    looks = [look(np.asarray(image)) for image in originals]
    for index, image in enumerate(originals):
        again = look(decode(encode(image.resize((150, 110)), "JPEG", quality=50)))
        assert [looks_alike(again, other) for other in looks] == [index == other for other in range(20)]


def test_pictures_without_structure_are_alike_to_nothing() -> None:
    black, white = (look(np.full((40, 40, 3), value, np.uint8)) for value in (0, 255))
    assert len(black) == 64
    assert not looks_alike(black, white)
    assert not looks_alike("", "")
