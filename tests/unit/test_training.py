"""Splits, copies, activations, artefacts: what a training stands on, without TensorFlow."""

from __future__ import annotations

import errno
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from fakes import Grid
from hard import Learned, few, learn, lopsided, many, mislabelled
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from toys import crop_of, examples

from visualsearch.classifiers import artefact, load_classifier
from visualsearch.classifiers.activations import activations, affordable
from visualsearch.classifiers.augment import augment, shrunk
from visualsearch.classifiers.contract import Example
from visualsearch.classifiers.extractor_head import ExtractorHead
from visualsearch.classifiers.fitting import HEAVIEST, Lesson
from visualsearch.classifiers.resnet50 import ResNet50Classifier
from visualsearch.classifiers.split import Split, remarks, sample, split
from visualsearch.classifiers.tails import temperature
from visualsearch.classifiers.training import train
from visualsearch.datatypes import Crop, Matrix
from visualsearch.errors import DataError, EngineError
from visualsearch.plugins import Options
from visualsearch.progress import silent

anything = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9)), min_size=1, max_size=60).map(
    lambda pairs: [Example(str(i), bucket, f"group {group}") for i, (bucket, group) in enumerate(pairs)]
)
"""Examples whose groups may lie in several buckets."""


@given(anything, st.integers(0, 5))
def test_no_group_is_on_both_sides(pictures: list[Example], seed: int) -> None:
    parts = split(pictures, seed)
    everything = np.concatenate([parts.learn, parts.held, parts.views])
    assert sorted(everything.tolist()) == list(range(len(pictures)))
    held = {pictures[i].group for i in parts.held}
    assert held.isdisjoint(pictures[i].group for i in [*parts.learn, *parts.views])
    assert {pictures[i].bucket for i in parts.learn} == {example.bucket for example in pictures}


@given(anything, st.integers(0, 5))
def test_a_group_that_stays_keeps_pictures_to_learn_from(pictures: list[Example], seed: int) -> None:
    parts = split(pictures, seed)
    learned = {(pictures[i].bucket, pictures[i].group) for i in parts.learn}
    for i in parts.views:
        home = pictures[i].bucket, pictures[i].group
        mine = [example for example in pictures if (example.bucket, example.group) == home]
        assert home in learned
        assert len(mine) >= 3


def test_views_decide_only_where_there_are_enough() -> None:
    pictures = examples(["red disc", "blue disc"], groups=25, views=5)
    parts = split(pictures, seed=1)
    assert (len(parts.held), len(parts.views)) == (50, 40)  # 5 of 25 groups; 1 of 5 pictures of 20 groups
    assert parts.tuning is parts.views
    few = split(pictures[::5], seed=1)  # one picture of each group: what is held out are groups
    assert len(few.views) == 0
    assert np.array_equal(few.tuning, few.held)


def test_about_a_fifth_of_each_buckets_groups_is_held_out() -> None:
    pictures = examples(["red disc", "blue disc"], groups=20, views=3)
    parts = split(pictures, seed=1)
    for bucket in ("red disc", "blue disc"):
        assert len({pictures[i].group for i in parts.held if pictures[i].bucket == bucket}) == 4
    assert np.array_equal(split(pictures, seed=1).held, parts.held)
    assert not np.array_equal(split(pictures, seed=2).held, parts.held)


def test_what_could_not_be_held_out_is_said() -> None:
    single = [Example(str(i), bucket, bucket) for bucket in "ab" for i in range(7)]
    parts = split(single, seed=0)
    assert (len(parts.learn), len(parts.held), len(parts.views)) == (12, 0, 2)
    torn, whole = remarks(single, parts)
    assert torn == "2 buckets have a single group: held out by picture"
    assert whole.startswith("no group could be held out")
    lonely = [Example("0", "a", "0"), Example("1", "b", "1")]
    assert remarks(lonely, split(lonely, 0))[0].startswith("nothing could be held out")


