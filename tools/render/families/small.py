"""Eyeglasses and books."""

from __future__ import annotations

import numpy as np
from shapely import affinity
from shapely.geometry import Point, Polygon

from ..geometry import Part, box, extrude, part, regular, rod, tube, turn
from ..materials import Style, fixed


def _lens(style: Style) -> Polygon:
    kind = style.pick("round", "square", "cat", "aviator", "slim", "octagon")
    if kind == "round":
        return Point(0, 0).buffer(style.span(0.42, 0.52))
    if kind == "octagon":
        return affinity.scale(regular(8, 0.5, np.pi / 8), 1.1, 0.95)
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
        arm = [
            (reach, 0.0, 0.22),
            (reach + side * 0.03, 0.3, 0.23),
            (reach, 1.4, 0.22),
            (reach - side * 0.04, 1.75, 0.05),
        ]
        parts.append(part(tube(arm, max(bold * 0.75, 0.028), flat=1.4), frame))
        parts.append(part(box((bold + 0.05, 0.08, 0.1), 0.02, (reach, -0.03, 0.22)), frame))
    span = half - lens.bounds[2] + 0.14
    nose = [(x, -0.045, 0.1 + 0.1 * (1 - (x / span) ** 2)) for x in np.linspace(-span, span, 9)]
    parts.append(part(tube(nose, max(bold * 0.8, 0.03)), frame))
    if style.chance(0.25):
        parts.append(part(rod((-span - 0.1, -0.045, 0.33), (span + 0.1, -0.045, 0.33), 0.028), frame))
    return parts


def _book(style: Style, size: tuple[float, float, float], plain: str, marked: str) -> list[Part]:
    """Build one lying book: two boards, spine, pages and labels on the spine."""
    x, y, z = size
    patterned = style.chance(0.5)
    cover = style.surface("plastic", "cloth", patterned=0.75) if patterned else style.plain("cloth", plain)
    board = 0.03
    pages = box((x - 0.1, y - 0.1, z - board), 0.0, (0, -0.02, z / 2))
    parts = [
        part(box((x, y, board), 0.0, (0, 0, board / 2)), cover, "top"),
        part(box((x, y, board), 0.0, (0, 0, z - board / 2)), cover, "top"),
        part(box((x, board, z), 0.0, (0, -y / 2, z / 2)), cover, "front"),
        part(pages, fixed("paper", (0.93, 0.9, 0.82))),
    ]
    label = style.plain("paper", marked)
    for spot in style.pick((0,), (-0.36, 0.36), (-0.3,), ()):
        wide = x * style.span(0.08, 0.3)
        parts.append(part(box((wide, 0.02, z * 0.8), 0, (spot * x, -y / 2 - 0.01, z / 2)), label))
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
        volume = _book(style, (x, y, z), names[index % 3], names[(index + 1) % 3])
        if standing:
            pose = turn(0, at=(height, 0, x)) @ turn(90, (0, 1, 0)) @ turn(0, at=(x / 2, 0, 0))
        else:
            angle = style.span(-14, 14) + style.pick(0, 0, 0, 180)
            pose = turn(angle, at=(style.span(-0.1, 0.1), style.span(-0.08, 0.08), height))
        parts += [p.moved(pose) for p in volume]
        height += z
    return parts
