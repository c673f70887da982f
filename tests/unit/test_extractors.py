"""The extractors' own logic on a runtime of NumPy: no network is built here."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from visualsearch import plugins
from visualsearch.datatypes import Crop, Matrix
from visualsearch.errors import ConfigError, DataError, EngineError
from visualsearch.extractors import EXTRACTORS, PretrainedFactory, weights
from visualsearch.extractors.applications import ApplicationExtractor
from visualsearch.extractors.discriminant import fit_discriminant, rooted
from visualsearch.extractors.networks import NETWORKS
from visualsearch.extractors.preparation import CHUNK, squeeze, unit

Options = ApplicationExtractor.Options
WIDTH = NETWORKS["mobilenet"].dim


class Mixing:
    """A runtime whose network is a random linear map of each picture's mean colour, with ReLU."""

    name = "mixing"

    def __init__(self) -> None:
        """Count what is compiled and how large the batches are."""
        self.compiled = 0
        self.batches: list[int] = []

    def compile(self, build: Callable[[], Any], key: str) -> Callable[[Matrix], list[Matrix]]:
        """Return the map, in the width of MobileNet; ``build`` is not needed."""
        self.compiled += 1
        kernel = np.random.default_rng(4).normal(size=(3, WIDTH)).astype(np.float32)

        def forward(batch: Matrix) -> list[Matrix]:
            self.batches.append(len(batch))
            return [np.maximum(batch.mean(axis=(1, 2)) @ kernel, 0)]

        return forward


def crops(n: int, seed: int = 0) -> list[Crop]:
    rng = np.random.default_rng(seed)
    colours = rng.integers(0, 256, (n, 3), np.uint8)
    return [Crop(np.broadcast_to(colour, (20 + i % 7, 30, 3)).copy()) for i, colour in enumerate(colours)]


@pytest.fixture
def weights_file(tmp_path: Path) -> Path:
    (path := tmp_path / "weights.h5").write_bytes(b"values of a MobileNet")
    return path


def make(
    weights_file: Path, dim: int | None = None, runtime: Mixing | None = None, discriminant: int | None = None
) -> ApplicationExtractor:
    options = Options(name="mobilenet", weights=f"file:{weights_file}", dim=dim, discriminant=discriminant)
    return ApplicationExtractor(options, runtime or Mixing(), weights_file.parent / "model")


OF_THEIR_OWN = {"dlib", "onnx", "keras", "facenet", "facenet512", "facenet_pool"}


def test_every_network_is_a_row_of_the_factory() -> None:
    assert set(PretrainedFactory.names()) == set(EXTRACTORS) == set(NETWORKS) | OF_THEIR_OWN
    assert {"resnet50", "vgg16", "efficientnet_v2_b0", "convnext_tiny"} <= set(PretrainedFactory.names())
    assert plugins.load(EXTRACTORS, "vgg16", "extractor") is ApplicationExtractor


def test_the_factory_makes_what_the_options_name(weights_file: Path) -> None:
    options = Options(name="mobilenet", weights=f"file:{weights_file}")
    made = PretrainedFactory.create(options, Mixing(), weights_file.parent)
    assert (made.name, made.dim) == ("mobilenet", 1024)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'resnet50'"):
        plugins.load(EXTRACTORS, "resnet5O", "extractor")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"name": "vgg16", "weights": "starter"}, "starter weights exist for resnet50 only; received name 'vgg16'"),
        (
            {"name": "resnet50", "weights": "imagenet"},
            "expected starter, published, random or file:PATH; received 'imagenet'",
        ),
        ({"name": "vgg16", "dim": 513}, "vgg16 has 512 features; received 513"),
        ({"name": "vgg61"}, "expected one of convnext_base, .*; received 'vgg61'"),
        ({"name": "vgg16", "dim": 0}, "greater than 0"),
        ({"name": "vgg16", "weigths": "published"}, "weigths"),
    ],
)
def test_wrong_options_are_refused_before_any_weights(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        Options(**options)


def test_weights_default_to_the_starter_where_there_is_one() -> None:
    assert (Options(name="resnet50").source, Options(name="resnet101").source) == ("starter", "published")


def test_missing_weights_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"expected a weights file at .*none\.h5; there is none") as raised:
        make(tmp_path / "none.h5")
    assert raised.value.slug == "weights-missing"


def test_a_folder_stands_for_its_only_weights_file(weights_file: Path) -> None:
    (weights_file.parent / "notes.txt").write_bytes(b"")
    assert make(weights_file.parent).fingerprint == make(weights_file).fingerprint
    (weights_file.parent / "network.keras").write_bytes(b"")
    with pytest.raises(
        EngineError, match=r"one weights file in .*: name one of its files, network\.keras, weights\.h5\.$"
    ):
        make(weights_file.parent)
    (empty := weights_file.parent / "empty").mkdir()
    with pytest.raises(EngineError, match=r"one weights file in .*empty: it has none of \.h5, \.keras, \.npz\.$"):
        make(empty)


