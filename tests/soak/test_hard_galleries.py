"""Hard galleries once more, for the amounts of training that the quick tests leave out."""

from __future__ import annotations

from pathlib import Path

import pytest
from hard import few, learn, lopsided, many, mislabelled
from toys import write_starter

from visualsearch.classifiers.contract import Example
from visualsearch.classifiers.resnet50 import ResNet50Classifier
from visualsearch.extractors import weights
from visualsearch.extractors.applications import ApplicationExtractor
from visualsearch.runtimes import create_runtime

HARD = {"few": (few(2), 0.3, 20), "lopsided": (lopsided(), 0.8, 20), "mislabelled": (mislabelled(), 0.85, 20)}
"""Pictures, the least top-1 on unseen ones, and how many of those for each kind."""


@pytest.mark.soak
@pytest.mark.parametrize("how", ["head", "last_block", "all"])
@pytest.mark.parametrize(
    ("pictures", "least", "each"), [*HARD.values(), (many(each=2), 0.1, 1)], ids=[*HARD, "five hundred"]
)
def test_every_amount_of_training_bears_it(
    how: str, pictures: list[Example], least: float, each: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "STARTER_FOLDERS", (write_starter(tmp_path / "starter", side=32),))
    runtime = create_runtime("tensorflow")
    extractor = ApplicationExtractor(ApplicationExtractor.Options(), runtime, tmp_path)
    made = learn(ResNet50Classifier.Options(train=how, copies=1), extractor, runtime, pictures, tmp_path, each)
    assert made.top1 >= least
    assert made.training.passes == (2 if how == "all" else 1)
