"""Dimensions in which the groups of a gallery differ while the pictures of one group do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from visualsearch.datatypes import Matrix
from visualsearch.extractors.preparation import unit
from visualsearch.extractors.reduction import Reduction

FEATURES = 512
"""Principal components that are looked at: what varies less between pictures is noise."""

SHRINKAGE = 0.1
"""How much of the covariance within groups is replaced by the same in every direction."""

LEAST = 32
"""Groups of two pictures or more, which must be half of all pictures too: from fewer no direction can be told that
holds for other things."""

SHARE = 2 / 3
"""Of a score that comes from the discriminants. Of the shares that were tried on views of a gallery which were left out,
the largest that costs things which were not fitted on next to nothing."""


def beside(own: Matrix, discriminants: Matrix) -> Matrix:
    """Return rows whose cosine is the mean of two, weighted by ``SHARE``: of ``own`` rows, and of ``discriminants``."""
    return unit(np.hstack([np.sqrt(1 - SHARE) * unit(own), np.sqrt(SHARE) * unit(discriminants)]))


def rooted(features: Matrix) -> Matrix:
    """Return the signed square root of (n, features) rows, at unit length.

    A few large activations would otherwise outweigh all others (Perronnin, Sánchez and Mensink 2010).
    """
    return unit(np.sign(features) * np.sqrt(np.abs(features)))


def fit_discriminant(features: Matrix, groups: Sequence[str], at_most: int, seed: int, basis: str) -> Reduction:
    """Fit linear discriminants (Fisher 1936) on (n, features) rows; ``groups`` names what each row's picture shows.

    They are directions in which the means of the groups lie far apart, measured by how far the
    pictures of one group lie apart. Groups of a single picture cannot say the latter and are left
    out. Of *g* groups there are g - 1 directions, none of fewer than ``LEAST``, and none where the
    pictures of a group do not differ. The result takes rows of ``rooted``.
    """
    pictures = Counter(groups)
    several = [number for number, group in enumerate(groups) if pictures[group] > 1]
    labels = [groups[number] for number in several]
    if len(set(labels)) < LEAST or 2 * len(several) < len(groups) or _all_alike(features[several], labels):
        width = features.shape[1]
        return Reduction(np.zeros(width, np.float32), np.zeros((0, width), np.float32), basis)
    dim = min(at_most, FEATURES, features.shape[1], len(set(labels)) - 1)
    from sklearn.decomposition import PCA
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    rows = rooted(features[several])
    main = PCA(n_components=min(FEATURES, len(rows) - 1, rows.shape[1]), random_state=seed).fit(rows)
    fitted = LinearDiscriminantAnalysis(solver="eigen", shrinkage=SHRINKAGE).fit(main.transform(rows), labels)
    directions = fitted.scalings_[:, :dim].T @ main.components_
    return Reduction(main.mean_.astype(np.float32), directions.astype(np.float32), basis)


def _all_alike(features: Matrix, labels: Sequence[str]) -> bool:
    """Return whether no picture differs from another of its group."""
    _, first, group = np.unique(np.asarray(labels), return_index=True, return_inverse=True)
    return bool(np.allclose(features, features[first][group]))
