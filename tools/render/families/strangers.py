"""Families kept out of the gallery and of training: umbrella, guitar and rubber duck."""

from __future__ import annotations

import numpy as np
import trimesh
from shapely.geometry import Point, Polygon
from shapely.ops import unary_union

from ..geometry import Part, ball, box, curve, extrude, lathe, part, rod, tube, turn
from ..materials import Finish, Style, fixed


def umbrella(style: Style) -> list[Part]:
    """Build an open umbrella with six to ten panels, shaft and crook or straight grip."""
    count, sag = style.pick(6, 8, 8, 10), style.span(0.35, 0.55)
    colors = (style.main, style.second, style.third)
    canopy = Finish(
        "cloth",
        colors,
        style.pick("stripes", "stripes", "hoops", "plain", "dots"),
        int(style.rng.integers(0, 2**31)),
    )
    line = curve([(1.3, 0), (1.05, sag * 0.55), (0.5, sag * 0.92), (0.0, sag)], 24)
    mesh = lathe(line, count * 6)
    v = mesh.vertices.copy()
    radius, angle = np.hypot(v[:, 0], v[:, 1]), np.arctan2(v[:, 1], v[:, 0])
    v[:, 2] += 0.09 * radius**2 * (np.abs(np.sin(angle * count / 2)) - 0.5)
    mesh.vertices = v
    metal = style.plain("metal")
    grip = style.plain(style.pick("wood", "plastic"), "third")
    low = -style.span(1.1, 1.4)
    parts = [part(mesh, canopy, "polar"), part(rod((0, 0, low), (0, 0, sag + 0.16), 0.025), metal)]
    if style.chance(0.7):
        hook = [(0.16 - 0.16 * np.cos(a), 0, low - 0.16 * np.sin(a)) for a in np.linspace(0, np.pi, 16)]
        parts.append(part(tube(np.vstack([[(0, 0, low + 0.3)], hook]), 0.05), grip))
    else:
        parts.append(part(rod((0, 0, low), (0, 0, low + 0.35), 0.07), grip))
    pose = turn(style.span(55, 75), (style.span(-0.5, 0.5), 1, 0))
    return [p.moved(pose) for p in parts]


_HORNED = [(-0.5, -0.5), (0.5, -0.5), (0.6, 0), (0.36, 0.35), (0.6, 0.95)]
_HORNED += [(0.15, 0.6), (-0.15, 0.6), (-0.55, 1.1), (-0.38, 0.35), (-0.62, 0)]


def guitar(style: Style) -> list[Part]:
    """Build a standing guitar, acoustic or electric, with neck, head and strings."""
    finish = style.surface("wood", "wood", "plastic", patterned=0.3)
    dark = style.plain("wood", "third")
    if style.chance(0.65):
        waist = Polygon([(-0.4, 0), (0.4, 0), (0.36, 0.8), (-0.36, 0.8)])
        body = unary_union([Point(0, 0).buffer(0.62), Point(0, 0.78).buffer(0.46), waist])
        deep = 0.3
    else:
        body = Polygon(_HORNED).buffer(0.1)
        deep = 0.16
    parts = [part(extrude(body.buffer(-0.12).buffer(0.12), deep, 0.03), finish, "top")]
    neck = box((0.17, 1.75, 0.1), 0.02, (0, 1.75, deep))
    head = extrude(Polygon([(-0.1, 2.6), (0.1, 2.6), (0.17, 3.05), (-0.17, 3.05)]), 0.07)
    metal = style.plain("metal")
    parts += [part(neck, dark, "box"), part(head.apply_translation([0, 0, deep - 0.04]), dark, "box")]
    hole = lathe([(0, 0), (0.23, 0)], 32).apply_translation([0, 0.52, deep + 0.01])
    parts.append(part(hole, fixed("matte", (0.08, 0.06, 0.05))))
    parts.append(part(box((0.45, 0.1, 0.05), 0.01, (0, -0.15, deep + 0.02)), dark, "box"))
    for x in np.linspace(-0.06, 0.06, 4):
        parts.append(part(rod((x, -0.15, deep + 0.07), (x, 2.6, deep + 0.07), 0.008), metal))
    for z in (2.68, 2.82, 2.96):
        for side in (-1, 1):
            parts.append(part(ball(0.045, (side * 0.23, z, deep), 2), metal))
    return [p.moved(turn(76, (1, 0, 0))) for p in parts]


def duck(style: Style) -> list[Part]:
    """Build a rubber duck with tail, wings, beak and eyes."""
    finish = style.surface("plastic", patterned=0.35)
    beak = style.plain("plastic", "second")
    body = trimesh.creation.icosphere(subdivisions=4)
    v = body.vertices * [0.85, 0.68, 0.55]
    v[:, 2] += np.clip(-v[:, 0] - 0.35, 0, 1) ** 1.3 * 0.9
    v[:, 2] = np.maximum(v[:, 2], -0.42)
    body.vertices = v
    size = style.span(0.42, 0.52)
    at = np.array([0.42, 0, 0.78])
    parts = [part(body, finish, "cyl", 60), part(ball(size, at), style.plain("plastic", "main"))]
    bill = trimesh.creation.icosphere(subdivisions=3)
    bill.vertices = bill.vertices * [0.24, 0.2, 0.075]
    for lift in (-0.1, 0.0):
        parts.append(part(bill.copy().apply_translation(at + [size + 0.08, 0, lift]), beak))
    wing = trimesh.creation.icosphere(subdivisions=3)
    wing.vertices = wing.vertices * [0.42, 0.12, 0.26]
    for side in (-1, 1):
        eye = at + [size * 0.72, side * size * 0.55, size * 0.35]
        parts += [
            part(ball(0.085, eye, 2), fixed("plastic", (0.95, 0.95, 0.95))),
            part(ball(0.055, eye + [0.05, side * 0.02, 0.01], 2), fixed("plastic", (0.05, 0.05, 0.05))),
            part(
                wing.copy().apply_translation([-0.1, side * 0.62, 0.05]),
                style.plain("plastic", style.pick("main", "second")),
            ),
        ]
    return [p.moved(turn(-90)) for p in parts]
