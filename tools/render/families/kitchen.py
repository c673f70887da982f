"""Frying pans, spoons and forks."""

from __future__ import annotations

import numpy as np
import trimesh
from shapely.geometry import LineString, Polygon

from ..geometry import Part, ball, box, curve, extrude, lathe, part, rod, tube, turn, vessel
from ..materials import Style, fixed


def _grasp(style: Style, at: float, height: float) -> list[Part]:
    """Build a pan's handle: a bar with a hole, a round grip or a wire loop."""
    kind, long, rise = style.pick("bar", "grip", "grip", "loop"), style.span(0.95, 1.5), style.span(3, 20)
    stuff = style.plain(style.pick("wood", "plastic", "plastic", "metal"), style.pick("main", "second", "third"))
    metal, wide = style.plain("metal"), style.span(0.08, 0.13)
    if kind == "bar":
        shape = Polygon([(-0.05, -0.16), (0.25, -wide), (long, -wide), (long, wide), (0.25, wide), (-0.05, 0.16)])
        shape = shape.buffer(0.03, 4).difference(LineString([(long - 0.2, 0), (long - 0.06, 0)]).buffer(0.06, 4))
        parts = [part(extrude(shape, 0.07, 0.015), stuff, "box")]
    elif kind == "grip":
        path = curve([(0.22, 0, 0), (long * 0.6, 0, 0.05), (long, 0, -0.04)], 16)
        thick = np.interp(np.linspace(0, 1, 16), [0, 0.5, 0.9, 1], [0.8, 1, 1.2, 0.6]) * wide
        parts = [part(tube(path, thick, 0.7), stuff, "box"), part(rod((-0.06, 0, 0), (0.3, 0, 0), 0.065), metal)]
    else:
        knots = [(-0.06, -wide), (0.3, -wide * 0.6), (long, -wide), (long + 0.1, 0), (long, wide), (0.3, wide * 0.6)]
        line = [(x, y, 0) for x, y in curve([*knots, (-0.06, wide)], 36)]
        parts = [part(tube(line, 0.045, sides=8), stuff if stuff.kind == "plastic" else metal)]
    return [p.moved(turn(-rise, (0, 1, 0), (at, 0, height))) for p in parts]


def pan(style: Style) -> list[Part]:
    """Build a frying pan: round, square or oval, flat to deep, with or without ridges, second handle, eggs or pancake."""
    deep, flare, inside = (
        style.span(0.12, 0.42),
        style.span(0.65, 0.93),
        style.pick("plain", "plain", "ridges", "eggs", "cake"),
    )
    profile = curve([(flare, 0), ((flare + 1) / 2 + 0.02, deep * 0.3), (1, deep)], 14)
    outside = style.surface("metal", "metal", "ceramic", "plastic", patterned=0.3)
    dark = fixed("plastic", style.pick((0.1, 0.1, 0.11), (0.2, 0.2, 0.21), (0.3, 0.29, 0.27)))
    lining, power = style.pick(dark, dark, outside, style.plain("ceramic")), style.pick(2, 2, 2, 6)
    lengthy, sunk = style.pick(1, 1, 1, 0.78), np.minimum(profile + [-0.045, 0.05], [2, deep - 0.01])
    shell, floor = vessel(profile, 0.04), lathe(np.vstack([[(0, 0.05)], sunk]))
    for mesh in (shell, floor):
        angle = np.arctan2(mesh.vertices[:, 1], mesh.vertices[:, 0])
        square = (np.abs(np.cos(angle)) ** power + np.abs(np.sin(angle)) ** power) ** (-1 / power)
        mesh.vertices = mesh.vertices * np.column_stack([square, square * lengthy, np.ones(len(angle))])
    parts = [part(shell, outside), part(floor, lining)] + _grasp(style, 0.98, deep * style.span(0.65, 0.9))
    for x in np.linspace(-0.6, 0.6, 7) * flare if inside == "ridges" else ():
        half = lengthy * (flare**power - abs(x) ** power) ** (1 / power) * 0.95
        parts.append(part(box((0.06, 2 * half, 0.07), 0.0, (x, 0, 0.08)), lining))
    for k in range(style.pick(1, 2)) if inside == "eggs" else ():
        spots = [
            (0.56 * k - 0.28 + style.span(0.22, 0.36) * np.cos(a), 0.32 * np.sin(a)) for a in np.linspace(0, 5.6, 9)
        ]
        white = extrude(Polygon(spots).buffer(0.06), 0.04).apply_translation([0, 0, 0.06])
        parts.append(part(white, fixed("ceramic", (0.96, 0.95, 0.92))))
        parts.append(part(ball(0.14, (0.56 * k - 0.28, 0, 0.08), 2), fixed("ceramic", (0.95, 0.66, 0.1))))
    if inside == "cake":
        disc = lathe([(0, 0.06), (0.5, 0.06), (0.54, 0.1), (0.5, 0.14), (0, 0.145)], 32)
        parts.append(part(disc, fixed("matte", (0.78, 0.52, 0.24))))
        parts.append(part(box((0.18, 0.18, 0.08), 0.02, (0.05, 0, 0.18)), fixed("plastic", (0.97, 0.88, 0.5))))
    if style.chance(0.25):
        ear = [(-0.95 - 0.22 * np.sin(a), 0.2 * np.cos(a), deep * 0.8) for a in np.linspace(0, np.pi, 12)]
        parts.append(part(tube(ear, 0.045, sides=8), style.plain("metal")))
    pose = turn(style.pick(0, 180) - style.span(15, 50))
    return [p.moved(pose) for p in parts]


