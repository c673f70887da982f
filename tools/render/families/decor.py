"""Trophy, candle and clock."""

from __future__ import annotations

import numpy as np
from shapely.geometry import Polygon

from ..geometry import Part, ball, box, curve, extrude, lathe, part, rod, tube, turn, vessel
from ..materials import Finish, Style, fixed

_CUPS = (
    [(0.12, 0), (0.5, 0.35), (0.62, 1.0)],
    [(0.12, 0), (0.62, 0.3), (0.55, 0.7), (0.7, 1.0)],
    [(0.12, 0), (0.3, 0.5), (0.75, 0.9)],
    [(0.3, 0), (0.45, 0.15), (0.5, 1.1)],
)


def _star(points: int, outer: float, inner: float) -> Polygon:
    angles = np.arange(points * 2) * np.pi / points + np.pi / 2
    radii = np.where(np.arange(points * 2) % 2 == 0, outer, inner)
    return Polygon(np.column_stack([np.cos(angles) * radii, np.sin(angles) * radii]))


def _figure(style: Style, metal: Finish, base: float) -> list[Part]:
    """Build the top of a column trophy: star, ball or flame-like shield."""
    column = style.span(0.5, 0.9)
    radius = style.span(0.13, 0.22)
    post = part(lathe([(0, base), (radius, base), (radius, base + column), (0, base + column)], style.pick(4, 6, 40)), style.surface("marble", "plastic", "metal", patterned=0.4))
    plinth = part(box((0.55, 0.55, 0.09), 0.02, (0, 0, base + column + 0.04)), metal)
    level = base + column + 0.09
    top = style.pick("star", "ball", "burst", "cup")
    if top == "ball":
        return [post, plinth, part(ball(0.36, (0, 0, level + 0.34)), metal)]
    if top == "cup":
        cup = curve(style.pick(*_CUPS), 30) * [0.6, 0.75] + [0, level]
        return [post, plinth, part(vessel(cup, 0.03), metal)]
    shape = _star(5, 0.55, 0.24) if top == "star" else _star(style.pick(8, 12), 0.5, 0.33)
    return [post, plinth, part(extrude(shape, 0.14, 0.03), metal).moved(turn(90, (1, 0, 0), (0, 0.07, level + 0.45)))]


def trophy(style: Style) -> list[Part]:
    """Build a trophy: handled cup, or a column with star, ball, burst or small cup, on a base."""
    metal = style.plain("metal")
    base = style.span(0.2, 0.5)
    wide = style.span(0.35, 0.5)
    foot = style.surface("wood", "marble", "plastic", patterned=0.0)
    parts = []
    if style.chance(0.5):
        parts.append(part(box((2 * wide, 2 * wide, base), 0.03, (0, 0, base / 2)), foot, "box"))
    else:
        parts.append(part(lathe([(0, 0), (wide * 1.1, 0), (wide * 1.1, base * 0.4), (wide * 0.9, base * 0.5), (wide * 0.9, base), (0, base)]), foot))
    parts.append(part(box((wide, 0.02, base * 0.45), 0, (0, -wide * 1.02, base * 0.55)), style.plain("metal")))
    if style.chance(0.35):
        return parts + _figure(style, metal, base)
    stem = style.span(0.25, 0.55)
    parts.append(part(lathe(curve([(0.3, base), (0.1, base + stem * 0.3), (0.13, base + stem * 0.6), (0.09, base + stem)], 24)), metal))
    cup = curve(style.pick(*_CUPS), 36) * [style.span(0.85, 1.1), style.span(0.9, 1.3)] + [0, base + stem]
    parts.append(part(vessel(cup, 0.04), metal))
    rim, high = cup[-1], cup[-1, 1] - base - stem
    reach = style.span(0.25, 0.5)
    kind = style.pick("ear", "ring", "scroll", "none")
    for side in (-1, 1):
        if kind == "none":
            break
        low = np.interp(base + stem + high * 0.25, cup[:, 1], cup[:, 0])
        knots = [(rim[0] * 0.98, high * 0.9), (rim[0] + reach, high * (0.95 if kind == "ear" else 1.1)), (rim[0] + reach * 0.9, high * 0.55), (low * 0.95, high * 0.25)]
        line = curve(knots, 24)
        path = np.column_stack([side * line[:, 0], np.zeros(24), line[:, 1] + base + stem])
        parts.append(part(tube(path, 0.05), metal))
    if style.chance(0.3):
        lid = curve([(rim[0], 0), (rim[0] * 0.7, 0.2), (0.06, 0.3)], 16) + [0, rim[1]]
        parts += [part(lathe(np.vstack([lid, [(0, rim[1] + 0.3)]])), metal), part(ball(0.12, (0, 0, rim[1] + 0.38)), metal)]
    if style.chance(0.4):
        parts.append(part(lathe([(rim[0] * 1.01, 0), (rim[0] * 1.01, 0.1)]).apply_translation([0, 0, rim[1] - 0.12]), style.plain("plastic", "second")))
    return parts


