"""One pass for embedding and classifier, proven in operations: on the graphs that a query is run through."""

# ruff: noqa: D102, D107 (the methods are the contracts')

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toys import picture, stage_cost, trunk_cost, write_starter

from visualsearch.classifiers import artefact, load_classifier
from visualsearch.classifiers.resnet50 import ResNet50Classifier, identity
from visualsearch.classifiers.tails import FORKS, new_tail
from visualsearch.embedder import Embedder
from visualsearch.extractors import weights
from visualsearch.extractors.applications import ApplicationExtractor
from visualsearch.runtimes import create_runtime
from visualsearch.runtimes.contract import Batch, Forward
from visualsearch.runtimes.operations import multiply_adds

SIDE, BUCKETS = 64, 5
TRUNK = trunk_cost(SIDE)
HEAD = 2048 * BUCKETS
ADDED = {"head": HEAD, "last_block": stage_cost(SIDE, 3) + HEAD, "all": TRUNK + HEAD}


class Metered:
    """A runtime that adds up the multiply-accumulates of all that is run."""

    name = "metered"

    def __init__(self) -> None:
        self.inner = create_runtime("tensorflow")
        self.spent = 0

    def compile(self, build: Callable[[], Any], key: str) -> Forward:
        graph = build()
        cost, forward = multiply_adds(graph), self.inner.compile(lambda: graph, key)

        def metered(batch: Batch) -> list[np.ndarray]:
            self.spent += cost * len(batch)
            return forward(batch)

        return metered


@pytest.fixture(scope="module")
def extractor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApplicationExtractor]:
    folder = write_starter(tmp_path_factory.mktemp("starter"), SIDE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "STARTER_FOLDERS", (folder,))
        yield ApplicationExtractor(ApplicationExtractor.Options(), Metered(), folder)


def metered(extractor: ApplicationExtractor) -> Metered:
    """Return the extractor's runtime, set to nothing spent."""
    runtime = extractor._runtime
    assert isinstance(runtime, Metered)
    runtime.spent = 0
    return runtime


def kept(extractor: ApplicationExtractor, train: str, folder: Path) -> ResNet50Classifier.Options:
    """Keep a classifier as it is before its first step."""
    features = np.random.default_rng(0).random((9, 2048), np.float32)
    tail = new_tail(extractor.graph(), FORKS[train], BUCKETS, features, seed=0)
    card = artefact.Card("resnet50", train, tuple("abcde"), FORKS[train], identity(extractor))
    artefact.save(folder, card, "tail", ".keras", tail.save)
    return ResNet50Classifier.Options(train=train)


@pytest.mark.parametrize("train", FORKS)
def test_a_query_costs_the_trunk_and_what_was_trained(
    train: str, extractor: ApplicationExtractor, tmp_path: Path
) -> None:
    options, meter = kept(extractor, train, tmp_path), metered(extractor)
    embedder = Embedder(extractor, load_classifier(options, tmp_path, extractor, meter), meter)
    embedder.embed([picture("red disc", seed) for seed in range(3)])
    assert meter.spent == 3 * (TRUNK + ADDED[train])
    meter.spent = 0
    embedder.vectors([picture("red disc", 0)])  # as indexing does
    assert meter.spent == TRUNK


def test_only_two_whole_passes_cost_two_passes() -> None:
    assert ADDED["head"] < 0.001 * TRUNK
    assert 0.15 * TRUNK < ADDED["last_block"] < 0.25 * TRUNK
    assert ADDED["all"] > TRUNK


def test_the_graph_that_openvino_keeps_has_the_trunk_once(extractor: ApplicationExtractor, tmp_path: Path) -> None:
    """Count on the file that searches run, in OpenVINO's own terms."""
    openvino = pytest.importorskip("openvino", reason="pip install openvino")
    classifier = load_classifier(kept(extractor, "last_block", tmp_path), tmp_path, extractor, extractor._runtime)
    create_runtime("openvino", folder=tmp_path / "runtime").compile(classifier.joint, "joint")
    total = 0
    for operation in openvino.Core().read_model(tmp_path / "runtime" / "joint" / "graph.xml").get_ops():
        if re.fullmatch("Convolution|MatMul", operation.get_type_name()):
            output = operation.output(0).partial_shape
            positions = prod(output[axis].get_length() for axis in range(2, len(output)))  # (n, channels, ...)
            total += positions * prod(operation.input(1).get_shape())
    assert total == TRUNK + ADDED["last_block"]


def test_a_classifier_apart_computes_nothing_for_an_embedding(extractor: ApplicationExtractor, tmp_path: Path) -> None:
    """Beside another extractor, the trunk's own last block is nobody's."""
    options, meter = kept(extractor, "last_block", tmp_path), metered(extractor)
    load_classifier(options, tmp_path, extractor, meter).predict([picture("red disc", 0)])
    assert meter.spent == TRUNK + HEAD
