"""Routes against hand counts: which buckets, in which order, and how they widen."""

from __future__ import annotations

import numpy as np
import pytest

from visualsearch.calibration.promises import Promise
from visualsearch.datatypes import Probability
from visualsearch.routing import Plan, Router, chosen, exhaustive

COUNTS = {"ball": 50, "bowl": 30, "mug": 15, "plate": 5}
LEARNED = ("ball", "bowl", "mug", "plate")
GUESS = np.array([0.05, 0.25, 0.6, 0.1], np.float32)


def promised(least: float | list[float], n: int = 99) -> Promise:
    """A promise whose routes have every bucket of this probability or more."""
    return Promise("bucket", 0.9, n, 9, 1 - np.broadcast_to(np.asarray(least, float), (4,)))


def router(least: float | list[float] = 0.2, at_most: float = 1.0, **added: int) -> Router:
    counts = {**COUNTS, **added}
    return Router(LEARNED, counts, sum(counts.values()), promised(least), at_most)


def names(plan: Plan) -> list[str]:
    return [bucket.name for bucket in plan.buckets or ()]


@pytest.mark.parametrize(
    ("least", "expected"),
    [
        (0.9, ["mug"]),  # none is so likely: the most probable one is searched all the same
        (0.6, ["mug"]),
        (0.25, ["mug", "bowl"]),
        (0.1, ["mug", "bowl", "plate"]),
        (0.01, ["mug", "bowl", "plate", "ball"]),
    ],
)
def test_takes_every_bucket_that_is_likely_enough(least: float, expected: list[str]) -> None:
    plan = router(least).plan(GUESS)
    assert names(plan) == expected
    assert plan.promise == {"kind": "bucket", "level": 0.9, "n": 99, "held": True}


def test_each_bucket_may_have_a_threshold_of_its_own() -> None:
    # ball 0.05, bowl 0.25, mug 0.6, plate 0.1
    assert names(router([0.05, 0.3, 0.5, 0.2]).plan(GUESS)) == ["mug", "ball"]


def test_without_a_promise_everything_is_searched_and_the_reason_said() -> None:
    plan = Router(LEARNED, COUNTS, 100, None, unpromised="routing.keep is 1").plan(GUESS)
    assert (plan.names, plan.why, plan.promise, plan.widens) == (None, "exhaustive: routing.keep is 1", None, False)


def test_too_few_groups_search_everything_and_say_how_many_there_are() -> None:
    few = Promise("bucket", 0.99, 26, 99, None)
    plan = Router(LEARNED, COUNTS, 100, few).plan(GUESS)
    assert plan.names is None
    assert plan.why == "searched everything: 26 groups of 99 that keep 0.99 needs"
    assert plan.promise == {"kind": "bucket", "level": 0.99, "n": 26, "held": True}


def test_too_few_groups_do_not_search_more_than_at_most() -> None:
    plan = Router(LEARNED, COUNTS, 100, Promise("bucket", 0.99, 26, 99, None), at_most=0.5).plan(GUESS)
    assert names(plan) == ["mug", "bowl", "plate"]
    assert plan.promise == {"kind": "bucket", "level": 0.99, "n": 26, "held": False}


def test_the_route_carries_the_probabilities_of_its_buckets() -> None:
    assert router(0.2).plan(GUESS).buckets == (
        Probability("mug", pytest.approx(0.6)),
        Probability("bowl", pytest.approx(0.25)),
    )


def test_a_bucket_added_since_training_is_in_every_route() -> None:
    plan = router(0.5, teapot=7).plan(GUESS)
    assert names(plan) == ["mug", "teapot"]
    assert (plan.buckets or ())[-1].probability is None


def test_more_doubles_the_learned_buckets_and_keeps_the_unlearned() -> None:
    first = router(0.2, teapot=7).plan(GUESS)
    wider = router(0.2, teapot=7).more(first, GUESS)
    assert names(wider) == ["mug", "bowl", "plate", "ball", "teapot"]


def test_more_has_what_the_route_had_and_then_the_most_probable() -> None:
    first = router([0.05, 0.3, 0.7, 0.2]).plan(GUESS)
    assert names(first) == ["mug", "ball"]
    assert names(router().more(first, GUESS)) == ["mug", "ball", "bowl", "plate"]
    assert router().more(first, GUESS).promise == first.promise


def test_more_from_a_single_bucket_takes_two() -> None:
    assert names(router(0.5).more(router(0.5).plan(GUESS), GUESS)) == ["mug", "bowl"]


def test_at_most_caps_the_items_that_a_route_compares() -> None:
    # mug 15 + bowl 30 = 45 of 100; plate would make it 50, ball 100
    assert names(router(0.01, at_most=0.45).plan(GUESS)) == ["mug", "bowl"]
    assert names(router(0.01, at_most=0.5).plan(GUESS)) == ["mug", "bowl", "plate"]


def test_a_route_that_had_to_be_cut_does_not_keep_its_promise() -> None:
    cut = router(0.01, at_most=0.45).plan(GUESS)
    assert cut.promise is not None
    assert cut.promise["held"] is False
    assert cut.why.endswith("but at most 0.45 of the gallery")


def test_at_most_leaves_the_most_probable_bucket() -> None:
    plan = router(0.5, at_most=0.01).plan(GUESS)
    assert names(plan) == ["mug"]
    assert plan.why.endswith(", which alone is more than 0.01 of the gallery")


def test_at_most_forbids_the_exhaustive_rung() -> None:
    plan = router(0.5, at_most=0.5).plan(GUESS)
    assert router(0.5, at_most=0.5).everything(plan) is plan
    assert router(0.5).everything(plan).buckets is None


def test_plans_that_no_classifier_made() -> None:
    assert exhaustive("asked for").names is None
    assert chosen(["b", "a"]).names == frozenset("ab")
