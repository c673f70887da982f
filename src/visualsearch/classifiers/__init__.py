"""Classifiers: crop → probability of each bucket."""

from __future__ import annotations

from pathlib import Path

from visualsearch.classifiers.contract import Classifier
from visualsearch.extractors.contract import Extractor
from visualsearch.plugins import Options, Plugin, load
from visualsearch.runtimes.contract import Runtime

CLASSIFIERS = {
    "extractor": Plugin("visualsearch.classifiers.extractor_head:ExtractorHead"),
    "resnet50": Plugin("visualsearch.classifiers.resnet50:ResNet50Classifier"),
}


def load_classifier(options: Options, folder: Path, extractor: Extractor, runtime: Runtime) -> Classifier:
    """Return the trained classifier of the model in ``folder``; no network is loaded yet.

    Raises:
        EngineError: it is missing, damaged, or was trained with other options or another extractor.
    """
    classifier: Classifier = load(CLASSIFIERS, options.name, "classifier").load(options, folder, extractor, runtime)
    return classifier
