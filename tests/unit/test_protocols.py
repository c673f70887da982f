"""The protocols of LFW and Caltech-101: counted by hand, by loops, and by scikit-learn."""

from __future__ import annotations

import doctest
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from tools.protocols import categories, figures, mistakes, people, runs, tables, verification
from tools.protocols.people import TEN, Pair, People
from visualsearch.datatypes import Item, Source
from visualsearch.errors import DataError
from visualsearch.stores.bruteforce import BruteForceShelf
from visualsearch.stores.contract import Store

NAMES = np.array([*"aabbbbcdddddeffghhhhh"])
"""Whose the pictures are: a, b, d, f and h have several."""


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    """Return unit vectors, those of one person nearer to each other than to most others."""
    rng = np.random.default_rng(1)
    centres = {name: rng.normal(size=6) for name in sorted(set(NAMES))}
    raw = np.stack([centres[name] + rng.normal(size=6) for name in NAMES])
    return (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def near(vectors: np.ndarray) -> np.ndarray:
    """Return all pictures in the order of their distance, computed without a store."""
    cosines = vectors.astype(float) @ vectors.T.astype(float)
    return np.argsort(-cosines, axis=1).astype(np.int32)


@pytest.fixture(scope="module")
def codes() -> np.ndarray:
    return np.unique(NAMES, return_inverse=True)[1]


def gallery(folder: Path, names: list[str]) -> People:
    """Write a file for each picture, numbered for each person; nothing looks into them."""
    seen: Counter[str] = Counter()
    for name in names:
        seen[name] += 1
        file = folder / name / f"{name}_{seen[name]:04d}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"")
    return People.of(folder)


def store_of(folder: Path, paths: list[str], vectors: np.ndarray, boxes: list[tuple[int, int, int, int]]) -> Store:
    """Return a store with one item for each path; a path that comes twice has two faces."""
    shelf = BruteForceShelf(BruteForceShelf.Options(name="bruteforce"), folder / "index")
    store = shelf.begin("made for a test", vectors.shape[1])
    source = Source("content", "stamp")
    rows = enumerate(zip(paths, boxes, strict=True))
    store.upsert([Item(f"{number:03d}", path, {}, (), source, box) for number, (path, box) in rows], vectors)
    return store


@pytest.mark.parametrize("module", [figures, verification])
def test_the_examples_in_the_docstrings_run(module: object) -> None:
    failed, attempted = doctest.testmod(module)  # type: ignore[arg-type]
    assert failed == 0 < attempted


def test_leave_one_out_by_hand() -> None:
    """Persons 0 (pictures 0, 1, 2), 1 (3, 4) and 2 (5, alone); picture 4 has no face."""
    codes = np.array([0, 0, 0, 1, 1, 2])
    near = np.array(
        [
            [0, 1, 3, 2, 5],  # right, wrong, right: hit at 1, precision (1/1 + 2/3) / 2
            [1, 5, 3, 0, 2],  # wrong, wrong, right, right: hit at 5, precision (1/3 + 2/4) / 2
            [2, 3, 5, 1, -1],  # wrong, wrong, right, one missing: (1/3) / 2
            [3, 0, 1, 2, 5],  # its only other picture has no face: a miss
            [-1, -1, -1, -1, -1],  # no face: a miss
            [5, 3, 0, 1, 2],  # nobody else's: no query
        ]
    )
    found = figures.leave_one_out(near, codes)
    assert found["queries"] == 5
    assert found["hit_rate_at_1"] == pytest.approx(1 / 5)
    assert found["hit_rate_at_5"] == found["hit_rate_at_20"] == pytest.approx(3 / 5)
    assert found["map_at_20"] == pytest.approx((5 / 6 + 5 / 12 + 1 / 6) / 5)


def test_average_precision_is_divided_by_at_most_twenty() -> None:
    codes = np.zeros(31, np.int64)
    near = np.array([[one, *(other for other in range(31) if other != one)] for one in range(31)])
    assert figures.leave_one_out(near, codes)["map_at_20"] == 1.0


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_split_counts_what_scikit_learn_counts(
    near: np.ndarray, codes: np.ndarray, vectors: np.ndarray, seed: int
) -> None:
    train, test = figures.split(len(codes), seed)
    assert sorted([*train, *test]) == list(range(len(codes))) and len(test) == 4  # a fifth of 21
    classifier = KNeighborsClassifier(n_neighbors=1).fit(vectors[train], NAMES[train])
    found = figures.split_accuracy(near, codes, [seed])
    assert found["accuracy"] == pytest.approx(classifier.score(vectors[test], NAMES[test]))
    assert found["ceiling"] == pytest.approx(np.mean([name in NAMES[train] for name in NAMES[test]]))
    assert found["accuracy"] <= found["ceiling"]


def test_several_splits_are_averaged_and_a_query_without_a_face_is_a_miss(near: np.ndarray, codes: np.ndarray) -> None:
    single = [figures.split_accuracy(near, codes, [seed])["accuracy"] for seed in (0, 1)]
    assert figures.split_accuracy(near, codes, [0, 1])["accuracy"] == pytest.approx(np.mean(single))
    _, test = figures.split(len(codes), 0)
    faceless = near.copy()
    faceless[test] = -1
    assert figures.split_accuracy(faceless, codes, [0])["accuracy"] == 0


@pytest.mark.parametrize("k", [1, 2, 3])
def test_a_query_that_is_left_in_counts_as_in_scikit_learn(
    near: np.ndarray, codes: np.ndarray, vectors: np.ndarray, k: int
) -> None:
    classifier = KNeighborsClassifier(n_neighbors=k).fit(vectors, NAMES)
    assert figures.left_in(near, codes, k) == pytest.approx(classifier.score(vectors, NAMES))
    assert figures.itself_first(near) == 1


def test_what_the_left_in_count_is_worth_without_any_knowledge() -> None:
    """Of people with one picture each, k = 1 is always right, k = 2 half the time, k = 3 a third of it."""
    rng = np.random.default_rng(0)
    pictures = 1500
    near = np.array(
        [[one, *rng.choice(np.delete(np.arange(pictures), one), 2, replace=False)] for one in range(pictures)]
    )
    shares = [figures.left_in(near, np.arange(pictures), k) for k in (1, 2, 3)]
    assert shares == pytest.approx([1, 1 / 2, 1 / 3], abs=0.05)


def test_pairs_are_read_by_fold_and_what_is_no_pair_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "pairs.txt"
    file.write_text("2\t1\nAda 1 2\nAda 3 Bo 14\nBo 5 6\nCy 1 Ada 1\n")
    assert people.read_pairs(file) == [
        Pair(0, "Ada/Ada_0001", "Ada/Ada_0002", True),
        Pair(0, "Ada/Ada_0003", "Bo/Bo_0014", False),
        Pair(1, "Bo/Bo_0005", "Bo/Bo_0006", True),
        Pair(1, "Cy/Cy_0001", "Ada/Ada_0001", False),
    ]
    for text in ("", "2 1\nAda 1 2\n", "1 1\nAda 1 2\nAda one Bo 2\n", "1 1\nAda\nBo 1 2\n"):
        file.write_text(text)
        with pytest.raises(DataError) as raised:
            people.read_pairs(file)
        assert raised.value.slug == "pairs-broken"


@pytest.mark.parametrize("seed", range(5))
def test_thresholds_are_the_best_of_all_that_can_be_tried(seed: int) -> None:
    rng = np.random.default_rng(seed)
    same, folds = rng.random(60) < 0.5, np.repeat(np.arange(5), 12)
    scores = np.round(rng.normal(size=60) + same, 1)  # some are equal
    found = verification.accuracies(scores, same, folds)
    for fold in range(5):
        others = folds != fold
        best = max(np.mean((scores[others] >= tried) == same[others]) for tried in np.arange(-5, 6, 0.05))
        chosen = verification.best_threshold(scores[others], same[others])
        assert np.mean((scores[others] >= chosen) == same[others]) == pytest.approx(best)
        assert found[fold] == pytest.approx(np.mean((scores[~others] >= chosen) == same[~others]))


def test_verification_of_a_hand_made_file(tmp_path: Path) -> None:
    """Two folds of four pairs; Bo's third picture has no face, so of fold 1 one pair of the same person is lost."""
    folder = gallery(tmp_path / "people", ["Ada"] * 3 + ["Bo"] * 3)
    angles = np.radians([0, 10, 20, 90, 95])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    (tmp_path / "pairs.txt").write_text(
        "2 2\nAda 1 2\nBo 1 2\nAda 1 Bo 1\nAda 2 Bo 2\nAda 2 3\nBo 1 3\nAda 3 Bo 1\nAda 1 Bo 3\n"
    )
    pairs = people.read_pairs(tmp_path / "pairs.txt")
    found = verification.verified(pairs, folder, np.array([0, 1, 2, 3, 4, -1]), vectors)
    # degrees apart, fold 0: 10 5 | 90 85, fold 1: 10 none | 70 none
    assert found is not None
    assert (found["pairs"], found["folds"], found["without_face"]) == (8, 2, 2)
    assert found["accuracy"] == pytest.approx((1 + 3 / 4) / 2)
    assert found["standard_error"] == pytest.approx(np.std([1, 3 / 4], ddof=1) / 2**0.5)
    unknown = [Pair(fold, "Ada/Ada_0009", "Ada/Ada_0001", True) for fold in (0, 1)]
    assert verification.verified([*pairs, *unknown], folder, np.array([0, 1, 2, 3, 4, -1]), vectors) == found
    assert verification.verified(pairs[:2], folder, np.array([0, 1, 2, 3, 4, -1]), vectors) is None


def test_a_run_is_what_the_store_finds_by_picture_and_the_largest_face_speaks(tmp_path: Path) -> None:
    folder = gallery(tmp_path / "people", ["Ada"] * 2 + ["Bo"] * 2)
    small, large = (0, 0, 9, 9), (0, 0, 50, 50)
    paths = [folder.paths[0], folder.paths[1], folder.paths[1], folder.paths[2]]  # the last picture has no face
    rows = np.array([[1, 0], [0, 1], [0.8, 0.6], [0.6, 0.8]], np.float32)
    store = store_of(tmp_path, paths, rows, [large, small, large, large])
    run = runs.searched(store, folder)
    assert run.without_face == 1 and run.places.tolist() == [0, 1, 2, -1]
    np.testing.assert_array_equal(run.vectors, rows[[0, 2, 3]])
    assert run.near[:, :4].tolist() == [[0, 1, 2, -1], [1, 2, 0, -1], [2, 1, 0, -1], [-1] * 4]
    first, last = runs.answers(store, folder, run, [0, 3])
    assert [(hit.path, hit.rank) for hit in first.hits] == [
        (folder.paths[1], 1),
        (folder.paths[2], 2),
        (folder.paths[1], 3),
    ]
    assert (last.hits, last.error) == ((), "no face found")


def test_mistakes_are_the_first_hits_of_another_person_the_surest_first(tmp_path: Path) -> None:
    known = gallery(tmp_path, ["ann", "ann", "bob", "bob", "cy"])
    angles = np.radians([0.0, 40.0, 30.0, 90.0, 85.0])  # ann, ann, bob, bob, cy
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    near = np.argsort(-(vectors @ vectors.T), axis=1).astype(np.int32)
    found = mistakes.mistakes(near, known.codes, np.arange(5), vectors)
    # by hand: bob 2 (90) has cy at 5 degrees and his own at 60; ann 2 (40) has bob at 10 and ann at 40; bob 1 (30) has
    # ann at 10 and bob at 60; ann 1 (0) has bob at 30 and ann at 40; cy has no other picture
    assert [(one.query, one.first, one.own) for one in found] == [(3, 4, 2), (1, 2, 0), (2, 1, 3), (0, 2, 1)]
    assert [one.score for one in found] == pytest.approx(np.cos(np.radians([5, 10, 10, 30])), abs=1e-6)
    assert [one.own_score for one in found] == pytest.approx(np.cos(np.radians([60, 40, 60, 40])), abs=1e-6)
    without = np.array([0, -1, 1, 2, 3])  # ann's second picture has no face
    assert 1 not in {one.query for one in mistakes.mistakes(near, known.codes, without, vectors[[0, 2, 3, 4]])}


def test_the_ten_queries_are_the_first_pictures_of_these_people_or_of_others(tmp_path: Path) -> None:
    mixed = gallery(tmp_path / "lfw", ["Aaron", "Aaron", TEN[3], TEN[3], TEN[0], TEN[0], TEN[5]])
    assert [mixed.paths[number] for number in mixed.ten] == [f"{name}/{name}_0001.jpg" for name in (TEN[0], TEN[3])]
    others = gallery(tmp_path / "others", [name for name in "abcdefghijklmn" for _ in range(1 + (name != "b"))])
    assert [others.paths[number][0] for number in others.ten] == [*"acdefghijk"]
    near = np.array([[number] + [-1] * 3 for number in range(len(others.paths))])
    near[others.ten[0], 1] = others.ten[0] + 1
    assert figures.found_of_ten(near, others.codes, others.ten) == {"queries": 10, "found": 1, "of": 10}


def test_a_part_has_the_ten_then_the_pairs_people_and_is_the_same_each_time(tmp_path: Path) -> None:
    source = tmp_path / "lfw"
    gallery(source, [TEN[2], *"abcdefgh", *"ab"])
    (source / "pairs.txt").write_text("2 1\nb 1 2\nc 1 d 1\na 1 2\nf 1 g 1\n")
    part = people.part(source, 5, tmp_path / "part")
    assert sorted(path.name for path in part.iterdir()) == sorted([TEN[2], "b", "c", "d", "a"])
    assert len(People.of(part).paths) == 7
    smaller = people.part(source, 2, tmp_path / "part")
    assert sorted(path.name for path in smaller.iterdir()) == sorted([TEN[2], "b"])
    assert (source / "a" / "a_0001.jpg").is_file()


def test_thirty_of_a_category_are_the_gallery_and_the_rest_are_queries(tmp_path: Path) -> None:
    source = tmp_path / "caltech"
    gallery(source, ["ant"] * 33 + ["bee"] * 31 + ["cup"] * 4)
    made = categories.split(source, tmp_path / "split")
    found = {folder: sorted(path.name for path in folder.rglob("*.jpg")) for folder in (made.gallery, made.queries)}
    assert len(found[made.gallery]) == 30 + 30 + 4
    assert found[made.queries] == [*(f"ant_{number:04d}.jpg" for number in (31, 32, 33)), "bee_0031.jpg"]
    few = categories.split(source, tmp_path / "split", limit=1)
    assert {path.parent.name for path in few.gallery.rglob("*.jpg")} == {"ant"}
    with pytest.raises(DataError, match="more than 40 pictures"):
        categories.split(source, tmp_path / "other", first=40)


def row(system: str, weights: str, hit: float, ap: float, accuracy: float, had: str | None = "ImageNet") -> dict:
    told = {"leave_one_out": {"hit_rate_at_1": hit, "map_at_20": ap}, "verification": {"accuracy": accuracy}}
    return {"id": system, "data": "lfw", "had": had, "weights": weights, "measured": True, "figures": told}


def test_only_what_was_measured_with_its_published_weights_counts_as_beaten() -> None:
    ours = row("lfw", "dlib", 0.9, 0.8, 0.99, None)
    assert tables.beaten(row("s1a", "published", 0.5, 0.4, 0.7), ours) == "yes"
    assert tables.beaten(row("s1a", "starter", 0.5, 0.4, 0.7), ours) == "not measured with the published weights"
    assert tables.beaten({"id": "s1c", "had": "FaceNet", "measured": False}, ours) == tables.NOT_PUBLISHED
    assert tables.beaten(row("s1c", "published", 0.95, 0.4, 0.99), ours) == "no: hit rate at 1, accuracy"
    assert tables.beaten(ours, ours) == tables.beaten(row("s1a", "published", 0, 0, 0), None) == tables.NOTHING
