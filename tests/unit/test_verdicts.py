"""Verdicts of a small gallery, from index to answer: compared with brute force over its vectors."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visualsearch import VisualSearch
from visualsearch.calibration.matching import match_scores
from visualsearch.calibration.samples import FILE, Samples

THINGS, VIEWS = 24, 4

YAML = """
name: things
gallery: {folder: gallery, path: "{label}/{instance}-{view}"}
queries: {folder: queries, path: "{label}/{instance}-{view}", strangers: strangers}
extractor: {name: "fakes:Grid", cells: 6}
buckets: {none: true}
match: {false_rate: 0.1, stranger_rate: 0.1}
"""


def draw(path: Path, thing: int, view: int, noise: int = 25) -> None:
    """Write a picture of a thing: coloured squares of its own, a little different in each view."""
    squares = np.random.default_rng((7, thing)).integers(40, 216, (6, 6, 3))
    rng = np.random.default_rng((thing, view))
    squares = squares + rng.integers(-noise, noise + 1, squares.shape)
    pixels = squares.repeat(8, axis=0).repeat(8, axis=1) + rng.normal(0, 20, (48, 48, 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the YAML of a gallery of things with an index of it, made once."""
    folder = tmp_path_factory.mktemp("things")
    for thing in range(THINGS):
        for view in range(VIEWS):
            draw(folder / "gallery" / f"kind{thing % 2}" / f"thing{thing:02}-{view}.png", thing, view)
        draw(folder / "queries" / f"kind{thing % 2}" / f"thing{thing:02}-9.png", thing, 9)
    for thing in range(100, 120):
        draw(folder / "strangers" / f"other{thing}.png", thing, 0)
    yaml = folder / "things.yaml"
    yaml.write_text(YAML)
    with VisualSearch.from_yaml(yaml) as search:
        search.index()
    return yaml


@pytest.fixture
def things(indexed: Path, tmp_path: Path) -> Path:
    """Return a copy of it that a test may change."""
    return Path(shutil.copytree(indexed.parent, tmp_path / "things")) / indexed.name


def kept(search: VisualSearch) -> Samples:
    samples = search._parts.samples
    assert samples is not None
    return samples


def test_known_things_match_and_strangers_do_not(indexed: Path) -> None:
    with VisualSearch.from_yaml(indexed) as search:
        known = [search.search(path) for path in sorted((indexed.parent / "queries").rglob("*.png"))]
        strangers = [search.search(path) for path in sorted((indexed.parent / "strangers").iterdir())]
        rules = search.verdict_rules
        assert rules is not None
    assert Counter(answer.verdict for answer in known)["match"] >= THINGS - 3
    told = Counter(answer.verdict for answer in strangers)
    assert told["match"] <= 4 and told["stranger"] >= 10
    for answer in (*known, *strangers):
        assert answer.fit is not None
        assert all(hit.match == (hit.match_score >= rules["match"]["least"]) for hit in answer.hits)  # type: ignore[operator]
        matched = any(hit.match for hit in answer.hits)
        expected = "match" if matched else "stranger" if answer.fit <= 0.1 else "similar"
        assert answer.verdict == expected


def test_the_kept_samples_are_those_of_brute_force(indexed: Path) -> None:
    with VisualSearch.from_yaml(indexed) as search:
        samples, store = kept(search), search._parts.shelf.live()
        assert store is not None
        items = {item.id: item for page in store.pages() for item in page}
        ids = sorted(items)
        vectors = store.vectors(ids)
        store.close()
    assert samples.relevant == "instance" and sorted(samples.cohort.ids) == ids
    values = [items[one].columns["instance"] for one in ids]
    for ids_of, scores, left_out in (
        (samples.impostors.ids, samples.impostors.scores, True),
        (samples.genuine.ids, samples.genuine.near, False),
    ):
        assert len(ids_of) == THINGS * VIEWS
        for one, score in list(zip(ids_of, scores, strict=True))[::7]:
            row = ids.index(one)
            out = [i for i in range(len(ids)) if i == row or (left_out and values[i] == values[row])]
            cosines = vectors @ vectors[row]
            hits = [i for i in np.argsort(-cosines, kind="stable") if i not in out][:20]
            found = match_scores(
                vectors[row],
                cosines[hits].astype(np.float64),
                vectors[hits],
                [values[i] for i in hits],
                samples.cohort,
                samples.cohort.rows_of([ids[i] for i in out]),
            )
            assert score == pytest.approx(found.max(), abs=1e-4)


