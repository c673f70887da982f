"""Metrics against hand counts, scikit-learn and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from visualsearch.evaluation.metrics import (
    auroc,
    average_precision_at,
    hit_rate_at,
    kept,
    map_at,
    recall_at,
    reciprocal_rank,
)

RUN = [
    [True, False, True, False, False],
    [False, False, False, True, True],
    [False, False, False, False, False],
]
RIGHT_ITEMS = [2, 4, 1]


@pytest.mark.parametrize(("k", "expected"), [(1, 1 / 3), (3, 1 / 3), (4, 2 / 3), (50, 2 / 3)])
def test_hit_rate_is_the_share_of_queries_with_a_right_hit(k: int, expected: float) -> None:
    assert hit_rate_at(k, RUN) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("k", "expected"), [(1, [1 / 2, 0, 0]), (3, [1, 0, 0]), (5, [1, 2 / 4, 0]), (50, [1, 2 / 4, 0])]
)
def test_recall_divides_by_all_right_items(k: int, expected: list[float]) -> None:
    assert [recall_at(k, right, n) for right, n in zip(RUN, RIGHT_ITEMS, strict=True)] == expected


def test_average_precision_divides_by_what_k_hits_can_hold() -> None:
    assert average_precision_at(5, RUN[0], 2) == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert average_precision_at(5, RUN[1], 4) == pytest.approx((1 / 4 + 2 / 5) / 4)
    assert average_precision_at(2, [True, True], 100) == 1.0
    assert average_precision_at(2, RUN[1], 4) == 0.0


def test_map_is_the_mean_of_the_average_precisions() -> None:
    assert map_at(5, RUN, RIGHT_ITEMS) == pytest.approx(((1 + 2 / 3) / 2 + (1 / 4 + 2 / 5) / 4 + 0) / 3)


def test_average_precision_over_the_whole_ranking_is_scikit_learns() -> None:
    random = np.random.default_rng(3)
    for _ in range(50):
        right = random.random(30) < 0.2
        if right.any():
            scores = -np.arange(30.0)
            expected = average_precision_score(right, scores)
            assert average_precision_at(30, right.tolist(), int(right.sum())) == pytest.approx(expected)


def test_metrics_equal_a_plain_loop_on_random_runs() -> None:
    random = np.random.default_rng(4)
    for _ in range(100):
        right, missing, k = (random.random(12) < 0.3).tolist(), int(random.integers(1, 5)), int(random.integers(1, 15))
        n, found, precisions = sum(right) + missing, 0, 0.0
        for rank in range(1, min(k, 12) + 1):
            if right[rank - 1]:
                found += 1
                precisions += found / rank
        assert recall_at(k, right, n) == pytest.approx(found / n)
        assert average_precision_at(k, right, n) == pytest.approx(precisions / min(k, n))
        assert hit_rate_at(k, [right]) == (found > 0)


def test_reciprocal_rank_of_the_first_right_hit() -> None:
    assert [reciprocal_rank(right) for right in RUN] == [1.0, 0.25, 0.0]


@pytest.mark.parametrize(
    ("routed", "exhaustive", "expected"),
    [
        (["a", "b", "c"], ["c", "b", "a"], 1.0),
        (["a"], ["a", "b", "c", "d"], 0.25),
        (["x", "y"], ["a", "b"], 0.0),
        (["x"], [], 1.0),
    ],
)
def test_kept_ignores_order_and_counts_ids(routed: list[str], exhaustive: list[str], expected: float) -> None:
    assert kept(routed, exhaustive) == expected


@pytest.mark.parametrize("levels", [4, 1000])
def test_auroc_is_scikit_learns_with_and_without_ties(levels: int) -> None:
    random = np.random.default_rng(5)
    positives, negatives = random.integers(0, levels, 70) + levels // 4, random.integers(0, levels, 40)
    expected = roc_auc_score([1] * 70 + [0] * 40, [*positives, *negatives])
    assert auroc(positives, negatives) == pytest.approx(expected)


def test_auroc_of_equal_scores_is_a_half() -> None:
    assert auroc([0.5, 0.5], [0.5]) == 0.5
