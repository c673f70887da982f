"""Promises against hand counts, against an independent computation, and over many draws."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from visualsearch.calibration.conformal import even_shares, needed, threshold
from visualsearch.calibration.evidence import Evidence
from visualsearch.calibration.promises import Kind
from visualsearch.classifiers.contract import Example
from visualsearch.stages.calibrating import withheld


@given(st.integers(1, 200), st.floats(0.01, 0.995))
def test_one_score_a_group_is_the_usual_rank_of_split_conformal_prediction(n: int, level: float) -> None:
    scores = np.random.default_rng(n).permutation(n).astype(float)
    rank = int(np.ceil((n + 1) * level - 1e-9))  # the ceil((n + 1)(1 - alpha))-th smallest
    expected = None if rank > n else float(rank - 1)
    assert threshold(scores, np.ones(n), np.arange(n), level) == expected
    assert (n >= needed(level)) is (rank <= n)


def test_a_group_counts_once_however_many_pictures_it_has() -> None:
    # nine groups with the scores 1 … 9; the first has a hundred pictures
    scores = np.concatenate([np.full(100, 1.0), np.arange(2.0, 10.0)])
    groups = np.concatenate([np.zeros(100, int), np.arange(1, 9)])
    assert threshold(scores, even_shares(groups), groups, 0.5) == 5.0  # five tenths of the mass lie at or below 5


def test_a_group_divides_its_mass_among_its_pictures() -> None:
    # two groups, a third of the mass each: 1/6 at 0, 1, 2 and 3
    groups = np.array([0, 1, 0, 1])
    scores = np.array([0.0, 1.0, 2.0, 3.0])
    shares = even_shares(groups)
    assert [threshold(scores, shares, groups, level) for level in (0.16, 0.17, 0.34, 0.66)] == [0.0, 1.0, 2.0, 3.0]
    assert threshold(scores, shares, groups, 0.67) is None


BUCKETS = 6


def classified(
    rng: np.random.Generator, groups: int, sharpness: float = 3.0
) -> tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.intp]]:
    """Groups of one to four pictures, each with an ease of its own, and a classifier that is often wrong."""
    of_group = rng.integers(1, 5, groups)
    number = np.repeat(np.arange(groups), of_group)
    labels = rng.integers(0, BUCKETS, groups)[number]
    ease = rng.gamma(2.0, sharpness / 2, groups)[number]
    logits = rng.normal(size=(len(number), BUCKETS)) * 1.2
    logits[np.arange(len(number)), labels] += ease
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return probabilities.astype(np.float32), labels, number


def evidence(
    probabilities: NDArray[np.float32], wanted: NDArray[np.intp], groups: NDArray[np.intp], kind: Kind = "bucket"
) -> Evidence:
    ids = np.array([f"item{i}" for i in range(len(groups))])
    return Evidence(kind, "a classifier", ids, groups, probabilities, wanted.reshape(len(groups), -1))


def by_group(values: NDArray[np.float64], groups: NDArray[np.intp]) -> float:
    """Return the mean over groups of their means: what a picture of a new group may expect."""
    return float(np.average(values, weights=even_shares(groups)))


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95])
def test_the_right_bucket_is_in_the_route_as_often_as_promised_over_many_draws(level: float) -> None:
    rng, held, sizes = np.random.default_rng(7), [], []
    for _ in range(400):
        promise = evidence(*_columns(classified(rng, 30))).promise(level)
        probabilities, labels, groups = classified(rng, 60)
        inside = np.stack([promise.admitted(row) for row in probabilities])
        held.append(by_group(inside[np.arange(len(labels)), labels].astype(float), groups))
        sizes.append(inside.sum(axis=1).mean())
    error = np.std(held) / np.sqrt(len(held))
    assert np.mean(held) >= level - 2 * error
    # and not by searching everything: at most a group's mass above what was promised
    assert np.mean(held) <= level + 1 / 31 + 2 * error
    assert np.mean(sizes) < BUCKETS


def _columns(
    made: tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.intp]],
) -> tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.intp]]:
    probabilities, labels, groups = made
    return probabilities, labels[:, None], groups


def test_counting_pictures_instead_of_groups_would_break_the_promise() -> None:
    """The simulation can tell: large groups are harder here, and a rank among pictures misses the small ones."""
    rng, ours, theirs = np.random.default_rng(3), [], []
    for _ in range(300):
        probabilities, labels, groups = _unlike(rng, 30)
        scores = 1.0 - probabilities[np.arange(len(labels)), labels].astype(float)
        naive = np.sort(scores)[min(int(np.ceil((len(scores) + 1) * 0.9)) - 1, len(scores) - 1)]
        promise = evidence(probabilities, labels[:, None], groups).promise(0.9)
        probabilities, labels, groups = _unlike(rng, 60)
        right = probabilities[np.arange(len(labels)), labels].astype(float)
        inside = np.stack([promise.admitted(row) for row in probabilities])[np.arange(len(labels)), labels]
        ours.append(by_group(inside.astype(float), groups))
        theirs.append(by_group((1 - right <= naive).astype(float), groups))
    assert np.mean(ours) >= 0.9 - 2 * np.std(ours) / np.sqrt(len(ours))
    assert np.mean(theirs) < 0.9 - 2 * np.std(theirs) / np.sqrt(len(theirs))


def _unlike(rng: np.random.Generator, groups: int) -> tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.intp]]:
    """A fifth of the groups has thirty easy pictures each, the others have one hard picture each."""
    large = rng.random(groups) < 0.2
    number = np.repeat(np.arange(groups), np.where(large, 30, 1))
    labels = rng.integers(0, BUCKETS, groups)[number]
    logits = rng.normal(size=(len(number), BUCKETS))
    logits[np.arange(len(number)), labels] += np.where(large, 6.0, 1.5)[number]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return probabilities.astype(np.float32), labels, number


def test_under_a_deliberate_shift_the_promise_fails() -> None:
    rng, held = np.random.default_rng(5), []
    for _ in range(200):
        promise = evidence(*_columns(classified(rng, 60))).promise(0.9)
        probabilities, labels, groups = classified(rng, 60, sharpness=1.0)  # harder than what was calibrated on
        inside = np.stack([promise.admitted(row) for row in probabilities])
        held.append(by_group(inside[np.arange(len(labels)), labels].astype(float), groups))
    assert np.mean(held) < 0.9 - 5 * np.std(held) / np.sqrt(len(held))


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_the_mean_share_of_hits_in_the_route_is_at_least_what_was_promised(level: float) -> None:
    """Conformal risk control: twenty hits a picture, spread over buckets as the classifier says, more or less."""
    rng, held = np.random.default_rng(11), []
    for _ in range(300):
        promise = evidence(*_spread(rng, 120), kind="hits").promise(level)
        probabilities, hits, groups = _spread(rng, 60)
        inside = np.stack([promise.admitted(row) for row in probabilities])
        kept = np.take_along_axis(inside, hits, axis=1).mean(axis=1)
        held.append(by_group(kept, groups))
    assert np.mean(held) >= level - 2 * np.std(held) / np.sqrt(len(held))
    assert np.mean(held) <= level + 1 / 121 + 2 * np.std(held) / np.sqrt(len(held))


def _spread(rng: np.random.Generator, groups: int) -> tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.intp]]:
    number = np.repeat(np.arange(groups), rng.integers(1, 4, groups))
    truth = rng.dirichlet(np.full(BUCKETS, 0.4), len(number))
    hits = np.stack([rng.choice(BUCKETS, 20, p=row) for row in truth])
    guess = np.maximum(truth + 0.05 * np.abs(rng.normal(size=truth.shape)), 0)
    return (guess / guess.sum(axis=1, keepdims=True)).astype(np.float32), hits, number


def test_per_bucket_each_bucket_keeps_the_promise_and_one_with_too_few_groups_is_named() -> None:
    rng, held = np.random.default_rng(2), np.zeros((200, BUCKETS))
    for draw in range(len(held)):
        promise, few = evidence(*_columns(_uneven(rng, 240))).promise_per_bucket(0.8)
        assert not few
        probabilities, labels, groups = _uneven(rng, 240)
        inside = np.stack([promise.admitted(row) for row in probabilities])[np.arange(len(labels)), labels]
        for bucket in range(BUCKETS):
            held[draw, bucket] = by_group(inside[labels == bucket].astype(float), groups[labels == bucket])
    assert (held.mean(axis=0) >= 0.8 - 2 * held.std(axis=0) / np.sqrt(len(held))).all()
    shared = evidence(*_columns(_uneven(rng, 240))).promise(0.8)
    assert shared.thresholds is not None
    probabilities, labels, _ = _uneven(rng, 4000)
    inside = np.stack([shared.admitted(row) for row in probabilities])[np.arange(len(labels)), labels]
    assert inside[labels == 0].mean() < 0.7  # one threshold for all leaves the hard bucket behind
    promise, few = evidence(*_columns(_uneven(rng, 12))).promise_per_bucket(0.9)
    assert promise.thresholds is None
    assert few
    assert all(count < 9 for count in few.values())


def _uneven(rng: np.random.Generator, groups: int) -> tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.intp]]:
    """One picture a group; the first bucket is harder than the others."""
    labels = rng.permutation(np.arange(groups) % BUCKETS)
    logits = rng.normal(size=(groups, BUCKETS))
    logits[np.arange(groups), labels] += np.where(labels == 0, 0.5, 3.0)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return probabilities.astype(np.float32), labels, np.arange(groups)


def test_the_strangeness_of_a_picture_is_that_of_its_wanted_buckets_whatever_searching_them_costs() -> None:
    probabilities = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]], np.float32)
    wanted = np.array([[0, 0, 1, 2], [2, 2, -1, -1]])
    one = evidence(probabilities, wanted, np.array([0, 1]), "hits")
    expected = pytest.approx([(0.3 + 0.3 + 0.8 + 0.9) / 4, 0.4])
    assert one.scores() == expected
    assert replace(one, sizes=np.array([10.0, 1.0, 5.0])).scores() == expected


def test_what_was_saved_is_read_again_and_another_classifiers_is_not(tmp_path: Path) -> None:
    one = evidence(*_columns(classified(np.random.default_rng(0), 20)))
    one.save(tmp_path)
    again = Evidence.load(tmp_path, "a classifier")
    assert again is not None
    assert again.kind == "bucket"
    assert again.promise(0.9).thresholds == pytest.approx(one.promise(0.9).thresholds)
    assert Evidence.load(tmp_path, "another one") is None
    (tmp_path / "calibration.npz").write_bytes(b"PK\x03\x04 damaged")
    assert Evidence.load(tmp_path, "a classifier") is None
    assert Evidence.load(tmp_path / "nowhere", "a classifier") is None


def test_rows_of_forgotten_items_are_left_out_with_their_groups() -> None:
    probabilities = np.full((4, 2), 0.5, np.float32)
    one = evidence(probabilities, np.zeros((4, 1), int), np.array([0, 0, 1, 2]))
    left = one.without({"item0", "item2"})
    assert left.ids.tolist() == ["item1", "item3"]
    assert (one.n, left.n) == (3, 2)


def examples(buckets: int, groups: int, pictures: int = 2) -> list[Example]:
    return [
        Example(f"{bucket}-{group}-{i}", f"b{bucket}", f"{bucket}-{group}")
        for bucket in range(buckets)
        for group in range(groups)
        for i in range(pictures)
    ]


def test_a_fifth_of_each_buckets_groups_is_withheld() -> None:
    kept_out = withheld(examples(8, 20), keep=0.9, seed=1)
    by_bucket = [sum(group.startswith(f"{bucket}-") for group in kept_out) for bucket in range(8)]
    assert sum(by_bucket) == 32
    assert set(by_bucket) <= {3, 4, 5}
    assert kept_out != withheld(examples(8, 20), keep=0.9, seed=2)


def test_more_are_withheld_where_keep_needs_them_and_never_more_than_three_tenths() -> None:
    assert len(withheld(examples(4, 10), keep=0.9, seed=0)) == 9
    assert len(withheld(examples(4, 10), keep=0.99, seed=0)) == 12
    assert len(withheld(examples(4, 10), keep=0.5, seed=0)) == 8


def test_every_bucket_keeps_a_group_to_learn_from() -> None:
    some = examples(30, 1) + examples(40, 2)[60:]
    kept_out = withheld(some, keep=0.9, seed=0)
    assert kept_out
    assert {one.bucket for one in some if one.group not in kept_out} == {one.bucket for one in some}


def test_a_price_for_each_bucket_keeps_the_promise_and_makes_routes_cheaper() -> None:
    """What is admitted is what is likely for its price; the mean share of the hits that is kept is the same."""
    rng = np.random.default_rng(11)
    prices = np.array([*[0.25] * (BUCKETS // 2), *[4.0] * (BUCKETS - BUCKETS // 2)])
    kept, costs = [], []
    for _ in range(200):
        probabilities, hits, groups = _hits(rng, 60)
        plain = evidence(probabilities, hits, groups, "hits")
        priced = replace(plain, sizes=prices)
        probabilities, hits, groups = _hits(rng, 60)
        inside = [np.stack([one.promise(0.9).admitted(row) for row in probabilities]) for one in (plain, priced)]
        kept.append(by_group(np.take_along_axis(inside[1], hits, axis=1).mean(axis=1), groups))
        costs.append([float((one @ prices).mean()) for one in inside])
        level = priced.promise(0.9).thresholds
        assert level is not None
        least = (1 - level) / (prices / prices.mean())
        np.testing.assert_allclose(least, least[0])
    assert np.mean(kept) >= 0.9 - 2 * np.std(kept) / np.sqrt(len(kept))
    assert np.mean(costs, axis=0)[1] < np.mean(costs, axis=0)[0]


def _hits(rng: np.random.Generator, groups: int) -> tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.intp]]:
    """Pictures whose ten hits are drawn from what a classifier says of them, blurred."""
    probabilities, _, number = classified(rng, groups)
    blurred = 0.8 * probabilities + 0.2 / BUCKETS
    hits = np.stack([rng.choice(BUCKETS, 10, p=row / row.sum()) for row in blurred.astype(float)])
    return probabilities, hits, number


def test_prices_are_kept_beside_the_evidence(tmp_path: Path) -> None:
    probabilities, hits, groups = _hits(np.random.default_rng(1), 20)
    priced = replace(evidence(probabilities, hits, groups, "hits"), sizes=np.arange(1.0, BUCKETS + 1))
    priced.save(tmp_path)
    again = Evidence.load(tmp_path)
    assert again is not None and again.sizes is not None and priced.sizes is not None
    np.testing.assert_array_equal(again.sizes, priced.sizes)
    shorter = again.without(priced.ids[:3].tolist())
    assert shorter.sizes is not None and len(shorter.ids) == len(priced.ids) - 3
