"""Toy cars and locomotives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from shapely.geometry import LineString, Point, Polygon
from shapely.geometry import box as rectangle

from ..geometry import Part, ball, box, curve, extrude, lathe, part, rod, tube, turn
from ..materials import Finish, Style, fixed

BLACK, PANE, PALE = (0.1, 0.1, 0.11), (0.16, 0.22, 0.28), (0.95, 0.9, 0.72)


def upright(shape: Polygon, width: float, finish: Finish, y: float = 0.0, bevel: float = 0.0) -> Part:
    """Extrude an outline given in x and z to a width about the plane at y."""
    return part(extrude(shape, width, bevel), finish, "top").moved(turn(90, (1, 0, 0), (0, y + width / 2, 0)))


def wheels(
    xs: Sequence[float], track: float, radius: float, width: float, tyre: Finish, hub: Finish, share: float = 0.55
) -> list[Part]:
    """Return pairs of wheels that stand on z = 0, with hubs of a share of their radius."""
    parts = []
    for reach, thick, finish in ((radius, width, tyre), (radius * share, width * 1.25, hub)):
        disc = lathe([(0, -thick / 2), (reach, -thick / 2), (reach, thick / 2), (0, thick / 2)], 24)
        piece = part(disc, finish)
        parts += [piece.moved(turn(90, (1, 0, 0), (x, side * track, radius))) for x in xs for side in (-1, 1)]
    return parts


# Rear and front at the waist, front and rear at the roof, and height above the waist.


_CABINS = (
    (-1.55, 1.0, 0.4, -1.0, 0.68),
    (-1.95, 1.0, 0.3, -1.6, 0.78),
    (-1.95, 1.8, 1.35, -1.95, 1.25),
    (-0.35, 1.1, 0.65, -0.3, 0.85),
    (-1.9, 0.7, -0.1, -0.8, 0.55),
    (-1.8, 0.7, 0.6, -1.75, 0.9),
    (-1.75, 1.2, 0.2, -0.8, 0.95),
)


def _cabin(style: Style, waist: float, width: float, paint: Finish) -> list[Part]:
    """Build a closed cabin with windows and mostly something on its roof."""
    rear, front, ahead, behind, height = style.pick(*_CABINS)
    top = waist + height * style.span(0.9, 1.1)
    outline = Polygon([(rear, waist - 0.1), (front, waist - 0.1), (ahead, top), (behind, top)])
    inner = outline.intersection(rectangle(-3, waist + (top - waist) * style.pick(0.05, 0.3), 3, 9)).buffer(-0.1)
    count = style.pick(1, 2, 2, 3)
    for x in np.linspace(rear, ahead, count + 1)[1:-1]:
        inner = inner.difference(rectangle(x - 0.05, 0, x + 0.05, 9))
    pane = fixed("ceramic", style.pick(PANE, BLACK, (0.6, 0.74, 0.8)))
    parts = [
        upright(outline.difference(inner).buffer(0.01), width, paint, bevel=0.02),
        upright(outline.buffer(-0.04), width - 0.06, pane),
    ]
    for low, high in (((front, waist - 0.1), (ahead, top)), ((rear, waist - 0.1), (behind, top))):
        line = LineString(np.linspace(low, high, 11)[[3, 9]])
        parts.append(upright(line.buffer(0.03, cap_style="flat"), width * 0.84, pane))
    load, middle = style.pick("none", "none", "rack", "sign", "beacon"), (ahead + behind) / 2
    if load == "rack":
        size = (min(ahead - behind, 1.3) * 0.9, width * 0.7, style.span(0.15, 0.4))
        parts.append(part(box(size, 0.04, (middle, 0, top + size[2] / 2)), style.plain("wood", "third"), "box"))
    elif load == "sign":
        parts.append(part(box((0.2, 0.6, 0.22), 0.05, (middle, 0, top + 0.1)), style.plain("plastic", "third")))
    elif load == "beacon":
        parts.append(part(ball(0.16, (middle, 0, top + 0.05), 2), style.plain("plastic", "third")))
    return parts


def car(style: Style) -> list[Part]:
    """Build a car: one of seven closed cabins or an open seat, one of four bonnets, wheels, lamps and bumpers."""
    waist, width, radius = style.span(0.9, 1.15), style.span(1.5, 1.9), style.span(0.34, 0.5)
    paint = style.surface("plastic", "plastic", "ceramic", "wood", "metal", patterned=0.55)
    fronts = style.pick(
        [(2, waist)], [(2, 0.72), (0.9, waist)], [(2.05, waist - 0.14), (0.9, waist)], [(1.9, waist - 0.3), (1, waist)]
    )
    floor = radius * 0.75
    body = Polygon([(-2, floor), (2, floor), *fronts, (-1.98, waist)])
    body = body.buffer(-0.12).buffer(0.12 if style.chance(0.7) else 0.16)
    axles = (-style.span(1.1, 1.3), style.span(1.1, 1.35))
    for x in axles:
        body = body.difference(Point(x, radius).buffer(radius * 1.14))
    parts = [upright(body, width, paint, bevel=0.05)]
    if style.chance(0.82):
        parts += _cabin(style, waist, width * style.span(0.82, 0.94), style.pick(paint, style.plain(paint.kind)))
    else:
        seat, skin = style.plain("plastic", "third"), fixed("matte", (0.85, 0.66, 0.5))
        parts += [
            upright(LineString([(0.5, waist - 0.1), (0.25, waist + 0.4)]).buffer(0.04), width * 0.85, seat),
            part(box((0.3, width * 0.7, 0.6), 0.1, (-0.9, 0, waist + 0.15)), seat),
            part(lathe(curve([(0.26, 0), (0.22, 0.45), (0.0, 0.55)], 8), 20).apply_translation([-0.4, 0, waist]), seat),
            part(ball(0.26, (-0.4, 0, waist + 0.68), 2), skin),
        ]
    hub = style.plain(style.pick("metal", "plastic"), style.pick("second", "third"))
    tyre = fixed("rubber", BLACK) if style.chance(0.75) else style.plain("wood", "second")
    share = style.span(0.4, 0.7)
    parts += wheels(axles, width / 2 - 0.04, radius, style.span(0.22, 0.34), tyre, hub, share)
    lamp, bumper = fixed("plastic", PALE), style.plain(style.pick("metal", "plastic"), "third")
    size = style.span(0.1, 0.17)
    parts += [part(ball(size, (body.bounds[2] - 0.05, y * width, waist - 0.28), 2), lamp) for y in (-0.33, 0.33)]
    if style.chance(0.6):
        parts += [part(box((0.16, width, 0.14), 0.05, (x, 0, floor + 0.12)), bumper) for x in (-2.02, 2.0)]
    if style.chance(0.25):
        parts.append(part(box((0.3, width, 0.06), 0.02, (-1.8, 0, waist + 0.3)), bumper))
        parts += [part(rod((-1.8, y, waist - 0.1), (-1.8, y, waist + 0.3), 0.05), bumper) for y in (-0.4, 0.4)]
    return parts


def _steam(style: Style, floor: float) -> list[Part]:
    """Build boiler, chimney, domes and cab of a steam locomotive on a frame at a height."""
    paint, trim = style.surface("plastic", "wood", "metal", "ceramic", patterned=0.5), style.plain("plastic", "second")
    brass, dark = style.plain("metal"), style.pick(fixed("matte", BLACK), style.plain("plastic", "third"))
    girth, back = style.span(0.42, 0.6), style.span(-0.75, -0.4)
    axis, top = floor + girth * 0.95, floor + girth * 1.9
    parts = []
    for low, high, radius, finish in ((back - 0.1, 1.35, 1.0, paint), (1.35, 1.75, 1.06, dark), (1.75, 1.8, 0.8, trim)):
        parts.append(part(rod((low, 0, axis), (high, 0, axis), girth * radius), finish))
    for x in np.linspace(back + 0.3, 1.1, style.pick(1, 2, 3)):
        parts.append(part(rod((x - 0.04, 0, axis), (x + 0.04, 0, axis), girth * 1.04), brass))
    rise, thick = style.span(0.45, 0.8), style.span(0.13, 0.2)
    stack = style.pick(
        [(1, -0.2), (1, 0.85), (1.35, 0.85), (1.35, 1)],
        [(0.8, -0.2), (2.0, 1)],
        [(1, -0.2), (1, 0.4), (2.1, 0.75), (1.3, 1)],
    )
    chimney = lathe([*[(r * thick, z * rise) for r, z in stack], (0, rise)], 24)
    parts.append(part(chimney.apply_translation([1.4, 0, top]), dark))
    for x in style.pick((0.5,), (0.75, 0.15), ()):
        dome = lathe(curve([(0.2, -0.15), (0.2, 0.15), (0.1, 0.28), (0, 0.3)], 10), 20)
        parts.append(part(dome.apply_translation([x, 0, top]), brass))
    height, wide = top + style.span(0.15, 0.5), style.span(1.15, 1.4)
    cab = rectangle(-1.75, floor, back, height).difference(rectangle(-1.5, height - 0.6, back - 0.2, height - 0.15))
    parts.append(upright(cab, wide, style.pick(paint, trim)))
    parts.append(upright(rectangle(-1.7, floor, back - 0.05, height), wide - 0.16, fixed("matte", PANE)))
    eaves = style.span(0.08, 0.2)
    roof = rectangle(-1.75 - eaves, height, back + eaves, height + 0.1)
    parts.append(upright(roof, wide + 0.2, style.pick(dark, trim), bevel=0.03))
    if style.chance(0.5):
        parts.append(part(rod((1.75, 0, top - 0.1), (1.95, 0, top - 0.1), 0.15), brass))
    return parts


def _diesel(style: Style, floor: float) -> list[Part]:
    """Build the body, windows and roof of a diesel or electric locomotive on a frame at a height."""
    wide, top = style.span(1.15, 1.4), floor + style.span(1.0, 1.3)
    paint, trim = style.surface("plastic", "wood", "ceramic", patterned=0.8), style.plain("plastic", "second")
    hood = [(1.95, floor + 0.6), (1.3, floor + 0.62), (1.2, top)]
    slopes = [(1.95, floor + 0.5), (1.5, top)], [(2.3, floor + 0.3), (1.3, top)]
    nose = style.pick([(1.95, top)], *slopes, hood)
    tail = style.pick([(-1.95, top)], [(-x, z) for x, z in nose[::-1]])
    outline = Polygon([(-1.95, floor), (1.95, floor), *nose, *tail])
    pane = fixed("ceramic", PANE)
    parts = [upright(outline.buffer(-0.1).buffer(0.12), wide, paint, bevel=0.05)]
    inside = outline.buffer(-0.16).intersection(rectangle(-3, top - 0.55, 3, top))
    for x in np.linspace(-1.6, 1.3, style.pick(3, 5, 6)):
        window = inside.intersection(rectangle(x - 0.14, 0, x + 0.2, 9))
        # Where the nose slopes there may be no room for a window.
        if window.area > 0.04:
            parts.append(upright(window.convex_hull, wide + 0.02, pane))
    parts.append(part(box((3.7, wide + 0.03, 0.12), 0, (0, 0, floor + 0.3)), trim))
    low, high = ((nose[-2] if len(nose) > 1 else (1.97, floor + 0.4)), nose[-1])
    line = LineString(np.linspace(low, high, 11)[[4, 9]])
    parts.append(upright(line.buffer(0.07, cap_style="flat"), wide * 0.8, pane))
    if style.chance(0.5):
        for x in (-0.7, 0.2):
            parts.append(part(box((0.5, wide * 0.5, 0.2), 0.03, (x, 0, top + 0.06)), trim))
    else:
        arm = tube([(-0.6, 0, top), (-0.1, 0, top + 0.3), (-0.5, 0, top + 0.55)], 0.035, sides=8)
        parts += [part(arm, trim), part(rod((-0.5, -0.4, top + 0.56), (-0.5, 0.4, top + 0.56), 0.035), trim)]
    return parts


def train(style: Style) -> list[Part]:
    """Build a locomotive: steam, or diesel and electric, with wheels, buffers or cow-catcher, sometimes on rails."""
    steam, floor = style.chance(0.62), style.span(0.5, 0.65)
    frame, red = style.pick(fixed("matte", BLACK), style.plain("plastic", "third")), style.plain("plastic", "third")
    parts = [part(box((3.85, 1.1, 0.16), 0.02, (0, 0, floor - 0.05)), frame)]
    parts += _steam(style, floor) if steam else _diesel(style, floor)
    tyre = style.pick(fixed("rubber", BLACK), style.plain("metal"))
    radius = style.span(0.36, 0.48)
    if steam:
        big = style.pick((-1.2, -0.2), (-1.3, -0.45, 0.4), (-1.25, -0.3, 0.65))
        parts += wheels(big, 0.6, radius, 0.14, tyre, red, 0.75)
        parts += wheels((1.1, 1.6) if big[-1] < 0.5 else (1.5,), 0.6, 0.25, 0.12, tyre, red, 0.7)
        for side in (-0.72, 0.72):
            parts.append(
                part(rod((big[0], side, radius - 0.1), (big[-1], side, radius - 0.1), 0.05), style.plain("metal"))
            )
    else:
        parts += wheels((-1.5, -0.8, 0.8, 1.5), 0.55, radius * 0.75, 0.14, tyre, red, 0.6)
    if style.chance(0.5) and steam:
        wedge = Polygon([(1.85, floor), (1.95, floor), (2.4, 0.08), (1.85, 0.08)])
        parts.append(upright(wedge, 1.1, red))
    else:
        for side in (-0.4, 0.4):
            parts.append(part(rod((1.85, side, floor - 0.02), (2.15, side, floor - 0.02), 0.12), red))
    if style.chance(0.35):
        wood, metal = style.plain("wood", "second"), style.plain("metal")
        parts += [part(box((4.8, 0.1, 0.08), 0, (0, y, -0.04)), metal) for y in (-0.6, 0.6)]
        parts += [part(box((0.25, 1.7, 0.1), 0.0, (x, 0, -0.12)), wood, "box") for x in np.linspace(-2.2, 2.2, 8)]
    return parts
