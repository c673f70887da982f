"""What every classifier must do, trained for real on coloured discs with a ResNet50 of random weights."""

# ruff: noqa: D102, D107 (the methods are the contracts')

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toys import crop_of, examples, picture, stage_cost, trunk_cost, write_starter
from traces import spellings, traces

from visualsearch.classifiers import CLASSIFIERS, load_classifier
from visualsearch.classifiers.contract import Classifier, Example, Training
from visualsearch.classifiers.forgetting import forget_buckets, learned
from visualsearch.classifiers.spread import Spread
from visualsearch.classifiers.tails import FORKS, read_tail
from visualsearch.classifiers.training import train
from visualsearch.datatypes import Crop, Matrix
from visualsearch.embedder import Embedder
from visualsearch.errors import DataError, EngineError
from visualsearch.extractors import weights
from visualsearch.extractors.applications import ApplicationExtractor
from visualsearch.plugins import Options, load
from visualsearch.runtimes import create_runtime
from visualsearch.runtimes.contract import Batch, Forward, Runtime

BUCKETS = ("blue disc", "green disc", "red disc", "yellow disc")
KINDS = {
    "extractor": {"name": "extractor"},
    "head": {"name": "resnet50", "train": "head"},
    "last_block": {"name": "resnet50", "train": "last_block"},
    "all": {"name": "resnet50", "train": "all", "epochs": 1},
}


class Counting:
    """A runtime that notes how many pictures each graph is given."""

    name = "counting"

    def __init__(self, folder: Path) -> None:
        self.inner: Runtime = create_runtime("tensorflow", folder=folder)
        self.passes: list[tuple[str, int]] = []

    def compile(self, build: Callable[[], Any], key: str) -> Forward:
        forward = self.inner.compile(build, key)

        def counted(batch: Batch) -> list[Matrix]:
            self.passes.append((key, len(batch)))
            return forward(batch)

        return counted


@dataclass(frozen=True)
class Trained:
    """A classifier after its training, and the embeddings from before."""

    kind: str
    options: Options
    folder: Path
    extractor: ApplicationExtractor
    runtime: Counting
    before: Matrix
    training: Training
    classifier: Classifier


def options_of(kind: str, **more: object) -> Options:
    settings = {**KINDS[kind], **more}
    made: Options = load(CLASSIFIERS, str(settings["name"]), "classifier").Options(**settings)
    return made


@pytest.fixture(scope="module")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = write_starter(tmp_path_factory.mktemp("starter"), side=32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "STARTER_FOLDERS", (folder,))
        yield folder


@pytest.fixture(scope="module")
def extractor(starter: Path, tmp_path_factory: pytest.TempPathFactory) -> ApplicationExtractor:
    runtime = Counting(tmp_path_factory.mktemp("runtime"))
    return ApplicationExtractor(ApplicationExtractor.Options(), runtime, tmp_path_factory.mktemp("extractor"))


@pytest.fixture(scope="module", params=KINDS)
def trained(
    request: pytest.FixtureRequest, extractor: ApplicationExtractor, tmp_path_factory: pytest.TempPathFactory
) -> Trained:
    kind, folder = request.param, tmp_path_factory.mktemp(request.param)
    runtime = extractor._runtime
    assert isinstance(runtime, Counting)
    before = extractor.embed(unseen())
    options = options_of(kind)
    training = train(options, extractor, runtime, examples(list(BUCKETS)), crop_of, folder, seed=3)
    classifier = load_classifier(options, folder, extractor, runtime)
    return Trained(kind, options, folder, extractor, runtime, before, training, classifier)


def unseen(each: int = 4) -> list[Crop]:
    """Return pictures of groups that no training has, bucket by bucket."""
    return [crop_of(Example(f"{bucket}/{900 + i}/0", bucket, "")) for bucket in BUCKETS for i in range(each)]


def test_it_learns_what_can_be_learned(trained: Trained) -> None:
    probabilities = trained.classifier.predict(unseen(8))
    right = (probabilities.argmax(axis=1) == np.repeat(np.arange(4), 8)).sum()
    assert right >= 24  # of 32; chance is 8
    assert trained.classifier.buckets == trained.training.buckets == BUCKETS


def test_rows_are_probabilities(trained: Trained) -> None:
    probabilities = trained.classifier.predict(unseen())
    assert probabilities.dtype == np.float32
    assert probabilities.shape == (16, 4)
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert trained.classifier.predict([]).shape == (0, 4)


