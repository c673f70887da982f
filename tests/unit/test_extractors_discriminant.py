"""The discriminants against Fisher's definition, and on groups that noise hides."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import eigh

from visualsearch.extractors.discriminant import LEAST, SHRINKAGE, fit_discriminant, rooted

GROUPS, VIEWS, WIDTH = 40, 6, 20


@pytest.fixture
def features() -> np.ndarray:
    """Return features of 40 groups with 6 views each: four small ones tell the group, the others are noise."""
    rng = np.random.default_rng(1)
    made = rng.normal(0, 1.0, (GROUPS, VIEWS, WIDTH))
    made[..., :4] = rng.normal(0, 0.5, (GROUPS, 1, 4)) + rng.normal(0, 0.05, (GROUPS, VIEWS, 4))
    return made.reshape(-1, WIDTH).astype(np.float32)


@pytest.fixture
def groups() -> list[str]:
    return [f"group {number // VIEWS}" for number in range(GROUPS * VIEWS)]


def nearest_is_of_the_group(rows: np.ndarray, groups: list[str]) -> float:
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    likeness = rows @ rows.T - 2 * np.eye(len(rows))
    return float(np.mean([groups[best] == own for best, own in zip(likeness.argmax(axis=1), groups, strict=True)]))


def test_the_square_root_keeps_signs_and_has_unit_length() -> None:
    found = rooted(np.array([[9.0, -16.0, 0.0]], np.float32))
    np.testing.assert_allclose(found, [[3 / 5, -4 / 5, 0]], atol=1e-6)


def test_directions_are_those_of_fisher(features: np.ndarray, groups: list[str]) -> None:
    fitted = fit_discriminant(features, groups, 3, seed=0, basis="b")
    rows = np.sign(features) * np.sqrt(np.abs(features.astype(np.float64)))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    of_group = rows.reshape(GROUPS, VIEWS, WIDTH)

    def shrunk(covariance: np.ndarray) -> np.ndarray:
        same = np.trace(covariance) / WIDTH * np.eye(WIDTH)
        return (1 - SHRINKAGE) * covariance + SHRINKAGE * same

    within = np.mean([shrunk(np.cov(one.T, bias=True)) for one in of_group], axis=0)
    between = shrunk(np.cov(rows.T, bias=True)) - within
    values, vectors = eigh(between, within)
    expected = (rows - rows.mean(axis=0)) @ vectors[:, np.argsort(values)[::-1][:3]]
    np.testing.assert_allclose(np.abs(fitted(rooted(features))), np.abs(expected), atol=1e-3)  # signs are free


def test_groups_that_noise_hides_are_found(features: np.ndarray, groups: list[str]) -> None:
    rng = np.random.default_rng(2)
    centres = features.reshape(GROUPS, VIEWS, WIDTH)[:, 0, :4]
    further = rng.normal(0, 1.0, (GROUPS, WIDTH))
    further[:, :4] = centres + rng.normal(0, 0.05, (GROUPS, 4))
    both, names = np.concatenate([features, further.astype(np.float32)]), [*groups, *groups[::VIEWS]]
    fitted = fit_discriminant(features, groups, 4, seed=0, basis="b")
    assert nearest_is_of_the_group(rooted(both), names) < 0.3
    assert nearest_is_of_the_group(fitted(rooted(both)), names) > 0.85


def test_groups_of_one_picture_change_nothing(features: np.ndarray, groups: list[str]) -> None:
    alone = np.full((2, WIDTH), 7.0, np.float32)
    with_them = fit_discriminant(np.concatenate([alone, features]), ["x", "y", *groups], 3, seed=0, basis="b")
    assert with_them.sha256 == fit_discriminant(features, groups, 3, seed=0, basis="b").sha256


def test_there_are_fewer_directions_than_groups_of_two(features: np.ndarray, groups: list[str]) -> None:
    assert fit_discriminant(features, groups, 64, seed=0, basis="b").dim == WIDTH
    assert fit_discriminant(features, groups, 3, seed=0, basis="b").dim == 3
    wide = np.random.default_rng(0).normal(size=(len(features), 64)).astype(np.float32)
    assert fit_discriminant(wide, groups, 64, seed=0, basis="b").dim == GROUPS - 1


def test_where_groups_say_too_little_nothing_is_fitted(features: np.ndarray, groups: list[str]) -> None:
    def dim(rows: np.ndarray, named: list[str]) -> int:
        return fit_discriminant(rows, named, 64, seed=0, basis="b").dim

    few = LEAST * VIEWS
    assert dim(features[:few], groups[:few]) == WIDTH
    assert dim(features[: few - VIEWS], groups[: few - VIEWS]) == 0
    assert dim(features, [f"{number}" for number in range(len(features))]) == 0
    alone = np.random.default_rng(0).normal(size=(300, WIDTH)).astype(np.float32)
    assert dim(np.concatenate([features, alone]), [*groups, *map(str, range(300))]) == 0
    assert dim(features[::VIEWS].repeat(VIEWS, axis=0), groups) == 0
