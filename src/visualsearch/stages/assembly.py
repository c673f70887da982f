"""Settings → the parts of a running system, each made when it is first needed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from visualsearch.calibration.evidence import Evidence
from visualsearch.calibration.promises import Promise
from visualsearch.calibration.samples import Samples
from visualsearch.classifiers import load_classifier
from visualsearch.classifiers.contract import Classifier, GraphClassifier, Trunk, VectorClassifier
from visualsearch.clusters import Clusters
from visualsearch.config import Application
from visualsearch.crops import CROPS
from visualsearch.crops.contract import Cropper
from visualsearch.embedder import Embedder
from visualsearch.errors import DataError, EngineError
from visualsearch.extractors import PretrainedFactory
from visualsearch.extractors.contract import Extractor
from visualsearch.model import ModelFolder, fingerprint
from visualsearch.plugins import load
from visualsearch.progress import Progress, silent
from visualsearch.runtimes import create_runtime
from visualsearch.runtimes.contract import Runtime
from visualsearch.runtimes.telling import TellingRuntime
from visualsearch.stages.matching import Matcher
from visualsearch.stages.promising import promise_of
from visualsearch.stages.searching import Searcher
from visualsearch.stores import STORES
from visualsearch.stores.contract import Shelf, Store
from visualsearch.yaml_text import as_yaml

log = logging.getLogger(__name__)


class Parts:
    """What one YAML file asks for. Making it costs nothing; networks load when they are used."""

    def __init__(self, settings: Application, progress: Progress = silent, shelf: Shelf | None = None) -> None:
        """Remember the settings; ``shelf`` is one that is open already."""
        self.settings = settings
        self.progress = progress
        self.model = ModelFolder(settings.out)
        self._shelf = shelf

    @cached_property
    def cropper(self) -> Cropper:
        """Return the crop plug-in."""
        made: Cropper = load(CROPS, self.settings.crop.name, "crop")(self.settings.crop)
        return made

    @cached_property
    def runtime(self) -> Runtime:
        """Return the runtime that compiles the networks."""
        chosen = self.settings.runtime
        return TellingRuntime(
            create_runtime(chosen.engine, chosen.precision, self.model.path / "runtime"), self.progress
        )

    @cached_property
    def extractor(self) -> Extractor:
        """Return the extractor."""
        return PretrainedFactory.create(self.settings.extractor, self.runtime, self.model.path)

    @cached_property
    def classifier(self) -> Classifier | None:
        """Return the trained classifier; None before the first training, or where it was for something else."""
        if self.model.card().get("training", {}).get("made_for") != self.classifier_purpose:
            return None
        try:
            return load_classifier(self.settings.classifier, self.model.path, self.extractor, self.runtime)
        except EngineError as error:
            # the vectors are well: what was indexed stays searchable, and `check` says what is broken
            log.warning("%s Searches are exhaustive until then.", error)
            return None

    @cached_property
    def clusters(self) -> Clusters | None:
        """Return what the buckets are where the YAML wants clusters; None before the first training."""
        if self.settings.buckets.clusters is None:
            return None
        return Clusters.load(self.model.path, self.embedding_fingerprint)

    @cached_property
    def embedder(self) -> Embedder:
        """Return extractor and classifier as one."""
        return Embedder(self.extractor, self.classifier, self.runtime)

    @cached_property
    def evidence(self) -> Evidence | None:
        """Return what the classifier was calibrated on; None where there is no classifier, or it was not calibrated."""
        return None if self.classifier is None else Evidence.load(self.model.path, self.classifier.fingerprint)

    @cached_property
    def promise(self) -> Promise | None:
        """Return what routes promise; None where every search is exhaustive anyway, as ``unrouted`` says.

        Raises:
            DataError: each bucket shall have a promise of its own, and some have too few groups.
        """
        return promise_of(self.evidence, self.classifier, self.settings.routing)

    @cached_property
    def samples(self) -> Samples | None:
        """Return what verdicts are calibrated with; None where that was not done for these embeddings."""
        return Samples.load(self.model.path, self.embedding_fingerprint)

    @cached_property
    def matcher(self) -> Matcher | None:
        """Return what judges hits; None where nothing is calibrated."""
        if self.samples is None:
            return None
        rates, asked = self.settings.match, "" if self.classifier is None else self.classifier.fingerprint
        familiar = self.samples.familiar(asked, rates.stranger_rate)
        return Matcher(self.samples, self.samples.match_rule(rates.false_rate), familiar, rates.stranger_rate)

    @property
    def unrouted(self) -> str:
        """Return why a search is exhaustive where it is."""
        if self.classifier is None:
            return "no classifier is trained" if self.has_buckets else "the gallery has no buckets"
        return "routing.keep is 1" if self.settings.routing.keep >= 1.0 else "routing is not calibrated, run train"

    def forget_classifier(self) -> None:
        """Have the next look at the classifier find what was trained since the last one."""
        for part in ("clusters", "classifier", "embedder", "evidence", "promise", "samples", "matcher"):
            self.__dict__.pop(part, None)

    def remove_unused_graphs(self) -> None:
        """Remove compiled graphs that neither extractor nor classifier uses, where it is known what they use."""
        extractor, classifier = self.extractor, self.classifier
        if not isinstance(extractor, Trunk) or not isinstance(classifier, GraphClassifier | VectorClassifier | None):
            return
        own = classifier.graph_keys if isinstance(classifier, GraphClassifier) else frozenset[str]()
        self.runtime.keep_only({extractor.graph_key, *own})

    @cached_property
    def shelf(self) -> Shelf:
        """Return the place of the index."""
        if self._shelf is not None:
            return self._shelf
        made: Shelf = load(STORES, self.settings.store.name, "store")(self.settings.store, self.model.path / "index")
        return made

    @property
    def embedding_fingerprint(self) -> str:
        """Return what the index must have been made with."""
        return fingerprint(self.cropper.fingerprint, self.extractor.fingerprint)

    def query_fingerprint(self, model: str) -> str:
        """Return what a query must have been embedded with; the crop may have options for queries alone."""
        return f"{model}/{fingerprint(self.settings.crop.model_dump())}"

    @property
    def made_with(self) -> str:
        """Return how what the index was made with differs from what the YAML names now."""
        then, now = self.model.card().get("settings", {}), self.settings.public_dict()
        for part in ("extractor", "crop"):
            if part not in then:
                return "another extractor or crop than the YAML names"
            if then[part] != now[part]:
                return f"{part}: {_flow(then[part])}, and the YAML names {_flow(now[part])}"
        return "other weights than those that the YAML names"

    @property
    def classifier_purpose(self) -> str:
        """Return what a classifier must have been trained for: its options, what is embedded, buckets and groups."""
        gallery = self.settings.gallery
        buckets: tuple[object, ...] = (self.bucket_column, gallery.group, gallery.path)
        if self.settings.buckets.clusters is not None:
            buckets = (*buckets, self.settings.buckets.clusters, self.clusters and self.clusters.made)
        return fingerprint(self.settings.classifier.model_dump(), self.embedding_fingerprint, *buckets)

    @property
    def has_buckets(self) -> bool:
        """Return whether there are buckets, or will be once `train` has made them."""
        return self.bucket_column is not None or self.settings.buckets.clusters is not None

    @property
    def bucket_column(self) -> str | None:
        """Return the column whose values are the buckets: what the YAML says, else what the last index found."""
        wanted = self.settings.buckets
        if wanted.none or wanted.clusters is not None or wanted.column is not None:
            return wanted.column
        column: str | None = self.model.card().get("index", {}).get("bucket_column")
        return column

    def searcher(self) -> Searcher:
        """Open the index for searching.

        Raises:
            DataError: nothing is indexed yet, or it was indexed with another extractor or crop.
        """
        store = self._searchable()
        self.embedder.ready()
        routing = self.settings.routing
        return Searcher(
            store,
            self.cropper,
            self.embedder,
            self.promise,
            tuple(routing.widen),
            routing.at_most,
            self.model_name,
            self.unrouted,
            self.bucket_column,
            self.model.card().get("index", {}).get("values", {}),
            self.settings.search.rerank,
            self.matcher,
        )

    def _searchable(self) -> Store:
        """Return the live index."""
        store = self.shelf.live()
        if store is None and self.settings.store.name == "bruteforce":
            message = (
                "store.name: bruteforce keeps nothing between commands. Use embedded, or one program that does both."
            )
            raise DataError(message, slug="index-missing")
        if store is None:
            where = f"{self.settings.out}, store {self.settings.store.name}"
            message = (
                f"{where}: nothing is indexed there yet. Run `visualsearch index` first, "
                "or bring an index from another store with `copy --to`."
            )
            raise DataError(message, slug="index-missing")
        if store.fingerprint != self.embedding_fingerprint:
            store.close()
            message = (
                f"{self.settings.out}: the index was made with {self.made_with}. "
                "Run `visualsearch index` to make it anew, or give this YAML a `name:` of its own to keep both."
            )
            raise DataError(message, slug="index-stale")
        return store

    @property
    def model_name(self) -> str:
        """Return the model's name and fingerprints, as answers carry it."""
        buckets = self.classifier.fingerprint[:8] if self.classifier is not None else "none"
        return f"{self.settings.name}@{self.embedding_fingerprint[:8]}-{buckets}"


def _flow(options: Mapping[str, Any]) -> str:
    """Write a plug-in's options as a YAML would, the name first, those that say nothing left out."""
    keys = sorted((key for key in options if options[key] is not None), key=lambda key: (key != "name", key))
    return "{" + ", ".join(f"{key}: {as_yaml(options[key])}" for key in keys) + "}"
