"""Padlocks and combs."""

from __future__ import annotations

import numpy as np
from shapely import affinity
from shapely.geometry import LineString, Point, Polygon
from shapely.geometry import box as rectangle
from shapely.ops import unary_union

from ..geometry import Part, box, curve, lathe, part, regular, tube, turn
from ..materials import Style, fixed
from .workshop import BLACK, slab


def _lock_outline(style: Style) -> Polygon:
    """Return the outline of a padlock's body, its top at about y = 0 and 1.1 wide."""
    tall = style.span(0.75, 1.25)
    kind = style.pick("box", "box", "round", "shield", "hexagon", "trapezoid", "heart")
    if kind == "round":
        return affinity.translate(Point(0, 0).buffer(0.62), 0, -0.55)
    if kind == "shield":
        return Polygon([(-0.5, 0), (0.5, 0), (0.5, -tall * 0.55), (0, -tall * 1.1), (-0.5, -tall * 0.55)]).buffer(0.08)
    if kind == "hexagon":
        return affinity.translate(affinity.scale(regular(6, 0.66), 1, tall), 0, -tall * 0.52)
    if kind == "trapezoid":
        return Polygon([(-0.4, 0), (0.4, 0), (0.58, -tall * 0.9), (-0.58, -tall * 0.9)]).buffer(0.06)
    if kind == "heart":
        lobes = [Point(x, -0.22).buffer(0.36) for x in (-0.3, 0.3)]
        return unary_union([*lobes, Polygon([(-0.62, -0.38), (0, -0.05), (0.62, -0.38), (0, -1.2)]).buffer(0.03)])
    return rectangle(-0.52, -tall, 0.52, 0).buffer(style.span(0.02, 0.14))


def _lock_front(style: Style, middle: float, front: float) -> list[Part]:
    """Return what is on the front, between the height `middle` and the plane z = `front`: keyhole, wheels or dial."""
    kind = style.pick("keyhole", "keyhole", "keyhole", "wheels", "dial", "bare")
    light = style.plain(style.pick("metal", "plastic"), style.pick("second", "third"))
    if kind == "keyhole":
        size, plate = style.span(0.1, 0.15), style.pick("round", "oval", "none")
        slot = Polygon([(-0.05, 0), (0.05, 0), (0.09, -size * 2.1), (-0.09, -size * 2.1)])
        hole = affinity.translate(unary_union([Point(0, 0).buffer(size, 6), slot]), 0, middle + size * 0.5)
        around = affinity.translate(Point(0, 0).buffer(0.3, 8), 0, middle)
        around = affinity.scale(around, 0.85, 1.25) if plate == "oval" else around
        parts = [slab(around, 0.03, light, "top", 0.0, front - 0.01)] if plate != "none" else []
        return [*parts, slab(hole, 0.04, BLACK, bevel=0.0, low=front - 0.005)]
    if kind == "wheels":
        panel = rectangle(-0.4, middle - 0.2, 0.4, middle + 0.2)
        parts = [slab(panel, 0.02, BLACK, bevel=0.0, low=front - 0.01)]
        for x in np.linspace(-0.27, 0.27, style.pick(3, 4)):
            parts.append(part(box((0.15, 0.32, 0.1), 0.03, (x, middle, front)), light, "box"))
        return parts
    if kind == "dial":
        disc = lathe([(0.38, -0.02), (0.36, 0.06), (0.17, 0.06), (0.15, 0.1), (0, 0.1)], 32)
        mark = part(box((0.04, 0.14, 0.03), 0, (0, middle + 0.27, front + 0.06)), fixed("paper", (0.95, 0.95, 0.93)))
        return [part(disc, light).moved(turn(0, at=(0, middle, front))), mark]
    return []


def padlock(style: Style) -> list[Part]:
    """Build a standing padlock: seven bodies, three shackles, shut or open, with keyhole, wheels, dial or bare."""
    shape, deep = _lock_outline(style), style.span(0.3, 0.5)
    finish = style.surface("metal", "metal", "plastic", "plastic", "ceramic", patterned=0.55)
    low, high = shape.bounds[1], shape.bounds[3]
    parts = [slab(shape, deep, finish, "top", 0.05)] + _lock_front(style, (low + high) / 2, deep)
    if style.chance(0.35):
        band = shape.buffer(0.05).intersection(rectangle(-2, low - 1, 2, low + (high - low) * style.span(0.2, 0.35)))
        parts.append(slab(band, deep - 0.04, style.plain(style.pick("rubber", "plastic"), "second"), low=0.02))
    half, rise, thick = style.span(0.26, 0.38), style.pick(0.15, 0.3, 0.7, 1.1), style.span(0.07, 0.12)
    if style.chance(0.3):
        bow = curve([(-half, rise), (-half * 0.8, rise + 0.28), (half * 0.8, rise + 0.28), (half, rise)], 14)
    else:
        angles = np.linspace(np.pi, 0, 18)
        bow = np.column_stack([half * np.cos(angles), rise + half * np.sin(angles)])
    foot, state = high - 0.35, style.pick("shut", "shut", "shut", "swung", "lifted")
    free = 0.08 if state != "shut" else foot - high
    flat = np.vstack([[(-half, foot - high)], bow, [(half, free)]]) + [0, high]
    line = np.column_stack([flat, np.full(len(flat), deep / 2)])
    shackle = part(tube(line, thick, sides=12), style.plain(style.pick("metal", "metal", "metal", "plastic")), "box")
    if state == "lifted":
        shackle = shackle.moved(turn(0, at=(0, 0.22, 0)))
    elif state == "swung":
        hinge = turn(0, at=(-half, 0, deep / 2)) @ turn(style.span(30, 150), (0, 1, 0))
        shackle = shackle.moved(hinge @ turn(0, at=(half, 0, -deep / 2)))
    return [p.moved(turn(90, (1, 0, 0))) for p in [*parts, shackle]]