def test_rates_change_without_a_new_index_and_too_few_values_say_so(indexed: Path) -> None:
    before = (indexed.parent / "models" / "things" / FILE).read_bytes()
    query = indexed.parent / "queries" / "kind0" / "thing00-9.png"
    leasts = []
    for rate in (0.05, 0.2, 0.5):
        with VisualSearch.from_yaml(indexed, [f"match.false_rate={rate}"]) as search:
            rules = search.verdict_rules
            assert rules is not None
            leasts.append(rules["match"]["least"])
    assert leasts == sorted(leasts, reverse=True) and len(set(leasts)) == 3
    with VisualSearch.from_yaml(indexed, ["match.false_rate=0.01", "match.stranger_rate=0.001"]) as search:
        answer = search.search(query)
        said = [finding.says for finding in search.check() if finding.what == "verdicts"]
    assert answer.verdict is None and answer.fit is None and all(hit.match is None for hit in answer.hits)
    assert "needs 99 values of instance, and 75 are missing" in said[0]
    assert "needs 999 groups" in said[1] and "975 are missing" in said[1]
    assert (indexed.parent / "models" / "things" / FILE).read_bytes() == before


def test_a_narrowed_search_calls_nobody_a_stranger(indexed: Path) -> None:
    query = indexed.parent / "queries" / "kind0" / "thing00-9.png"
    with VisualSearch.from_yaml(indexed) as search:
        answer = search.search(query, where={"label": "kind1"})
    assert answer.verdict == "similar" and answer.fit is None


def test_an_evaluation_counts_what_its_answers_say(indexed: Path) -> None:
    with VisualSearch.from_yaml(indexed) as search:
        evaluation = search.evaluate()
    told = evaluation.summary["verdicts"]
    for kind, name in ((False, "queries"), (True, "strangers")):
        pairs = zip(evaluation.rows, evaluation.answers, strict=True)
        counted = Counter(answer.verdict for row, answer in pairs if row.stranger is kind)
        assert {word: told[name][word] for word in ("match", "similar", "stranger")} == {
            word: counted[word] for word in ("match", "similar", "stranger")
        }
    found = [
        row.routed_right[0] and bool(answer.hits[0].match)
        for row, answer in zip(evaluation.rows, evaluation.answers, strict=True)
        if not row.stranger
    ]
    assert told["found"] == np.mean(found)
    point = next(point for point in told["curve"]["match"] if point["rate"] == 0.1)
    assert point["found"] == told["found"] and point["strangers"] == told["strangers"]["shares"]["match"]
    point = next(point for point in told["curve"]["stranger"] if point["rate"] == 0.1)
    assert point["strangers"] == told["strangers"]["shares"]["stranger"]


def test_a_gallery_searched_with_itself_leaves_each_picture_out_of_its_own_verdict(things: Path) -> None:
    things.write_text(YAML.replace("folder: queries, ", "relevant: instance, "))
    for view in range(1, VIEWS):  # a thing of one picture: with it left out, a stranger
        (things.parent / "gallery" / "kind0" / f"thing00-{view}.png").unlink()
    with VisualSearch.from_yaml(things) as search:
        search.index()
        evaluation = search.evaluate()
    alone = next(a for a in evaluation.answers if a.query.path and a.query.path.endswith("thing00-0.png"))
    assert alone.verdict != "match" and all(hit.path != "kind0/thing00-0.png" for hit in alone.hits)
    assert evaluation.summary["verdicts"]["queries"]["shares"]["match"] > 0.8


