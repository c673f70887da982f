"""Any network of ``keras.applications`` as an extractor."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import numpy as np
from pydantic import Field, PositiveInt, model_validator

from visualsearch import plugins
from visualsearch.datatypes import Crop, Matrix, Pixels
from visualsearch.errors import ConfigError, EngineError
from visualsearch.extractors.discriminant import FEATURES, SHARE, beside, fit_discriminant, rooted
from visualsearch.extractors.graphs import GraphExtractor
from visualsearch.extractors.loading import build
from visualsearch.extractors.networks import NETWORKS, PREPROCESSING
from visualsearch.extractors.preparation import in_chunks, squeeze, unit
from visualsearch.extractors.reduction import fit_reduction, load_reduction, save_reduction
from visualsearch.extractors.weights import STARTERS, WORDS, find_weights
from visualsearch.model import fingerprint
from visualsearch.runtimes.contract import Batch, Runtime

if TYPE_CHECKING:
    import keras

VERSION = 1
"""Raised whenever this code would turn the same crop into another embedding."""


class ApplicationExtractor(GraphExtractor):
    """Squeeze a crop to the network's square, pool its last feature map, scale to unit length.

    The whole crop is squeezed into the square, its aspect ratio given up, rather than cut to
    its centre: which part of a picture counts is the crop plug-in's decision, and nothing
    that it chose may be lost at the border. The networks were trained on aspect ratios from
    3:4 to 4:3 (Szegedy et al. 2015, section 6), so common photographs stay within what they know.
    """

    class Options(plugins.Options):
        """Which network, with which weights, in how many dimensions."""

        name: str = "resnet50"
        weights: str | None = None
        """``starter``, ``published``, ``file:PATH`` or ``random``, to measure what was not learned; null is ``starter``
        where there is one."""
        dim: PositiveInt | None = None
        """Reduce to so many dimensions by a PCA that is fitted at the first index; null: as many as the network has."""
        discriminant: Annotated[int, Field(gt=0, le=FEATURES)] | None = None
        """At most so many dimensions besides, in which the groups of the gallery (`gallery.group`) differ most and the
        pictures of a group least, fitted at the first index; none where fewer than 32 groups have two pictures or
        more. null: none."""

        @model_validator(mode="after")
        def _consistent(self) -> Self:
            if self.name not in NETWORKS:
                raise ValueError(f"name: expected one of {', '.join(sorted(NETWORKS))}; received {self.name!r}.")
            if self.source not in WORDS and not self.source.startswith("file:"):
                near = difflib.get_close_matches(self.source, WORDS, n=1)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise ValueError(
                    f"weights: expected starter, published, random or file:PATH; received {self.weights!r}.{hint}"
                )
            if self.source == "starter" and self.name not in STARTERS:
                starters = ", ".join(STARTERS)
                raise ValueError(
                    f"weights: starter weights exist for {starters} only; received name {self.name!r}: "
                    "use published or file:PATH."
                )
            features = NETWORKS[self.name].dim
            if self.dim is not None and self.dim > features:
                raise ValueError(f"dim: {self.name} has {features} features; received {self.dim}: use fewer.")
            return self

        @property
        def source(self) -> str:
            """Return where the weights come from, the default filled in."""
            return self.weights or ("starter" if self.name in STARTERS else "published")

    def __init__(self, options: Options, runtime: Runtime, folder: Path) -> None:
        """Find and hash the weights; the network is built when it is first needed.

        ``folder`` is the model folder; its ``pca.npz`` and ``discriminant.npz`` are used where ``options.dim``
        and ``options.discriminant`` ask for them.

        Raises:
            EngineError: the weights are missing or damaged.
            ConfigError: ``options.dim`` is more than the weights give.
        """
        self._options = options
        self._network = NETWORKS[options.name]
        self._weights = find_weights(options.name, options.source)
        side = self._weights.side or self._network.side
        key = fingerprint(VERSION, options.name, self._weights.identity, side)
        self.projection = projection = self._weights.projection
        self._features = self._network.dim if projection is None else int(projection.shape[1])
        if options.dim is not None and options.dim > self._features:
            message = (
                f"extractor.dim: these weights give {self._features} dimensions; received {options.dim}: use fewer."
            )
            raise ConfigError(message, slug="dim-too-large")
        preprocessing = self._weights.preprocessing or self._network.preprocessing
        self._basis = fingerprint(key, preprocessing, projection is not None)
        self._discriminant_basis = fingerprint(self._basis, options.discriminant, SHARE)
        self._reduction_path, self._discriminant_path = folder / "pca.npz", folder / "discriminant.npz"
        found = load_reduction(self._reduction_path) if options.dim else None
        self._reduction = found if found and (found.basis, found.dim) == (self._basis, options.dim) else None
        found = load_reduction(self._discriminant_path) if options.discriminant else None
        self._discriminant = found if found and found.basis == self._discriminant_basis else None
        super().__init__(options.name, side, self._fingerprint(), runtime, key, mirror=False)
        self.preprocessing = preprocessing

    @property
    def dim(self) -> int:
        """Return the length of the rows; before ``fit`` the largest that it may have."""
        besides = self._options.discriminant or 0 if self._discriminant is None else self._discriminant.dim
        return (self._options.dim or self._features) + besides

    @property
    def unfitted(self) -> bool:
        """Return whether ``fit`` must be called before ``embed``: something is asked for that was not fitted yet."""
        return self._missing is not None

    @property
    def _missing(self) -> str | None:
        """Return the option that asks for what was not fitted yet."""
        if self._options.dim is not None and self._reduction is None:
            return "dim"
        return "discriminant" if self._options.discriminant is not None and self._discriminant is None else None

    @property
    def supervised(self) -> bool:
        """Return whether ``fit`` learned from the groups."""
        return self._discriminant is not None and self._discriminant.dim > 0

    def fit(self, raw: Matrix, groups: Sequence[str], seed: int = 0) -> None:
        """Fit what ``dim`` and ``discriminant`` ask for on rows of ``raw``, keep it in the model folder and use it.

        ``groups`` names what each row's picture shows. The fingerprint changes. Some thousand rows are
        plenty; more cost memory only.

        Raises:
            DataError: there are fewer rows than ``dim``.
        """
        own = self._own(raw)
        if (dim := self._options.dim) is not None:
            self._reduction = fit_reduction(own, dim, seed, self._basis)
            save_reduction(self._reduction, self._reduction_path)
        if (dim := self._options.discriminant) is not None:
            self._discriminant = fit_discriminant(raw, groups, dim, seed, self._discriminant_basis)
            save_reduction(self._discriminant, self._discriminant_path)
        self.fingerprint = self._fingerprint()

    def face(self, crop: Crop) -> Pixels:
        """Return a crop squeezed to (side, side, 3)."""
        return squeeze(crop.pixels, self.side)

    def normalise(self, batch: Batch) -> Batch:
        """Return pixels as the weights were trained on them."""
        return PREPROCESSING[self.preprocessing](batch)

    def build(self) -> keras.Model:
        """Return the network, pooled, with its weights."""
        return build(self._network, self.side, self._weights)

    def finish(self, pooled: Matrix) -> Matrix:
        """Return (n, dim) embeddings of (n, features) pooled rows: projected, reduced, of unit length.

        With ``discriminant`` the cosine of two rows is a weighted mean of two: of the network's own, and of
        what tells the gallery's groups apart.

        Raises:
            EngineError: something was not fitted yet, or the network gave no numbers.
        """
        own = self._own(pooled)
        if (key := self._missing) is not None:
            message = f"extractor.{key}: its dimensions were not fitted yet: run index first."
            raise EngineError(message, slug="reduction-missing")
        if self._reduction is not None:
            own = unit(self._reduction(own))
        if self._discriminant is None or not self._discriminant.dim:
            return own
        return beside(own, self._discriminant(rooted(pooled)))

    def embed(self, crops: Sequence[Crop]) -> Matrix:
        """Return (n, dim) embeddings, in the order of the crops."""
        return self.finish(self.raw(crops))

    def raw(self, crops: Sequence[Crop]) -> Matrix:
        """Return (n, features) pooled rows: what ``fit`` wants."""
        return in_chunks(crops, self._rows, self._network.dim)

    def _own(self, pooled: Matrix) -> Matrix:
        if not np.isfinite(pooled).all():
            message = f"extractor.weights: {self._options.source} gives values that are no numbers: use other weights."
            raise EngineError(message, slug="weights-broken")
        return unit(pooled if self.projection is None else pooled @ self.projection)

    def _fingerprint(self) -> str:
        reduction = self._reduction.sha256 if self._reduction else None
        discriminant = (self._discriminant.sha256,) if self._discriminant else ()
        return fingerprint(VERSION, self._basis, self._options.dim, reduction, *discriminant)
