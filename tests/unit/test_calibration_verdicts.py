"""Rates that are kept: simulated over many draws, and compared with ranks counted one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from visualsearch.calibration.conformal import needed
from visualsearch.calibration.matching import AGREEMENT, COMMON, NEAREST, Cohort, match_scores
from visualsearch.calibration.samples import FILE, Genuine, Impostors, Samples
from visualsearch.calibration.verdicts import Familiar, match_rule


def clustered(rng: np.random.Generator, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Return scores of groups whose members resemble each other, one to four of each, and their numbers."""
    sizes = rng.integers(1, 5, groups)
    numbers = np.repeat(np.arange(groups), sizes)
    return rng.normal(size=groups)[numbers] + 0.3 * rng.normal(size=len(numbers)), numbers


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.25])
def test_of_new_strangers_the_promised_share_reaches_the_threshold(rate: float) -> None:
    rng = np.random.default_rng(0)
    told = []
    for _ in range(400):
        rule = match_rule(*clustered(rng, 60), rate)
        assert rule.least is not None
        new, _ = clustered(rng, 40)
        told.append((new >= rule.least).mean())
    error = float(np.std(told) / np.sqrt(len(told)))
    assert rate * 0.6 <= np.mean(told) <= rate + 2 * error


def test_too_few_values_promise_nothing() -> None:
    for groups in (1, needed(0.95) - 1):
        assert match_rule(np.arange(float(groups)), np.arange(groups), 0.05).least is None
    rule = match_rule(np.arange(19.0), np.arange(19), 0.05)
    assert rule.least is not None and 18.0 < rule.least < 18.0 + 1e-9
    assert match_rule(np.empty(0), np.empty(0, np.intp), 0.05).least is None


def familiar(rng: np.random.Generator, groups: int, together: float) -> Familiar:
    near, numbers = clustered(rng, groups)
    certain = together * near + np.sqrt(1 - together**2) * rng.normal(size=len(near))
    return Familiar(near, certain, numbers)


@pytest.mark.parametrize("together", [0.0, 0.9])
@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_of_queries_like_the_gallery_the_promised_share_is_refused_and_not_its_square(
    rate: float, together: float
) -> None:
    rng = np.random.default_rng(1)
    refused = []
    for _ in range(150):
        known, new = familiar(rng, 80, together), familiar(rng, 20, together)
        assert new.certain is not None
        pairs = zip(new.near.tolist(), new.certain.tolist(), strict=True)
        refused.append(np.mean([known.p_value(near, certain) <= rate for near, certain in pairs]))
    error = float(np.std(refused) / np.sqrt(len(refused)))
    assert rate * 0.6 <= np.mean(refused) <= rate + 2 * error
    assert np.mean(refused) > 2 * rate**2


def test_a_p_value_is_the_rank_counted_with_the_new_picture_among_the_others() -> None:
    rng = np.random.default_rng(2)
    near, certain = rng.normal(size=(2, 30)).round(1)  # with ties
    known = Familiar(near, certain, np.arange(30))
    for new in rng.normal(size=(25, 2)).round(1):
        columns = [np.append(near, new[0]), np.append(certain, new[1])]
        ranks = [max(sum(column <= column[i]) for column in columns) for i in range(31)]
        expected = sum(rank <= ranks[-1] for rank in ranks) / 31
        assert known.p_value(*map(float, new)) == pytest.approx(expected)


def test_both_must_be_strange() -> None:
    known = Familiar(np.arange(40.0), np.arange(40.0), np.arange(40))
    assert known.p_value(-1.0, -1.0) == pytest.approx(1 / 41)
    assert known.p_value(-1.0, 39.5) == 1.0
    assert known.p_value(39.5, -1.0) == 1.0
    assert known.p_value(-1.0, None) == pytest.approx(1 / 41)


