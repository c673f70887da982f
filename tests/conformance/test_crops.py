"""Every crop plug-in keeps the contract: one list for each image, boxes inside, nothing shared between images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drawn import group

from visualsearch.crops import CROPS, noun_of
from visualsearch.crops.contract import Cropper, Role, why_nothing
from visualsearch.plugins import Options, load

PICTURES = [
    group([(20, 30, 220), (280, 60, 180)], 500, 300),
    np.zeros((1, 1, 3), np.uint8),
    group([(30, 20, 200)], 240, 240),
    np.full((40, 900, 3), 200, np.uint8),
    group([(20, 30, 220), (280, 60, 180)], 500, 300),
]


@pytest.fixture(scope="module", params=CROPS)
def cropper(request: pytest.FixtureRequest) -> Cropper:
    """Return each plug-in, with its defaults."""
    plugin = load(CROPS, request.param, "crop")
    made: Cropper = plugin(plugin.Options(name=request.param))
    return made


class Halves:
    """A plug-in of somebody else's, that says of itself what it must and no more."""

    fingerprint = "halves"


def test_what_a_crop_is_called_is_the_plug_ins_own_word_or_item(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {name: noun_of(Options(name=name)) for name in CROPS} == {"whole": "picture", "mtcnn": "face"}
    monkeypatch.syspath_prepend(Path(__file__).parent)
    assert noun_of(Options(name="test_crops:Halves")) == "item"


@pytest.mark.parametrize("role", ["gallery", "query"])
def test_crops_lie_in_their_picture(cropper: Cropper, role: Role) -> None:
    cropped = cropper.crops(PICTURES, role)
    assert len(cropped) == len(PICTURES)
    assert all(cropped[i] for i in (0, 2, 4))
    for image, crops in zip(PICTURES, cropped, strict=True):
        for crop in crops:
            assert crop.pixels.dtype == np.uint8 and crop.pixels.ndim == 3 and min(crop.pixels.shape) > 0
            left, top, right, bottom = crop.box or (0, 0, *image.shape[1::-1])
            assert 0 <= left < right <= image.shape[1]
            assert 0 <= top < bottom <= image.shape[0]
            if crop.landmarks is not None:
                assert crop.landmarks.shape == (5, 2) and crop.landmarks.dtype == np.float32
                assert crop.landmarks[0, 0] < crop.landmarks[1, 0], "left of the picture first"
                assert crop.landmarks[:2, 1].max() < crop.landmarks[3:, 1].min(), "eyes above the mouth"


def test_an_image_gives_the_same_crops_alone_and_beside_others(cropper: Cropper) -> None:
    together = cropper.crops(PICTURES, "gallery")
    fresh = type(cropper)(type(cropper).Options(name="any"))  # type: ignore[attr-defined, call-arg]
    for image, crops in zip(PICTURES, together, strict=True):
        alone = fresh.crops([image], "gallery")[0]
        assert [crop.box for crop in alone] == [crop.box for crop in crops]
        assert all(np.array_equal(one.pixels, other.pixels) for one, other in zip(alone, crops, strict=True))
    assert fresh.fingerprint == cropper.fingerprint


def test_nothing_comes_of_nothing(cropper: Cropper) -> None:
    assert cropper.crops([], "query") == []
    assert why_nothing(cropper) and not why_nothing(cropper).endswith(".")
