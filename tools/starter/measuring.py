"""How well embeddings find families and instances that training has not seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .pictures import Pictures, listed, load, resized, split_views

Matrix = NDArray[np.float32]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Trial:
    """Gallery and query pictures of the same instances, in other views."""

    gallery: Pictures
    queries: Pictures

    def map(self, embed: Callable[[Pictures], Matrix]) -> tuple[Matrix, Matrix]:
        """Return the unit-length embeddings of the gallery and of the queries."""
        return unit(embed(self.gallery)), unit(embed(self.queries))


def split(pictures: Pictures) -> Trial:
    """Make half of each instance's views the gallery, the other half the queries."""
    gallery = split_views(pictures)
    return Trial(pictures.take(gallery), pictures.take(~gallery))


def trial(folder: Path, side: int) -> Trial:
    """Read ``folder/gallery`` and ``folder/queries``."""
    gallery = load(listed(folder / "gallery"), side)
    return Trial(gallery, load(listed(folder / "queries"), side, gallery.families))


def unit(rows: Matrix) -> Matrix:
    """Return the rows at length 1; a row of zeros stays."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def histogram(pictures: Pictures) -> Matrix:
    """Return the square roots of each picture's 8 × 8 × 8 colour histogram."""
    cells = (pictures.pixels // 32).reshape(len(pictures), -1, 3) @ np.array([64, 8, 1])
    return np.sqrt(np.stack([np.bincount(row, minlength=512) for row in cells])).astype(np.float32)


def pooled(network: Any, side: int, batch: int = 64) -> Callable[[Pictures], Matrix]:
    """Return the embedding by a Keras model's pooled layer at ``side`` pixels (mode "caffe")."""
    import keras

    def embed(pictures: Pictures) -> Matrix:
        rows = []
        for start in range(0, len(pictures), batch):
            seen = np.stack([resized(p, side) for p in pictures.pixels[start : start + batch]])
            ready = keras.applications.resnet.preprocess_input(seen.astype(np.float32))
            rows.append(np.asarray(network.predict_on_batch(ready), np.float32))
        return np.concatenate(rows)

    return embed


def top(gallery: Matrix, queries: Matrix, k: int = 20) -> NDArray[np.int64]:
    """Return (queries, k): the gallery rows most like each query, best first."""
    return np.argsort(-(queries @ gallery.T), axis=1, kind="stable")[:, :k]


def retrieval(trial: Trial, gallery: Matrix, queries: Matrix) -> tuple[NDArray[np.float64], ...]:
    """Return for each query: category hit at 1, instance hit at 1, instance recall at 20."""
    order = top(gallery, queries)
    same_family = trial.gallery.family[order] == trial.queries.family[:, None]
    gallery_names = np.array(trial.gallery.instances)[trial.gallery.instance]
    query_names = np.array(trial.queries.instances)[trial.queries.instance]
    same = gallery_names[order] == query_names[:, None]
    right = (gallery_names[None, :] == query_names[:, None]).sum(axis=1)
    return same_family[:, 0].astype(float), same[:, 0].astype(float), same.sum(axis=1) / np.maximum(right, 1)


def fitted_head(trial: Trial, gallery: Matrix, queries: Matrix) -> NDArray[np.float64]:
    """Return for each query whether logistic regression on the gallery names its family."""
    from sklearn.linear_model import LogisticRegression

    head = LogisticRegression(C=100.0, max_iter=500).fit(gallery, trial.gallery.family)
    return (head.predict(queries) == trial.queries.family).astype(float)
