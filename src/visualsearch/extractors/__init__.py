"""Extractors: crop → embedding, and the factory that makes them from the YAML's options."""

from __future__ import annotations

from pathlib import Path

from visualsearch.extractors.contract import Extractor
from visualsearch.extractors.networks import NETWORKS
from visualsearch.plugins import Options, Plugin, load
from visualsearch.runtimes.contract import Runtime

EXTRACTORS = {
    **dict.fromkeys(NETWORKS, Plugin("visualsearch.extractors.applications:ApplicationExtractor")),
    "dlib": Plugin("visualsearch.extractors.dlib:DlibExtractor", needs="faces"),
    "onnx": Plugin("visualsearch.extractors.onnx:OnnxExtractor"),
    **dict.fromkeys(
        ("facenet", "facenet512", "facenet_pool"), Plugin("visualsearch.extractors.facenet:FacenetExtractor")
    ),
    "keras": Plugin("visualsearch.extractors.keras:KerasExtractor"),
}


class PretrainedFactory:
    """Make any extractor of the table, or a third party's ``package.module:Class``.

    >>> "resnet50" in PretrainedFactory.names() and "vgg16" in PretrainedFactory.names()
    True
    """

    @staticmethod
    def names() -> tuple[str, ...]:
        """Return the names that ``extractor.name`` accepts, sorted."""
        return tuple(sorted(EXTRACTORS))

    @staticmethod
    def create(options: Options, runtime: Runtime, folder: Path) -> Extractor:
        """Return the extractor that validated ``options`` describe; no network is built yet.

        ``folder`` is the model folder, where what an extractor has learned is kept.
        """
        extractor: Extractor = load(EXTRACTORS, options.name, "extractor")(options, runtime, folder)
        return extractor