def _teeth(style: Style, left: float, right: float, tall: float, pitch: float) -> list[Polygon]:
    """Return teeth down from y = 0.1, straight or pointed, their ends level or along an arc."""
    count, bow = max(5, int((right - left) / pitch)), style.pick(0.0, 0.0, 0.25, -0.2)
    sharp = style.pick(0.5, 0.9)
    teeth = []
    for x in np.linspace(left, right, count):
        reach = tall * (1 + bow * (1 - ((2 * x - left - right) / (right - left)) ** 2) - max(bow, 0))
        half = pitch * 0.29
        corners = [(x - half, 0.1), (x + half, 0.1), (x + half * sharp, -reach), (x - half * sharp, -reach)]
        teeth.append(Polygon(corners))
    return teeth


def _comb_outline(style: Style, kind: str) -> Polygon:
    """Return the outline of a comb, its teeth down from y = 0."""
    long, tall, spine = style.span(1.5, 2.4), style.span(0.4, 0.6), style.span(0.16, 0.3)
    pitch, arch = style.span(0.12, 0.2), style.pick(0.0, 0.0, 0.15, 0.3)
    if kind == "pick":
        long, tall, pitch = style.span(0.9, 1.2), style.span(0.9, 1.3), style.span(0.15, 0.21)
    top = [(x, spine + arch * (1 - (2 * x / long - 1) ** 2)) for x in np.linspace(0, long, 17)]
    pieces = [Polygon([(0, 0), *top, (long, 0)]).buffer(0.04)]
    coarse = long * style.pick(0.0, 0.0, 0.5)
    if coarse:
        pieces += _teeth(style, 0.03, coarse, tall, pitch * 1.5)
    pieces += _teeth(style, coarse + pitch * 0.9 if coarse else 0.03, long - 0.03, tall, pitch)
    if kind == "double":
        pieces += [affinity.translate(affinity.scale(p, 1, -1, origin=(0, 0)), 0, spine) for p in pieces[1:]]
    elif kind == "tail":
        end = long + style.span(0.9, 1.4)
        pieces.append(
            Polygon([(long - 0.1, 0), (end, spine * 0.4), (end, spine * 0.6), (long - 0.1, spine)]).buffer(0.03)
        )
    elif kind == "handle":
        line = curve([(long - 0.1, spine * 0.4), (long + 0.5, 0.02), (long + style.span(0.9, 1.3), -0.05)], 10)
        pieces.append(LineString(line).buffer(style.span(0.12, 0.18)))
    elif kind == "pick":
        stem = rectangle(long / 2 - 0.12, 0, long / 2 + 0.12, spine + 0.6)
        end = affinity.translate(regular(style.pick(3, 5, 24), 0.3, np.pi / 2), long / 2, spine + 0.75).buffer(0.05)
        pieces += [stem, end]
    else:
        pieces += [rectangle(x, -tall, x + style.pick(0.08, 0.14), 0.1) for x in (-0.06, long - 0.06)]
    shape = unary_union(pieces)
    hole = Point(shape.bounds[2] - 0.15, spine * 0.3).buffer(0.07)
    return shape.difference(hole) if kind == "handle" and style.chance(0.6) else shape


def comb(style: Style) -> list[Part]:
    """Build a lying comb: pocket, double, tail, handle or pick, its back straight or arched, its teeth even or mixed."""
    shape = _comb_outline(style, style.pick("pocket", "pocket", "double", "tail", "handle", "pick"))
    thick = style.span(0.09, 0.16)
    finish = style.surface("plastic", "plastic", "plastic", "wood", "metal", patterned=0.5)
    parts = [slab(shape, thick, finish, "top", 0.0)]
    pose = turn(style.span(-45, 45) + style.pick(0, 180))
    return [p.moved(pose) for p in parts]