def test_squeezing_keeps_the_border_and_filters() -> None:
    wide = np.zeros((40, 400, 3), np.uint8)
    wide[:, :40], wide[:, -40:] = (255, 0, 0), (0, 0, 255)
    small = squeeze(wide, 20)
    assert small.shape == (20, 20, 3)
    assert small[10, 0, 0] == 255 and small[10, -1, 2] == 255
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.abs(squeeze(stripes, 32).astype(int) - 127).max() <= 2


def test_squeezing_is_that_of_pillow_where_it_need_not_hurry() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8)
    expected = np.asarray(Image.fromarray(pixels).resize((48, 48), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(squeeze(pixels, 48), expected)


def test_a_batch_is_squeezed_and_preprocessed(weights_file: Path) -> None:
    batch = make(weights_file).batch([Crop(np.full((1, 1, 3), 255, np.uint8)), Crop(np.zeros((5, 700, 3), np.uint8))])
    assert (batch.shape, batch.dtype) == ((2, 224, 224, 3), np.float32)
    assert (batch[0] == 1).all() and (batch[1] == -1).all()


def test_unit_survives_zeros_and_extremes() -> None:
    rows = np.array([[0, 0, 0], [1e-30, 0, 0], [3e30, 4e30, 0], [1, -1, 1]], np.float32)
    before = rows.copy()
    made = unit(rows)
    np.testing.assert_allclose(np.linalg.norm(made, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(made[2], [0.6, 0.8, 0], atol=1e-6)
    np.testing.assert_array_equal(rows, before)


def test_batches_are_bounded_and_the_order_is_kept(weights_file: Path) -> None:
    runtime = Mixing()
    extractor, pictures = make(weights_file, runtime=runtime), crops(2 * CHUNK + 3)
    together = extractor.embed(pictures)
    assert runtime.batches == [CHUNK, CHUNK, 3]
    one_by_one = np.concatenate([extractor.embed([crop]) for crop in pictures])
    np.testing.assert_allclose(together, one_by_one, atol=1e-6)
    assert runtime.compiled == 1


def test_many_threads_compile_once_and_agree(weights_file: Path) -> None:
    runtime, found = Mixing(), []
    extractor, pictures = make(weights_file, runtime=runtime), crops(5)
    threads = [threading.Thread(target=lambda: found.append(extractor.embed(pictures))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert runtime.compiled == 1
    assert len(found) == 8 and all(np.array_equal(rows, found[0]) for rows in found)


def test_values_that_are_no_numbers_are_refused(weights_file: Path) -> None:
    with pytest.raises(EngineError, match="no numbers") as raised:
        make(weights_file).finish(np.full((1, WIDTH), np.inf, np.float32))
    assert raised.value.slug == "weights-broken"


def test_the_fingerprint_follows_the_content_of_the_weights(weights_file: Path, tmp_path: Path) -> None:
    first = make(weights_file)
    (elsewhere := tmp_path / "moved.h5").write_bytes(weights_file.read_bytes())
    assert make(elsewhere).fingerprint == first.fingerprint
    weights_file.write_bytes(b"other values")
    second = make(weights_file)
    assert second.fingerprint != first.fingerprint
    assert second.graph_key != first.graph_key


def test_published_networks_differ_in_their_fingerprints(tmp_path: Path) -> None:
    made = [ApplicationExtractor(Options(name=name), Mixing(), tmp_path) for name in ("vgg16", "vgg19", "xception")]
    assert len({extractor.fingerprint for extractor in made}) == 3


def test_a_reduction_must_be_fitted_first(weights_file: Path) -> None:
    extractor = make(weights_file, dim=8)
    assert extractor.unfitted and extractor.dim == 8
    with pytest.raises(EngineError, match="run index first") as raised:
        extractor.embed(crops(3))
    assert raised.value.slug == "reduction-missing"
    with pytest.raises(DataError, match="8 dimensions need at least 8 pictures"):
        extractor.fit(extractor.raw(crops(7)), "abcdefg")


def test_a_fitted_reduction_is_kept_used_and_in_the_fingerprint(weights_file: Path) -> None:
    extractor, pictures = make(weights_file, dim=2), crops(40)
    before = extractor.fingerprint
    raw = extractor.raw(pictures)
    extractor.fit(raw, [str(number) for number in range(40)], seed=3)
    raw /= np.linalg.norm(raw, axis=1, keepdims=True)
    assert not extractor.unfitted and extractor.fingerprint != before
    centred = raw.astype(np.float64) - raw.mean(axis=0, dtype=np.float64)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:2]
    expected = centred @ axes.T
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    found = extractor.embed(pictures)
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-3)  # free of the axes' signs
    again = make(weights_file, dim=2)
    assert again.fingerprint == extractor.fingerprint
    np.testing.assert_array_equal(again.embed(pictures), found)


def test_a_reduction_of_other_weights_or_another_dimension_is_not_used(weights_file: Path) -> None:
    extractor = make(weights_file, dim=4)
    extractor.fit(extractor.raw(crops(20)), "a" * 20)
    assert make(weights_file, dim=5).unfitted
    assert make(weights_file).dim == WIDTH
    weights_file.write_bytes(b"other values")
    assert make(weights_file, dim=4).unfitted


def test_discriminants_stand_beside_the_networks_own_dimensions(weights_file: Path) -> None:
    extractor, pictures, plain = make(weights_file, discriminant=2), crops(160), make(weights_file)
    assert extractor.unfitted and not extractor.supervised and extractor.dim == WIDTH + 2
    with pytest.raises(EngineError, match=r"extractor\.discriminant: .* run index first"):
        extractor.embed(pictures)
    before, raw = extractor.fingerprint, extractor.raw(pictures)
    groups = [f"{number % 40}" for number in range(160)]
    extractor.fit(raw, groups)
    assert not extractor.unfitted and extractor.supervised
    assert extractor.fingerprint not in (before, plain.fingerprint)
    told = fit_discriminant(raw, groups, 2, seed=0, basis="")(rooted(raw))
    told /= np.linalg.norm(told, axis=1, keepdims=True)
    own, found = plain.embed(pictures), extractor.embed(pictures)
    np.testing.assert_allclose(found @ found.T, (own @ own.T + 2 * told @ told.T) / 3, atol=1e-4)
    again = make(weights_file, discriminant=2)
    assert again.fingerprint == extractor.fingerprint
    np.testing.assert_array_equal(again.embed(pictures), found)
    assert make(weights_file, discriminant=3).unfitted
    few = make(weights_file, discriminant=60)
    few.fit(raw, groups)
    assert (few.dim, make(weights_file, discriminant=60).dim) == (WIDTH + 39, WIDTH + 39)
    none = make(weights_file, discriminant=4)
    none.fit(raw, [str(number) for number in range(160)])
    assert not none.unfitted and not none.supervised
    np.testing.assert_array_equal(none.embed(pictures), own)
    assert (plain.fingerprint, plain.supervised) == (make(weights_file).fingerprint, False)


@pytest.fixture
def starter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A starter of no layers but a projection; enough, for no network is built."""
    projection = np.random.default_rng(1).normal(size=(2048, 16)).astype(np.float16)
    np.savez(tmp_path / "resnet50.npz", **{"projection/kernel": projection})
    write_card(tmp_path)
    monkeypatch.setattr(weights, "STARTER_FOLDERS", (tmp_path / "none", tmp_path))
    return tmp_path


def write_card(folder: Path, **changes: Any) -> None:
    digest = hashlib.sha256((folder / "resnet50.npz").read_bytes()).hexdigest()
    card = {"name": "resnet50", "side": 112, "preprocessing": "caffe", "sha256": digest, **changes}
    (folder / "card.json").write_text(json.dumps(card))


def make_starter(folder: Path) -> ApplicationExtractor:
    return ApplicationExtractor(Options(name="resnet50"), Mixing(), folder / "model")


def test_the_starter_takes_side_and_projection_from_its_files(starter: Path) -> None:
    extractor = make_starter(starter)
    assert (extractor.side, extractor.preprocessing, extractor.dim) == (112, "caffe", 16)
    pooled = np.abs(np.random.default_rng(2).normal(size=(5, 2048))).astype(np.float32)
    with np.load(starter / "resnet50.npz") as file:
        expected = pooled.astype(np.float64) @ file["projection/kernel"].astype(np.float64)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(extractor.finish(pooled), expected, atol=1e-5)


def test_the_starters_card_is_in_the_fingerprint(starter: Path) -> None:
    first = make_starter(starter).fingerprint
    write_card(starter, side=128)
    larger = make_starter(starter).fingerprint
    write_card(starter, preprocessing="torch")
    assert len({first, larger, make_starter(starter).fingerprint}) == 3


def test_a_dim_above_the_projection_is_one_sentence(starter: Path) -> None:
    with pytest.raises(ConfigError, match="these weights give 16 dimensions; received 17"):
        ApplicationExtractor(Options(name="resnet50", dim=17), Mixing(), starter)


@pytest.mark.parametrize("damage", ["weights", "no card", "no json", "no side", "preprocessing", "no weights"])
def test_a_damaged_starter_is_one_sentence(damage: str, starter: Path) -> None:
    if damage == "weights":
        (starter / "resnet50.npz").write_bytes((starter / "resnet50.npz").read_bytes()[:-1] + b"!")
    elif damage == "no weights":
        (starter / "resnet50.npz").unlink()
    elif damage == "no card":
        (starter / "card.json").unlink()
    elif damage == "no json":
        (starter / "card.json").write_text("{")
    else:
        write_card(starter, **({"side": None} if damage == "no side" else {"preprocessing": "mode"}))
    with pytest.raises(EngineError, match="install the package again") as raised:
        make_starter(starter)
    assert raised.value.slug == ("weights-missing" if damage == "no weights" else "weights-damaged")
    assert "\n" not in str(raised.value)
