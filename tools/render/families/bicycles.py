"""Bicycles, kept out of the gallery and of training."""

from __future__ import annotations

import numpy as np
import trimesh
from shapely.geometry import Point, Polygon

from ..geometry import Part, box, curve, extrude, part, tube, turn, vessel
from ..materials import Finish, Style, fixed

BLACK = fixed("plastic", (0.06, 0.06, 0.07))
# Where the upper tube starts between crank and saddle, how far it bends up, and the lower tube down.
_FRAMES = {"road": (0.82, 0.0, 0.0), "step": (0.42, -0.13, 0.07), "cruiser": (0.82, 0.07, 0.09), "mini": (0.3, 0, 0)}
_BENDS = {
    "drop": [(0, 0, 0), (0.02, 0.17, 0), (0.1, 0.2, 0), (0.13, 0.2, -0.06), (0.09, 0.21, -0.14), (0, 0.22, -0.16)],
    "flat": [(0, 0, 0), (0.01, 0.15, 0), (-0.03, 0.3, 0.02)],
    "bull": [(0, 0, 0), (0, 0.2, 0), (0.08, 0.23, 0), (0.15, 0.23, 0.05)],
    "swept": [(0, 0, 0), (0.03, 0.12, 0.06), (-0.05, 0.24, 0.1), (-0.22, 0.27, 0.06)],
}


def struts(lines: list[np.ndarray], radius: float, sides: int = 8) -> trimesh.Trimesh:
    """Return tubes along lines, as one mesh."""
    return trimesh.util.concatenate([tube(line, radius, sides=sides) for line in lines])


def _arc(at: np.ndarray, radius: float, start: float, stop: float, count: int) -> np.ndarray:
    angle = np.radians(np.linspace(start, stop, count))
    return at + radius * np.column_stack([np.cos(angle), np.zeros(count), np.sin(angle)])


def _wheel(at: np.ndarray, radius: float, thick: float, finishes: tuple[Finish, Finish], spokes: int) -> list[Part]:
    """Return a wheel of tyre, rim, hub and spokes: many thin ones, or a few cast ones."""
    tyre, rim = (_arc(at, radius - off * thick, 0, 351, 40) for off in (1.0, 2.1))
    thin = spokes > 8
    hub = at + [[0.0, -0.05, 0.0], [0.0, 0.05, 0.0]]
    ends = _arc(at, radius - 2 * thick, 7, 367, spokes + 1)[:-1]
    lines = [np.array([hub[i % 2] if thin else at, end]) for i, end in enumerate(ends)]
    metal = [tube(rim, thick * 0.6, sides=8, closed=True), struts(lines, 0.006 if thin else 0.024, 5), tube(hub, 0.035)]
    return [part(tube(tyre, thick, sides=10, closed=True), finishes[0]), *(part(mesh, finishes[1]) for mesh in metal)]


def _frame(style: Style, kind: str, points: list[np.ndarray]) -> list[Part]:
    """Return the painted frame, the fork and the saddle post."""
    rear, front, crank, seat, top, low = points
    start, rise, sag = _FRAMES[kind]
    post, join = crank + (seat - crank) * (0.5 if kind == "mini" else 0.82), top * 0.7 + low * 0.3
    first = crank + (seat - crank) * start
    upper = curve([first, (first + join) / 2 + [0, 0, rise], join], 10)
    lower = curve([crank, (crank + low) / 2 - [0, 0, sag], low], 10)
    paint, thick = style.plain(style.pick("plastic", "plastic", "metal"), "main"), style.span(0.02, 0.034)
    sides = [np.array([0, y, 0]) for y in (-0.05, 0.05)]
    stays = [np.array([end, rear + side]) for end in (crank, post) for side in sides]
    parts = [part(struts([upper, lower, np.array([crank, post]), np.array([top, low])], thick, 12), paint)]
    parts.append(part(struts(stays, thick * 0.55), paint))
    fork = struts([np.array([low, front + side]) for side in sides], thick * 0.7)
    parts.append(part(fork, style.plain("metal") if style.chance(0.3) else paint))
    return [*parts, part(tube([post, seat], 0.016, sides=8), style.plain("metal"))]


