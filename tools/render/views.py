"""How one picture is taken: camera, light, surroundings, and what stands beside or before the object."""

from __future__ import annotations

from typing import Any

import numpy as np
from shapely.geometry import MultiPoint

from . import surroundings
from .families import Family

SIMPLE = ("box", "ball", "cylinder", "cone")
SHAPES = ((1.0, 1.0), (1.25, 1.0), (1.0, 1.25), (1.33, 1.0), (1.0, 1.33))


def _round(value: float) -> float:
    return round(float(value), 3)


def _lamp(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "az": _round(rng.uniform(-120, 120)),
        "el": _round(rng.uniform(32, 75)),
        "far": _round(rng.uniform(3.5, 6)),
        "size": [_round(rng.uniform(0.25, 1.8)), _round(rng.uniform(0.25, 1.8))],
        "warm": _round(rng.uniform(-0.7, 1.0)),
        "power": _round(rng.uniform(0.35, 1.0)),
    }


def choose(rng: np.random.Generator, family: Family, names: tuple[str, ...]) -> dict[str, Any]:
    """Pick everything about a picture except the object itself."""
    lights = [_lamp(rng) for _ in range(int(rng.choice([1, 1, 2, 2, 3])))]
    view = {
        "az": _round(rng.uniform(-family.turn, family.turn)),
        "el": _round(rng.uniform(family.low, family.high)),
        "fov": _round(rng.uniform(22, 50)),
        "fill": _round(rng.uniform(0.62, 0.9)),
        "shift": [_round(rng.uniform(-1, 1)), _round(rng.uniform(-1, 1))],
        "roll": _round(rng.normal(0, 1.5)),
        "shape": list(SHAPES[int(rng.choice(5, p=[0.4, 0.2, 0.2, 0.1, 0.1]))]),
        "lights": lights,
        "sun": bool(rng.random() < 0.22),
        "room": [int(rng.integers(0, 2**31)), _round(rng.uniform(-0.8, 1)), _round(rng.uniform(0.25, 0.9))],
        "exposure": _round(rng.uniform(0.8, 1.2)),
        "balance": [_round(rng.uniform(0.95, 1.05)), _round(rng.uniform(0.95, 1.05))],
        "seed": int(rng.integers(0, 2**31)),
        **surroundings.choose(rng),
    }
    return view | _disturbance(rng, names)


def _disturbance(rng: np.random.Generator, names: tuple[str, ...]) -> dict[str, Any]:
    """Pick a second object beside, a cut by the frame, a thing before, or (mostly) nothing."""
    chance = rng.random()
    if chance < 0.2:
        what = str(rng.choice([*SIMPLE, *names]))
        seed = int(rng.integers(0, 2**31))
        az = _round(rng.choice([-1, 1]) * rng.uniform(60, 115))
        return {"beside": {"what": what, "seed": seed, "az": az, "size": _round(rng.uniform(0.22, 0.38))}}
    if chance < 0.3:
        return {"cut": [_round(rng.uniform(0.08, 0.26)), int(rng.integers(0, 4))]}
    if chance < 0.4:
        what = str(rng.choice(SIMPLE))
        return {
            "before": {
                "what": what,
                "seed": int(rng.integers(0, 2**31)),
                "hide": _round(rng.uniform(0.06, 0.24)),
                "side": int(rng.choice([-1, 1])),
                "size": _round(rng.uniform(0.28, 0.5)),
            }
        }
    return {}


class Camera:
    """A pinhole camera fitted to an object's points."""

    def __init__(self, view: dict[str, Any], points: np.ndarray) -> None:
        """Place the camera so that the object fills the wanted part of the frame."""
        az, el = np.radians(view["az"]), np.radians(view["el"])
        self.back = np.array([np.sin(az) * np.cos(el), -np.cos(az) * np.cos(el), np.sin(el)])
        self.right = np.array([np.cos(az), np.sin(az), 0.0])
        self.up = np.cross(self.back, self.right)
        # fov is the angle across the shorter side.
        self.reach = np.tan(np.radians(view["fov"]) / 2)
        shape = np.asarray(view["shape"], dtype=float)
        self.half = self.reach * shape / shape.min()
        self.target = points.mean(0)
        self.distance = 4.0
        self._fit(view, points)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Return frame coordinates, -1 to 1 across the picture."""
        rel = points - (self.target + self.back * self.distance)
        depth = np.maximum(-(rel @ self.back), 1e-3)
        return np.column_stack([rel @ self.right / depth, rel @ self.up / depth]) / self.half

    def _slide(self, offset: np.ndarray) -> None:
        step = offset * self.half * self.distance
        self.target = self.target + self.right * step[0] + self.up * step[1]

    def _fit(self, view: dict[str, Any], points: np.ndarray) -> None:
        for _ in range(6):
            flat = self.project(points)
            self._slide((flat.min(0) + flat.max(0)) / 2)
            flat = self.project(points)
            self.distance *= float((flat.max(0) - flat.min(0)).max() / 2 / view["fill"])
        flat = self.project(points)
        room = np.maximum(0.97 - np.abs(flat).max(0), 0)
        self._slide(np.asarray(view["shift"]) * room * 0.8)
        if "cut" in view:
            self._cut(*view["cut"], points)

    def _cut(self, share: float, side: int, points: np.ndarray) -> None:
        """Slide the frame until a share of the object's outline lies outside it."""
        axis, sign = side % 2, 1.0 if side < 2 else -1.0
        hull = MultiPoint(self.project(points)).convex_hull
        low, high = 0.0, 1.5
        for _ in range(12):
            middle = (low + high) / 2
            move = np.zeros(2)
            move[axis] = sign * middle
            frame = MultiPoint(
                [
                    (-1 + move[0], -1 + move[1]),
                    (1 + move[0], 1 + move[1]),
                    (-1 + move[0], 1 + move[1]),
                    (1 + move[0], -1 + move[1]),
                ]
            ).convex_hull
            if 1 - hull.intersection(frame).area / hull.area < share:
                low = middle
            else:
                high = middle
        move = np.zeros(2)
        move[axis] = sign * low
        self._slide(move)

    def origin(self) -> np.ndarray:
        """Return the camera's position."""
        return self.target + self.back * self.distance


def hidden_share(camera: Camera, points: np.ndarray, cover: np.ndarray) -> float:
    """Return the share of the object's outline that the cover's outline overlaps."""
    outline = MultiPoint(camera.project(points)).convex_hull
    return float(outline.intersection(MultiPoint(camera.project(cover)).convex_hull).area / outline.area)
