"""Calibration error, Brier score and the test for a shift: hand counts, scikit-learn, SciPy, simulations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import rankdata
from sklearn.metrics import brier_score_loss

from visualsearch.calibration.evidence import Evidence
from visualsearch.datatypes import Matrix
from visualsearch.evaluation.metrics import brier
from visualsearch.evaluation.reliability import bins, calibration_error, reliability
from visualsearch.evaluation.runs import Guess, RunRow
from visualsearch.evaluation.shift import LEVEL, one_of_each, shift
from visualsearch.stages.believing import calibration


def probabilities(rng: np.random.Generator, number: int, buckets: int = 4, sharp: float = 2.0) -> Matrix:
    raw = np.exp(sharp * rng.normal(size=(number, buckets)))
    rows: Matrix = (raw / raw.sum(axis=1, keepdims=True)).astype(np.float32)
    return rows


def test_calibration_error_is_the_hand_count() -> None:
    # (0.4, 0.6]: 0.5 and 0.6, one right: |0.55 - 0.5|; (0.8, 1]: 0.9, wrong: |0.9 - 0|
    binned = bins([0.5, 0.6, 0.9], [1, 0, 0], number=5)
    assert [(one["low"], one["high"], one["count"]) for one in binned] == [
        (pytest.approx(0.4), pytest.approx(0.6), 2),
        (pytest.approx(0.8), 1.0, 1),
    ]
    assert calibration_error(binned) == pytest.approx((2 * 0.05 + 1 * 0.9) / 3)
    assert reliability([], [], []) is None


def test_calibration_error_is_that_of_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    said, right = rng.random(500), rng.random(500) < 0.7
    edges = [i / 15 for i in range(16)]
    expected = 0.0
    for low, high in zip(edges, edges[1:], strict=False):
        inside = [i for i in range(500) if low < said[i] <= high]
        if inside:
            gap = sum(right[i] for i in inside) / len(inside) - sum(said[i] for i in inside) / len(inside)
            expected += len(inside) / 500 * abs(gap)
    assert calibration_error(bins(said, right)) == pytest.approx(expected)


def test_a_calibrated_classifier_has_a_small_error_and_an_overconfident_one_a_large_one() -> None:
    rng = np.random.default_rng(1)
    said = rng.uniform(0.4, 1.0, 20_000)
    assert calibration_error(bins(said, rng.random(20_000) < said)) < 0.02
    assert calibration_error(bins(said, rng.random(20_000) < said - 0.3)) == pytest.approx(0.3, abs=0.02)


def test_the_brier_score_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(2)
    rows, right = probabilities(rng, 200), rng.integers(0, 4, 200)
    mean = np.mean([brier(row, np.eye(4)[place]) for row, place in zip(rows, right, strict=True)])
    expected = brier_score_loss(
        right, rows.astype(float) / rows.astype(float).sum(axis=1, keepdims=True), labels=range(4)
    )
    assert mean == pytest.approx(expected, abs=1e-6)


def test_a_bucket_that_was_never_learned_counts_as_wrong_in_full() -> None:
    assert brier([0.75, 0.25], [0.0, 0.0]) == pytest.approx(0.75**2 + 0.25**2 + 1)


def test_of_each_group_one_picture_counts_and_any_may() -> None:
    scores, groups = [0.1, 0.2, 0.3, 0.9], ["a", "a", "a", "b"]
    drawn = [one_of_each(scores, groups, np.random.default_rng(seed)) for seed in range(60)]
    assert all(len(some) == 2 and 0.9 in some for some in drawn)
    assert {min(some) for some in drawn} == {0.1, 0.2, 0.3}


def test_the_p_value_is_that_of_the_ranks() -> None:
    rng = np.random.default_rng(3)
    known, asked = rng.random(40), rng.random(60) + 0.1
    told = shift(known, range(40), asked, range(60))
    assert told is not None
    ranks = rankdata([*asked, *known])
    u = ranks[:60].sum() - 60 * 61 / 2
    spread = np.sqrt(40 * 60 * 101 / 12)
    from statistics import NormalDist

    expected = 1 - NormalDist().cdf((u - 40 * 60 / 2 - 0.5) / spread)
    assert told["p_value"] == pytest.approx(expected, rel=1e-6)
    assert told["groups"] == {"calibration": 40, "queries": 60}


def drawn_groups(rng: np.random.Generator, number: int, views: int, more: float = 0.0) -> tuple[list[float], list[int]]:
    """Return skewed scores of pictures whose groups differ: most things are easy, a few are not."""
    hard = rng.beta(0.3, 2.0, number)
    scores = np.clip(hard[:, None] + more + 0.1 * rng.normal(size=(number, views)), 0, 1)
    return scores.ravel().tolist(), np.repeat(np.arange(number), views).tolist()


@pytest.mark.parametrize(("views", "asked_views"), [(4, 1), (1, 4), (4, 4)])
def test_queries_like_the_calibration_raise_no_alarm_more_often_than_said(views: int, asked_views: int) -> None:
    rng = np.random.default_rng(4)
    draws = 500
    alarms = 0
    for seed in range(draws):
        known, known_groups = drawn_groups(rng, 30, views)
        asked, asked_groups = drawn_groups(rng, 50, asked_views)
        told = shift(known, known_groups, asked, asked_groups, seed)
        assert told is not None
        alarms += told["shifted"]
    # three standard errors of a share of LEVEL above it
    assert alarms / draws <= LEVEL + 3 * np.sqrt(LEVEL * (1 - LEVEL) / draws)


def test_stranger_queries_raise_the_alarm_and_easier_ones_do_not() -> None:
    rng = np.random.default_rng(5)
    alarms = {more: 0 for more in (0.4, -0.4)}
    for seed in range(100):
        known, groups = drawn_groups(rng, 40, 4)
        for more in alarms:
            asked, asked_groups = drawn_groups(rng, 40, 2, more)
            told = shift(known, groups, asked, asked_groups, seed)
            assert told is not None
            alarms[more] += told["shifted"]
    assert alarms[0.4] == 100
    assert alarms[-0.4] == 0


def test_without_anything_to_compare_nothing_is_said() -> None:
    assert shift([], [], [0.5], ["a"]) is None


def asked(rows: Matrix, labels: list[int] | None, group: str = "q") -> list[RunRow]:
    """Return rows of queries whose buckets are ``labels``; None where nobody knows."""
    made = []
    for number, row in enumerate(rows):
        guess = Guess(float(row.max()))
        if labels is not None:
            one = np.eye(len(row))[labels[number]]
            guess = Guess(float(row.max()), float(one[row.argmax()]), brier(row, one), 1 - float(row[labels[number]]))
        made.append(RunRow(str(number), f"{group}{number}", 1, (), (), (), (), 0.1, 1.0, guess=guess))
    return made


def evidence(rows: Matrix, labels: list[int]) -> Evidence:
    ids = np.array([str(i) for i in range(len(rows))])
    return Evidence("bucket", "f", ids, np.arange(len(rows)), rows, np.array(labels, np.intp)[:, None])


def test_the_summary_compares_queries_with_what_was_calibrated_on() -> None:
    rng = np.random.default_rng(6)
    rows = probabilities(rng, 300)
    labels = [int(rng.choice(4, p=row.astype(float) / row.astype(float).sum())) for row in rows]
    known = evidence(rows[:150], labels[:150])
    told = calibration(known, asked(rows[150:], labels[150:]), seed=0)
    assert told is not None
    assert not told["shift"]["shifted"]
    assert (told["queries"]["n"], told["pictures"]["n"]) == (150, 150)
    right = np.array([row.argmax() == label for row, label in zip(rows[:150], labels[:150], strict=True)])
    assert told["pictures"]["ece"] == pytest.approx(calibration_error(bins(rows[:150].max(axis=1), right)))
    labels_that_are_wrong = [int(row.argmin()) for row in rows[150:]]
    told = calibration(known, asked(rows[150:], labels_that_are_wrong), seed=0)
    assert told is not None
    assert told["shift"]["shifted"]


def test_without_labels_queries_are_compared_by_their_confidence() -> None:
    rng = np.random.default_rng(7)
    sharp, vague = probabilities(rng, 100, sharp=4.0), probabilities(rng, 100, sharp=0.5)
    known = evidence(sharp, [int(row.argmax()) for row in sharp])
    for rows, shifted in ((sharp, False), (vague, True)):
        told = calibration(known, asked(rows, None), seed=0)
        assert told is not None
        assert told["queries"] is None
        assert told["shift"]["score"] == "1 - p of the most probable bucket"
        assert told["shift"]["shifted"] is shifted
    assert calibration(None, [], seed=0) is None
    unknown = calibration(None, asked(sharp, [0] * 100), seed=0)
    assert unknown is not None
    assert (unknown["pictures"], unknown["shift"]) == (None, None)
