"""The tool that proves the starter: figures, intervals, sets, and what it writes into the card."""

from __future__ import annotations

import doctest
import json
from itertools import product
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from tools import prove_starter
from tools.starter import cards, proof, proof_card, proof_rows, proof_sets
from visualsearch.evaluation.runs import RunRow

STARTER = Path(__file__).parents[2] / "models" / "starter"
COLOURS = {"mug": (200, 30, 30), "key": (30, 200, 30), "duck": (30, 30, 200)}


def paint(folder: Path, family: str, *names: str, colour: tuple[int, int, int] | None = None) -> None:
    for name in names:
        path = folder / family / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (12, 12), colour or COLOURS[family]).save(path)


def found(hits: list[float | None], groups: str, queries: str | None = None) -> proof.Found:
    return {"query": list(queries or map(str, range(len(hits)))), "group": list(groups), "hit": hits}


@pytest.mark.parametrize("module", [cards, proof, proof_card, proof_sets])
def test_the_examples_in_the_docstrings_run(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0


# Figures


def test_a_mean_leaves_out_what_cannot_be_right_and_its_interval_is_of_groups() -> None:
    row = proof.means_of(found([1, 1, None, 0, 0, 0], "aaabbb"), {"hits": "hit"})
    assert row["hits"].value == pytest.approx(2 / 5)
    assert (row["hits"].low, row["hits"].high) == (0, 1)  # only a, only b: six queries tell no more than two groups


def test_separation_is_the_area_under_the_roc_curve() -> None:
    random = np.random.default_rng(0)
    real, strange = random.integers(3, 9, 40) / 10, random.integers(1, 7, 15) / 10  # many ties
    figure = proof.separation(real, list(map(str, range(40))), strange, list(map(str, range(15))))
    assert figure.value == pytest.approx(roc_auc_score([1] * 40 + [0] * 15, [*real, *strange]))


def test_the_interval_of_the_separation_is_that_of_drawing_groups_on_both_sides() -> None:
    random = np.random.default_rng(1)
    groups, strange_groups = np.repeat(np.arange(8), 3), np.repeat(np.arange(5), [1, 2, 3, 4, 5])
    real = 0.6 + 0.1 * random.normal(size=8)[groups] + 0.02 * random.normal(size=24)
    strange = 0.5 + 0.1 * random.normal(size=5)[strange_groups] + 0.02 * random.normal(size=15)
    drawn = []
    for _ in range(2000):
        mine = np.concatenate([real[groups == g] for g in random.integers(0, 8, 8)])
        theirs = np.concatenate([strange[strange_groups == g] for g in random.integers(0, 5, 5)])
        drawn.append(np.mean([a > b for a, b in product(mine, theirs)]))
    figure = proof.separation(real, list(map(str, groups)), strange, list(map(str, strange_groups)))
    assert [figure.low, figure.high] == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.04)


def test_differences_are_paired() -> None:
    base = found([1, 0, 1, 0], "abcd")
    better = found([1, 1, 1, 1], "abcd")
    assert proof.differences(base, base, {"hits": "hit"})["hits"] == proof.Figure(0, 0, 0)
    gained = proof.differences(better, base, {"hits": "hit"})["hits"]
    assert gained.value == 0.5
    assert 0 <= gained.low < 0.5 < gained.high <= 1
    with pytest.raises(SystemExit, match="different queries"):
        proof.differences(better, found([1, 0, 1, 0], "abcd", queries="wxyz"), {"hits": "hit"})


# Rows


def test_colours_find_what_has_the_same_colours(tmp_path: Path) -> None:
    for family in ("mug", "key"):
        paint(tmp_path / "gallery", family, f"{family}00-0.jpg", f"{family}00-1.jpg")
        paint(tmp_path / "queries", family, f"{family}00-2.jpg")
    paint(tmp_path / "gallery", "key", "key01-0.jpg", colour=(250, 250, 250))
    paint(tmp_path / "queries", "key", "key01-2.jpg", colour=COLOURS["mug"])  # looks like the mug
    paint(tmp_path / "strangers", "duck", "duck00-0.jpg", "duck00-1.jpg", "duck01-0.jpg")
    row = proof_rows.rendered_colours(tmp_path, side=8)
    assert row["group"] == ["key/key00", "key/key01", "mug/mug00"]
    assert row["instance_hit"] == row["category_hit"] == [1, 0, 1]
    assert row["recall"] == [1, 1, 1]  # twenty hits are the whole gallery
    assert row["classifier_right"] == [1, 0, 1]
    assert row["score"] == pytest.approx([1, 1, 1])
    assert row["stranger_group"] == ["duck/duck00", "duck/duck00", "duck/duck01"]
    assert proof.figures(row, proof.RENDERED)[proof.STRANGERS].value == 1.0
    assert proof_card.set_of(tmp_path) == {
        "families": 2,
        "instances": 3,
        "gallery": 5,
        "queries": 3,
        "strangers": 3,
        "stranger_families": 1,
    }


