"""Mug, bottle, bowl, plate and teapot."""

from __future__ import annotations

import numpy as np

from ..geometry import Part, ball, box, curve, lathe, part, rod, tube, turn, vessel
from ..materials import Style, fixed

_MUGS = (
    [(0.62, 0), (0.62, 0.5), (0.62, 1)],
    [(0.45, 0), (0.54, 0.5), (0.66, 1)],
    [(0.45, 0), (0.68, 0.4), (0.56, 1)],
    [(0.66, 0), (0.58, 0.5), (0.5, 1)],
    [(0.36, 0), (0.62, 0.35), (0.64, 1)],
    [(0.5, 0), (0.5, 0.55), (0.7, 1)],
)


def _handle(style: Style, kind: str, reach: float, height: float, thick: float) -> np.ndarray:
    if kind == "ear":
        knots = [(0, 0.85), (0.7, 0.95), (1, 0.6), (0.55, 0.2), (0, 0.12)]
    elif kind == "square":
        knots = [(0, 0.82), (0.85, 0.82), (1, 0.76), (1, 0.3), (0.85, 0.22), (0, 0.22)]
    elif kind == "low":
        knots = [(0, 0.6), (0.75, 0.55), (0.85, 0.3), (0.5, 0.14), (0, 0.12)]
    else:
        return np.array([(np.sin(a) * reach, 0, height * (0.5 + 0.36 * np.cos(a))) for a in np.linspace(0, np.pi, 20)])
    line = curve(knots, 26)
    return np.column_stack([line[:, 0] * reach, np.zeros(26), line[:, 1] * height])


def mug(style: Style) -> list[Part]:
    """Build a mug: one of six bodies, one of four handles, sometimes with coffee or a foot."""
    height = style.span(0.85, 1.7)
    profile = curve([(r, z * height) for r, z in style.pick(*_MUGS)], 30)
    rounded = np.vstack([[(profile[0, 0] - 0.05, 0.0), (profile[0, 0] - 0.01, 0.015)], profile + [0, 0.05]])
    wall = style.span(0.035, 0.08)
    kinds = ("ceramic", "ceramic", "plastic", "metal")
    outside = style.surface(*kinds, patterned=0.85)
    inner = style.plain("ceramic" if outside.kind != "metal" else "metal", style.pick("main", "second"))
    at = profile[:, 0].max() - wall * 1.5
    kind = style.pick("ring", "ear", "square", "low")
    path = _handle(style, kind, style.span(0.34, 0.55), height, wall) + [
        min(at, profile[15, 0] - wall * 0.4),
        0,
        0,
    ]
    grip = tube(path, style.span(0.05, 0.085), flat=style.span(0.8, 1.5))
    parts = [
        part(vessel(rounded, wall), outside),
        part(vessel(rounded * [0.995, 1] - [wall * 0.9, -0.01], wall * 0.15, 0.1), inner),
        part(grip, style.plain(outside.kind, style.pick("main", "main", "third"))),
    ]
    if style.chance(0.35):
        level = height * style.span(0.75, 0.9)
        radius = np.interp(level, profile[:, 1], profile[:, 0]) - wall
        parts.append(part(lathe([(0, level), (radius, level)]), fixed("plastic", (0.24, 0.14, 0.08))))
    return parts


_BOTTLES = (
    [(0.42, 0), (0.42, 1.25), (0.36, 1.5), (0.15, 1.75), (0.14, 2.3)],
    [(0.46, 0), (0.46, 0.8), (0.32, 1.25), (0.16, 1.65), (0.15, 2.2)],
    [(0.5, 0), (0.52, 0.9), (0.5, 1.15), (0.2, 1.3), (0.18, 1.55)],
    [(0.36, 0), (0.38, 0.6), (0.33, 0.85), (0.38, 1.15), (0.33, 1.7), (0.2, 1.9), (0.2, 2.0)],
    [(0.62, 0), (0.68, 0.45), (0.5, 0.85), (0.16, 1.15), (0.15, 1.75)],
    [(0.4, 0), (0.4, 1.6), (0.34, 1.75), (0.26, 1.8), (0.26, 1.9)],
    [(0.3, 0), (0.46, 0.4), (0.3, 1.0), (0.2, 1.4), (0.17, 2.1)],
)


