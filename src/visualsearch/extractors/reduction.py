"""Fewer dimensions by principal components, fitted at the first index."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from visualsearch.datatypes import Matrix, Vector
from visualsearch.errors import DataError, EngineError
from visualsearch.files import replacing


@dataclass(frozen=True, slots=True)
class Reduction:
    """A centred linear map (features,) → (dim,); ``basis`` fingerprints the features it was fitted on."""

    mean: Vector
    components: Matrix
    basis: str

    @property
    def dim(self) -> int:
        """Return how many dimensions are left."""
        return int(self.components.shape[0])

    @property
    def sha256(self) -> str:
        """Return the hash of the numbers themselves, whatever file holds them."""
        digest = hashlib.sha256(np.ascontiguousarray(self.mean, "<f4").tobytes())
        digest.update(np.ascontiguousarray(self.components, "<f4").tobytes())
        return digest.hexdigest()

    def __call__(self, rows: Matrix) -> Matrix:
        """Return (n, dim) projections of (n, features) rows."""
        return ((rows - self.mean) @ self.components.T).astype(np.float32, copy=False)


def fit_reduction(rows: Matrix, dim: int, seed: int, basis: str) -> Reduction:
    """Fit principal components (Jolliffe, "Principal Component Analysis", 2002) on (n, features) rows.

    Raises:
        DataError: there are fewer pictures than ``dim``, so the components would not exist.
    """
    if len(rows) < dim:
        message = (
            f"extractor.dim: {dim} dimensions need at least {dim} pictures to fit; the gallery gave {len(rows)}: "
            "lower it or leave it out."
        )
        raise DataError(message, slug="too-few-pictures")
    from sklearn.decomposition import PCA

    fitted = PCA(n_components=dim, random_state=seed).fit(rows)
    return Reduction(fitted.mean_.astype(np.float32), fitted.components_.astype(np.float32), basis)


def save_reduction(reduction: Reduction, path: Path) -> None:
    """Write mean, components, basis and hash, in one step."""
    with replacing(path) as part:
        np.savez(
            part,
            mean=reduction.mean,
            components=reduction.components,
            basis=np.array(reduction.basis),
            sha256=np.array(reduction.sha256),
        )


def load_reduction(path: Path) -> Reduction | None:
    """Read what ``save_reduction`` wrote, or return None where nothing was written yet.

    Raises:
        EngineError: the file is damaged.
    """
    if not path.exists():
        return None
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            reduction = Reduction(file["mean"], file["components"], str(file["basis"]))
            intact = reduction.sha256 == str(file["sha256"])
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        message = f"{path}: expected a fitted reduction; received {error}: delete it and index again."
        raise EngineError(message, slug="model-damaged") from error
    if not intact:
        raise EngineError(f"{path}: its numbers do not fit its hash: delete it and index again.", slug="model-damaged")
    return reduction