def test_its_figures_are_counted_on_whole_groups_and_beside_the_head(trained: Trained) -> None:
    training = trained.training
    assert (training.pictures, training.groups, training.held_out) == (
        40,
        20,
        {"pictures": 8, "groups": 4, "views": 0},
    )
    assert training.right["of"] == 8
    for which in ("chosen", "head"):
        assert training.top1[which] == training.right[which] / 8
    assert training.top1["chosen"] >= 0.5  # chance is 0.25
    assert training.top1["known"] is None  # two views of each group: none can be spared
    assert training.curves
    assert json.loads(json.dumps(training.as_dict()))["top1"] == dict(training.top1)


def test_what_a_query_costs_is_told_in_figures_and_in_words(trained: Trained) -> None:
    head, told = 2048 * 4, [note for note in trained.training.notes if "a query costs" in note]
    embedding = trunk_cost(side=32)
    added = {"head": head, "last_block": stage_cost(32, 3) + head, "all": embedding + head}
    if trained.kind == "extractor":
        assert (trained.training.multiply_adds, told) == ({"classifier": trained.extractor.dim * 4}, [])
        return
    assert trained.training.multiply_adds == {"embedding": embedding, "classifier": added[trained.kind]}
    assert told == [
        {
            "head": "a query costs one pass: 0.08 GMAC for the embedding, less than 0.01 more for the classifier",
            "last_block": "a query costs one pass: 0.08 GMAC for the embedding, 0.01 more for the classifier",
            "all": "a query costs two passes (train: all): 0.08 GMAC for the embedding, 0.08 more for the classifier",
        }[trained.kind]
    ]


def test_its_embeddings_are_those_from_before(trained: Trained) -> None:
    assert np.array_equal(trained.extractor.embed(unseen()), trained.before)


def test_one_pass_gives_what_two_would(trained: Trained) -> None:
    crops = unseen()
    embedder = Embedder(trained.extractor, trained.classifier, trained.runtime)
    trained.runtime.passes.clear()
    embedded = embedder.embed(crops)
    assert len(trained.runtime.passes) == trained.training.passes == (2 if trained.kind == "all" else 1)
    np.testing.assert_allclose(embedded.vectors, trained.extractor.embed(crops), atol=1e-4)
    assert embedded.probabilities is not None
    np.testing.assert_allclose(embedded.probabilities, trained.classifier.predict(crops), atol=1e-4)
    assert embedder.buckets == BUCKETS
    many = embedder.embed(crops * 3)
    assert many.vectors.shape == (48, trained.extractor.dim)
    assert max(size for _, size in trained.runtime.passes) <= 32
    np.testing.assert_allclose(many.vectors[32:], embedded.vectors, atol=1e-4)
    nothing = embedder.embed([])
    assert nothing.vectors.shape == (0, trained.extractor.dim)
    assert nothing.probabilities is not None and nothing.probabilities.shape == (0, 4)


def test_indexing_costs_no_pass_of_the_classifier(trained: Trained) -> None:
    embedder = Embedder(trained.extractor, trained.classifier, trained.runtime)
    trained.runtime.passes.clear()
    embedder.vectors(unseen())
    assert trained.runtime.passes == [(trained.extractor.graph_key, 16)]


def test_only_the_weights_and_the_card_are_left(trained: Trained) -> None:
    left = {path.relative_to(trained.folder).as_posix() for path in trained.folder.rglob("*") if path.is_file()}
    card = json.loads((trained.folder / "classifier" / "card.json").read_text(encoding="utf-8"))
    assert left == {"classifier/card.json", f"classifier/{card['file']}"}


def test_a_forgotten_bucket_is_never_predicted_and_its_name_is_gone(trained: Trained, tmp_path: Path) -> None:
    """The others share the probability as they did, as far as no centres were there to say more."""
    shutil.copytree(trained.folder / "classifier", tmp_path / "classifier")
    (old,) = (tmp_path / "classifier").glob(f"*{'.npz' if trained.kind == 'extractor' else '.keras'}")
    assert learned(tmp_path) == BUCKETS
    with old.open("rb") as seen:
        assert forget_buckets(tmp_path, {"green disc": "forgotten-1"}) == "changed"
        assert not any(seen.read())
    assert (traces(tmp_path, spellings("green disc")), old.exists()) == ([], False)
    classifier = load_classifier(trained.options, tmp_path, trained.extractor, trained.runtime)
    assert classifier.buckets == ("blue disc", "forgotten-1", "red disc", "yellow disc")
    assert classifier.fingerprint != trained.classifier.fingerprint
    before, after = trained.classifier.predict(unseen()), classifier.predict(unseen())
    np.testing.assert_allclose(after.sum(axis=1), 1, atol=1e-5)
    assert not after[:, 1].any()
    if trained.kind == "extractor" or "centres" not in {layer.name for layer in _tail(trained).layers}:
        others = before[:, [0, 2, 3]]
        np.testing.assert_allclose(after[:, [0, 2, 3]], others / others.sum(axis=1, keepdims=True), atol=1e-4)


