"""Which networks a query passes, counted on small parts without TensorFlow."""

# ruff: noqa: D102, D107 (the methods are the contracts')

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from visualsearch.datatypes import Crop, Matrix
from visualsearch.embedder import CHUNK, Embedder
from visualsearch.extractors.preparation import unit
from visualsearch.runtimes.contract import Batch, Forward

KERNEL = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)


def pooled(batch: Batch) -> Matrix:
    return batch.mean(axis=(1, 2)) @ KERNEL


def softmax(rows: Matrix) -> Matrix:
    exponents = np.exp(rows - rows.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)


class Runtime:
    """Runs two graphs of NumPy: ``trunk`` and ``joint``; notes the size of each batch."""

    name = "noting"

    def __init__(self) -> None:
        self.compiled: list[str] = []
        self.batches: list[tuple[str, int]] = []

    def compile(self, build: Callable[[], Any], key: str) -> Forward:
        self.compiled.append(key)

        def forward(batch: Batch) -> list[Matrix]:
            self.batches.append((key, len(batch)))
            features = pooled(batch)
            return [features] if key == "trunk" else [features, softmax(features[:, :2])]

        return forward


class Network:
    """An extractor that is a trunk."""

    name, dim, side, preprocessing, graph_key, fingerprint = "toy", 5, 8, "none", "trunk", "toy"
    projection = None

    def __init__(self, runtime: Runtime) -> None:
        self.forward = runtime.compile(self.graph, self.graph_key)

    def graph(self) -> Any:
        raise AssertionError("the runtime of this test needs no graph")

    def batch(self, crops: Sequence[Crop]) -> Batch:
        return np.stack([crop.pixels for crop in crops]).astype(np.float32) / 255

    def finish(self, rows: Matrix) -> Matrix:
        return unit(rows)

    def embed(self, crops: Sequence[Crop]) -> Matrix:
        parts = [self.forward(self.batch(crops[i : i + CHUNK]))[0] for i in range(0, len(crops), CHUNK)]
        return self.finish(np.concatenate(parts)) if parts else np.empty((0, 5), np.float32)


class Tail:
    """A classifier on a trunk; ``key`` None shares no layer."""

    buckets, fingerprint = ("a", "b"), "tail"

    def __init__(self, trunk: Network, key: str | None = "joint") -> None:
        self.trunk, self.joint_key = trunk, key

    def joint(self) -> Any:
        return self.trunk.graph()

    def predict(self, crops: Sequence[Crop]) -> Matrix:
        return softmax(self.trunk.forward(self.trunk.batch(crops))[0][:, :2])


class OnVectors:
    """A classifier of embeddings."""

    buckets, fingerprint = ("a", "b"), "vectors"

    def classify(self, vectors: Matrix) -> Matrix:
        return softmax(vectors[:, :2])

    def predict(self, crops: Sequence[Crop]) -> Matrix:
        raise AssertionError("the embeddings are known already")


def crops(n: int) -> list[Crop]:
    rng = np.random.default_rng(n)
    return [Crop(rng.integers(0, 256, (8, 8, 3), np.uint8)) for _ in range(n)]


@pytest.fixture
def runtime() -> Runtime:
    return Runtime()


@pytest.fixture
def extractor(runtime: Runtime) -> Network:
    return Network(runtime)


def test_without_a_classifier_there_are_no_probabilities(extractor: Network, runtime: Runtime) -> None:
    embedder = Embedder(extractor, None, runtime)
    embedded = embedder.embed(crops(3))
    assert embedded.probabilities is None and embedder.buckets == ()
    assert np.array_equal(embedded.vectors, extractor.embed(crops(3)))


def test_a_shared_trunk_is_passed_once_in_bounded_batches(extractor: Network, runtime: Runtime) -> None:
    embedded = Embedder(extractor, Tail(extractor), runtime).embed(crops(70))
    assert runtime.batches == [("joint", 32), ("joint", 32), ("joint", 6)]
    features = pooled(extractor.batch(crops(70)))
    np.testing.assert_allclose(embedded.vectors, features / np.linalg.norm(features, axis=1, keepdims=True), atol=1e-6)
    assert embedded.probabilities is not None
    np.testing.assert_allclose(embedded.probabilities, softmax(features[:, :2]), atol=1e-6)


@pytest.mark.parametrize("own", [True, False])
def test_what_shares_nothing_is_passed_twice(own: bool, extractor: Network, runtime: Runtime) -> None:
    tail = Tail(Network(runtime)) if own else Tail(extractor, key=None)
    embedded = Embedder(extractor, tail, runtime).embed(crops(3))
    assert runtime.batches == [("trunk", 3), ("trunk", 3)]
    assert embedded.probabilities is not None and embedded.probabilities.shape == (3, 2)


def test_a_classifier_of_embeddings_costs_no_pass(extractor: Network, runtime: Runtime) -> None:
    embedded = Embedder(extractor, OnVectors(), runtime).embed(crops(3))
    assert runtime.batches == [("trunk", 3)]
    np.testing.assert_allclose(embedded.probabilities, softmax(embedded.vectors[:, :2]), atol=1e-6)


def test_indexing_leaves_the_classifier_out(extractor: Network, runtime: Runtime) -> None:
    Embedder(extractor, Tail(extractor), runtime).vectors(crops(2))
    assert runtime.batches == [("trunk", 2)]


def test_nothing_in_nothing_out(extractor: Network, runtime: Runtime) -> None:
    embedded = Embedder(extractor, Tail(extractor), runtime).embed([])
    assert embedded.vectors.shape == (0, 5)
    assert embedded.probabilities is not None and embedded.probabilities.shape == (0, 2)


def test_threads_share_one_compiled_graph(extractor: Network, runtime: Runtime) -> None:
    embedder = Embedder(extractor, Tail(extractor), runtime)
    with ThreadPoolExecutor(8) as pool:
        many = list(pool.map(lambda n: embedder.embed(crops(n)), [5, 9] * 8))
    assert runtime.compiled.count("joint") == 1
    assert all(np.array_equal(many[i].vectors, many[i % 2].vectors) for i in range(16))
