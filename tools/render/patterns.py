"""Bitmap patterns for surfaces, as arrays of sRGB values between 0 and 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

PALETTE: tuple[tuple[float, float, float], ...] = (
    (0.93, 0.91, 0.86),
    (0.80, 0.74, 0.64),
    (0.60, 0.47, 0.34),
    (0.36, 0.25, 0.19),
    (0.72, 0.36, 0.25),
    (0.56, 0.16, 0.19),
    (0.83, 0.63, 0.24),
    (0.47, 0.51, 0.31),
    (0.26, 0.40, 0.33),
    (0.20, 0.48, 0.52),
    (0.49, 0.64, 0.74),
    (0.17, 0.25, 0.42),
    (0.45, 0.36, 0.50),
    (0.82, 0.60, 0.57),
    (0.55, 0.56, 0.56),
    (0.20, 0.20, 0.22),
)

PATTERNS = (
    "stripes",
    "hoops",
    "diagonal",
    "dots",
    "checks",
    "zigzag",
    "bands",
    "halves",
    "plaid",
    "motif",
    "waves",
    "speckle",
    "mosaic",
    "diamonds",
    "rings",
)


def _grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    line = (np.arange(size) + 0.5) / size
    return np.meshgrid(line, line[::-1])


def noise(rng: np.random.Generator, size: int, cells: Sequence[int]) -> np.ndarray:
    """Return smooth noise of several frequencies with zero mean and unit spread."""
    total = np.zeros((size, size))
    for index, cell in enumerate(cells):
        coarse = rng.normal(size=(cell + 1, cell + 1))
        total += zoom(coarse, size / (cell + 1), order=1, mode="grid-wrap", grid_mode=True) * 0.6**index
    return (total - total.mean()) / (total.std() + 1e-9)


def _mask(name: str, rng: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    n = int(rng.integers(3, 9))
    m = int(rng.integers(2, 6))
    if name == "stripes":
        return (u * 2 * n) % 2 < rng.uniform(0.5, 1.3)
    if name == "hoops":
        return (v * m) % 1 < rng.uniform(0.25, 0.6)
    if name == "diagonal":
        return (u * n + v * m * rng.choice([-1, 1])) % 1 < rng.uniform(0.3, 0.6)
    if name == "dots":
        shift = np.floor(v * m) % 2 * 0.5
        return ((u * n * 1.5 + shift) % 1 - 0.5) ** 2 + ((v * m) % 1 - 0.5) ** 2 < rng.uniform(0.04, 0.14)
    if name == "checks":
        return (np.floor(u * 2 * n) + np.floor(v * m)) % 2 < 1
    if name == "zigzag":
        return (v * m + np.abs((u * n) % 1 - 0.5)) % 1 < rng.uniform(0.3, 0.55)
    if name == "halves":
        return v < rng.uniform(0.3, 0.7)
    if name == "waves":
        return (v * m + 0.2 * np.sin(u * n * 2 * np.pi)) % 1 < rng.uniform(0.3, 0.55)
    if name == "diamonds":
        return np.abs((u * n) % 1 - 0.5) + np.abs((v * m) % 1 - 0.5) < rng.uniform(0.3, 0.45)
    if name == "rings":
        cell = ((u * n) % 1 - 0.5) ** 2 + ((v * m) % 1 - 0.5) ** 2
        return (cell < 0.17) & (cell > rng.uniform(0.05, 0.1))
    centre, width = rng.uniform(0.2, 0.8), rng.uniform(0.05, 0.14)
    return np.abs(v - centre) < width


def _motif(rng: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    x = ((u * int(rng.choice([2, 3, 4]))) % 1 - 0.5) * 2.2
    y = (v - rng.uniform(0.42, 0.58)) * rng.uniform(2.4, 3.2)
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    kind = int(rng.integers(0, 5))
    if kind == 0:
        points = int(rng.integers(4, 8))
        return radius < 0.45 + 0.3 * np.cos(points * (angle - np.pi / 2))
    if kind == 1:
        return (x**2 + (y + 0.1 - 0.6 * np.sqrt(np.abs(x))) ** 2) < 0.5
    if kind == 2:
        return (radius < 0.75) & (radius > 0.45) | (radius < 0.22)
    if kind == 3:
        return (np.abs(x) < 0.2) & (np.abs(y) < 0.75) | (np.abs(y) < 0.2) & (np.abs(x) < 0.75)
    return (np.abs(x) * 1.6 + np.abs(y)) % 0.55 < 0.28 * (radius < 0.85)


def pattern(name: str, seed: int, colors: Sequence[Sequence[float]], size: int = 192) -> np.ndarray:
    """Draw a pattern over one turn (u) and one height (v) in up to three colours."""
    rng = np.random.default_rng(seed)
    u, v = _grid(size * 2)
    first, second, third = (np.asarray(c, dtype=float) for c in colors)
    picture = np.broadcast_to(first, (*u.shape, 3)).copy()
    if name == "mosaic":
        cells = rng.integers(0, 3, size=(int(rng.integers(3, 7)), int(rng.integers(6, 13))))
        picked = cells[(v * cells.shape[0]).astype(int), (u * cells.shape[1]).astype(int)]
        picture = np.stack([first, second, third])[picked]
    elif name == "plaid":
        for color, n, m, w in ((second, 4, 3, 0.4), (third, 8, 6, 0.15)):
            share = 0.5 * ((u * n) % 1 < w) + 0.5 * ((v * m) % 1 < w)
            picture = picture * (1 - share[..., None]) + color * share[..., None]
    elif name == "speckle":
        level = noise(rng, size * 2, (int(rng.integers(24, 70)),))
        picture[level > 1.1] = second
        picture[level < -1.5] = third
    elif name == "motif":
        picture[_motif(rng, u, v)] = second
    elif name == "bands":
        for color in (second, third, second)[: int(rng.integers(1, 4))]:
            picture[_mask("band", rng, u, v)] = color
    else:
        picture[_mask(name, rng, u, v)] = second
        if rng.random() < 0.25:
            picture[_mask("band", rng, u, v)] = third
    smooth = gaussian_filter(picture, (1, 1, 0), mode="wrap")
    return smooth.reshape(size, 2, size, 2, 3).mean((1, 3))


def wood(seed: int, color: Sequence[float], size: int = 192) -> np.ndarray:
    """Draw wood grain along v in shades of one colour."""
    rng = np.random.default_rng(seed)
    u, v = _grid(size)
    bend = noise(rng, size, (2, 3)) * 0.022 + 0.015 * np.sin(v * 2 * np.pi)
    rings = np.sin((u + bend) * rng.uniform(40, 90))
    fine = zoom(rng.normal(size=(3, size)), (size / 3, 1), order=1)[:size]
    shade = 1 + rng.uniform(0.03, 0.08) * rings + 0.04 * fine
    return np.clip(np.asarray(color) * shade[..., None], 0, 1)


def marble(seed: int, color: Sequence[float], vein: Sequence[float], size: int = 192) -> np.ndarray:
    """Draw veined stone."""
    rng = np.random.default_rng(seed)
    veins = np.exp(-np.abs(noise(rng, size, (3, 6, 12))) * 9) * 0.6
    cloud = 1 + 0.04 * noise(rng, size, (4, 9))
    mixed = np.asarray(color) * (1 - veins[..., None]) + np.asarray(vein) * veins[..., None]
    return np.clip(mixed * cloud[..., None], 0, 1)
