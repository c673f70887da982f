"""Clock."""

from __future__ import annotations

import numpy as np
from shapely.geometry import Polygon

from ..geometry import Part, box, curve, extrude, lathe, part, rod, tube, turn, vessel
from ..materials import Finish, Style, fixed


def _dial(style: Style, radius: float, dark: Finish, paper: Finish) -> list[Part]:
    """Build a clock's face in the xy plane: dial, hour marks of one of four kinds, and hands."""
    parts = [part(lathe([(0, 0), (radius, 0)], 48), paper, "polar")]
    marks = style.pick("bars", "dots", "quarters", "wedges")
    for hour in range(12):
        a = hour * np.pi / 6
        if marks == "quarters" and hour % 3:
            continue
        spot = turn(np.degrees(-a), at=(np.sin(a) * radius * 0.82, np.cos(a) * radius * 0.82, 0.012))
        long = radius * (0.24 if hour % 3 == 0 else 0.13)
        mesh = (
            box((radius * 0.06, long, 0.01))
            if marks != "dots"
            else lathe([(0, 0.005), (radius * (0.085 if hour % 3 == 0 else 0.05), 0.005)], 14)
        )
        if marks == "wedges":
            mesh = extrude(Polygon([(-0.07 * radius, long * 0.7), (0.07 * radius, long * 0.7), (0, -long * 0.7)]), 0.01)
        parts.append(part(mesh, dark).moved(spot))
    hour_angle, minute = style.span(0, 2 * np.pi), style.span(0, 2 * np.pi)
    for a, long, wide in ((hour_angle, 0.5, 0.07), (minute, 0.74, 0.045)):
        hand = box((radius * wide * 1.4, radius * long, 0.012), 0, (0, radius * long * 0.42, 0.035))
        parts.append(part(hand, dark).moved(turn(np.degrees(-a))))
    parts.append(part(lathe([(0, 0.06), (radius * 0.07, 0.05), (radius * 0.07, 0.02)], 20), dark))
    return parts


def _round_case(style: Style, kind: str, radius: float, deep: float, case: Finish) -> list[Part]:
    """Build a ring-shaped case, round or many-sided, on two feet."""
    sides = 56 if kind != "polygon" else style.pick(6, 8)
    grow = 1.0 if sides > 8 else 1.14
    back, front = -deep / 2, deep / 2
    profile = [
        (0, back),
        (0.95, back),
        (1.0, 0),
        (0.98, front),
        (radius + 0.02, front + 0.05),
        (radius, front),
    ]
    ring = lathe(profile, sides).apply_scale([grow, grow, 1])
    parts = [part(ring, case).moved(turn(90, (1, 0, 0), (0, 0, 1.1)))]
    for sx in (-1, 1):
        parts.append(part(rod((sx * 0.75, 0, 0), (sx * 0.5, 0, 0.4), 0.07), style.plain("metal")))
    return parts


def _block_case(kind: str, deep: float, case: Finish) -> Part:
    """Build a box-shaped or arched case."""
    outline = Polygon([(-1, 0.05), (1, 0.05), (1, 2.1), (-1, 2.1)])
    if kind == "arch":
        arc = [(np.cos(a), 1.1 + np.sin(a)) for a in np.linspace(0, np.pi, 40)]
        foot = [(-1.0, 0.0), (-1.25, 0.0), (-1.25, 0.1), (1.25, 0.1), (1.25, 0.0), (1, 0.0)]
        outline = Polygon([*foot, *arc])
    block = extrude(outline.buffer(0.02), deep, 0.02)
    return part(block, case, "top").moved(turn(90, (1, 0, 0), (0, deep / 2, 0)))


def _bells(style: Style) -> list[Part]:
    """Build two bells and the handle between them."""
    metal = style.plain("metal")
    dome = vessel(curve([(0.42, 0), (0.38, 0.2), (0.05, 0.34)], 18), 0.02)
    poses = [turn(sx * 30, (0, 1, 0), (sx * 0.55, 0, 1.98)) for sx in (-1, 1)]
    arc = [(0.3 * np.cos(a), 0, 2.2 + 0.35 * np.sin(a)) for a in np.linspace(0, np.pi, 20)]
    return [*(part(dome, metal).moved(pose) for pose in poses), part(tube(arc, 0.04), metal)]


def clock(style: Style) -> list[Part]:
    """Build a standing clock: round with or without bells, boxy, arched or many-sided case."""
    case = style.surface("plastic", "metal", "wood", "ceramic", patterned=0.5)
    pale = (0.94, 0.93, 0.89)
    face = style.surface("paper", patterned=0.4) if style.chance(0.4) else fixed("paper", pale)
    bright = float(np.mean(face.colors[0]))
    dark = fixed("plastic", (0.12, 0.12, 0.14) if bright > 0.45 else pale)
    kind = style.pick("bells", "bells", "round", "box", "arch", "polygon")
    deep = style.span(0.35, 0.7)
    radius = style.span(0.7, 0.85)
    upright = turn(90, (1, 0, 0), (0, -deep / 2 - 0.012, 1.1))
    parts = [p.moved(upright) for p in _dial(style, radius, dark, face)]
    if kind in ("bells", "round", "polygon"):
        parts += _round_case(style, kind, radius, deep, case)
    else:
        parts.append(_block_case(kind, deep, case))
    return parts + _bells(style) if kind == "bells" else parts
