"""Several centres for each bucket: found, weighed, and beside the linear head in one graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from visualsearch.classifiers.centres import MOST, Blend, Centres, choose, find, likely
from visualsearch.classifiers.resnet50 import ResNet50Classifier
from visualsearch.classifiers.tails import directions_of, new_tail, read_tail, with_centres
from visualsearch.datatypes import Matrix
from visualsearch.runtimes.frameworks import import_keras


def unit(rows: NDArray[np.float64]) -> Matrix:
    made: Matrix = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return made


def rings(each: int, seed: int) -> tuple[Matrix, NDArray[np.intp], list[str]]:
    """Two buckets of four things each, in turn around a circle: no straight line parts them."""
    rng = np.random.default_rng(seed)
    thing = np.arange(8).repeat(each)
    angles = thing * np.pi / 4 + rng.normal(0, 0.05, len(thing))
    return unit(np.stack([np.cos(angles), np.sin(angles)], axis=1)), thing % 2, [f"thing {i}" for i in thing]


def test_there_is_a_centre_for_each_thing_and_it_lies_in_its_middle() -> None:
    directions, labels, groups = rings(each=50, seed=0)
    centres = find(directions, labels, groups, seed=0)
    assert centres.buckets.tolist() == [0] * 4 + [1] * 4
    degrees = np.degrees(np.arctan2(centres.directions[:, 1], centres.directions[:, 0])) % 360
    expected = [0, 90, 180, 270, 45, 135, 225, 315]
    wrapped = [sorted((d + 5) % 360 - 5 for d in part) for part in (degrees[:4], degrees[4:])]
    assert np.concatenate(wrapped) == pytest.approx(expected, abs=3)


def test_a_bucket_of_many_groups_has_a_bounded_number_of_centres() -> None:
    directions = unit(np.random.default_rng(0).normal(size=(100, 4)))
    centres = find(directions, np.zeros(100, int), [str(i) for i in range(100)], seed=0)
    assert centres.directions.shape == (MOST, 4)
    assert np.linalg.norm(centres.directions, axis=1) == pytest.approx(np.ones(MOST), abs=1e-5)


def test_the_probabilities_are_counted_by_hand() -> None:
    centres = Centres(np.array([[1, 0], [0, 1], [-1, 0]], np.float32), np.array([0, 1, 0]))
    (row,) = likely(np.array([[0.6, 0.8]], np.float32), centres, buckets=3, sharpness=2.0)
    e = np.exp
    total = e(1.2) + e(1.6) + e(-1.2)
    assert row == pytest.approx([(e(1.2) + e(-1.2)) / total, e(1.6) / total, 0.0], abs=1e-6)


def test_centres_are_chosen_where_a_line_cannot_tell_and_not_where_they_mislead() -> None:
    directions, labels, groups = rings(each=20, seed=0)
    asked, right, _ = rings(each=10, seed=1)
    centres, even = find(directions, labels, groups, seed=0), np.ones(len(right), np.float32)
    undecided = np.full((len(right), 2), 0.5)
    assert choose(undecided, asked, centres, right, even) == Blend(1.0, 64.0)
    knowing = np.where(np.eye(2)[right] == 1, 0.99, 0.01)
    misled = Centres(centres.directions, 1 - centres.buckets)
    assert choose(knowing, asked, misled, right, even).share == 0.0


@pytest.mark.parametrize("projected", [False, True])
def test_the_graph_computes_what_numpy_does(projected: bool, tmp_path: Path) -> None:
    keras, rng = import_keras(), np.random.default_rng(0)
    pooled = rng.normal(1, 2, (30, 6)).astype(np.float32)
    inputs = keras.Input((6,))
    graph = keras.Model(inputs, keras.layers.Identity(name="avg_pool")(inputs))
    tail = new_tail(graph, "avg_pool", 3, pooled, seed=0)
    kernel, bias = rng.normal(size=(6, 3)).astype(np.float32), rng.normal(size=3).astype(np.float32)
    tail.get_layer("logits").set_weights([kernel, bias])
    projection = rng.normal(size=(6, 4)).astype(np.float32) if projected else None
    centres = Centres(unit(rng.normal(size=(5, 4 if projected else 6))), np.array([0, 0, 1, 2, 2]))
    path = tmp_path / "tail.keras"
    with_centres(tail, centres, Blend(0.75, 16.0), projection).save(path)

    standard = (pooled - pooled.mean(0)) / np.sqrt(pooled.var(0) + 0.1 * pooled.var(0).mean() + 1e-6 + 1e-3)
    logits = standard @ kernel + bias
    by_head = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    direction = pooled @ projection if projection is not None else standard
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    powers = np.exp(16.0 * direction @ centres.directions.T)
    nearest = powers / powers.sum(axis=1, keepdims=True)
    by_centres = np.stack([nearest[:, :2].sum(axis=1), nearest[:, 2], nearest[:, 3:].sum(axis=1)], axis=1)
    expected = 0.25 * by_head + 0.75 * by_centres
    np.testing.assert_allclose(read_tail(path).predict(pooled, verbose=0), expected, atol=1e-5)
    np.testing.assert_allclose(directions_of(tail, projection).predict(pooled, verbose=0), direction, atol=1e-5)

    without, no_centres = tmp_path / "without.keras", tmp_path / "no centres.keras"
    write_without(path, [0], without)
    by_head[:, 0], powers[:, :2] = 0, 0
    by_head /= by_head.sum(axis=1, keepdims=True)
    nearest = powers / powers.sum(axis=1, keepdims=True)
    by_centres = np.stack([np.zeros(30), nearest[:, 2], nearest[:, 3:].sum(axis=1)], axis=1)
    forgot = read_tail(without)
    np.testing.assert_allclose(
        forgot.predict(pooled, verbose=0), 0.25 * by_head + 0.75 * by_centres, atol=1e-5, err_msg="forgotten"
    )
    np.testing.assert_allclose(forgot.get_layer("centres").get_weights()[0], centres.directions[2:].T, atol=1e-6)
    assert not forgot.get_layer("logits").get_weights()[0][:, 0].any()
    assert ResNet50Classifier.without(without, [], [0, 1]) is None, "no centres, and a single one"
    write_without(without, [1, 2], no_centres)
    assert "centres" not in {layer.name for layer in read_tail(no_centres).layers}
    assert read_tail(no_centres).predict(pooled, verbose=0).sum(axis=1) == pytest.approx(np.ones(30), abs=1e-5)


def write_without(path: Path, gone: list[int], target: Path) -> None:
    write = ResNet50Classifier.without(path, gone, [])
    assert write is not None
    write(target)


def test_of_a_bucket_that_lost_a_picture_no_centre_is_a_picture(tmp_path: Path) -> None:
    """Three centres become one, their mean; the linear head and the other bucket's centres stay."""
    keras, rng = import_keras(), np.random.default_rng(0)
    inputs = keras.Input((4,))
    graph = keras.Model(inputs, keras.layers.Identity(name="avg_pool")(inputs))
    tail = new_tail(graph, "avg_pool", 2, rng.normal(size=(9, 4)).astype(np.float32), seed=0)
    pictures = unit(rng.normal(size=(5, 4)))
    path, target = tmp_path / "tail.keras", tmp_path / "merged.keras"
    with_centres(tail, Centres(pictures, np.array([1, 0, 1, 0, 1])), Blend(0.5, 8.0), None).save(path)
    write = ResNet50Classifier.without(path, [], [1])
    assert write is not None
    write(target)
    merged = read_tail(target)
    mean = pictures[[0, 2, 4]].mean(axis=0)
    expected = [*pictures[[1, 3]], mean / np.linalg.norm(mean)]
    np.testing.assert_allclose(merged.get_layer("centres").get_weights()[0].T, expected, atol=1e-6)
    np.testing.assert_array_equal(merged.get_layer("members").get_weights()[0], [[1, 0], [1, 0], [0, 1]])
    np.testing.assert_array_equal(
        merged.get_layer("logits").get_weights()[0], tail.get_layer("logits").get_weights()[0]
    )


def test_centres_without_a_say_leave_the_tail_as_it_is() -> None:
    keras = import_keras()
    inputs = keras.Input((2,))
    graph = keras.Model(inputs, keras.layers.Identity(name="avg_pool")(inputs))
    tail = new_tail(graph, "avg_pool", 2, np.eye(2, dtype=np.float32), seed=0)
    assert with_centres(tail, Centres(np.eye(2, dtype=np.float32), np.arange(2)), Blend(0.0, 8.0), None) is tail
