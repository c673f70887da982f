"""Ball and dice."""

from __future__ import annotations

import numpy as np
import trimesh

from ..geometry import Part, box, lathe, part, turn
from ..geometry import ball as sphere
from ..materials import Finish, Style


def _directions(size: int = 256) -> np.ndarray:
    u = (np.arange(size * 2) + 0.5) / (size * 2)
    v = (np.arange(size) + 0.5) / size
    angle, polar = np.meshgrid((u - 0.5) * 2 * np.pi, v * np.pi)
    return np.stack([np.sin(polar) * np.cos(angle), np.sin(polar) * np.sin(angle), np.cos(polar)], axis=-1)


def _soccer(d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    corners = trimesh.creation.icosahedron().vertices
    corners = corners / np.linalg.norm(corners, axis=1, keepdims=True)
    faces = trimesh.creation.icosahedron().face_normals
    near = np.sort(np.concatenate([d @ corners.T * 1.0585, d @ faces.T], axis=-1), axis=-1)
    patch = np.concatenate([d @ corners.T * 1.0585, d @ faces.T], axis=-1).argmax(-1) < 12
    return patch, near[..., -1] - near[..., -2] < 0.012


def sphere_texture(finish: Finish) -> np.ndarray:
    """Draw the markings of a ball over longitude and latitude."""
    kind = finish.pattern.removeprefix("ball-")
    rng = np.random.default_rng(finish.seed)
    colors = np.asarray(finish.colors)
    d = _directions()
    picture = np.broadcast_to(colors[0], d.shape).copy()
    if kind in ("soccer", "basket", "tennis", "beach"):
        _sport(kind, rng, picture, d, colors)
    else:
        _print(kind, rng, picture, d, colors)
    return picture


def _sport(kind: str, rng: np.random.Generator, picture: np.ndarray, d: np.ndarray, colors: np.ndarray) -> None:
    first, second, third = colors
    angle = np.arctan2(d[..., 1], d[..., 0])
    if kind == "soccer":
        patch, seam = _soccer(d)
        picture[patch] = second
        picture[seam] = np.minimum(first, second) * 0.5
    elif kind == "basket":
        width = rng.uniform(0.02, 0.035)
        lines = (np.abs(d[..., 0]) < width) | (np.abs(d[..., 2]) < width)
        lines |= np.abs(np.abs(d[..., 1]) - 0.55 + 0.35 * d[..., 0] ** 2) < width
        picture[lines] = second * 0.5
    elif kind == "tennis":
        wave = d[..., 2] - 0.55 * np.sin(2 * angle) * np.sqrt(1 - d[..., 2] ** 2)
        picture[np.abs(wave) < rng.uniform(0.05, 0.09)] = second
    elif kind == "beach":
        count = int(rng.choice([6, 8, 10]))
        slice_ = (np.floor((angle / (2 * np.pi) + 0.5) * count)).astype(int)
        picture[:] = np.stack([first, second, np.array([0.93, 0.91, 0.86]), third])[slice_ % int(rng.choice([2, 3, 4]))]
        picture[np.abs(d[..., 2]) > 0.97] = third


def _print(kind: str, rng: np.random.Generator, picture: np.ndarray, d: np.ndarray, colors: np.ndarray) -> None:
    _, second, third = colors
    angle = np.arctan2(d[..., 1], d[..., 0])
    if kind == "band":
        for _ in range(int(rng.integers(1, 4))):
            axis = rng.normal(size=3)
            value = d @ (axis / np.linalg.norm(axis))
            picture[np.abs(value - rng.uniform(-0.4, 0.4)) < rng.uniform(0.08, 0.2)] = (
                second if rng.random() < 0.6 else third
            )
    elif kind == "dots":
        count = int(rng.integers(14, 40))
        index = np.arange(count) + 0.5
        z = 1 - 2 * index / count
        ring = np.sqrt(1 - z**2)
        spots = np.stack([ring * np.cos(index * 2.39996), ring * np.sin(index * 2.39996), z], axis=-1)
        picture[(d @ spots.T).max(-1) > np.cos(rng.uniform(0.6, 1.1) / np.sqrt(count))] = second
    elif kind == "spiral":
        picture[np.floor(angle / (2 * np.pi) * 3 * 2 + d[..., 2] * rng.uniform(3, 7)) % 2 < 1] = second
    elif kind == "checks":
        count = int(rng.choice([6, 8, 10]))
        polar = np.arccos(d[..., 2])
        picture[(np.floor(angle / (2 * np.pi) * count) + np.floor(polar / np.pi * count / 2)) % 2 < 1] = second


_KINDS = (
    "soccer",
    "soccer",
    "basket",
    "basket",
    "tennis",
    "beach",
    "beach",
    "band",
    "dots",
    "spiral",
    "checks",
    "bowling",
)


def ball(style: Style) -> list[Part]:
    """Build a ball of one of eleven kinds of marking, or a bowling ball with finger holes."""
    kind = style.pick(*_KINDS)
    finish = style.surface("plastic", "matte", patterned=0.0)
    marked = Finish(finish.kind, finish.colors, f"ball-{kind}", finish.seed)
    tilt = turn(style.span(-70, 70), (style.span(-1, 1), 1, style.span(-1, 1)))
    parts = [part(sphere(1.0, detail=4), marked, "sphere", 60)]
    if kind == "bowling":
        dark = style.plain("matte", "third")
        for x, y in ((0, 0.22), (-0.14, -0.12), (0.14, -0.12)):
            hole = lathe([(0, 0), (0.1, 0), (0.1, -0.02)], 20)
            parts.append(part(hole, dark).moved(turn(0, at=(x, y, 0.975))))
        tilt = turn(style.span(30, 60), (1, style.span(-0.4, 0.4), 0))
    return [p.moved(tilt) for p in parts]


_SPOTS = {
    1: [(0, 0)],
    2: [(-1, -1), (1, 1)],
    3: [(-1, -1), (0, 0), (1, 1)],
    4: [(-1, -1), (-1, 1), (1, -1), (1, 1)],
    5: [(-1, -1), (-1, 1), (0, 0), (1, -1), (1, 1)],
    6: [(-1, -1), (-1, 0), (-1, 1), (1, -1), (1, 0), (1, 1)],
}
_FACES = {
    1: ((1, 0, 0), 0),
    6: ((1, 0, 0), 180),
    2: ((1, 0, 0), 90),
    5: ((1, 0, 0), -90),
    3: ((0, 1, 0), 90),
    4: ((0, 1, 0), -90),
}


def _die(style: Style, rounding: float, pip: str, size: float, body: Finish, mark: Finish) -> list[Part]:
    parts = [part(box((2, 2, 2), rounding), body, "box", 50)]
    for value, (axis, degrees) in _FACES.items():
        for x, y in _SPOTS[value]:
            if pip == "square":
                shape = box((size * 1.8, size * 1.8, 0.02))
            elif pip == "ring":
                shape = lathe(
                    [(size * 0.45, -0.01), (size * 0.45, 0.012), (size * 1.1, 0.012), (size * 1.1, -0.01)], 20
                )
            elif pip == "diamond":
                shape = lathe([(0, 0.012), (size * 1.3, 0.012), (size * 1.3, -0.01)], 4)
            else:
                shape = lathe([(0, 0.012), (size, 0.01), (size, -0.01)], 20)
            gap = 0.5 if rounding > 0.3 else 0.55
            spot = part(shape, mark).moved(turn(0, at=(x * gap, y * gap, 1.0)))
            parts.append(spot.moved(turn(degrees, axis)))
    return parts


def dice(style: Style) -> list[Part]:
    """Build one to three dice: sharp or round edges, four kinds of pip, side by side or stacked."""
    body = style.surface("plastic", "plastic", "wood", "metal", "marble", patterned=0.3)
    mark = style.plain("plastic", "second")
    rounding, pip = style.pick(0.06, 0.2, 0.4), style.pick("round", "round", "square", "ring", "diamond")
    size = style.span(0.15, 0.26) * (0.85 if rounding > 0.3 else 1)
    spots = {
        1: [(0, 0, 1)],
        2: [(-1.3, 0, 1), (1.3, style.span(-0.8, 0.8), 1)],
        3: style.pick([(-1.2, 0, 1), (1.2, 0.3, 1), (0, 0.1, 3)], [(-1.7, 0.8, 1), (1.5, 1.0, 1), (0.2, -1.2, 1)]),
    }[style.pick(1, 2, 2, 3, 3)]
    parts = []
    for at in spots:
        up = turn(style.pick(0, 90, 180, 270), style.pick((1, 0, 0), (0, 1, 0)))
        pose = turn(style.span(0, 90), at=at) @ up
        parts += [p.moved(pose) for p in _die(style, rounding, pip, size, body, mark)]
    return parts
