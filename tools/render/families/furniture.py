"""Chair, table and lamp."""

from __future__ import annotations

import numpy as np
from shapely.geometry import Point
from shapely.geometry import box as rectangle

from ..geometry import Part, ball, box, curve, extrude, lathe, part, rod, tube, turn
from ..materials import Finish, Style, fixed


def _legs(style: Style, x: float, y: float, height: float, finish: Finish) -> list[Part]:
    """Build four legs (straight, splayed, turned or hairpin), with or without stretchers."""
    kind = style.pick("square", "round", "splayed", "hairpin", "sled")
    splay = style.span(1.1, 1.35) if kind == "splayed" else 1.0
    thick = style.span(0.035, 0.065)
    parts = []
    for sx in (-1, 1):
        for sy in (-1, 1):
            foot, head = (sx * x * splay, sy * y * splay, 0.0), (sx * x, sy * y, height)
            if kind == "square":
                parts.append(
                    part(box((2 * thick, 2 * thick, height), 0.01, (sx * x, sy * y, height / 2)), finish, "box")
                )
            elif kind == "hairpin":
                for dx, dy in ((0.13, 0), (0, 0.13)):
                    parts.append(part(rod(foot, (sx * (x - dx), sy * (y - dy), height), 0.022), finish))
            else:
                parts.append(part(rod(foot, head, thick * (0.6 if kind == "splayed" else 0.9), thick), finish))
    if kind == "sled":
        for sx in (-1, 1):
            parts.append(part(rod((sx * x, -y, 0.03), (sx * x, y, 0.03), thick * 0.9), finish))
    elif kind != "hairpin" and style.chance(0.5):
        level = height * style.span(0.25, 0.5)
        for sx in (-1, 1):
            parts.append(part(rod((sx * x, -y, level), (sx * x, y, level), thick * 0.6), finish))
        parts.append(part(rod((-x, 0, level), (x, 0, level), thick * 0.6), finish))
    return parts


def _back(style: Style, wide: float, deep: float, seat: float, tall: float, frame: Finish, pad: Finish) -> list[Part]:
    """Build a chair's back: slats, ladder, panel, hoop or cushion."""
    kind = style.pick("slats", "ladder", "panel", "hoop", "cushion")
    lean = style.span(4, 16)
    base = []
    count = style.pick(3, 4, 5, 6)
    if kind in ("slats", "ladder", "cushion"):
        for sx in (-1, 1):
            base.append(part(rod((sx * wide, 0, 0), (sx * wide, 0, tall), 0.045), frame))
    if kind == "slats":
        base.append(part(box((2 * wide + 0.1, 0.07, 0.16), 0.02, (0, 0, tall)), frame, "box"))
        for x in np.linspace(-wide, wide, count + 2)[1:-1]:
            base.append(part(box((0.07, 0.035, tall), 0.01, (x, 0, tall / 2)), frame, "box"))
    elif kind == "ladder":
        for z in np.linspace(tall * 0.25, tall * 0.95, count - 1):
            base.append(part(box((2 * wide, 0.045, 0.13), 0.015, (0, 0, z)), frame, "box"))
    elif kind == "panel":
        shape = rectangle(-wide, 0.05, wide, tall).buffer(-0.12).buffer(style.span(0.12, 0.16))
        if style.chance(0.5):
            shape = shape.difference(Point(0, tall * 0.72).buffer(0.16))
        base.append(part(extrude(shape, 0.07, 0.012), pad, "top").moved(turn(90, (1, 0, 0), (0, 0.035, 0))))
    elif kind == "hoop":
        arc = [(wide * np.cos(a), 0, tall * 0.55 * (1 + np.sin(a))) for a in np.linspace(-0.9, np.pi + 0.9, 40)]
        base.append(part(tube(arc, 0.045), frame))
        for x in np.linspace(-wide * 0.6, wide * 0.6, count):
            top = tall * 0.55 * (1 + np.sqrt(1 - (x / wide) ** 2))
            base.append(part(rod((x, 0, 0), (x, 0, top), 0.022), frame))
    else:
        base.append(part(box((2 * wide, 0.14, tall * 0.7), 0.06, (0, 0, tall * 0.6)), pad, "front"))
    return [p.moved(turn(-lean, (1, 0, 0), (0, deep, seat))) for p in base]