def test_what_is_forgotten_is_no_sample_any_more(things: Path) -> None:
    file = things.parent / "models" / "things" / FILE
    assert "thing03".encode("utf-32-le") in file.read_bytes()
    with VisualSearch.from_yaml(things) as search:
        gone = set(kept(search).cohort.ids)
        forgotten = search.forget(where={"instance": "thing03"})
        left = kept(search)
        assert any(FILE in line for line in forgotten.erased)
        assert len(gone - set(left.cohort.ids)) == VIEWS
        assert len(left.impostors.ids) == len(left.genuine.ids) == (THINGS - 1) * VIEWS
        assert not search._parts.model.damaged()
    assert "thing03".encode("utf-32-le") not in file.read_bytes()


def test_few_changes_do_not_calibrate_anew_and_many_do(things: Path) -> None:
    file = things.parent / "models" / "things" / FILE
    before = file.read_bytes()
    draw(things.parent / "gallery" / "kind0" / "thing24-0.png", 24, 0)
    with VisualSearch.from_yaml(things) as search:
        search.index()
    assert file.read_bytes() == before
    for view in range(1, 12):
        draw(things.parent / "gallery" / "kind0" / f"thing24-{view}.png", 24, view)
    with VisualSearch.from_yaml(things) as search:
        search.index()
        assert "thing24" in kept(search).cohort.values


def test_a_gallery_without_anything_right_has_no_verdicts(things: Path) -> None:
    things.write_text(YAML.replace("{label}/{instance}-{view}", "{kind}/{file}").replace("name: things", "name: plain"))
    with VisualSearch.from_yaml(things) as search:
        search.index()
        answer = search.search(things.parent / "queries" / "kind0" / "thing00-9.png")
        assert search.evaluate().summary["verdicts"] is None
        assert [one.level for one in search.check() if one.what == "verdicts"] == ["note"]
    assert answer.verdict is None and all(hit.match is None and hit.match_score is None for hit in answer.hits)
    assert not (things.parent / "models" / "plain" / FILE).exists()


ROUTED = ["classifier={name: extractor}", "buckets={column: label}", "routing.keep=0.5", "match.stranger_rate=0.2"]


@pytest.fixture(scope="module")
def trained(indexed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the YAML of the same things with a classifier of their two kinds."""
    yaml = Path(shutil.copytree(indexed.parent, tmp_path_factory.mktemp("trained") / "things")) / indexed.name
    with VisualSearch.from_yaml(yaml, ROUTED) as search:
        search.index()
        search.train()
    return yaml


def test_training_adds_what_the_classifier_says_of_things_that_are_new_to_it(trained: Path) -> None:
    with VisualSearch.from_yaml(trained, ROUTED) as search:
        samples, evidence = kept(search), search._parts.evidence
        assert evidence is not None
        known = dict(zip(evidence.ids.tolist(), evidence.probabilities.max(axis=1).tolist(), strict=True))
        rules = search.verdict_rules
    certain = dict(zip(samples.genuine.ids.tolist(), samples.genuine.certain.tolist(), strict=True))
    assert {one for one, value in certain.items() if not np.isnan(value)} == set(known)
    assert all(certain[one] == pytest.approx(value) for one, value in known.items())
    assert rules is not None and rules["stranger"]["n"] == evidence.n


def test_nobody_is_called_a_stranger_before_everything_was_compared(trained: Path) -> None:
    strangers = sorted((trained.parent / "strangers").iterdir())
    with VisualSearch.from_yaml(trained, ROUTED) as search:
        answers = list(search.search_each(strangers, k=3))
    told = [answer for answer in answers if answer.verdict == "stranger"]
    assert told
    for answer in told:
        assert answer.route is not None and answer.route.compared == 1.0
        assert "nothing is near and no bucket fits" in answer.route.steps[-1].why
    with VisualSearch.from_yaml(trained, [*ROUTED, "routing.at_most=0.6"]) as search:
        answers = list(search.search_each(strangers, k=3))
    assert all(answer.route is not None and answer.route.compared <= 0.6 for answer in answers)
    assert "stranger" not in {answer.verdict for answer in answers}
    with VisualSearch.from_yaml(trained, [*ROUTED, "routing.widen=[]"]) as search:
        answers = list(search.search_each(strangers, k=3))
    assert all(answer.route is not None and len(answer.route.steps) == 1 for answer in answers)
    assert "stranger" not in {answer.verdict for answer in answers}