def test_buckets_with_too_few_pictures_are_named_the_poorest_first() -> None:
    mixed = examples(["red disc"], groups=5) + [Example("x", "odd", "x")]
    assert remarks(mixed, split(mixed, 0)) == (
        "1 bucket has too few pictures to hold any out",
        "1 bucket has fewer than 5 pictures to learn from (odd: 1) and may be missed: add pictures",
    )
    sizes = {"g": 6, "f": 5, "e": 4, "d": 4, "c": 4, "b": 3, "a": 4, "h": 2}
    poor = [Example(f"{b}{i}", b, f"{b}{i}") for b, size in sizes.items() for i in range(size)]
    (note,) = remarks(poor, split(poor, 0))
    assert note == (
        "6 buckets have fewer than 5 pictures to learn from (h: 2, b: 3, a: 4, c: 4, d: 4, …) "
        "and may be missed: add pictures"
    )


@given(anything, st.integers(3, 70))
def test_a_sample_takes_evenly_from_the_buckets(pictures: list[Example], size: int) -> None:
    taken = sample(pictures, size, seed=0)
    assert len(taken) == min(size, len(pictures))
    there = {bucket: sum(example.bucket == bucket for example in pictures) for bucket in "abc"}
    kept = {bucket: sum(example.bucket == bucket for example in taken) for bucket in "abc"}
    cut = [kept[bucket] for bucket in "abc" if kept[bucket] < there[bucket]]
    if cut:  # whatever was cut keeps as much as any other bucket, within the one picture of a remainder
        assert min(cut) >= max(kept.values()) - 1
    assert len({example.id for example in taken}) == len(taken)


def test_copies_differ_from_the_picture_and_keep_its_kind() -> None:
    pixels = crop_of(Example("red disc/1/0", "red disc", "")).pixels
    copies = [augment(pixels, np.random.default_rng(seed)) for seed in range(30)]
    assert all(copy.dtype == np.uint8 and copy.ndim == 3 and copy.shape[2] == 3 for copy in copies)
    areas = [copy.shape[0] * copy.shape[1] / (64 * 64) for copy in copies]
    assert min(areas) >= 0.55 and max(areas) <= 1
    assert len({copy.tobytes() for copy in copies}) == 30
    assert np.array_equal(augment(pixels, np.random.default_rng(4)), copies[4])


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (900, 1), (3, 2)])
def test_even_the_thinnest_picture_can_be_copied(shape: tuple[int, int]) -> None:
    pixels = np.full((*shape, 3), 128, np.uint8)
    for seed in range(20):
        assert augment(shrunk(pixels, 32), np.random.default_rng(seed)).size


@given(st.integers(1, 500), st.integers(0, 8), st.integers(1, 10**6), st.integers(1, 10**9))
def test_what_is_afforded_stays_within_the_bound(pictures: int, copies: int, row: int, bound: int) -> None:
    budget = affordable(pictures, copies, row, bound)
    assert budget.examples * (budget.copies + 1) * row <= bound
    assert 0 <= budget.copies <= copies and budget.examples <= pictures
    if budget.copies < copies and budget.examples == pictures:
        assert pictures * (budget.copies + 2) * row > bound  # one more copy would not fit


def mean_colours(crops: Sequence[Crop]) -> list[Matrix]:
    return [np.array([crop.pixels.mean(axis=(0, 1)) for crop in crops], np.float32)]


