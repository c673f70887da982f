"""Wrench and key."""

from __future__ import annotations

import numpy as np
from shapely import affinity
from shapely.geometry import LineString, Point, Polygon
from shapely.geometry import box as rectangle
from shapely.ops import unary_union

from ..geometry import Part, extrude, part, regular, tube, turn
from ..materials import Style


def _open_end(radius: float, mouth: float) -> Polygon:
    head = Point(0, 0).buffer(radius)
    slot = rectangle(-0.1 * radius, -mouth, 3 * radius, mouth).union(regular(6, mouth * 1.12, np.pi / 6))
    return affinity.rotate(head.difference(slot), 15, origin=(0, 0))


def _adjustable(style: Style, shaft: Polygon, length: float, wide: float, thick: float) -> tuple[Polygon, list[Part]]:
    """Return the outline of an adjustable wrench, and its movable jaw and worm."""
    mouth = style.span(0.13, 0.24)
    head = affinity.scale(Point(-0.2, 0).buffer(0.62), 1.0, 0.92)
    head = head.difference(rectangle(-1.2, -mouth, -0.28, mouth))
    head = affinity.rotate(head, style.span(14, 26), origin=(0, 0))
    handle = affinity.scale(shaft, 1, 1.1).difference(Point(length - 0.1, 0).buffer(wide * 0.55))
    jaw = affinity.rotate(rectangle(-0.3, mouth - 0.02, 0.28, mouth + 0.05), 20, origin=(0, 0))
    worm = tube([(-0.12, 0.02, thick / 2), (0.2, 0.1, thick / 2)], 0.13, sides=12)
    slide = part(extrude(jaw, thick + 0.03), style.plain("metal"), "box").moved(turn(0, at=(0, 0, -0.015)))
    return unary_union([head, handle]), [slide, part(worm, style.plain("metal"))]


def _grip(style: Style, length: float, wide: float, thick: float) -> list[Part]:
    """Return a sleeve or an inlay on the handle, or nothing."""
    if style.chance(0.45):
        outline = LineString([(length * 0.38, 0), (length * 0.85, 0)]).buffer(wide * 1.2)
        finish = style.surface("plastic", "rubber", patterned=0.7)
        sleeve = part(extrude(outline, thick * 1.35, 0.03), finish, "top")
        return [sleeve.moved(turn(0, at=(0, 0, -thick * 0.17)))]
    if style.chance(0.6):
        outline = rectangle(length * 0.3, -wide * 0.5, length * 0.72, wide * 0.5).buffer(0.04)
        inlay = part(extrude(outline, thick + 0.02), style.plain("plastic", "second"), "box")
        return [inlay.moved(turn(0, at=(0, 0, -0.01)))]
    return []


def wrench(style: Style) -> list[Part]:
    """Build a wrench: open, ring, combination or adjustable, with a plain or gripped handle."""
    kind = style.pick("open", "combination", "combination", "ring", "adjustable", "adjustable")
    length, wide = style.span(2.2, 3.2), style.span(0.12, 0.2)
    big, small = style.span(0.36, 0.5), style.span(0.3, 0.4)
    metal = style.plain(style.pick("metal", "metal", "metal", "plastic"), "main")
    shaft = LineString([(0, 0), (length, 0)]).buffer(wide)
    ring = Point(0, 0).buffer(small).difference(regular(style.pick(6, 12), small * 0.62))
    jaw = _open_end(big, big * style.span(0.42, 0.58))
    thick = style.span(0.14, 0.22)
    parts: list[Part] = []
    if kind == "adjustable":
        shape, parts = _adjustable(style, shaft, length, wide, thick)
    else:
        left = affinity.rotate(ring if kind == "ring" else jaw, 180, origin=(0, 0))
        right = _open_end(small, small * 0.5) if kind == "open" else ring
        blank = [Point(0, 0).buffer(big * 0.9), Point(length, 0).buffer(small * 0.9)]
        inner = shaft.difference(unary_union(blank).buffer(0.01))
        shape = unary_union([left, affinity.translate(right, length, 0), inner.buffer(0.03)])
    parts.append(part(extrude(shape, thick, 0.025), metal, "box"))
    parts += _grip(style, length, wide, thick)
    pose = turn(style.span(-35, 35)) @ turn(style.pick(0, 180), (1, 0, 0))
    return [p.moved(pose) for p in parts]


