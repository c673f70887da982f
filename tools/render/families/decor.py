"""Trophy and candle."""

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
    post = part(
        lathe([(0, base), (radius, base), (radius, base + column), (0, base + column)], style.pick(4, 6, 40)),
        style.surface("marble", "plastic", "metal", patterned=0.4),
    )
    plinth = part(box((0.55, 0.55, 0.09), 0.02, (0, 0, base + column + 0.04)), metal)
    level = base + column + 0.09
    top = style.pick("star", "ball", "burst", "cup")
    if top == "ball":
        return [post, plinth, part(ball(0.36, (0, 0, level + 0.34)), metal)]
    if top == "cup":
        cup = curve(style.pick(*_CUPS), 30) * [0.6, 0.75] + [0, level]
        return [post, plinth, part(vessel(cup, 0.03), metal)]
    shape = _star(5, 0.55, 0.24) if top == "star" else _star(style.pick(8, 12), 0.5, 0.33)
    return [
        post,
        plinth,
        part(extrude(shape, 0.14, 0.03), metal).moved(turn(90, (1, 0, 0), (0, 0.07, level + 0.45))),
    ]


def _handles(kind: str, cup: np.ndarray, reach: float, metal: Finish) -> list[Part]:
    """Return the two handles of a cup whose profile is given."""
    rim, low = cup[-1], cup[0, 1]
    high = rim[1] - low
    waist = np.interp(low + high * 0.25, cup[:, 1], cup[:, 0])
    knots = [
        (rim[0] * 0.98, high * 0.9),
        (rim[0] + reach, high * (0.95 if kind == "ear" else 1.1)),
        (rim[0] + reach * 0.9, high * 0.55),
        (waist * 0.95, high * 0.25),
    ]
    line = curve(knots, 24)
    paths = [np.column_stack([side * line[:, 0], np.zeros(24), line[:, 1] + low]) for side in (-1, 1)]
    return [part(tube(path, 0.05), metal) for path in paths]


def _cup(style: Style, metal: Finish, base: float) -> list[Part]:
    """Build a cup on a stem, mostly with handles, sometimes with lid and band."""
    stem = style.span(0.25, 0.55)
    foot = [(0.3, base), (0.1, base + stem * 0.3), (0.13, base + stem * 0.6), (0.09, base + stem)]
    parts = [part(lathe(curve(foot, 24)), metal)]
    cup = curve(style.pick(*_CUPS), 36) * [style.span(0.85, 1.1), style.span(0.9, 1.3)] + [0, base + stem]
    parts.append(part(vessel(cup, 0.04), metal))
    rim = cup[-1]
    reach = style.span(0.25, 0.5)
    kind = style.pick("ear", "ring", "scroll", "none")
    if kind != "none":
        parts += _handles(kind, cup, reach, metal)
    if style.chance(0.3):
        lid = curve([(rim[0], 0), (rim[0] * 0.7, 0.2), (0.06, 0.3)], 16) + [0, rim[1]]
        parts.append(part(lathe(np.vstack([lid, [(0, rim[1] + 0.3)]])), metal))
        parts.append(part(ball(0.12, (0, 0, rim[1] + 0.38)), metal))
    if style.chance(0.4):
        band = lathe([(rim[0] * 1.01, rim[1] - 0.12), (rim[0] * 1.01, rim[1] - 0.02)])
        parts.append(part(band, style.plain("plastic", "second")))
    return parts


def trophy(style: Style) -> list[Part]:
    """Build a trophy: handled cup, or a column with star, ball, burst or small cup, on a base."""
    metal = style.plain("metal")
    base = style.span(0.2, 0.5)
    wide = style.span(0.35, 0.5)
    foot = style.surface("wood", "marble", "plastic", patterned=0.0)
    if style.chance(0.5):
        parts = [part(box((2 * wide, 2 * wide, base), 0.03, (0, 0, base / 2)), foot, "box")]
    else:
        low, high = (wide * 1.1, base * 0.4), (wide * 0.9, base * 0.5)
        parts = [part(lathe([(0, 0), (low[0], 0), low, high, (high[0], base), (0, base)]), foot)]
    plaque = box((wide, 0.02, base * 0.45), 0, (0, -wide * 1.02, base * 0.55))
    parts.append(part(plaque, style.plain("metal")))
    if style.chance(0.35):
        return parts + _figure(style, metal, base)
    return parts + _cup(style, metal, base)


def _flame(at: tuple[float, float, float], size: float) -> list[Part]:
    line = curve([(0.0, 0), (0.075, 0.1), (0.05, 0.24), (0.0, 0.42)], 18) * size
    flame = lathe(line + [0, 0.08 * size], 20)
    return [
        part(flame.apply_translation(at), fixed("flame", (1.0, 0.72, 0.32))),
        part(
            rod(at, (at[0], at[1], at[2] + 0.14 * size), 0.014 * size + 0.006),
            fixed("matte", (0.12, 0.1, 0.1)),
        ),
    ]