def test_activations_are_those_of_the_picture_and_its_copies(tmp_path: Path) -> None:
    pictures, copies = examples(["red disc"], groups=25), np.array([2, 0] * 25)
    asked: list[str] = []

    def read(example: Example) -> Crop:
        asked.append(example.id)
        return crop_of(example)

    with activations(pictures, copies, read, mean_colours, 64, tmp_path, 0, silent) as known:
        rows = np.arange(50)
        expected = mean_colours([crop_of(example) for example in pictures])[0]
        np.testing.assert_allclose(known.read(0, rows, None), expected, rtol=1e-3)
        drawn = np.stack([known.read(0, rows, np.random.default_rng(seed)) for seed in range(20)])
        varied = (drawn.std(axis=0) > 0.1).any(axis=1)
        assert varied.tolist() == [True, False] * 25
        assert known.layers[0].shape == (100, 3)  # 50 pictures and 25 x 2 copies
    assert asked == [example.id for example in pictures]  # each was read once
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_of_activations_that_were_interrupted(tmp_path: Path) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    pictures = examples(["red disc"], groups=25)
    with (
        pytest.raises(KeyboardInterrupt),
        activations(pictures, np.zeros(50, int), crop_of, mean_colours, 64, tmp_path, 0, stop),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_activations_larger_than_half_precision_are_bounded(tmp_path: Path) -> None:
    def huge(crops: Sequence[Crop]) -> list[Matrix]:
        return [np.full((len(crops), 2), 1e9, np.float32)]

    pictures = examples(["red disc"], groups=1)
    with activations(pictures, np.zeros(2, int), crop_of, huge, 64, tmp_path, 0, silent) as known:
        assert known.read(0, np.arange(2), None).tolist() == [[65504, 65504]] * 2


def test_small_buckets_count_more_but_not_without_bound() -> None:
    labels = np.array([0] * 1000 + [1] * 500 + [2])
    parts = Split(np.arange(1501), np.array([], int), np.array([], int))
    weights = Lesson(labels, 3, parts, 0).weights()
    np.testing.assert_allclose(weights, [1501 / 3000, 1501 / 1500, HEAVIEST], rtol=1e-6)


def test_the_temperature_makes_confidence_equal_to_correctness() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 2, (4000, 3))
    odds = np.exp(truth) / np.exp(truth).sum(axis=1, keepdims=True)
    labels = np.array([rng.choice(3, p=row) for row in odds])
    for shouted in (0.5, 1.0, 3.0):
        assert temperature((truth * shouted).astype(np.float32), np.eye(3)[labels]) == pytest.approx(shouted, rel=0.12)


@pytest.mark.parametrize(("labels", "slug"), [([], "no-labels"), (["one", "one"], "single-bucket")])
def test_too_few_buckets_are_refused_before_any_picture_is_read(labels: list[str], slug: str, tmp_path: Path) -> None:
    def unread(example: Example) -> Crop:
        raise AssertionError("no picture may be read")

    pictures = [Example(str(i), label, str(i)) for i, label in enumerate(labels)]
    with pytest.raises(DataError) as caught:
        train(
            ExtractorHead.Options(), Grid(Grid.Options(name="grid"), None, tmp_path), None, pictures, unread, tmp_path
        )  # type: ignore[arg-type]
    assert caught.value.slug == slug
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", [{"train": "some"}, {"copies": -1}, {"weights": "imagenet"}, {"epoch": 3}])
def test_wrong_options_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ResNet50Classifier.Options.model_validate(wrong)


def card(name: str = "x") -> artefact.Card:
    return artefact.Card(name, "head", ("a", "b"), None, "trunk")


def test_a_classifier_on_disk_is_the_old_or_the_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = artefact.save(tmp_path, card(), "tail", ".bin", lambda path: path.write_bytes(b"one"))  # type: ignore[arg-type, return-value]

    def no_space(target: Path, text: str) -> None:
        raise EngineError("full", slug="disk")

    with monkeypatch.context() as patch, pytest.raises(EngineError, match="full"):
        patch.setattr(artefact, "write_text", no_space)
        artefact.save(tmp_path, card(), "tail", ".bin", lambda path: path.write_bytes(b"two"))  # type: ignore[arg-type, return-value]
    found, path = artefact.load(tmp_path, "x", "head", "trunk")
    assert (found, path.read_bytes()) == (first, b"one")
    second = artefact.save(tmp_path, card(), "tail", ".bin", lambda path: path.write_bytes(b"two"))  # type: ignore[arg-type, return-value]
    assert second.fingerprint != first.fingerprint
    assert sorted(path.name for path in (tmp_path / "classifier").iterdir()) == ["card.json", second.file]