def _sheet(knots: list[tuple[float, float]], thick: float, hollow: float, end: float, lift: float) -> trimesh.Trimesh:
    """Return a flat bar along x of (x, half width) knots, hollowed from 0 to `end` and arched after it."""
    line = curve(knots, 44)
    mesh = tube(np.column_stack([line[:, 0], np.zeros((44, 2))]), line[:, 1], sides=16)
    x, y, z = mesh.vertices.T
    across = np.interp(x, line[:, 0], line[:, 1])
    dip = hollow * np.clip(1 - (2 * x / end - 1) ** 2, 0, 1) * (1 - np.clip(y / across, -1, 1) ** 2)
    arch = lift * np.sin(np.clip((x - end * 0.7) / (line[-1, 0] - end * 0.7), 0, 1) * 2.6)
    mesh.vertices = np.column_stack([x, y, z / across * thick + arch - dip])
    return mesh


_TAILS = (
    (0.06, 0.06, 0.08, 0.1, 0.12, 0.06),
    (0.06, 0.06, 0.06, 0.14, 0.17, 0.1),
    (0.07, 0.07, 0.07, 0.07, 0.07, 0.07),
    (0.12, 0.1, 0.07, 0.07, 0.08, 0.03),
    (0.06, 0.06, 0.13, 0.08, 0.15, 0.04),
)


def spoon(style: Style) -> list[Part]:
    """Build a spoon, a fork with three or four tines or one of each, with one of five handles, mostly of metal."""
    stuff = style.plain(style.pick("metal", "metal", "wood", "plastic"), "main")
    grip = style.surface("plastic", "wood", "ceramic", patterned=0.6) if style.chance(0.4) else None
    tail, long, parts = style.pick(*_TAILS), style.span(1.2, 2.4), []
    thick, lift, wide, head = (
        style.span(0.035, 0.06),
        style.span(0.06, 0.2),
        style.span(0.27, 0.42),
        style.span(0.75, 1.1),
    )
    for kind, aside in style.pick((("spoon", 0),), (("fork", 0),), (("fork", 0.5), ("spoon", -0.5))):
        stem = list(zip(np.linspace(head + 0.12, head + long, 6), tail, strict=True))
        if kind == "spoon":
            bowl = [
                (0, 0.03),
                (0.04 * head, wide * 0.4),
                (head * style.pick(0.35, 0.5, 0.62), wide),
                (head * 0.92, wide * 0.4),
            ]
            pieces = [part(_sheet(bowl + stem, thick, wide * style.span(0.4, 0.8), head, lift), stuff)]
        else:
            root = head * style.span(0.45, 0.6)
            bowl = [(root, wide * 0.78), (root + 0.08, wide * 0.86), (head * 0.8, wide * 0.6)]
            pieces = [part(_sheet(bowl + stem, thick, 0.0, head, lift), stuff)]
            for y in np.linspace(-0.72, 0.72, style.pick(3, 3, 4)) * wide:
                path = [(x, y, 0.1 * (1 - x / root) ** 2) for x in np.linspace(-0.15, root + 0.08, 8)]
                pieces.append(part(tube(path, np.linspace(0.03, 0.055, 8), 0.8, sides=8), stuff))
        if grip:
            cover = _sheet([(x, w + 0.05) for x, w in stem[2:]], thick + 0.05, 0.0, head, lift)
            pieces.append(part(cover, grip, "top"))
        place = turn(style.span(-8, 8), at=(0, aside, 0))
        parts += [p.moved(place) for p in pieces]
    pose = turn(style.span(-35, 35) + style.pick(0, 180)) @ turn(style.pick(0, 0, 0, 180), (1, 0, 0))
    return [p.moved(pose) for p in parts]
