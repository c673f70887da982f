"""The five-point alignment against least squares, Procrustes analysis, and faces turned by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import procrustes

from visualsearch.datatypes import Crop
from visualsearch.extractors.alignment import TEMPLATES, aligned, apply, inverse, placed, similarity, warp
from visualsearch.extractors.preparation import squeeze

RNG = np.random.default_rng(8)


def solved(points: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the similarity as the four unknowns of a linear system: [x, -y, 1, 0] (a, b, s, t) = x' and so on."""
    rows, values = [], []
    for (x, y), (u, v) in zip(points, targets, strict=True):
        rows += [[x, -y, 1, 0], [y, x, 0, 1]]
        values += [u, v]
    a, b, s, t = np.linalg.lstsq(np.array(rows), np.array(values), rcond=None)[0]
    return np.array([[a, -b, s], [b, a, t]])


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_least_squares_solution(seed: int) -> None:
    rng = np.random.default_rng(seed)
    points, targets = rng.normal(0, 40, (5, 2)), rng.normal(0, 40, (5, 2))
    np.testing.assert_allclose(similarity(points, targets), solved(points, targets), atol=1e-9)


def test_what_is_left_is_what_procrustes_leaves() -> None:
    points = TEMPLATES["arcface-112"] * 300 + RNG.normal(0, 5, (5, 2))
    targets = TEMPLATES["arcface-112"] * 112
    left = ((apply(similarity(points, targets), points) - targets) ** 2).sum()
    spread = ((targets - targets.mean(axis=0)) ** 2).sum()
    assert left / spread == pytest.approx(procrustes(targets, points)[2], rel=1e-6)


@pytest.mark.parametrize(("degrees", "scale"), [(0, 1.0), (37, 0.5), (-90, 3.0), (180, 1.2)])
def test_a_turned_and_scaled_face_is_turned_back(degrees: float, scale: float) -> None:
    turn = np.radians(degrees)
    moved = np.array([[np.cos(turn), -np.sin(turn), 7.0], [np.sin(turn), np.cos(turn), -3.0]]) * [scale, scale, 1.0]
    face = TEMPLATES["dlib"] * 150
    found = similarity(apply(moved, face), face)
    np.testing.assert_allclose(found, inverse(moved), atol=1e-9)
    np.testing.assert_allclose(apply(found, apply(moved, face)), face, atol=1e-9)


def test_a_mirrored_face_is_not_mirrored_back() -> None:
    face = TEMPLATES["arcface-112"] * 112
    found = similarity(face * [-1, 1], face)
    assert np.linalg.det(found[:, :2]) > 0


@pytest.mark.parametrize("points", [np.full((5, 2), 9.0), np.full((5, 2), np.nan)])
def test_points_that_say_nothing_give_no_transform(points: np.ndarray) -> None:
    assert similarity(points, TEMPLATES["arcface-112"] * 112) is None
    pixels = RNG.integers(0, 256, (50, 40, 3), np.uint8)
    crop = Crop(pixels, landmarks=points.astype(np.float32))
    np.testing.assert_array_equal(aligned(crop, "arcface-112", 32), squeeze(pixels, 32))


def test_without_landmarks_or_template_the_whole_crop_is_squeezed() -> None:
    pixels = RNG.integers(0, 256, (50, 40, 3), np.uint8)
    landmarks = (TEMPLATES["arcface-112"] * 40).astype(np.float32)
    for crop, alignment in ((Crop(pixels), "arcface-112"), (Crop(pixels, landmarks=landmarks), "none")):
        assert placed(crop, alignment, 32) is None
        np.testing.assert_array_equal(aligned(crop, alignment, 32), squeeze(pixels, 32))


def dots(points: np.ndarray, side: int, radius: float) -> np.ndarray:
    """Draw a black picture with a soft white dot at each point."""
    y, x = np.mgrid[:side, :side]
    bright = sum(np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * radius**2)) for px, py in points)
    return np.repeat(np.clip(255 * bright, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize("scale", [0.6, 1.0, 5.3])
def test_landmarks_come_to_lie_on_the_template(scale: float) -> None:
    """Also in large pictures, which are reduced first: the centre of each dot is where the template says."""
    turn = np.radians(25)
    turned = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    landmarks = (TEMPLATES["arcface-112"] * 112 - 56) @ turned.T + 60 * max(1.0, scale)
    picture = dots(landmarks, int(120 * max(1.0, scale)), 2.0 * scale)
    chip = aligned(Crop(picture, landmarks=landmarks.astype(np.float32)), "arcface-112", 112)[..., 0].astype(float)
    for x, y in TEMPLATES["arcface-112"] * 112:
        left, top = int(x) - 6, int(y) - 6
        part = chip[top : top + 13, left : left + 13]
        rows, columns = np.mgrid[top : top + 13, left : left + 13]
        found = np.array([(columns * part).sum(), (rows * part).sum()]) / part.sum()
        np.testing.assert_allclose(found, [x, y], atol=0.35)


def test_the_transform_that_changes_nothing_changes_nothing() -> None:
    pixels = RNG.integers(0, 256, (40, 40, 3), np.uint8)
    same = np.array([[1.0, 0, 0], [0, 1, 0]])
    np.testing.assert_array_equal(warp(pixels, same, 40), pixels)


def test_a_picture_that_shrinks_is_averaged() -> None:
    stripes = np.zeros((800, 800, 3), np.uint8)
    stripes[:, ::2] = 255
    chip = warp(stripes, np.array([[0.1, 0, 0], [0, 0.1, 0]]), 80)
    assert np.abs(chip[2:-2, 2:-2].astype(int) - 127).max() <= 2


def test_beyond_the_picture_it_is_black() -> None:
    chip = warp(np.full((20, 20, 3), 200, np.uint8), np.array([[1.0, 0, 30], [0, 1, 30]]), 64)
    assert (chip[:29] == 0).all() and (chip[31:49, 31:49] == 200).all()
