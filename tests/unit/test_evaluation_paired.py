"""Paired tests against SciPy, enumeration and simulation; what a sweep and neighbours come to by hand."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from scipy.stats import permutation_test

from visualsearch.calibration.promises import Promise
from visualsearch.evaluation.paired import paired, sign_test
from visualsearch.evaluation.suspects import Seen, Suspect, suspect, worst
from visualsearch.evaluation.sweep import LEVELS, Point, swept


def test_the_sign_test_is_that_of_scipy() -> None:
    rng = np.random.default_rng(0)
    for number in (5, 8, 12):
        differences = np.round(rng.normal(0.3, 1.0, number), 2)
        expected = permutation_test((differences,), np.sum, permutation_type="samples", n_resamples=np.inf)
        assert sign_test(differences, [str(i) for i in range(number)]) == pytest.approx(expected.pvalue)


def test_queries_of_one_group_change_their_signs_together() -> None:
    differences, groups = [0.5, 0.25, -0.5, 1.0, 1.0], ["a", "a", "b", "c", "d"]
    sums = [0.75, -0.5, 1.0, 1.0]
    flipped = [abs(sum(s * d for s, d in zip(signs, sums, strict=True))) for signs in product((1, -1), repeat=4)]
    assert sign_test(differences, groups) == sum(one >= abs(sum(sums)) - 1e-9 for one in flipped) / 16


def test_many_groups_are_drawn_and_come_close_to_the_normal_law() -> None:
    from statistics import NormalDist

    rng = np.random.default_rng(1)
    differences = rng.normal(0.15, 1.0, 200)
    z = abs(differences.sum()) / np.sqrt((differences**2).sum())
    p_value = sign_test(differences, [str(i) for i in range(200)])
    assert p_value == pytest.approx(2 * (1 - NormalDist().cdf(z)), abs=0.02)
    assert sign_test(differences + 5, [str(i) for i in range(200)]) == pytest.approx(1 / 10_000)


def test_systems_that_are_alike_are_told_apart_as_seldom_as_said() -> None:
    rng = np.random.default_rng(2)
    p_values = []
    for _ in range(400):
        quality = rng.random(12)
        one, other = ((rng.random(12) < quality).astype(float) for _ in range(2))
        p_values.append(sign_test(one - other, [str(i) for i in range(12)]))
    assert np.mean(np.array(p_values) <= 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_what_only_one_system_says_is_left_out() -> None:
    nan = float("nan")
    told = paired([1.0, 0.5, nan, 0.0], [0.0, 0.5, 1.0, nan], ["a", "b", "c", "d"])
    assert told is not None
    assert (told["this"], told["other"], told["difference"], told["queries"]) == (0.75, 0.25, 0.5, 2)
    assert told["interval"] == [0.0, 1.0]
    assert paired([nan], [1.0], ["a"]) is None
    alone = paired([1.0, 1.0], [0.0, 0.0], ["a", "a"])
    assert alone is not None
    assert (alone["interval"], alone["p_value"]) == (None, 1.0)


def level(right: float | None, kept: float, compared: float) -> list[Point]:
    known = Point(held=1.0, kept=kept, right=right, hit=right, compared=compared, size=2)
    return [known, Point(None, None, None, None, compared, 4)]


def swept_by(right: list[float | None], kept: list[float], few: int = 0) -> dict[str, Any]:
    """Sweep with a cost that is the level; of the highest levels below 1 ``few`` have too few groups."""
    promises = [
        None if keep == 1.0 else Promise("bucket", keep, 26, 99, None if place >= len(LEVELS) - 1 - few else np.ones(2))
        for place, keep in enumerate(LEVELS)
    ]
    return swept(promises, [level(*one) for one in zip(right, kept, LEVELS, strict=True)])


def test_the_cheapest_level_that_loses_little_is_chosen() -> None:
    right: list[float | None] = [0.5, 0.6, 0.7, 0.8, 0.989, 0.99, 0.995, 1.0, 1.0, 1.0, 1.0]
    told = swept_by(right, [0.9] * 11)
    assert (told["keep"], told["line"]) == (0.9, "routing: {keep: 0.9}")
    told = swept_by([None] * 11, [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.991, 1.0, 1.0, 1.0])
    assert told["keep"] == 0.975
    assert told["levels"][0] == {
        "keep": 0.5, "promised": True, "held": 1.0, "kept": 0.5, "right_kept": None, "hit_rate": None, "compared": 0.5,
        "route_size": 3, "note": "",
    }  # fmt: skip


def test_a_level_with_too_few_groups_says_so_and_is_not_chosen() -> None:
    right: list[float | None] = [0.5] * 7 + [1.0] * 4
    told = swept_by(right, [1.0] * 11, few=3)
    assert told["keep"] == 1.0
    assert [one["note"] for one in told["levels"][-4:]] == ["26 of 99 groups"] * 3 + [""]


def test_neighbours_of_a_rare_value_are_fewer() -> None:
    cup = Seen("cup/1", "cup")
    near = [Seen("cup/2", "cup"), Seen("cup/3", "cup"), *(Seen(f"mug/{i}", "mug") for i in range(8))]
    assert suspect(cup, near, 3) is None, "of three neighbours two have its own value"
    assert suspect(cup, near, 11) == Suspect("cup/1", "cup", "mug", 0.8, tuple(f"mug/{i}" for i in range(8)))
    assert suspect(cup, near[:2], 11) is None, "two neighbours say nothing"
    halves = [Seen(f"{name}/{i}", name) for i in range(2) for name in ("mug", "bowl")]
    assert suspect(cup, halves, 9) is None, "half of them is no majority"


def test_the_worst_suspects_come_first() -> None:
    one, two, three = (Suspect(name, "cup", "mug", share, ()) for name, share in (("a", 0.6), ("b", 0.9), ("c", 0.9)))
    assert worst([(one, 0.9), (two, 0.5), (three, 0.7)], 2) == [three, two]
