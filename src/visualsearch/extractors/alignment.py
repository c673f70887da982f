"""Five points of a face → the similarity transform that puts it where a network expects it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visualsearch.datatypes import Crop, Pixels
from visualsearch.extractors.preparation import squeeze

Points = NDArray[np.float64]
"""(n, 2): x and y, in pixels or as shares of a side; whole numbers are the centres of pixels."""

Transform = NDArray[np.float64]
"""(2, 3): scale, rotation and, in the last column, shift."""

Alignment = Literal["arcface-112", "dlib", "none"]

TEMPLATES: Mapping[str, Points] = {
    # Deng et al., "ArcFace", 2019: 112 x 112 pixels, as most networks since then are trained.
    "arcface-112": np.array(
        [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
    )
    / 112,
    # Where the five points lie in dlib's chips: the mean over 400 photographs, in pixels of 150.
    "dlib": np.array([[47.04, 45.04], [100.47, 44.97], [73.65, 75.92], [49.61, 103.09], [97.51, 103.10]]) / 150,
}
"""Left eye, right eye, nose, left and right corner of the mouth, as seen in the picture, as shares of the side."""


def similarity(points: Points, targets: Points) -> Transform | None:
    """Return the scale, rotation and shift that bring ``points`` closest to ``targets``; None where there are none.

    It is the least-squares solution of Umeyama ("Least-squares estimation of transformation
    parameters between two point patterns", 1991, equations 40 to 42), never a mirror image.
    """
    centre, target = points.mean(axis=0), targets.mean(axis=0)
    spread = ((points - centre) ** 2).sum()
    if not np.isfinite(spread) or spread < 1e-6:
        return None
    left, values, right = np.linalg.svd((targets - target).T @ (points - centre))
    signs = np.array([1.0, np.sign(np.linalg.det(left) * np.linalg.det(right))])
    turned = (values @ signs / spread) * (left * signs) @ right
    return np.column_stack([turned, target - turned @ centre])


def apply(transform: Transform, points: Points) -> Points:
    """Return where the points come to lie.

    >>> apply(np.array([[2.0, 0.0, 1.0], [0.0, 2.0, 0.0]]), np.array([[3.0, 4.0]])).tolist()
    [[7.0, 8.0]]
    """
    moved: Points = points @ transform[:, :2].T + transform[:, 2]
    return moved


def inverse(transform: Transform) -> Transform:
    """Return the transform of the way back."""
    back = np.linalg.inv(transform[:, :2])
    return np.column_stack([back, -back @ transform[:, 2]])


def warp(pixels: Pixels, transform: Transform, side: int) -> Pixels:
    """Return the (side, side, 3) part of a picture that ``transform`` brings there; black where the picture ends.

    A picture that shrinks to less than half is averaged over whole blocks first, so that nothing
    aliases; the rest is bilinear.
    """
    back = inverse(transform)
    factor = max(1, int(np.sqrt(abs(np.linalg.det(back[:, :2])))))
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    picture = picture.reduce(factor) if factor > 1 else picture
    # Pillow counts from the corners of the pixels, landmarks from the centres.
    back[:, 2] += 0.5 - back[:, :2] @ (0.5, 0.5)
    way = (back / factor).ravel().tolist()
    return np.asarray(picture.transform((side, side), Image.Transform.AFFINE, way, Image.Resampling.BILINEAR))


def placed(crop: Crop, alignment: str, side: int) -> Transform | None:
    """Return the transform from a crop's pixels to (side, side); None where nothing tells where the face lies."""
    if crop.landmarks is None or alignment not in TEMPLATES:
        return None
    return similarity(np.asarray(crop.landmarks, np.float64), TEMPLATES[alignment] * side)


def aligned(crop: Crop, alignment: str, side: int) -> Pixels:
    """Return the face as (side, side, 3): by its landmarks, or, without them or a template, the whole crop squeezed."""
    transform = placed(crop, alignment, side)
    return squeeze(crop.pixels, side) if transform is None else warp(crop.pixels, transform, side)