def chair(style: Style) -> list[Part]:
    """Build a chair: seat, legs, back and sometimes arms or a cushion."""
    wide, deep, seat = style.span(0.42, 0.55), style.span(0.4, 0.52), style.span(0.75, 1.1)
    frame = style.plain(style.pick("wood", "wood", "metal", "plastic"), "main")
    pad = style.surface("matte", "plastic", "wood", patterned=0.7)
    parts = _legs(style, wide * 0.9, deep * 0.9, seat, frame)
    shape = style.pick("box", "round", "cushion")
    if shape == "round":
        parts.append(
            part(
                lathe(
                    [
                        (0, seat),
                        (wide * 1.15, seat),
                        (wide * 1.2, seat + 0.04),
                        (wide * 1.15, seat + 0.09),
                        (0, seat + 0.08),
                    ]
                ),
                pad,
                "top",
            )
        )
    else:
        thick = 0.17 if shape == "cushion" else 0.08
        parts.append(part(box((2.15 * wide, 2.15 * deep, thick), thick * 0.4, (0, 0, seat + thick / 2)), pad, "top"))
    parts += _back(style, wide * 0.92, deep * 0.9, seat + 0.05, style.span(0.75, 1.25), frame, pad)
    if style.chance(0.3):
        for sx in (-1, 1):
            rise = seat + 0.42
            parts += [
                part(rod((sx * wide, -deep * 0.7, seat), (sx * wide, -deep * 0.7, rise), 0.035), frame),
                part(box((0.11, deep * 1.9, 0.06), 0.025, (sx * wide, 0, rise)), frame, "box"),
            ]
    return parts


def _under(style: Style, x: float, y: float, height: float, frame: Finish, top: Finish | None) -> list[Part]:
    """Build a column, trestles, or legs (under a given top with shelf, apron or drawer)."""
    kind = style.pick("legs", "legs", "pedestal", "trestle")
    if kind == "pedestal":
        knots = [
            (0.42, 0),
            (0.36, 0.05),
            (0.09, 0.15),
            (0.12, 0.5 * height),
            (0.08, 0.8 * height),
            (0.2, height),
        ]
        return [part(lathe(curve(knots, 30)), frame)]
    if kind == "trestle":
        parts = []
        for sx in (-0.75, 0.75):
            for sy in (-1, 1):
                parts.append(part(rod((sx * x, sy * y, 0), (sx * x, -sy * y * 0.5, height), 0.05), frame))
        return [*parts, part(rod((-0.75 * x, 0, height * 0.6), (0.75 * x, 0, height * 0.6), 0.04), frame)]
    parts = _legs(style, x * 0.95, y * 0.95, height, frame)
    if top is None:
        return parts
    extra = style.pick("shelf", "drawer", "apron", "none")
    if extra == "shelf":
        parts.append(part(box((1.9 * x, 1.9 * y, 0.05), 0.01, (0, 0, height * 0.3)), top, "top"))
    elif extra != "none":
        parts.append(part(box((1.9 * x, 1.9 * y, 0.2), 0.01, (0, 0, height - 0.1)), frame, "box"))
    for sx in (-0.45, 0.45) if extra == "drawer" else ():
        parts.append(part(ball(0.05, (sx * x, -0.97 * y, height - 0.1), 2), style.plain("metal")))
    return parts


def table(style: Style) -> list[Part]:
    """Build a table: rectangular, round or oval top on legs, a pedestal or trestles, with shelf or drawer."""
    x, y, height = style.span(0.75, 1.2), style.span(0.45, 0.75), style.span(0.55, 1.05)
    frame = style.plain(style.pick("wood", "wood", "metal", "plastic"), style.pick("main", "second"))
    top = style.surface("wood", "wood", "plastic", "marble", patterned=0.8)
    thick = style.span(0.05, 0.12)
    shape = style.pick("box", "box", "round", "oval")
    if shape == "box":
        slab = box((2 * x + 0.2, 2 * y + 0.2, thick), style.pick(0.01, 0.04))
        parts = [part(slab, top, "top").moved(turn(0, at=(0, 0, height + thick / 2)))]
        return parts + _under(style, x, y, height, frame, top)
    radius = x if shape == "oval" else y * 1.35
    slab = lathe([(0, 0), (radius, 0), (radius * 1.02, thick / 2), (radius, thick), (0, thick)])
    slab.apply_scale([1, 0.65 if shape == "oval" else 1, 1])
    x, y = (radius * 0.6, radius * 0.4) if shape == "oval" else (radius * 0.62, radius * 0.62)
    parts = [part(slab, top, "top").moved(turn(0, at=(0, 0, height)))]
    return parts + _under(style, x, y, height, frame, None)


