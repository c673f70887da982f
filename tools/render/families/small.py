"""Wrench, key, eyeglasses and books."""

from __future__ import annotations

import numpy as np
from shapely import affinity
from shapely.geometry import LineString, Point, Polygon
from shapely.geometry import box as rectangle
from shapely.ops import unary_union

from ..geometry import Part, ball, box, extrude, lathe, part, rod, tube, turn
from ..materials import Style, fixed


def _regular(sides: int, radius: float, spin: float = 0.0) -> Polygon:
    angles = np.arange(sides) * 2 * np.pi / sides + spin
    return Polygon(np.column_stack([np.cos(angles), np.sin(angles)]) * radius)


def _open_end(radius: float, mouth: float) -> Polygon:
    head = Point(0, 0).buffer(radius)
    slot = rectangle(-0.1 * radius, -mouth, 3 * radius, mouth).union(_regular(6, mouth * 1.12, np.pi / 6))
    return affinity.rotate(head.difference(slot), 15, origin=(0, 0))


def wrench(style: Style) -> list[Part]:
    """Build a wrench: open, ring, combination or adjustable, with a plain or gripped handle."""
    kind = style.pick("open", "combination", "combination", "ring", "adjustable", "adjustable")
    length, wide = style.span(2.2, 3.2), style.span(0.12, 0.2)
    big, small = style.span(0.36, 0.5), style.span(0.3, 0.4)
    metal = style.plain(style.pick("metal", "metal", "metal", "plastic"), "main")
    shaft = LineString([(0, 0), (length, 0)]).buffer(wide)
    ring = Point(0, 0).buffer(small).difference(_regular(style.pick(6, 12), small * 0.62))
    jaw = _open_end(big, big * style.span(0.42, 0.58))
    ends = {"open": (jaw, _open_end(small, small * 0.5)), "combination": (jaw, ring), "ring": (ring, ring), "adjustable": (None, None)}[kind]
    thick = style.span(0.14, 0.22)
    parts: list[Part] = []
    if kind == "adjustable":
        mouth = style.span(0.13, 0.24)
        head = affinity.scale(Point(-0.2, 0).buffer(0.62), 1.0, 0.92)
        head = head.difference(rectangle(-1.2, -mouth, -0.28, mouth))
        head = affinity.rotate(head, style.span(14, 26), origin=(0, 0))
        handle = affinity.scale(shaft, 1, 1.1).difference(Point(length - 0.1, 0).buffer(wide * 0.55))
        shape = unary_union([head, handle])
        jaw_line = affinity.rotate(rectangle(-0.3, mouth - 0.02, 0.28, mouth + 0.05), 20, origin=(0, 0))
        parts.append(part(extrude(jaw_line, thick + 0.03, 0.0), style.plain("metal"), "box").moved(turn(0, at=(0, 0, -0.015))))
        worm = tube([(-0.12, 0.02, thick / 2), (0.2, 0.1, thick / 2)], 0.13, sides=12)
        parts.append(part(worm, style.plain("metal")))
    else:
        left = affinity.rotate(ends[0], 180, origin=(0, 0))
        blank = [Point(0, 0).buffer(big * 0.9), Point(length, 0).buffer(small * 0.9)]
        inner = shaft.difference(unary_union(blank).buffer(0.01))
        shape = unary_union([left, affinity.translate(ends[1], length, 0), inner.buffer(0.03)])
    parts.append(part(extrude(shape, thick, 0.025), metal, "box"))
    if style.chance(0.45):
        grip = LineString([(length * 0.38, 0), (length * 0.85, 0)]).buffer(wide * 1.2)
        parts.append(part(extrude(grip, thick * 1.35, 0.03), style.surface("plastic", "rubber", patterned=0.7), "top").moved(turn(0, at=(0, 0, -thick * 0.17))))
    elif style.chance(0.6):
        inset = rectangle(length * 0.3, -wide * 0.5, length * 0.72, wide * 0.5).buffer(0.04)
        parts.append(part(extrude(inset, thick + 0.02), style.plain("plastic", "second"), "box").moved(turn(0, at=(0, 0, -0.01))))
    pose = turn(style.span(-35, 35)) @ turn(style.pick(0, 180), (1, 0, 0))
    return [p.moved(pose) for p in parts]