def unit(rng: np.random.Generator, count: int, dim: int = 6) -> np.ndarray:
    rows = rng.normal(size=(count, dim)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def naive_score(
    query: np.ndarray, hit: int, rows: np.ndarray, values: list[str], cohort: Cohort, out: set[str]
) -> float:
    """Compute one match score by the words of the documentation, picture by picture."""

    def common(vector: np.ndarray) -> float:
        others = [
            float(vector @ other)
            for item, value, other in zip(cohort.ids, cohort.values, cohort.vectors, strict=True)
            if value != values[hit] and item not in out
        ]
        return float(np.mean(sorted(others)[-max(1, round(NEAREST * len(cohort.ids))) :]))

    agreeing = [row for i, row in enumerate(rows) if i == hit or (values[i] and values[i] == values[hit])]
    mean = np.mean(agreeing, axis=0)
    agreed = float(query @ mean / np.linalg.norm(mean))
    own = float(query @ rows[hit])
    return AGREEMENT * agreed + (1 - AGREEMENT) * own - COMMON * (common(query) + common(rows[hit])) / 2


def test_a_match_score_is_what_the_documentation_says() -> None:
    rng = np.random.default_rng(3)
    cohort = Cohort(
        np.array([f"c{i}" for i in range(500)]), np.array([f"v{i % 40}" for i in range(500)]), unit(rng, 500)
    )
    query, rows, values = unit(rng, 1)[0], unit(rng, 5), ["v1", "v7", "v1", "", ""]
    out = {"c3", "c7", "elsewhere"}
    scores = match_scores(query, (rows @ query).astype(np.float64), rows, values, cohort, cohort.rows_of(out))
    expected = [naive_score(query, i, rows, values, cohort, out) for i in range(5)]
    assert scores == pytest.approx(expected, abs=1e-5)
    assert len(match_scores(query, np.empty(0), rows[:0], [], cohort, [])) == 0


def test_without_other_values_nothing_is_in_common() -> None:
    rng = np.random.default_rng(4)
    rows = unit(rng, 3)
    cohort = Cohort(np.array(["a", "b", "c"]), np.array(["v"] * 3), rows)
    assert cohort.nearness(rows, ["v", "v", "v"], []).tolist() == [0.0, 0.0, 0.0]
    assert cohort.nearness(rows[:1], ["other"], [0, 1]) == pytest.approx([float(rows[0] @ rows[2])])


def samples() -> Samples:
    ids = np.array(["a-0", "b-0", "c-0"])
    cohort = Cohort(ids, np.array(["Ann", "Bob", "Cy"]), np.eye(3, dtype=np.float32))
    impostors = Impostors(ids, np.arange(3), np.array([0.1, 0.2, 0.3]))
    genuine = Genuine(ids[:2], np.arange(2), np.array([0.8, 0.9]), np.array([0.5, np.nan]))
    return Samples("embedding", "label", "classifier", cohort, impostors, genuine)


def test_samples_are_kept_for_their_embeddings_and_lose_what_is_forgotten(tmp_path: Path) -> None:
    samples().save(tmp_path)
    assert "Bob".encode("utf-32-le") in (tmp_path / FILE).read_bytes()
    kept = Samples.load(tmp_path, "embedding")
    assert kept is not None and kept.cohort.values.tolist() == ["Ann", "Bob", "Cy"]
    kept.without(["b-0", "never there"]).save(tmp_path)
    less = Samples.load(tmp_path, "embedding")
    assert less is not None
    assert less.cohort.ids.tolist() == less.impostors.ids.tolist() == ["a-0", "c-0"]
    assert less.genuine.near.tolist() == [0.8] and less.impostors.scores.tolist() == [0.1, 0.3]
    assert "Bob".encode("utf-32-le") not in (tmp_path / FILE).read_bytes()
    assert Samples.load(tmp_path, "other") is None
    (tmp_path / FILE).write_bytes(b"broken")
    assert Samples.load(tmp_path, "embedding") is None


def test_a_classifier_is_asked_only_where_it_is_the_one_and_enough_was_new_to_it() -> None:
    one = samples()
    assert one.familiar("classifier", 0.5).certain is not None
    assert one.familiar("classifier", 0.5).near.tolist() == [0.8]
    assert one.familiar("classifier", 0.4).certain is None  # two groups are needed
    assert one.familiar("another", 0.5).certain is None
    assert one.familiar("", 0.5).near.tolist() == [0.8, 0.9]
