"""The three networks of the package `mtcnn` in a row, on pictures of one size: proposals, refinement, landmarks.

The package's own way through them orders equal scores by what else is in the batch, so that a picture's
faces depend on the pictures beside it; and it calls its models layer by layer, which takes five times as
long for a single picture. Here the order is the picture's own, and each network is traced once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visualsearch.errors import EngineError
from visualsearch.runtimes.frameworks import import_keras

Rows = NDArray[np.float64]
"""(n, 6): number of the picture, left, top, right, bottom, score; or (n, 16) with five x and five y of landmarks."""

SMALLEST, SHRINKING = 20, 0.709
"""Longer side of the smallest face in pixels, and the step of the pyramid: the package's own."""

PROPOSED, REFINED = 0.6, 0.7
"""Least scores of the first two networks: the package's own."""

MOST = 2000
"""Proposals of one picture that are compared with each other: what a picture without end may ask of memory."""


class Cascade:
    """Finds faces in a batch; loading it takes seconds."""

    def __init__(self) -> None:
        """Load the networks and trace each once for pictures of any size, so that no call leaves anything behind.

        Raises:
            EngineError: the package or what it needs is not installed.
        """
        import_keras()
        try:
            import tensorflow as tf
            from mtcnn import MTCNN
        except ImportError as error:
            message = f"crop.name: mtcnn cannot be imported ({error}): pip install mtcnn, or use crop: {{name: whole}}."
            raise EngineError(message, slug="missing-package") from error

        def traced(model: Any, side: int | None) -> Callable[[Any], list[Any]]:
            signature = [tf.TensorSpec((None, side, side, 3), tf.float32)]
            made: Callable[[Any], list[Any]] = tf.function(model, signature, autograph=False)
            return made

        models = [stage.model for stage in MTCNN().stages]
        self._tensor: Callable[[Any], Any] = tf.convert_to_tensor
        self.networks = [traced(model, side) for model, side in zip(models, (None, 24, 48), strict=True)]

    def __call__(self, batch: NDArray[np.uint8], confidence: float) -> Rows:
        """Return the faces in (n, height, width, 3) pictures as (m, 16) rows, the pictures' in their order."""
        from mtcnn.utils import bboxes, images, landmarks

        _, refine, finish = self.networks
        pictures = self._tensor(images.normalize_images(batch.astype(np.float32)))
        rows = bboxes.resize_to_square(self._proposed(pictures))
        if len(rows):
            offsets, scores = refine(images.extract_patches(pictures, rows, (24, 24)))
            rows = bboxes.adjust_bboxes(bboxes.replace_confidence(rows, scores), offsets)
            rows = bboxes.resize_to_square(_distinct(rows[rows[:, 5] > REFINED], 0.7))
        if not len(rows):
            return np.empty((0, 16))
        offsets, points, scores = finish(images.extract_patches(pictures, rows, (48, 48)))
        points = landmarks.adjust_landmarks(points, rows)
        rows = bboxes.adjust_bboxes(bboxes.replace_confidence(rows, scores), offsets)
        rows = np.concatenate([rows, points], axis=1)
        return _distinct(rows[rows[:, 5] >= confidence], 0.7, "min")

    def _proposed(self, pictures: Any) -> Rows:
        """Return what the first network takes for faces at any scale."""
        from mtcnn.utils import bboxes, images

        count, height, width = pictures.shape[:3]
        found = [np.empty((0, 6))]
        for scale in images.build_scale_pyramid(width, height, SMALLEST, SHRINKING):
            offsets, scores = self.networks[0](images.scale_images(pictures, scale))
            rows = bboxes.generate_bounding_box(offsets, scores, PROPOSED)
            found.append(_distinct(bboxes.upscale_bboxes(rows, np.full(count, scale)), 0.5))
        return _distinct(np.concatenate(found), 0.7)


def _distinct(rows: Rows, overlap: float, method: str = "union") -> Rows:
    """Return, for each picture, the boxes that overlap no better one by more than ``overlap``, best first.

    Scores that differ by arithmetic alone count as equal: then the place decides.
    """
    from mtcnn.utils import bboxes

    rows = rows[np.lexsort((*rows[:, 4:0:-1].T, -rows[:, 5].round(4), rows[:, 0]))]
    kept = [np.empty((0, rows.shape[1]))]
    for number in np.unique(rows[:, 0]):
        some = rows[rows[:, 0] == number][:MOST]
        kept.append(some[bboxes.nms(bboxes.iou(some[:, 1:5], method), overlap)])
    return np.concatenate(kept)