def _bow(style: Style) -> Polygon:
    kind = style.pick("round", "oval", "square", "trefoil", "hexagon", "heart", "ring", "triangle")
    hole = Point(-0.15, 0).buffer(style.span(0.1, 0.2))
    if kind == "trefoil":
        lobes = [Point(0.33 * np.cos(a), 0.33 * np.sin(a)).buffer(0.3) for a in (np.pi, np.pi / 3, -np.pi / 3)]
        holes = [Point(0.33 * np.cos(a), 0.33 * np.sin(a)).buffer(0.17) for a in (np.pi, np.pi / 3, -np.pi / 3)]
        return unary_union(lobes).difference(unary_union(holes))
    if kind == "heart":
        heart = unary_union([Point(-0.2, 0.25).buffer(0.32), Point(-0.2, -0.25).buffer(0.32), Polygon([(-0.1, 0.55), (-0.1, -0.55), (0.5, 0)])])
        return heart.difference(affinity.scale(heart, 0.55, 0.55)) if style.chance(0.5) else heart.difference(hole)
    shape = {
        "round": Point(0, 0).buffer(0.5), "oval": affinity.scale(Point(0, 0).buffer(0.5), 0.75, 1.2),
        "square": rectangle(-0.36, -0.42, 0.36, 0.42).buffer(0.1), "hexagon": _regular(6, 0.55),
        "ring": Point(0, 0).buffer(0.52), "triangle": _regular(3, 0.5, 0).buffer(0.14),
    }[kind]
    return shape.difference(Point(0, 0).buffer(0.34) if kind == "ring" else hole)


def key(style: Style) -> list[Part]:
    """Build a key: one of eight bows, a cut blade or a warded bit, sometimes on a ring with a tag."""
    metal = style.plain("metal")
    length, wide = style.span(1.3, 1.9), style.span(0.12, 0.18)
    old = style.chance(0.4)
    if old:
        blade = rectangle(0.3, -0.085, length + 0.4, 0.085)
        for x in (length, length + 0.24) if style.chance(0.6) else (length + 0.12,):
            blade = blade.union(rectangle(x - 0.08, -style.span(0.35, 0.6), x + 0.1, 0))
        for x in (0.5, 0.62):
            blade = blade.union(rectangle(x, -0.14, x + 0.06, 0.14))
    else:
        blade = rectangle(0.3, -wide, length + 0.3, wide)
        for x in np.arange(0.85, length + 0.3, style.span(0.14, 0.2)):
            depth = style.span(0.04, 0.18)
            blade = blade.difference(Polygon([(x - 0.1, -wide), (x + 0.1, -wide), (x, -wide + depth)]))
        blade = blade.difference(Polygon([(length + 0.15, -wide - 0.1), (length + 0.4, -wide - 0.1), (length + 0.4, 0.02)]))
    bow = _bow(style)
    parts = [part(extrude(blade, 0.12, 0.02), metal, "box")]
    cap = style.chance(0.35)
    parts.append(part(extrude(bow, 0.12, 0.02), metal, "box"))
    if cap:
        cover = affinity.scale(bow, 0.98, 1.02).buffer(0.03)
        cover = cover.difference(rectangle(0.42, -2, 3, 2))
        parts.append(part(extrude(cover, 0.2, 0.03), style.surface("plastic", patterned=0.6), "top").moved(turn(0, at=(0, 0, -0.04))))
    if style.chance(0.4):
        loop = [(-0.62 + 0.33 * np.cos(a), 0.33 * np.sin(a), 0.1 + 0.05 * np.cos(a)) for a in np.linspace(0, 2 * np.pi, 32, endpoint=False)]
        parts.append(part(tube(loop, 0.03, closed=True, sides=8), style.plain("metal")))
        if style.chance(0.7):
            tag = style.pick(Point(0, 0).buffer(0.34), rectangle(-0.45, -0.25, 0.45, 0.25).buffer(0.06), _regular(6, 0.38))
            tag = affinity.translate(tag, -1.3, style.span(-0.15, 0.15))
            parts.append(part(extrude(tag, 0.1, 0.015), style.surface("plastic", "wood", patterned=0.8), "top"))
    pose = turn(style.span(-40, 40))
    return [p.moved(pose) for p in parts]


def _lens(style: Style) -> Polygon:
    kind = style.pick("round", "square", "cat", "aviator", "slim", "octagon")
    if kind == "round":
        return Point(0, 0).buffer(style.span(0.42, 0.52))
    if kind == "octagon":
        return affinity.scale(_regular(8, 0.5, np.pi / 8), 1.1, 0.95)
    outline = {
        "square": [(-0.5, 0.36), (0.52, 0.38), (0.47, -0.36), (-0.42, -0.36)],
        "slim": [(-0.5, 0.2), (0.52, 0.22), (0.5, -0.22), (-0.46, -0.22)],
        "cat": [(-0.45, 0.25), (0.6, 0.5), (0.45, -0.25), (-0.3, -0.33)],
        "aviator": [(-0.5, 0.36), (0.52, 0.36), (0.5, -0.1), (0.1, -0.48), (-0.35, -0.3)],
    }[kind]
    return Polygon(outline).buffer(-0.1).buffer(style.span(0.13, 0.18))