def _bow(style: Style) -> Polygon:
    kind = style.pick("round", "oval", "square", "trefoil", "hexagon", "heart", "ring", "triangle")
    hole = Point(-0.15, 0).buffer(style.span(0.1, 0.2))
    if kind == "trefoil":
        spots = [Point(0.33 * np.cos(a), 0.33 * np.sin(a)) for a in (np.pi, np.pi / 3, -np.pi / 3)]
        holes = unary_union([spot.buffer(0.17) for spot in spots])
        return unary_union([spot.buffer(0.3) for spot in spots]).difference(holes)
    if kind == "heart":
        lobes = [Point(-0.2, 0.25).buffer(0.32), Point(-0.2, -0.25).buffer(0.32)]
        heart = unary_union([*lobes, Polygon([(-0.1, 0.55), (-0.1, -0.55), (0.5, 0)])])
        return heart.difference(affinity.scale(heart, 0.55, 0.55) if style.chance(0.5) else hole)
    shape = {
        "round": Point(0, 0).buffer(0.5),
        "oval": affinity.scale(Point(0, 0).buffer(0.5), 0.75, 1.2),
        "square": rectangle(-0.36, -0.42, 0.36, 0.42).buffer(0.1),
        "hexagon": regular(6, 0.55),
        "ring": Point(0, 0).buffer(0.52),
        "triangle": regular(3, 0.5, 0).buffer(0.14),
    }[kind]
    return shape.difference(Point(0, 0).buffer(0.34) if kind == "ring" else hole)


def _blade(style: Style, length: float, wide: float) -> Polygon:
    """Return the outline of a key's blade, warded or cut."""
    if style.chance(0.4):
        blade = rectangle(0.3, -0.085, length + 0.4, 0.085)
        for x in (length, length + 0.24) if style.chance(0.6) else (length + 0.12,):
            blade = blade.union(rectangle(x - 0.08, -style.span(0.35, 0.6), x + 0.1, 0))
        for x in (0.5, 0.62):
            blade = blade.union(rectangle(x, -0.14, x + 0.06, 0.14))
        return blade
    blade = rectangle(0.3, -wide, length + 0.3, wide)
    for x in np.arange(0.85, length + 0.3, style.span(0.14, 0.2)):
        depth = style.span(0.04, 0.18)
        blade = blade.difference(Polygon([(x - 0.1, -wide), (x + 0.1, -wide), (x, -wide + depth)]))
    tip = [(length + 0.15, -wide - 0.1), (length + 0.4, -wide - 0.1), (length + 0.4, 0.02)]
    return blade.difference(Polygon(tip))


def _ring(style: Style) -> list[Part]:
    """Return a key ring, mostly with a tag."""
    angles = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    loop = [(-0.62 + 0.33 * np.cos(a), 0.33 * np.sin(a), 0.1 + 0.05 * np.cos(a)) for a in angles]
    parts = [part(tube(loop, 0.03, closed=True, sides=8), style.plain("metal"))]
    if style.chance(0.7):
        oblong = rectangle(-0.45, -0.25, 0.45, 0.25).buffer(0.06)
        tag = style.pick(Point(0, 0).buffer(0.34), oblong, regular(6, 0.38))
        tag = affinity.translate(tag, -1.3, style.span(-0.15, 0.15))
        finish = style.surface("plastic", "wood", patterned=0.8)
        parts.append(part(extrude(tag, 0.1, 0.015), finish, "top"))
    return parts


def key(style: Style) -> list[Part]:
    """Build a key: one of eight bows, a cut blade or a warded bit, sometimes on a ring with a tag."""
    metal = style.plain("metal")
    length, wide = style.span(1.3, 1.9), style.span(0.12, 0.18)
    blade = _blade(style, length, wide)
    bow = _bow(style)
    parts = [part(extrude(shape, 0.12, 0.02), metal, "box") for shape in (blade, bow)]
    if style.chance(0.35):
        cover = affinity.scale(bow, 0.98, 1.02).buffer(0.03)
        cover = cover.difference(rectangle(0.42, -2, 3, 2))
        cap = part(extrude(cover, 0.2, 0.03), style.surface("plastic", patterned=0.6), "top")
        parts.append(cap.moved(turn(0, at=(0, 0, -0.04))))
    if style.chance(0.4):
        parts += _ring(style)
    pose = turn(style.span(-40, 40))
    return [p.moved(pose) for p in parts]