def test_the_first_thirty_photographs_by_name_are_the_gallery(tmp_path: Path) -> None:
    source, unknown = tmp_path / "photographs", tmp_path / "unknown"
    paint(source, "mug", *(f"image_{n:04d}.jpg" for n in range(33)))
    paint(source, "key", *(f"image_{n:04d}.jpg" for n in range(29)))
    with pytest.raises(SystemExit, match="more than 30 of a category; found none"):
        proof_rows.by_protocol(tmp_path)
    gallery, queries = proof_rows.by_protocol(source)
    assert [path.name for path in queries] == ["image_0030.jpg", "image_0031.jpg", "image_0032.jpg"]
    assert len(gallery) == 59
    proof_rows.link(source, tmp_path / "links")
    linked = tmp_path / "links" / "queries" / "mug" / "image_0031.jpg"
    assert linked.readlink() == (source / "mug" / "image_0031.jpg").resolve()
    paint(unknown, ".", "a.jpg", "b.jpg", colour=COLOURS["duck"])
    row = proof_rows.photographs_colours(source, unknown, side=8)
    assert row["recall"] == pytest.approx([20 / 30] * 3)  # twenty hits, all of thirty right
    assert row["average_precision"] == row["category_hit"] == row["classifier_right"] == [1, 1, 1]
    assert row["stranger_group"] == ["0", "1"]
    assert proof_card.photographs_of(source, unknown) == {"categories": 2, "gallery": 59, "queries": 3, "strangers": 2}


def test_a_run_is_judged_by_its_exhaustive_hits() -> None:
    def row(query: str, right: tuple[bool, ...], *, stranger: bool = False) -> RunRow:
        ids = tuple(map(str, range(len(right))))
        wrong = (False,) * len(right)
        told = {"right_bucket": "mug", "predicted_bucket": "key" if stranger else "mug", "best_score": len(ids) / 10}
        return RunRow(query, query, 4, ids, wrong, ids, right, 1.0, 1.0, stranger=stranger, **told)

    judged = proof_rows._by_category(
        (row("mug/a.jpg", (False, True, True)), row("x.jpg", (False,), stranger=True), row("mug/b.jpg", (True,)))
    )
    assert judged["query"] == judged["group"] == ["mug/a.jpg", "mug/b.jpg"]
    assert judged["category_hit"] == [0, 1]
    assert judged["recall"] == [0.5, 0.25]
    assert judged["average_precision"] == pytest.approx([(1 / 2 + 2 / 3) / 4, 1 / 4])
    assert judged["classifier_right"] == [True, True]
    assert (judged["stranger_group"], judged["stranger_score"]) == (["x.jpg"], [0.1])


def test_tails_are_told_with_their_difference_cost_and_remarks(capsys: pytest.CaptureFixture[str]) -> None:
    one = {"query": ["a", "b"], "group": ["a", "b"], "seconds": 4.4, "peak_mib": 900.2, "gmac": 0.5, "passes": 1}
    one |= {key: [True, False] for key in proof.TUNED.values()} | {"hardware": "a processor", "notes": []}
    tails = {
        "head": {**one, "classifier_right": [True, False]},
        "last_block": {**one, "classifier_right": [True, True], "notes": ["no better"], "passes": 2},
    }
    told = proof_sets.prove_tails("trial", tails)
    assert told["less_head"] == {"last_block": {proof_sets.LESS: {"value": 0.5, "interval": [0.0, 1.0]}}}
    assert told["cost"]["last_block"] == {
        "seconds": 4,
        "peak_mib": 900,
        "gmac": 0.5,
        "passes": 2,
        "notes": ["no better"],
    }
    lines = capsys.readouterr().out.splitlines()
    assert "### trial: how much is trained, on a processor" in lines
    assert next(line for line in lines if line.startswith("| `head`")).startswith("| `head` | | 4 | 900 | 0.5 | 1 |")
    assert "- `last_block`: no better" in lines


# Card and command


def test_the_card_keeps_what_it_has_and_can_be_read(tmp_path: Path) -> None:
    card = tmp_path / "card.json"
    before = json.loads((STARTER / "card.json").read_text(encoding="utf-8"))
    card.write_text(json.dumps(before), encoding="utf-8")
    rows = {"starter": {"recall at 20": proof.Figure(0.91234, 0.9, 0.95)}}
    proof_card.write(card, {"sample": {"rows": {}}})
    proof_card.write(card, {"trial": {"rows": proof_card.cells(rows)}})
    after = json.loads(card.read_text(encoding="utf-8"))
    proof_of = after["figures"].pop("proof")
    assert proof_of["sample"] == {"rows": {}}
    before["figures"].pop("proof", None)
    assert after == before
    assert list(after) == list(before)
    assert proof_of["trial"]["rows"]["starter"]["recall at 20"] == {"value": 0.912, "interval": [0.9, 0.95]}
    lines = card.read_text(encoding="utf-8").splitlines()
    assert '"recall at 20": {"value": 0.912, "interval": [0.9, 0.95]}' in card.read_text(encoding="utf-8")
    assert all(len(line) <= 120 or line.count('"') <= 4 for line in lines)  # only a long text makes a long line


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "expected a set to measure on"),
        (["--sample", "nowhere"], r"--sample: expected a folder nowhere/gallery; there is none"),
        (["--photographs", "nowhere"], "--photographs: expected a folder nowhere; there is none"),
        (["--photographs", ".", "--first", "old.npz"], "--first: expected resnet50.npz with its card.json beside it"),
    ],
)
def test_a_path_that_leads_nowhere_is_said_at_once(arguments: list[str], sentence: str) -> None:
    with pytest.raises(SystemExit, match=sentence):
        prove_starter.main(arguments)