def test_a_full_disk_while_activations_are_written_is_one_sentence(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no device that is always full")
    pictures = examples(["red disc"], groups=1)

    def full(*arguments: object, **more: object) -> object:
        return open("/dev/full", "wb", buffering=0)  # noqa: SIM115

    with pytest.MonkeyPatch.context() as patch, pytest.raises(EngineError, match="cannot be kept") as caught:
        patch.setattr("tempfile.TemporaryFile", full)
        with activations(pictures, np.zeros(2, int), crop_of, mean_colours, 64, tmp_path, 0, silent):
            pass
    assert caught.value.slug == "disk"
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ENOSPC


@pytest.mark.parametrize(
    ("change", "slug"),
    [
        ({"format": 99}, "classifier-newer"),
        ({"file": "../elsewhere.bin"}, "classifier-damaged"),
        ({"file": "gone.bin"}, "classifier-damaged"),
        ({"sha256": "0" * 64}, "classifier-damaged"),
        ({"buckets": None}, "classifier-damaged"),
        ({"trunk": "another"}, "classifier-stale"),
        ({"train": "all"}, "classifier-stale"),
        ({"name": "y"}, "classifier-stale"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(change: dict[str, object], slug: str, tmp_path: Path) -> None:
    artefact.save(tmp_path, card(), "tail", ".bin", lambda path: path.write_bytes(b"one"))  # type: ignore[arg-type, return-value]
    path = tmp_path / "classifier" / "card.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **change}), encoding="utf-8")
    with pytest.raises(EngineError) as caught:
        artefact.load(tmp_path, "x", "head", "trunk")
    assert caught.value.slug == slug


def test_before_the_first_training_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="no classifier was trained yet: run train") as caught:
        artefact.load(tmp_path, "x", "head", "trunk")
    assert caught.value.slug == "classifier-missing"


@pytest.mark.parametrize("buckets", [["red disc", "blue disc"], ["red disc", "blue disc", "green disc"]])
def test_a_head_on_any_extractor_learns_and_is_the_softmax_of_its_weights(buckets: list[str], tmp_path: Path) -> None:
    extractor, options = Grid(Grid.Options(name="grid"), None, tmp_path), ExtractorHead.Options()
    training = train(options, extractor, None, examples(buckets, groups=10), crop_of, tmp_path)  # type: ignore[arg-type]
    loaded = load_classifier(options, tmp_path, extractor, None)  # type: ignore[arg-type]
    unseen = [crop_of(Example(f"{b}/{900 + i}/0", b, "")) for b in buckets for i in range(10)]
    probabilities = loaded.predict(unseen)
    truth = np.array([training.buckets.index(b) for b in buckets for _ in range(10)])
    assert (probabilities.argmax(axis=1) == truth).mean() >= 0.9
    with np.load(next((tmp_path / "classifier").glob("head-*.npz"))) as file:
        exponents = np.exp(extractor.embed(unseen) @ file["kernel"] + file["bias"])
    np.testing.assert_allclose(probabilities, exponents / exponents.sum(axis=1, keepdims=True), atol=1e-5)
    assert training.top1["chosen"] == training.right["chosen"] / training.right["of"]


def head(pictures: list[Example], folder: Path, each: int = 20) -> Learned:
    grid = Grid(Grid.Options(name="grid"), None, folder)
    return learn(ExtractorHead.Options(), grid, None, pictures, folder, each)  # type: ignore[arg-type]


def test_a_head_bears_hard_galleries(tmp_path: Path) -> None:
    """The bounds are far from both what is reached and what would be wrong."""
    assert head(few(3), tmp_path).top1 >= 0.6  # chance is 0.25
    lean = head(lopsided(), tmp_path)
    assert min(lean.right.values()) >= 0.8
    assert any("(yellow disc: 2)" in note for note in lean.training.notes)
    noisy = head(mislabelled(), tmp_path)
    assert noisy.top1 >= 0.85
    assert noisy.probabilities.max(axis=1).mean() <= 0.85  # seven labels in ten are right


def test_a_head_tells_five_hundred_buckets_apart(tmp_path: Path) -> None:
    made = head(many(), tmp_path, each=1)
    assert made.top1 >= 0.5  # chance is 0.002
    assert made.probabilities.shape[1] == 500


def test_options_of_another_plugin_are_not_mistaken(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="classifier.name: expected one of extractor, resnet50"):
        load_classifier(Options(name="resnet5"), tmp_path, None, None)  # type: ignore[arg-type]
