"""Floors, walls and room light: muted procedural textures as found in homes and shops."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from .patterns import PALETTE, marble, noise, wood

FLOORS = (
    "planks",
    "planks",
    "parquet",
    "tile",
    "cloth",
    "concrete",
    "carpet",
    "marble",
    "paint",
    "top",
    "check-cloth",
)
WALLS = ("paint", "paint", "paint", "room", "room", "room", "tile", "panel", "concrete", "paper", "sweep")


def muted(rng: np.random.Generator) -> list[float]:
    """Return a palette colour softened towards light, grey or wood."""
    color = np.asarray(PALETTE[int(rng.integers(0, len(PALETTE)))])
    other = np.array(
        [(0.9, 0.88, 0.84), (0.62, 0.6, 0.57), (0.7, 0.56, 0.42), (0.35, 0.33, 0.32)][
            int(rng.choice(4, p=[0.4, 0.25, 0.2, 0.15]))
        ]
    )
    share = rng.uniform(0.2, 0.8)
    return [round(float(c), 3) for c in color * share + other * (1 - share)]


def _planks(rng: np.random.Generator, color: np.ndarray, rows: int, block: bool) -> np.ndarray:
    size = 256
    picture = np.zeros((size, size, 3))
    height = size // rows
    seam = 0.55 + 0.2 * rng.random()
    logs = wood(int(rng.integers(0, 2**31)), color, size).transpose(1, 0, 2)
    for row in range(rows):
        cut = int(rng.integers(0, size))
        width = size // (4 if block else int(rng.integers(1, 3)))
        # Every row is sawn from another place of one log, shifted so that grain does not run on.
        grain = np.roll(logs[row * height : (row + 1) * height], int(rng.integers(0, size)), axis=1)
        for start in range(0, size, width):
            shade = rng.uniform(0.86, 1.1)
            columns = (np.arange(start, start + width) + cut) % size
            board = grain[:, (np.arange(width) + start) % size] * shade
            board[:, :1] *= seam
            picture[row * height : (row + 1) * height, columns] = board
        picture[row * height] *= seam
    return picture


def _tiles(rng: np.random.Generator, color: np.ndarray, count: int) -> np.ndarray:
    size = 240
    step = size // count
    picture = np.broadcast_to(color, (size, size, 3)).copy()
    picture *= (1 + 0.03 * noise(rng, size, (5, 20)))[..., None]
    two_tone = rng.random() < 0.25
    for i in range(count):
        for j in range(count):
            shade = rng.uniform(0.94, 1.05) * (0.78 if two_tone and (i + j) % 2 else 1)
            picture[i * step : (i + 1) * step, j * step : (j + 1) * step] *= shade
    joint = color * (0.7 if color.mean() > 0.5 else 1.35)
    lines = np.arange(size) % step < max(1, step // 28)
    picture[lines] = picture[:, lines] = joint
    return picture


def _weave(rng: np.random.Generator, color: np.ndarray, check: bool) -> np.ndarray:
    size = 256
    u, v = np.meshgrid(np.arange(size), np.arange(size))
    thread = 0.05 * np.sin(u * np.pi / 2) * np.sin(v * np.pi / 2) + 0.03 * noise(rng, size, (64, 128))
    picture = np.broadcast_to(color, (size, size, 3)) * (1 + thread[..., None])
    if check:
        wide = int(rng.choice([16, 32]))
        share = ((u // wide) % 2 * 0.5 + (v // wide) % 2 * 0.5) * rng.uniform(0.3, 0.7)
        other = np.asarray(muted(rng))
        picture = picture * (1 - share[..., None]) + other * share[..., None]
    return picture


def _room(rng: np.random.Generator, color: np.ndarray) -> np.ndarray:
    """Draw an out-of-focus room: a wall with furniture, shelves, pictures and a window."""
    size = 128
    picture = np.broadcast_to(color, (size, size, 3)).copy()
    for _ in range(int(rng.integers(4, 14))):
        w, h = rng.integers(5, 40, size=2)
        x, y = int(rng.integers(-5, size)), int(rng.integers(30, size))
        picture[max(y, 0) : y + h, max(x, 0) : x + w] = np.asarray(muted(rng)) * rng.uniform(0.6, 1.1)
    if rng.random() < 0.5:
        x = int(rng.integers(0, size - 30))
        picture[40:86, x : x + 28] = (1.0, 0.98, 0.94)
        picture[40:86, x + 13 : x + 15] = color * 0.8
    image = Image.fromarray((np.clip(picture, 0, 1) * 255).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(float(rng.uniform(2.0, 4.5)))), dtype=float) / 255


def texture(kind: str, seed: int, color: list[float]) -> np.ndarray:
    """Draw one repeat of a floor's or wall's surface as sRGB values."""
    rng = np.random.default_rng(seed)
    tone = np.asarray(color)
    if kind in ("planks", "panel"):
        warm = tone * 0.6 + np.array([0.62, 0.46, 0.31]) * 0.4
        return _planks(rng, warm, int(rng.choice([4, 8])), False)
    if kind == "parquet":
        return _planks(rng, tone * 0.5 + np.array([0.6, 0.44, 0.3]) * 0.5, 8, True)
    if kind == "top":
        return wood(seed, tone * 0.5 + np.array([0.6, 0.44, 0.3]) * 0.5, 256)
    if kind == "tile":
        return _tiles(rng, tone, int(rng.choice([2, 3, 4, 6])))
    if kind in ("cloth", "check-cloth"):
        return _weave(rng, tone, kind != "cloth")
    if kind == "carpet":
        return np.clip(tone * (1 + 0.12 * noise(rng, 256, (128, 60)))[..., None], 0, 1)
    if kind == "marble":
        return marble(seed, tone * 0.5 + 0.42, tone * 0.6, 256)
    if kind == "room":
        return _room(rng, tone)
    if kind == "paper":
        stripe = (np.arange(128) // int(rng.choice([8, 16, 32]))) % 2
        return tone * (1 - 0.1 * stripe[None, :, None] * np.ones((128, 1, 1)))
    rough = 0.035 if kind == "concrete" else 0.01
    return np.clip(tone * (1 + rough * noise(rng, 192, (4, 10, 40)))[..., None], 0, 1)


def environment(seed: int, warmth: float, level: float) -> np.ndarray:
    """Return a small panorama of a room: ceiling, walls, floor and bright windows (linear values)."""
    rng = np.random.default_rng(seed)
    height, width = 32, 64
    rows = np.linspace(1, -1, height)[:, None, None]
    base = 0.55 + 0.35 * rows * np.ones((1, width, 1))
    tint = np.array([1 + 0.12 * warmth, 1.0, 1 - 0.16 * warmth])
    picture = np.clip(base, 0.12, 1) * tint
    for _ in range(int(rng.integers(1, 5))):
        w, h = int(rng.integers(4, 10)), int(rng.integers(5, 10))
        x, y = int(rng.integers(0, width - w)), int(rng.integers(4, 14))
        picture[y : y + h, x : x + w] = rng.uniform(2.5, 6) * np.array([1 - 0.06 * warmth, 1, 1.06])
        picture[y : y + h, x + w // 2] *= 0.2
    for _ in range(4):
        w, h = int(rng.integers(4, 14)), int(rng.integers(3, 9))
        x, y = int(rng.integers(0, width - w)), int(rng.integers(12, 24))
        picture[y : y + h, x : x + w] *= rng.uniform(0.15, 0.7)
    return (picture * level).astype(np.float32)


def choose(rng: np.random.Generator) -> dict[str, Any]:
    """Pick a floor and a wall."""
    floor = FLOORS[int(rng.integers(0, len(FLOORS)))]
    wall = WALLS[int(rng.integers(0, len(WALLS)))]
    floor_color = muted(rng)
    return {
        "floor": [
            floor,
            int(rng.integers(0, 2**31)),
            floor_color,
            round(float(rng.uniform(1.6, 4.5)), 2),
            round(float(rng.uniform(0, 180)), 1),
        ],
        "wall": [
            wall,
            int(rng.integers(0, 2**31)),
            floor_color if wall == "sweep" else muted(rng),
            round(float(rng.uniform(1.5, 4.5)), 2),
            round(float(rng.uniform(-22, 22)), 1),
        ],
        "skirting": bool(rng.random() < 0.4 and wall in ("paint", "paper", "concrete")),
    }