def bottle(style: Style) -> list[Part]:
    """Build a bottle: one of seven bodies, a label or pattern and one of four closures."""
    knots = style.pick(*_BOTTLES)
    stretch, wide = style.span(0.9, 1.15), style.span(0.85, 1.15)
    profile = curve([(r * wide, z * stretch) for r, z in knots], 48)
    finish = style.surface("glass", "glass", "plastic", "ceramic", "metal", patterned=0.7)
    body = lathe(np.vstack([[(0, 0)], [(profile[0, 0] - 0.04, 0)], profile + [0, 0.03], [(0, profile[-1, 1] + 0.03)]]))
    parts = [part(body, finish)]
    top, neck = profile[-1, 1], profile[-1, 0]
    if finish.kind in ("glass", "metal") or style.chance(0.4):
        low = style.span(0.12, 0.25) * top
        high = low + style.span(0.2, 0.3) * top
        rows = profile[(profile[:, 1] > low) & (profile[:, 1] < high)]
        label = style.surface("paper", patterned=1.0)
        parts.append(part(lathe(rows + [0.012, 0.03]), label))
    return parts + _closure(style, top, neck)


def _closure(style: Style, top: float, neck: float) -> list[Part]:
    """Build a cork, a screw cap, a ball or a pump."""
    cap = style.pick("cork", "screw", "ball", "pump")
    lid = style.plain(style.pick("plastic", "metal"), style.pick("second", "third"))
    if cap == "cork":
        stopper = lathe([(0, top), (neck * 0.8, top), (neck * 0.9, top + 0.2), (0, top + 0.2)], 24)
        return [part(stopper, fixed("matte", (0.76, 0.6, 0.43)))]
    if cap == "screw":
        r, high, low = neck * 1.18, top + style.span(0.14, 0.34), top - 0.06
        return [part(lathe([(0, low), (r, low), (r, high), (r * 0.9, high + 0.02), (0, high + 0.02)], 32), lid)]
    if cap == "ball":
        return [part(ball(neck * 1.35, (0, 0, top + neck)), lid)]
    return [
        part(lathe([(0, top), (neck * 1.2, top), (neck * 1.2, top + 0.16), (0, top + 0.16)], 32), lid),
        part(rod((0, 0, top), (0, 0, top + 0.42), 0.05), lid),
        part(box((0.42, 0.16, 0.09), 0.04, (0.12, 0, top + 0.44)), lid),
    ]


_BOWLS = (
    [(0.3, 0), (0.75, 0.22), (1, 0.75)],
    [(0.4, 0), (0.7, 0.35), (1, 0.6)],
    [(0.35, 0), (0.85, 0.12), (1.05, 0.4)],
    [(0.4, 0), (0.9, 0.3), (0.92, 0.6), (0.82, 0.85)],
    [(0.3, 0), (0.62, 0.3), (0.75, 0.6), (1.05, 0.75)],
    [(0.7, 0), (0.9, 0.1), (0.95, 0.55)],
)


def bowl(style: Style) -> list[Part]:
    """Build a bowl: one of six sections, plain, fluted or scalloped, with or without foot and contents."""
    depth = style.span(0.8, 1.25)
    profile = curve([(r, z * depth) for r, z in style.pick(*_BOWLS)], 30)
    wall = style.span(0.035, 0.07)
    finish = style.surface("ceramic", "ceramic", "wood", "plastic", "metal", "glass", patterned=0.85)
    foot = style.pick(0.0, 0.0, 0.12, 0.3)
    shell = vessel(profile + [0, foot], wall)
    inside = style.plain("ceramic", style.pick("main", "second", "third"))
    lining = lathe(profile[3:] * [1, 1] - [wall * 1.12, -foot - wall * 0.7])
    ripple = style.pick(0, 0, 0, 6, 12, 20)
    if ripple:
        for mesh in (shell, lining):
            v = mesh.vertices.copy()
            angle, share = np.arctan2(v[:, 1], v[:, 0]), np.clip((v[:, 2] - foot) / profile[-1, 1], 0, 1)
            v[:, :2] *= (1 + 0.06 * share * np.cos(ripple * angle))[:, None]
            mesh.vertices = v
    parts = [part(shell, finish)]
    if finish.kind not in ("glass", "wood", "metal") and style.chance(0.8):
        parts.append(part(lining, inside))
    if foot:
        r = profile[0, 0]
        parts.append(
            part(
                lathe([(r * 1.05, 0), (r * 0.75, foot * 0.6), (r * 0.9, foot + 0.03)]),
                style.plain("wood" if finish.kind == "glass" else finish.kind, "main"),
            )
        )
    if style.chance(0.3):
        fruit = style.plain("plastic", "third")
        for k in range(style.pick(3, 4, 5)):
            a = k * 2.4
            spot = (0.3 * np.cos(a), 0.3 * np.sin(a), foot + 0.35 + 0.06 * k)
            parts.append(part(ball(style.span(0.22, 0.3), spot), fruit))
    return parts


