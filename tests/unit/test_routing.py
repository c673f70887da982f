"""Routes against hand counts: which buckets, in which order, and how they widen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visualsearch.datatypes import Probability
from visualsearch.routing import Plan, Router, chosen, covering, exhaustive

COUNTS = {"ball": 50, "bowl": 30, "mug": 15, "plate": 5}
LEARNED = ("ball", "bowl", "mug", "plate")
GUESS = np.array([0.05, 0.25, 0.6, 0.1], np.float32)


def router(keep: float = 0.8, at_most: float = 1.0, **added: int) -> Router:
    counts = {**COUNTS, **added}
    return Router(LEARNED, counts, sum(counts.values()), keep, at_most)


def names(plan: Plan) -> list[str]:
    return [bucket.name for bucket in plan.buckets or ()]


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        (0.5, ["mug"]),
        (0.6, ["mug"]),
        (0.8, ["mug", "bowl"]),
        (0.9, ["mug", "bowl", "plate"]),
        (0.99, ["mug", "bowl", "plate", "ball"]),
    ],
)
def test_takes_the_most_probable_buckets_until_keep_is_covered(keep: float, expected: list[str]) -> None:
    assert names(router(keep).plan(GUESS)) == expected


def test_keep_one_is_exhaustive() -> None:
    plan = router(1.0).plan(GUESS)
    assert plan.buckets is None
    assert plan.names is None


def test_the_route_carries_the_probabilities_of_its_buckets() -> None:
    assert router(0.8).plan(GUESS).buckets == (
        Probability("mug", pytest.approx(0.6)),
        Probability("bowl", pytest.approx(0.25)),
    )


def test_a_bucket_added_since_training_is_in_every_route() -> None:
    plan = router(0.5, teapot=7).plan(GUESS)
    assert names(plan) == ["mug", "teapot"]
    assert (plan.buckets or ())[-1].probability is None


def test_more_doubles_the_learned_buckets_and_keeps_the_unlearned() -> None:
    first = router(0.8, teapot=7).plan(GUESS)
    wider = router(0.8, teapot=7).more(first, GUESS)
    assert names(wider) == ["mug", "bowl", "plate", "ball", "teapot"]


def test_more_from_a_single_bucket_takes_two() -> None:
    assert names(router(0.5).more(router(0.5).plan(GUESS), GUESS)) == ["mug", "bowl"]


def test_at_most_caps_the_items_that_a_route_compares() -> None:
    # mug 15 + bowl 30 = 45 of 100; plate would make it 50, ball 100
    assert names(router(0.99, at_most=0.45).plan(GUESS)) == ["mug", "bowl"]
    assert names(router(0.99, at_most=0.5).plan(GUESS)) == ["mug", "bowl", "plate"]


def test_at_most_leaves_the_most_probable_bucket() -> None:
    assert names(router(0.9, at_most=0.01).plan(GUESS)) == ["mug"]


def test_at_most_forbids_the_exhaustive_rung() -> None:
    plan = router(0.5, at_most=0.5).plan(GUESS)
    assert router(0.5, at_most=0.5).everything(plan) is plan
    assert router(0.5).everything(plan).buckets is None


def test_plans_that_no_classifier_made() -> None:
    assert exhaustive("asked for").names is None
    assert chosen(["b", "a"]).names == frozenset("ab")


@given(st.lists(st.floats(0.001, 1.0), min_size=1, max_size=20), st.floats(0.01, 0.999))
def test_covering_is_the_smallest_number_that_reaches_keep(weights: list[float], keep: float) -> None:
    probabilities = (np.array(weights) / sum(weights)).astype(np.float32)
    size = covering(probabilities, keep)
    largest = sorted(probabilities.astype(float), reverse=True)
    assert sum(largest[:size]) >= keep - 1e-5
    assert size == 1 or sum(largest[: size - 1]) < keep + 1e-5
