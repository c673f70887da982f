"""The crop `mtcnn`: right boxes whatever the picture is, one at a time or in batches."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn import LANDMARKS, face, group, head, overlap
from PIL import Image, ImageOps

from visualsearch.crops import detection
from visualsearch.crops.cascade import Cascade
from visualsearch.crops.mtcnn import Faces
from visualsearch.datatypes import Crop, Pixels
from visualsearch.images import decode

GROUP = [(20, 30, 240), (300, 80, 180), (520, 10, 320)]
"""Left, top and side of three faces in 880 × 360 pixels."""


@pytest.fixture(scope="module")
def cascade() -> Cascade:
    """Return the networks, loaded once."""
    return Cascade()


@pytest.fixture
def faces(cascade: Cascade, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Faces]:
    """Return a function that makes the plug-in with these options."""
    monkeypatch.setattr(detection, "Cascade", lambda: cascade)
    return lambda **options: Faces(Faces.Options(name="mtcnn", **options))


def found(cropper: Faces, *images: Pixels) -> list[list[Crop]]:
    return cropper.crops(images, "gallery")


def same(one: list[Crop], other: list[Crop], pixels: float = 1) -> None:
    assert len(one) == len(other) > 0
    for a, b in zip(one, other, strict=True):
        assert a.box is not None and b.box is not None and a.landmarks is not None and b.landmarks is not None
        assert np.abs(np.subtract(a.box, b.box)).max() <= pixels
        assert np.abs(a.landmarks - b.landmarks).max() <= pixels + 1
        assert a.confidence == pytest.approx(b.confidence, abs=1e-3)


def test_each_face_of_a_group_is_found_where_it_was_put(faces: Callable[..., Faces]) -> None:
    crops = found(faces(), group(GROUP, 880, 360))[0]
    assert len(crops) == 3
    by_size = sorted(GROUP, key=lambda place: -place[2])
    for crop, (left, top, side) in zip(crops, by_size, strict=True):
        assert overlap(crop.box, head(side, left, top)) > 0.7
        assert crop.confidence is not None and 0.9 <= crop.confidence <= 1


def test_landmarks_are_in_pixels_of_the_crop(faces: Callable[..., Faces]) -> None:
    left, top, side = GROUP[2]
    for margin in (0.0, 0.35, 1.0):
        crop = found(faces(margin=margin), group(GROUP, 880, 360))[0][0]
        box, landmarks = crop.box, crop.landmarks
        assert box is not None and landmarks is not None
        more = margin * max(box[2] - box[0], box[3] - box[1])
        shown = np.maximum(0, [box[0] - more, box[1] - more])
        expected = np.array(LANDMARKS) * side + (left, top) - shown
        assert np.abs(landmarks - expected).max() < 0.04 * side
        height, width = crop.pixels.shape[:2]
        assert abs(width - (min(880, box[2] + more) - shown[0])) <= 2
        assert abs(height - (min(360, box[3] + more) - shown[1])) <= 2
        eye = crop.pixels[round(float(landmarks[0, 1])), round(float(landmarks[0, 0]))]
        assert eye.mean() < 90, "an eye is dark"


def test_batches_of_any_sizes_give_what_pictures_give_alone(faces: Callable[..., Faces]) -> None:
    rng = np.random.default_rng(4)
    pictures = [np.zeros((90, 200, 3), np.uint8)]
    for _ in range(12):
        width, height = map(int, rng.integers(180, 420, 2))
        pictures.append(group([(10, 5, int(rng.integers(150, 200)))], width, height))
    together = found(faces(), *pictures)
    alone = [found(faces(), picture)[0] for picture in pictures]
    assert together[0] == alone[0] == []
    for one, other in zip(together[1:], alone[1:], strict=True):
        same(one, other)


def test_agrees_with_the_package_on_a_picture_as_it_is(faces: Callable[..., Faces]) -> None:
    from mtcnn import MTCNN

    picture = group(GROUP, 880, 360)
    theirs = MTCNN().detect_faces(picture.astype(np.float32), box_format="xyxy")
    theirs.sort(key=lambda one: -(one["box"][2] - one["box"][0]))
    for crop, one in zip(found(faces(margin=0), picture)[0], theirs, strict=True):
        assert overlap(crop.box, tuple(map(int, one["box"]))) > 0.85  # type: ignore[arg-type]
        assert crop.box is not None and crop.landmarks is not None
        eyes = np.array([one["keypoints"]["left_eye"], one["keypoints"]["right_eye"]])
        assert np.abs(crop.landmarks[:2] + crop.box[:2] - eyes).max() < 4


def test_policies_differ_for_gallery_and_queries(faces: Callable[..., Faces]) -> None:
    picture = group(GROUP, 880, 360)
    cropper = faces(gallery="largest", query="central")
    (largest,), (central,) = cropper.crops([picture], "gallery")[0], cropper.crops([picture], "query")[0]
    assert overlap(largest.box, head(320, 520, 10)) > 0.7
    assert overlap(central.box, head(180, 300, 80)) > 0.7
    assert faces(query="largest").fingerprint == faces().fingerprint
    assert len({faces(**one).fingerprint for one in ({}, {"gallery": "largest"}, {"side": 640}, {"margin": 0})}) == 4


def test_smallest_and_confidence_leave_faces_out(faces: Callable[..., Faces]) -> None:
    picture = group(GROUP, 880, 360)
    sizes = [max(c.box[2] - c.box[0], c.box[3] - c.box[1]) for c in found(faces(), picture)[0] if c.box is not None]
    assert len(found(faces(smallest=sizes[1]), picture)[0]) == 2
    assert len(found(faces(smallest=sizes[1] + 1), picture)[0]) == 1
    assert found(faces(confidence=1.0), picture)[0] == []


def test_a_rotated_file_has_the_boxes_of_the_upright_picture(faces: Callable[..., Faces]) -> None:
    upright = Image.fromarray(group(GROUP, 880, 360))
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    upright.transpose(Image.Transpose.ROTATE_90).save(buffer, "PNG", exif=exif)
    same(found(faces(), decode(buffer.getvalue()))[0], found(faces(), np.asarray(upright))[0], 0)


def test_grey_pictures_have_faces(faces: Callable[..., Faces]) -> None:
    grey = ImageOps.grayscale(Image.fromarray(face(200))).convert("RGB")
    (crop,) = found(faces(), np.asarray(grey))[0]
    assert overlap(crop.box, head(200)) > 0.7


@pytest.mark.parametrize(("left", "top"), [(-90, 40), (230, 40), (80, 130)])
def test_a_face_half_outside_has_a_box_within_the_picture(faces: Callable[..., Faces], left: int, top: int) -> None:
    picture = group([(left, top, 200)], 340, 260)
    (crop,) = found(faces(confidence=0.7), picture)[0]
    x1, y1, x2, y2 = head(200, left, top)
    assert overlap(crop.box, (max(x1, 0), max(y1, 0), min(x2, 340), min(y2, 260))) > 0.6
    assert crop.box is not None
    assert min(crop.box) >= 0 and crop.box[2] <= 340 and crop.box[3] <= 260


def test_a_large_picture_is_looked_at_small_and_cropped_large(faces: Callable[..., Faces]) -> None:
    picture = group([(2600, 900, 1200), (300, 200, 700)], 4000, 3000)
    seen: list[tuple[int, ...]] = []
    cropper = faces(margin=0)
    look = cropper._detector._seen
    cropper._detector._seen = lambda canvases: seen.extend(c.pixels.shape for c in canvases) or look(canvases)  # type: ignore[assignment, func-returns-value]
    large, small = found(cropper, picture)[0]
    assert max(seen[0]) < 1100
    assert overlap(large.box, head(1200, 2600, 900)) > 0.7
    assert overlap(small.box, head(700, 300, 200)) > 0.7
    assert small.box is not None
    left, top, right, bottom = small.box
    assert np.array_equal(small.pixels, picture[top:bottom, left:right]), "of the picture itself"
    assert not np.shares_memory(small.pixels, picture), "so that the picture can be let go"


@pytest.mark.parametrize("side", [20, 28, 40])
def test_tiny_pictures(faces: Callable[..., Faces], side: int) -> None:
    (crop,) = found(faces(smallest=8, confidence=0.5), face(side))[0]
    assert overlap(crop.box, head(side)) > 0.55


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 3000, 3), (2000, 2, 3), (30, 30, 3)])
def test_pictures_without_a_face_have_no_crop(faces: Callable[..., Faces], shape: tuple[int, ...]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    assert found(faces(), noise, np.full(shape, 255, np.uint8)) == [[], []]


def test_a_large_crop_is_shrunk_with_its_landmarks(faces: Callable[..., Faces]) -> None:
    (crop,) = found(faces(margin=0), face(3000))[0]
    assert crop.box is not None and crop.landmarks is not None
    assert overlap(crop.box, head(3000)) > 0.7
    assert 640 <= min(crop.pixels.shape[:2]) < 1280
    scale = crop.pixels.shape[1] / (crop.box[2] - crop.box[0])
    expected = (np.array(LANDMARKS) * 3000 - crop.box[:2]) * scale
    assert np.abs(crop.landmarks - expected).max() < 0.04 * 3000 * scale


def test_a_picture_that_comes_again_is_not_looked_at_again(faces: Callable[..., Faces]) -> None:
    cropper, picture, looks = faces(), group(GROUP, 880, 360), []
    look = cropper._detector._seen
    cropper._detector._seen = lambda some: looks.append(len(some)) or look(some)  # type: ignore[method-assign, func-returns-value]
    first = cropper.crops([picture, picture], "gallery")
    again = cropper.crops([picture.copy()], "query")[0]
    assert looks == [1]
    for other in (first[1], again):
        same(first[0], other, 0)


def test_many_shapes_are_traced_once(faces: Callable[..., Faces], cascade: Cascade) -> None:
    cropper = faces()
    for number in range(12):
        found(cropper, group([(0, 0, 100 + 9 * number)], 150 + 31 * number, 140 + 17 * number))
    traced: list[Any] = list(cascade.networks)
    assert [network.experimental_get_tracing_count() for network in traced] == [1, 1, 1]


def test_real_pictures_alone_and_together(faces: Callable[..., Faces], real_pictures: Path) -> None:
    files = sorted(real_pictures.glob("lfw/*/*.jpg"))[::827][:16]
    if not files:
        pytest.skip("real pictures: lfw is not in ../shared/data beside the checkout")
    pictures = [decode(file.read_bytes()) for file in files]
    pictures[::3] = [picture[: 250 - 3 * i, i:] for i, picture in enumerate(pictures[::3])]
    cropper = faces(query="central")
    together = cropper.crops(pictures, "query")
    for picture, crops in zip(pictures, together, strict=True):
        same(crops, faces(query="central").crops([picture], "query")[0])
        box = crops[0].box
        assert box is not None and box[0] < 125 < box[2] and box[1] < 125 < box[3]