def _tail(trained: Trained) -> Any:
    card = json.loads((trained.folder / "classifier" / "card.json").read_text(encoding="utf-8"))
    return read_tail(trained.folder / "classifier" / card["file"])


def test_a_changed_byte_is_refused(trained: Trained) -> None:
    card = json.loads((trained.folder / "classifier" / "card.json").read_text(encoding="utf-8"))
    path = trained.folder / "classifier" / card["file"]
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(EngineError, match="expected SHA-256") as caught:
            load_classifier(trained.options, trained.folder, trained.extractor, trained.runtime)
        assert caught.value.slug == "classifier-damaged"
    finally:
        path.write_bytes(whole)


def test_another_extractor_is_refused(trained: Trained, tmp_path: Path) -> None:
    other = write_starter(tmp_path / "other", side=32, seed=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "STARTER_FOLDERS", (other,))
        extractor = ApplicationExtractor(ApplicationExtractor.Options(), trained.runtime, tmp_path)
    with pytest.raises(EngineError, match="trained on another extractor.*run train") as caught:
        load_classifier(trained.options, trained.folder, extractor, trained.runtime)
    assert caught.value.slug == "classifier-stale"


def test_a_failed_training_leaves_the_classifier_before(trained: Trained) -> None:
    def broken(example: Example) -> Crop:
        if example.id.endswith("4/1"):
            raise DataError("the picture is gone.", slug="gallery-changed")
        return crop_of(example)

    files = {path: path.read_bytes() for path in trained.folder.rglob("*") if path.is_file()}
    with pytest.raises(DataError, match="gone"):
        train(trained.options, trained.extractor, trained.runtime, examples(list(BUCKETS)), broken, trained.folder)
    assert {path: path.read_bytes() for path in trained.folder.rglob("*") if path.is_file()} == files


def test_the_probabilities_are_the_softmax_of_the_pooled_features(trained: Trained) -> None:
    """Follow the saved numbers in NumPy from the trunk's pooled features to the probabilities."""
    if trained.kind != "head":
        return
    tail = _tail(trained)
    mean, variance = tail.get_layer("standard").get_weights()
    kernel, bias = tail.get_layer("logits").get_weights()
    pooled = np.asarray(trained.extractor.graph()(trained.extractor.batch(unseen())))
    scaled = (pooled - mean) / np.sqrt(variance + tail.get_layer("standard").epsilon)
    exponents = np.exp(scaled @ kernel + bias)
    expected = exponents / exponents.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(trained.classifier.predict(unseen()), expected, atol=1e-5)


def test_a_joint_graph_has_the_shared_layers_once(trained: Trained) -> None:
    joint = getattr(trained.classifier, "joint", None)
    if joint is None or FORKS.get(trained.kind) is None:
        return
    graph, trunk = joint(), trained.extractor.graph()
    layers = [layer.name for layer in graph.layers]
    assert layers.count("conv1_conv") == 1
    assert layers.count("tail") == 1
    own = graph.count_params() - trunk.count_params()
    block = sum(layer.count_params() for layer in trunk.layers if layer.name.startswith("conv5"))
    head = 2048 * 4 + 4 + 2 * 2048  # weights and bias, and the mean and variance of each feature
    assert own == head + (block if trained.kind == "last_block" else 0)


def test_a_classifier_with_a_trunk_of_its_own(extractor: ApplicationExtractor, tmp_path: Path) -> None:
    """The extractor is no ResNet50, so a query costs two passes, and the training says so."""

    class Colour:
        name, dim, fingerprint = "colour", 3, "colour"

        def embed(self, crops: Sequence[Crop]) -> Matrix:
            return np.array([crop.pixels.mean(axis=(0, 1)) / 442 for crop in crops], np.float32).reshape(-1, 3)

    runtime = extractor._runtime
    assert isinstance(runtime, Counting)
    options = options_of("head", copies=0)
    training = train(options, Colour(), runtime, examples(list(BUCKETS)), crop_of, tmp_path)
    assert training.passes == 2
    assert training.multiply_adds == {"classifier": trunk_cost(side=32) + 2048 * 4}
    assert (
        "a query costs two passes (the extractor is no ResNet50 with the same weights): 0.08 GMAC for the classifier"
        in training.notes
    )
    classifier = load_classifier(options, tmp_path, Colour(), runtime)
    embedded = Embedder(Colour(), classifier, runtime).embed(unseen())
    assert embedded.vectors.shape == (16, 3)
    assert embedded.probabilities is not None
    assert (embedded.probabilities.argmax(axis=1) == np.repeat(np.arange(4), 4)).sum() >= 10  # chance is 4