def _wax(radius: float, low: float, high: float, at: tuple[float, float], finish: Finish, lit: bool) -> list[Part]:
    bowl = lathe(
        [
            (0, low),
            (radius, low),
            (radius, high),
            (radius * 0.85, high + radius * 0.12),
            (radius * 0.6, high),
            (0, high - radius * 0.1),
        ],
        40,
    )
    parts = [part(bowl.apply_translation([*at, 0]), finish)]
    if lit:
        return parts + _flame((*at, high - radius * 0.05), 0.75 + radius)
    return [
        *parts,
        part(
            rod((*at, high - 0.05), (at[0] + 0.02, at[1], high + 0.16), 0.022),
            fixed("matte", (0.15, 0.13, 0.12)),
        ),
    ]


def _pillars(style: Style, wax: Finish, holder: Finish, lit: bool) -> list[Part]:
    spots = style.pick([(0, 0)], [(-0.35, 0), (0.36, -0.1)], [(-0.42, 0.05), (0.32, 0.3), (0.2, -0.42)])
    parts = []
    for x, y in spots:
        parts += _wax(style.span(0.24, 0.33), 0.06, style.span(0.5, 1.3), (x, y), wax, lit)
    wide = 0.42 if len(spots) == 1 else 0.85
    return [*parts, part(lathe([(0, 0), (wide, 0), (wide * 1.08, 0.07), (wide, 0.06), (0, 0.05)]), holder)]


def _jar(style: Style, lit: bool) -> list[Part]:
    jar = vessel(np.array([(0.5, z) for z in np.linspace(0, 1, 20)]) * [1, style.span(0.8, 1.2)], 0.04)
    glass = fixed("glass", (0.95, 0.97, 0.97))
    label = part(lathe([(0.515, 0.2), (0.515, 0.55)]), style.surface("paper", patterned=1.0))
    return [part(jar, glass), label, *_wax(0.45, 0.05, 0.55, (0, 0), style.plain("matte", "main"), lit)]


def _saucer(style: Style, wax: Finish, holder: Finish, lit: bool) -> list[Part]:
    dish = lathe(curve([(0, 0.05), (0.55, 0.05), (0.75, 0.2), (0.78, 0.2), (0.58, 0.0)], 26))
    angles = np.linspace(-np.pi, np.pi, 24, endpoint=False)
    ring = [(0.78 + 0.2 * (1 + np.cos(a)), 0, 0.15 + 0.18 * np.sin(a)) for a in angles]
    stub = _wax(0.2, 0.05, style.span(0.5, 1.0), (0, 0), wax, lit)
    return [part(dish, holder), part(tube(ring, 0.05, closed=True), holder), *stub]


def _stick(style: Style, wax: Finish, holder: Finish, lit: bool, branched: bool) -> list[Part]:
    tall = style.span(0.5, 1.1)
    knots = [(0.45, 0), (0.38, 0.06), (0.08, 0.16), (style.span(0.08, 0.2), tall * 0.5)]
    knots += [(0.07, tall * 0.7), (0.2, tall)]
    parts = [part(lathe(np.vstack([curve(knots, 40), [(0, tall)]])), holder)]
    long = style.span(0.5, 1.0)
    parts += _wax(0.11, tall, tall + long, (0, 0), wax, lit)
    for side in (-1, 1) if branched else ():
        low, high = tall * 0.45, tall * 0.95
        line = curve([(0.0, tall * 0.5), (0.4, low), (0.62, tall * 0.65), (0.64, high)], 24)
        arm = tube(np.column_stack([side * line[:, 0], np.zeros(24), line[:, 1]]), 0.045)
        dish = lathe([(0, 0), (0.08, 0.0), (0.17, 0.06)]).apply_translation([side * 0.64, 0, tall * 0.93])
        parts += [part(arm, holder), part(dish, holder)]
        parts += _wax(0.1, high, high + long, (side * 0.64, 0), wax, lit)
    return parts


def candle(style: Style) -> list[Part]:
    """Build a candle: pillars, a taper in a stick, a jar, or a branched holder."""
    wax = style.surface("matte", "plastic", patterned=0.6)
    holder = style.surface("metal", "metal", "ceramic", "wood", patterned=0.5)
    lit = style.chance(0.7)
    kind = style.pick("pillars", "pillars", "stick", "stick", "jar", "branched", "saucer")
    if kind == "pillars":
        return _pillars(style, wax, holder, lit)
    if kind == "jar":
        return _jar(style, lit)
    if kind == "saucer":
        return _saucer(style, wax, holder, lit)
    return _stick(style, wax, holder, lit, kind == "branched")