_BASES = (
    [(0.45, 0), (0.45, 0.06), (0.05, 0.1), (0.04, 1.0)],
    [(0.2, 0), (0.42, 0.3), (0.3, 0.65), (0.07, 0.85), (0.05, 1.0)],
    [(0.35, 0), (0.3, 0.06), (0.08, 0.2), (0.2, 0.45), (0.07, 0.7), (0.05, 1.0)],
    [(0.28, 0), (0.28, 0.7), (0.05, 0.76), (0.05, 1.0)],
    [(0.42, 0), (0.25, 0.4), (0.08, 0.8), (0.05, 1.0)],
)


def lamp(style: Style) -> list[Part]:
    """Build a lamp: table lamp with turned base, tripod, or jointed desk lamp."""
    body = style.surface("ceramic", "metal", "wood", "plastic", patterned=0.6)
    shade = style.surface("cloth", "cloth", "plastic", patterned=0.75)
    kind = style.pick("turned", "turned", "turned", "tripod", "desk")
    if kind == "desk":
        return _desk_lamp(style, style.surface("plastic", "metal", patterned=0.3))
    tall = style.span(0.8, 1.25)
    if kind == "tripod":
        wood = style.plain(style.pick("wood", "metal"), "main")
        parts = [
            part(
                rod(
                    (0.45 * np.cos(a), 0.45 * np.sin(a), 0),
                    (0.05 * np.cos(a), 0.05 * np.sin(a), tall),
                    0.045,
                    0.035,
                ),
                wood,
            )
            for a in (0.5, 2.6, 4.7)
        ]
    else:
        line = curve([(r, z * tall) for r, z in style.pick(*_BASES)], 50)
        parts = [part(lathe(line), body)]
    low, high, deep = style.span(0.5, 0.75), style.span(0.2, 0.55), style.span(0.45, 0.8)
    form = style.pick("cone", "drum", "dome", "bell")
    knots = {
        "cone": [(low, 0), (high, deep)],
        "drum": [(low * 0.85, 0), (low * 0.8, deep)],
        "dome": [(low, 0), (low * 0.93, deep * 0.4), (low * 0.6, deep * 0.8), (0.06, deep)],
        "bell": [(low * 1.1, 0), (low * 0.7, deep * 0.35), (high * 0.7, deep)],
    }[form]
    cover = curve(knots, 24) + [0, tall - 0.12]
    parts.append(part(lathe(cover), shade))
    parts.append(part(ball(0.13, (0, 0, tall + 0.06)), fixed("matte", (1.0, 0.97, 0.9))))
    return parts


def _desk_lamp(style: Style, finish: Finish) -> list[Part]:
    bend = style.span(0.2, 0.45)
    elbow, head = (-bend, 0, style.span(0.7, 0.95)), (style.span(0.25, 0.5), 0, style.span(1.25, 1.6))
    metal = style.plain("metal")
    deep = style.span(0.35, 0.5)
    shade = lathe(curve([(style.span(0.3, 0.42), 0), (0.22, deep * 0.6), (0.09, deep)], 20))
    return [
        part(lathe([(0, 0), (0.42, 0), (0.42, 0.05), (0.36, 0.09), (0, 0.09)]), finish),
        part(rod((0, 0, 0.05), elbow, 0.035), metal),
        part(ball(0.07, elbow), finish),
        part(rod(elbow, head, 0.035), metal),
        part(ball(0.07, head), finish),
        part(shade, finish).moved(turn(style.span(-50, -20), (0, 1, 0), (head[0] + 0.22, 0, head[2] - 0.3))),
    ]