@pytest.mark.parametrize("kind", ["extractor", "last_block"])
def test_one_picture_for_each_bucket_is_enough_to_train(
    kind: str, extractor: ApplicationExtractor, tmp_path: Path
) -> None:
    few = examples(list(BUCKETS), groups=1, views=1)
    training = train(options_of(kind), extractor, extractor._runtime, few, crop_of, tmp_path)
    assert training.top1 == {"chosen": None, "head": None, "known": None}
    assert training.held_out == {"pictures": 0, "groups": 0, "views": 0}
    assert any("nothing could be held out" in note for note in training.notes)
    classifier = load_classifier(options_of(kind), tmp_path, extractor, extractor._runtime)
    seen = classifier.predict([crop_of(example) for example in few])
    assert seen.argmax(axis=1).tolist() == [0, 1, 2, 3]


def test_a_bound_on_the_disk_costs_copies_then_pictures(extractor: ApplicationExtractor, tmp_path: Path) -> None:
    row = 2048 * 2  # half precision
    both = {}
    for rows in (95, 20):
        options = options_of("head", cache_gib=rows * row / 2**30)
        both[rows] = train(options, extractor, extractor._runtime, examples(list(BUCKETS)), crop_of, tmp_path)
    assert both[95].pictures == 40
    assert any("1 augmented copies instead of 2" in note for note in both[95].notes)
    assert both[20].pictures == 20
    assert any("20 of 40 pictures, evenly" in note for note in both[20].notes)


def test_a_kept_classifier_is_used_without_tensorflow(starter: Path, tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="pip install openvino")
    script = """
import sys
from pathlib import Path
from toys import crop_of, examples
from visualsearch.extractors import weights
weights.STARTER_FOLDERS = (Path(sys.argv[1]),)
from visualsearch.classifiers import load_classifier
from visualsearch.classifiers.resnet50 import ResNet50Classifier
from visualsearch.classifiers.training import train
from visualsearch.embedder import Embedder
from visualsearch.extractors.applications import ApplicationExtractor
from visualsearch.runtimes import create_runtime
folder = Path(sys.argv[2])
runtime = create_runtime("openvino", folder=folder / "runtime")
extractor = ApplicationExtractor(ApplicationExtractor.Options(), runtime, folder)
options, pictures = ResNet50Classifier.Options(train="head", epochs=3), examples(["red disc", "blue disc"])
if not (folder / "classifier").exists():
    train(options, extractor, runtime, pictures, crop_of, folder)
made = Embedder(extractor, load_classifier(options, folder, extractor, runtime), runtime)
print(made.embed([crop_of(pictures[0])]).probabilities.shape, "tensorflow" in sys.modules)
"""
    path = os.pathsep.join(entry for entry in [str(Path(__file__).parents[1]), *sys.path] if entry)
    command = [sys.executable, "-c", script, str(starter), str(tmp_path)]
    said = []
    for _ in range(2):
        done = subprocess.run(
            command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, check=False
        )
        assert done.returncode == 0, done.stderr
        said.append(done.stdout.splitlines()[-1])
    assert said == ["(1, 2) True", "(1, 2) False"]


def test_from_pictures_a_resnet50_learns_how_neighbours_are_spread(
    extractor: ApplicationExtractor, tmp_path: Path
) -> None:
    """Blue and green discs are each other's neighbours here, and so are red and yellow ones."""
    some = examples(list(BUCKETS), groups=12)
    homes = np.array([BUCKETS.index(example.bucket) for example in some], np.intp)
    side = np.eye(2, dtype=np.float32)[homes // 2] + 0.01 * np.random.default_rng(0).standard_normal((len(some), 2))
    vectors = (side / np.linalg.norm(side, axis=1, keepdims=True)).astype(np.float32)
    spread = Spread(BUCKETS, np.eye(2, dtype=np.float32)[[0, 0, 1, 1]], vectors, homes)
    options, new = options_of("head"), [picture(bucket, 7_000 + n) for bucket in BUCKETS for n in range(5)]
    told = {}
    for name, learned_from in (("buckets", None), ("spread", spread)):
        train(options, extractor, extractor._runtime, some, crop_of, tmp_path / name, spread=learned_from)
        classifier = load_classifier(options, tmp_path / name, extractor, extractor._runtime)
        assert classifier is not None
        told[name] = classifier.predict(new).reshape(4, 5, 4).mean(axis=1)
    pairs = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]], np.float32)
    assert (np.diag(told["buckets"]) > 0.7).all(), "from labels alone it knows its own bucket"
    assert ((told["spread"] * pairs).sum(axis=1) > 0.8).all()
    assert (np.diag(told["spread"]) < 0.7).all() and (np.diag(told["spread"]) > 0.3).all(), "half lies in the other one"