def _steering(style: Style, kind: str, top: np.ndarray) -> list[Part]:
    """Return stem, handlebar and grips; the bar is dropped, flat, bull-horned or swept back."""
    bend = "swept" if kind in ("step", "cruiser") else style.pick("drop", "flat", "flat", "bull")
    head, line, metal = top + [0.05, 0, style.span(0.05, 0.1)], curve(_BENDS[bend], 16), style.plain("metal")
    sides = [head + line * [1, sign, 1] for sign in (-1, 1)]
    grip = style.plain("rubber", style.pick("second", "third")) if style.chance(0.6) else BLACK
    bars = struts([np.array([top, head]), *sides], 0.017)
    return [part(bars, metal), part(struts([side[10:] for side in sides], 0.024), grip)]


def _extras(style: Style, points: list[np.ndarray], radius: float) -> list[Part]:
    """Return the crank with its chain, and perhaps a basket and mudguards."""
    rear, front, at, _, top, _ = points
    metal, angle, out = style.plain("metal"), style.span(0, np.pi), np.array([0, -0.06, 0])
    step = 0.16 * np.array([np.cos(angle), 0, np.sin(angle)])
    disc = extrude(Point(0, 0).buffer(0.095).difference(Point(0, 0).buffer(0.055)), 0.012)
    chain = [np.array([at + out + [0, 0, s * 0.085], rear + out + [0, 0, s * 0.03]]) for s in (-1, 1)]
    arms = [np.array([at + s * out * 1.3, at + s * out * 1.3 + s * step]) for s in (-1, 1)]
    pedals = trimesh.util.concatenate([box((0.1, 0.09, 0.025), 0, a[1] + (a[0] - at) * 0.6) for a in arms])
    parts = [part(disc, metal, "box").moved(turn(90, (1, 0, 0), at + out)), part(struts(chain, 0.007, 6), BLACK)]
    parts += [part(struts(arms, 0.014), metal), part(pedals, BLACK, "box")]
    if style.chance(0.35):
        basket = vessel(curve([(0.12, 0), (0.15, 0.12), (0.18, 0.24)], 8), 0.015)
        place = turn(0, at=(front[0] + 0.02, 0, max(top[2] - 0.12, 2 * radius + 0.03)))
        parts.append(part(basket, style.surface("matte", "plastic", patterned=0.6)).moved(place))
    if style.chance(0.5):
        guards = [_arc(rear, radius + 0.03, 20, 170, 24), _arc(front, radius + 0.03, 45, 165, 20)]
        parts.append(part(struts(guards, 0.027), style.plain("plastic", style.pick("main", "third"))))
    return parts


def bicycle(style: Style) -> list[Part]:
    """Build a bicycle: road, step-through, cruiser or mini, with one of four handlebars."""
    kind = style.pick("road", "road", "step", "cruiser", "mini")
    radius = style.span(0.21, 0.26) if kind == "mini" else style.span(0.31, 0.37)
    base, tall = style.span(0.98, 1.14), style.span(-0.05, 0.06)
    ends = [(0, radius), (base, radius), (0.43, 0.29), (0.25, 0.93 + tall)]
    ends += [(base - 0.21, 0.88 + tall), (base - 0.15, max(2 * radius + 0.05, 0.58))]
    points = [np.array([x, 0.0, z]) for x, z in ends]
    rubber = style.plain("rubber", "third") if style.chance(0.3) else fixed("rubber", (0.07, 0.07, 0.07))
    finishes = rubber, style.plain(style.pick("metal", "metal", "plastic"), "second")
    thick, spokes = style.span(0.016, 0.036), style.pick(12, 16, 16, 20, 5, 6)
    parts = _frame(style, kind, points) + _steering(style, kind, points[4]) + _extras(style, points, radius)
    for at in points[:2]:
        parts += _wheel(at, radius, thick, finishes, spokes)
    long, wide = style.span(0.12, 0.16), style.span(0.07, 0.12)
    saddle = Polygon([(-long, -wide), (-long, wide), (long, 0.025), (long, -0.025)]).buffer(0.02)
    leather = style.plain("rubber", "second") if style.chance(0.6) else BLACK
    parts.append(part(extrude(saddle, 0.06, 0.02), leather, "top").moved(turn(0, at=points[3])))
    return parts
