"""What an extractor promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from visualsearch.datatypes import Crop, Matrix


class Extractor(Protocol):
    """Crop → embedding. Owns its input size, preprocessing, alignment and dimension."""

    name: str
    fingerprint: str
    """Changes whenever the same crop would give another embedding: weights, options, code version."""

    @property
    def dim(self) -> int:
        """Return the length of the rows; a plain attribute does."""
        ...

    def embed(self, crops: Sequence[Crop]) -> Matrix:
        """Return (n, dim) float32 rows of unit length, in the order of the crops; n may be 0."""
        ...


@runtime_checkable
class LearnedExtractor(Protocol):
    """What an extractor has besides, if a part of it is fitted on the gallery before the first index, such as a PCA.

    It does not repeat ``Extractor``: ``isinstance`` reads every property of a protocol, and some load
    their network to tell ``dim``.
    """

    @property
    def unfitted(self) -> bool:
        """Return whether ``fit`` must be called before ``embed``."""
        ...

    @property
    def supervised(self) -> bool:
        """Return whether the groups told ``fit`` anything: then the gallery's own pictures are no fair queries."""
        ...

    def raw(self, crops: Sequence[Crop]) -> Matrix:
        """Return (n, features) rows to fit on."""
        ...

    def fit(self, raw: Matrix, groups: Sequence[str], seed: int = 0) -> None:
        """Fit, keep the result in the model folder and use it; dimension and fingerprint may change.

        ``groups`` names what each row's picture shows; pictures of the same thing have the same name.
        """
        ...