def _flame(at: tuple[float, float, float], size: float) -> list[Part]:
    line = curve([(0.0, 0), (0.075, 0.1), (0.05, 0.24), (0.0, 0.42)], 18) * size
    flame = lathe(line + [0, 0.08 * size], 20)
    return [
        part(flame.apply_translation(at), fixed("flame", (1.0, 0.72, 0.32))),
        part(rod(at, (at[0], at[1], at[2] + 0.14 * size), 0.014 * size + 0.006), fixed("matte", (0.12, 0.1, 0.1))),
    ]


def _wax(style: Style, radius: float, low: float, high: float, at: tuple[float, float], finish: Finish, lit: bool) -> list[Part]:
    bowl = lathe([(0, low), (radius, low), (radius, high), (radius * 0.85, high + radius * 0.12), (radius * 0.6, high), (0, high - radius * 0.1)], 40)
    parts = [part(bowl.apply_translation([*at, 0]), finish)]
    if lit:
        return parts + _flame((*at, high - radius * 0.05), 0.75 + radius)
    return [*parts, part(rod((*at, high - 0.05), (at[0] + 0.02, at[1], high + 0.16), 0.022), fixed("matte", (0.15, 0.13, 0.12)))]


def candle(style: Style) -> list[Part]:
    """Build a candle: pillars, a taper in a stick, a jar, or a branched holder."""
    wax = style.surface("matte", "plastic", patterned=0.6)
    holder = style.surface("metal", "metal", "ceramic", "wood", patterned=0.5)
    lit = style.chance(0.7)
    kind = style.pick("pillars", "pillars", "stick", "stick", "jar", "branched", "saucer")
    if kind == "pillars":
        spots = style.pick([(0, 0)], [(-0.35, 0), (0.36, -0.1)], [(-0.42, 0.05), (0.32, 0.3), (0.2, -0.42)])
        parts = []
        for x, y in spots:
            parts += _wax(style, style.span(0.24, 0.33), 0.06, style.span(0.5, 1.3), (x, y), wax, lit)
        wide = 0.42 if len(spots) == 1 else 0.85
        return [*parts, part(lathe([(0, 0), (wide, 0), (wide * 1.08, 0.07), (wide, 0.06), (0, 0.05)]), holder)]
    if kind == "jar":
        jar = vessel(np.array([(0.5, z) for z in np.linspace(0, 1, 20)]) * [1, style.span(0.8, 1.2)], 0.04)
        glass = Finish("glass", ((0.95, 0.97, 0.97),) * 3)
        label = part(lathe([(0.515, 0.2), (0.515, 0.55)]), style.surface("paper", patterned=1.0))
        return [part(jar, glass), label, *_wax(style, 0.45, 0.05, 0.55, (0, 0), style.plain("matte", "main"), lit)]
    if kind == "saucer":
        dish = lathe(curve([(0, 0.05), (0.55, 0.05), (0.75, 0.2), (0.78, 0.2), (0.58, 0.0)], 26))
        ring = [(0.78 + 0.2 * (1 + np.cos(a)), 0, 0.15 + 0.18 * np.sin(a)) for a in np.linspace(-np.pi, np.pi, 24, endpoint=False)]
        return [part(dish, holder), part(tube(ring, 0.05, closed=True), holder), *_wax(style, 0.2, 0.05, style.span(0.5, 1.0), (0, 0), wax, lit)]
    tall = style.span(0.5, 1.1)
    knots = [(0.45, 0), (0.38, 0.06), (0.08, 0.16), (style.span(0.08, 0.2), tall * 0.5), (0.07, tall * 0.7), (0.2, tall)]
    parts = [part(lathe(np.vstack([curve(knots, 40), [(0, tall)]])), holder)]
    long = style.span(0.5, 1.0)
    parts += _wax(style, 0.11, tall, tall + long, (0, 0), wax, lit)
    if kind == "branched":
        for side in (-1, 1):
            line = curve([(0.0, tall * 0.5), (0.4, tall * 0.45), (0.62, tall * 0.65), (0.64, tall * 0.95)], 24)
            parts.append(part(tube(np.column_stack([side * line[:, 0], np.zeros(24), line[:, 1]]), 0.045), holder))
            parts.append(part(lathe([(0, 0), (0.08, 0.0), (0.17, 0.06)]).apply_translation([side * 0.64, 0, tall * 0.93]), holder))
            parts += _wax(style, 0.1, tall * 0.95, tall * 0.95 + long, (side * 0.64, 0), wax, lit)
    return parts


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
        mesh = box((radius * 0.06, long, 0.01)) if marks != "dots" else lathe([(0, 0.005), (radius * (0.085 if hour % 3 == 0 else 0.05), 0.005)], 14)
        if marks == "wedges":
            mesh = extrude(Polygon([(-0.07 * radius, long * 0.7), (0.07 * radius, long * 0.7), (0, -long * 0.7)]), 0.01)
        parts.append(part(mesh, dark).moved(spot))
    hour_angle, minute = style.span(0, 2 * np.pi), style.span(0, 2 * np.pi)
    for a, long, wide in ((hour_angle, 0.5, 0.07), (minute, 0.74, 0.045)):
        hand = box((radius * wide * 1.4, radius * long, 0.012), 0, (0, radius * long * 0.42, 0.035))
        parts.append(part(hand, dark).moved(turn(np.degrees(-a))))
    parts.append(part(lathe([(0, 0.06), (radius * 0.07, 0.05), (radius * 0.07, 0.02)], 20), dark))
    return parts


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
    dial = [p.moved(turn(90, (1, 0, 0), (0, -deep / 2 - 0.012, 1.1))) for p in _dial(style, radius, dark, face)]
    parts = list(dial)
    if kind in ("bells", "round", "polygon"):
        sides = 56 if kind != "polygon" else style.pick(6, 8)
        grow = 1.0 if sides > 8 else 1.14
        ring = lathe([(0, -deep / 2), (0.95, -deep / 2), (1.0, 0), (0.98, deep / 2), (radius + 0.02, deep / 2 + 0.05), (radius, deep / 2)], sides)
        parts.append(part(ring.apply_scale([grow, grow, 1]), case).moved(turn(90, (1, 0, 0), (0, 0, 1.1))))
        for sx in (-1, 1):
            parts.append(part(rod((sx * 0.75, 0, 0), (sx * 0.5, 0, 0.4), 0.07), style.plain("metal")))
    else:
        outline = Polygon([(-1, 0.05), (1, 0.05), (1, 2.1), (-1, 2.1)])
        if kind == "arch":
            arc = [(np.cos(a), 1.1 + np.sin(a)) for a in np.linspace(0, np.pi, 40)]
            outline = Polygon([(-1.0, 0.0), (-1.25, 0.0), (-1.25, 0.1), (1.25, 0.1), (1.25, 0.0), (1, 0.0), *arc])
        block = extrude(outline.buffer(0.02), deep, 0.02)
        parts.append(part(block, case, "top").moved(turn(90, (1, 0, 0), (0, deep / 2, 0))))
    if kind == "bells":
        metal = style.plain("metal")
        dome = vessel(curve([(0.42, 0), (0.38, 0.2), (0.05, 0.34)], 18), 0.02)
        for sx in (-1, 1):
            parts.append(part(dome, metal).moved(turn(sx * 30, (0, 1, 0), (sx * 0.55, 0, 1.98))))
        arc = [(0.3 * np.cos(a), 0, 2.2 + 0.35 * np.sin(a)) for a in np.linspace(0, np.pi, 20)]
        parts.append(part(tube(arc, 0.04), metal))
    return parts