def glasses(style: Style) -> list[Part]:
    """Build eyeglasses: one of six lens shapes, thin or bold frame, clear, tinted or dark lenses."""
    lens = _lens(style)
    bold = style.pick(0.03, 0.05, 0.085)
    frame = style.surface("plastic", "plastic", "metal", patterned=0.5) if bold > 0.03 else style.plain("metal")
    tint = style.pick("plain", "plain", "dark", "dark", "half")
    glass = fixed("lens", (1, 1, 1)) if tint == "plain" else style.plain("ceramic", "third")
    if tint == "dark":
        glass = fixed("ceramic", (0.1, 0.1, 0.11))
    parts = []
    half = lens.bounds[2] + bold * 0.7
    for side in (-1, 1):
        outline = lens if side == 1 else affinity.scale(lens, -1, 1, origin=(0, 0))
        outline = affinity.translate(outline, side * (half + 0.06 + 0.04), 0)
        ring = outline.buffer(bold).difference(outline)
        upright = turn(90, (1, 0, 0))
        parts.append(part(extrude(ring, 0.09), frame, "top").moved(upright))
        parts.append(part(extrude(outline, 0.02), glass, "top").moved(turn(90, (1, 0, 0), (0, -0.035, 0))))
        reach = outline.bounds[2] + bold if side == 1 else outline.bounds[0] - bold
        arm = [(reach, 0.0, 0.22), (reach + side * 0.03, 0.3, 0.23), (reach, 1.4, 0.22), (reach - side * 0.04, 1.75, 0.05)]
        parts.append(part(tube(arm, max(bold * 0.75, 0.028), flat=1.4), frame))
        parts.append(part(box((bold + 0.05, 0.08, 0.1), 0.02, (reach, -0.03, 0.22)), frame))
    span = half - lens.bounds[2] + 0.14
    nose = [(x, -0.045, 0.1 + 0.1 * (1 - (x / span) ** 2)) for x in np.linspace(-span, span, 9)]
    parts.append(part(tube(nose, max(bold * 0.8, 0.03)), frame))
    if style.chance(0.25):
        parts.append(part(rod((-span - 0.1, -0.045, 0.33), (span + 0.1, -0.045, 0.33), 0.028), frame))
    return parts


def books(style: Style) -> list[Part]:
    """Build two to six books, stacked or standing, each with cover, pages and a marked spine."""
    count = style.pick(2, 3, 4, 5, 6)
    standing = style.chance(0.3) and count > 2
    parts, height, names = [], 0.0, ("main", "second", "third")
    shrink = style.chance(0.5)
    for index in range(count):
        x, y, z = style.span(1.5, 2.0), style.span(1.0, 1.4), style.span(0.16, 0.4)
        if shrink:
            x, y = x * (1 - 0.07 * index), y * (1 - 0.07 * index)
        cover = style.surface("plastic", "cloth", patterned=0.75) if style.chance(0.5) else style.plain("cloth", names[index % 3])
        board = 0.03
        volume = [
            part(box((x, y, board), 0.0, (0, 0, board / 2)), cover, "top"),
            part(box((x, y, board), 0.0, (0, 0, z - board / 2)), cover, "top"),
            part(box((x, board, z), 0.0, (0, -y / 2, z / 2)), cover, "front"),
            part(box((x - 0.1, y - 0.1, z - board), 0.0, (0, -0.02, z / 2)), fixed("paper", (0.93, 0.9, 0.82))),
        ]
        label = style.plain("paper", names[(index + 1) % 3])
        for spot in style.pick((0,), (-0.36, 0.36), (-0.3,), ()):
            volume.append(part(box((x * style.span(0.08, 0.3), 0.02, z * 0.8), 0, (spot * x, -y / 2 - 0.01, z / 2)), label))
        if standing:
            pose = turn(0, at=(height, 0, x)) @ turn(90, (0, 1, 0)) @ turn(0, at=(x / 2, 0, 0))
        else:
            pose = turn(style.span(-14, 14) + style.pick(0, 0, 0, 180), at=(style.span(-0.1, 0.1), style.span(-0.08, 0.08), height))
        parts += [p.moved(pose) for p in volume]
        height += z
    return parts