def plate(style: Style) -> list[Part]:
    """Build a plate: round, square, polygonal or oval, lying or on a stand, with bands, motif or pattern."""
    well = style.span(0.5, 0.75)
    rise, lip = style.span(0.1, 0.22), style.pick(0.02, 0.06, 0.12)
    profile = curve([(well * 0.7, 0), (well, 0.03), (well + 0.1, rise), (1, rise + lip)], 26)
    finish = style.surface("ceramic", "ceramic", "ceramic", "wood", "metal", patterned=0.95)
    sides = style.pick(0, 0, 0, 4, 6, 8)
    disc = vessel(profile, 0.035)
    v = disc.vertices.copy()
    if sides:
        angle = (np.arctan2(v[:, 1], v[:, 0]) % (2 * np.pi / sides)) - np.pi / sides
        v[:, :2] *= (
            (0.55 + 0.45 * np.cos(np.pi / sides) / np.cos(angle))[:, None]
            if sides > 4
            else (np.cos(np.pi / 4) / np.cos(angle) * 0.8 + 0.3)[:, None]
        )
    elif style.chance(0.3):
        v[:, :2] *= (
            1
            + 0.045
            * np.clip(np.hypot(v[:, 0], v[:, 1]) - 0.6, 0, 1)
            * np.cos(style.pick(8, 12, 16) * np.arctan2(v[:, 1], v[:, 0]))
            * 2
        )[:, None]
    v[:, 1] *= style.pick(1, 1, 1, 0.72)
    disc.vertices = v
    parts = [part(disc, finish, "polar" if finish.kind == "ceramic" and style.chance(0.75) else "top")]
    if style.chance(0.45):
        tilt = style.span(62, 74)
        parts = [p.moved(turn(tilt, (1, 0, 0), (0, 0, 1.02))) for p in parts]
        wood = style.plain(style.pick("wood", "metal"), "third")
        for x in (-0.4, 0.4):
            parts += [
                part(rod((x, -0.55, 0.05), (x, 0.75, 0.05), 0.045), wood),
                part(rod((x, -0.5, 0.05), (x, -0.5, 0.22), 0.045), wood),
                part(rod((x, 0.3, 0.05), (x * 0.6, 0.62, 1.25), 0.045), wood),
            ]
    return parts


def teapot(style: Style) -> list[Part]:
    """Build a teapot: round, tall or flat body, spout, handle and lid with a knob."""
    height = style.span(0.8, 1.4)
    waist = style.span(0.7, 0.95)
    profile = curve([(0.45, 0), (waist, 0.4 * height), (waist * 0.8, 0.75 * height), (0.32, height)], 34)
    finish = style.surface("ceramic", "ceramic", "metal", patterned=0.8)
    plain = style.plain(finish.kind, "main")
    top = profile[-1, 1]
    lid = curve([(0.34, top), (0.22, top + 0.12), (0.05, top + 0.16)], 16)
    spout = curve(
        [(waist * 0.75, 0, 0.3 * height), (waist + 0.3, 0, 0.55 * height), (waist + 0.55, 0, height * 1.02)],
        20,
    )
    parts = [
        part(lathe(np.vstack([[(0, 0)], profile, [(0, top)]])), finish),
        part(lathe(np.vstack([lid, [(0, top + 0.17)]])), style.plain(finish.kind, style.pick("main", "second"))),
        part(ball(0.09, (0, 0, top + 0.23)), style.plain(finish.kind, "second")),
        part(tube(spout, np.linspace(0.19, 0.075, 20)), plain),
    ]
    if style.chance(0.6):
        arc = [
            (-waist * 0.8 - np.sin(a) * 0.5, 0, height * (0.52 + 0.36 * np.cos(a))) for a in np.linspace(0, np.pi, 20)
        ]
    else:
        arc = [(np.cos(a) * 0.62, 0, height * 0.8 + np.sin(a) * 0.75) for a in np.linspace(0.05, np.pi - 0.05, 24)]
    return [*parts, part(tube(arc, 0.065), plain)]
