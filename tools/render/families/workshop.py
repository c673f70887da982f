"""Hammers, scissors and screwdrivers."""

from __future__ import annotations

import numpy as np
from shapely import affinity
from shapely.geometry import LineString, Point, Polygon
from shapely.geometry import box as rectangle
from shapely.ops import unary_union

from ..geometry import Part, ball, box, curve, extrude, lathe, part, rod, tube, turn
from ..materials import Finish, Style, fixed

BLACK = fixed("matte", (0.05, 0.05, 0.06))


def solid(profile: list[tuple[float, float]], finish: Finish, sides: int = 20) -> Part:
    """Return a round solid along y given as (y, radius)."""
    y, radius = np.array(profile).T
    return part(tube(np.column_stack([0 * y, y, 0 * y]), radius, sides=sides), finish, "top")


def slab(shape: Polygon, thick: float, finish: Finish, uv: str = "box", bevel: float = 0.02, low: float = 0.0) -> Part:
    """Return an extruded outline whose underside is at height `low`."""
    return part(extrude(shape, thick, bevel), finish, uv).moved(turn(0, at=(0, 0, low)))


def _steel_head(style: Style, kind: str, metal: Finish) -> list[Part]:
    """Return a head with a round face at -y and a claw, a ball or a wedge at +y."""
    face, neck, reach = style.span(0.2, 0.3), style.span(0.12, 0.17), style.span(0.45, 0.7)
    rim = [(-reach + 0.2, neck), (-reach + 0.14, face), (-reach, face), (-reach - 0.03, face * 0.85)]
    parts = [
        solid([(0, neck * 1.2), *rim], metal, style.pick(8, 20)),
        part(box((0.4, 0.46, 0.4), 0.06), metal, "box"),
    ]
    back = style.span(0.55, 0.85)
    if kind == "claw":
        bend = style.span(0.12, 0.5)
        for side in (-1, 1):
            line = curve([(0, 0.1, 0.06 * side), (0, back * 0.5, 0.1 * side), (bend, back, 0.17 * side)], 14)
            parts.append(part(tube(line, np.linspace(0.17, 0.05, 14), flat=0.55, sides=10), metal, "box"))
    elif kind == "ball":
        parts += [solid([(0.1, neck), (back * 0.8, neck)], metal), part(ball(face * 0.95, (0, back * 0.8, 0)), metal)]
    else:
        wedge = Polygon([(-0.19, 0.1), (0.19, 0.1), (0.19, 0.3), (0.05, back), (-0.05, back), (-0.19, 0.3)])
        parts.append(slab(wedge, 0.4, metal, low=-0.2))
    return parts


def _block_head(style: Style, kind: str) -> list[Part]:
    """Return a sledge's block, a barrel with two faces, or a joiner's block."""
    half, thick = style.span(0.5, 0.78), style.span(0.27, 0.4)
    if kind == "sledge":
        ends = [(-half, thick * 0.8), (-half + 0.1, thick), (half - 0.1, thick), (half, thick * 0.8)]
        return [solid(ends, style.plain("metal"), style.pick(6, 8, 8))]
    if kind == "joiner":
        lean = style.span(0, 0.2)
        shape = Polygon([(-thick, -half - lean), (thick, -half), (thick, half), (-thick, half + lean)])
        return [slab(shape, thick * 1.5, style.surface("wood", "plastic"), "top", 0.04, -thick * 0.75)]
    swell = style.pick(-0.08, 0.0, 0.1)
    barrel = [(y * half, thick * (1 + swell * (1 - y * y))) for y in np.linspace(-1, 1, 9)]
    parts = [solid(barrel, style.surface("wood", "rubber", "plastic", "plastic"))]
    if style.chance(0.6):
        cap = style.plain(style.pick("rubber", "plastic", "metal"), "second")
        parts += [solid([(s * half * 0.72, thick * 1.06), (s * half * 1.08, thick * 1.06)], cap) for s in (-1, 1)]
    return parts


def hammer(style: Style) -> list[Part]:
    """Build a lying hammer: claw, ball or cross peen, sledge or mallet, on one of four handles, often with a grip."""
    kind = style.pick("claw", "claw", "claw", "ball", "cross", "sledge", "barrel", "joiner")
    steel = kind in ("claw", "ball", "cross")
    head = _steel_head(style, kind, style.plain("metal")) if steel else _block_head(style, kind)
    length, wide = style.span(1.9, 3.1), style.span(0.1, 0.16)
    shares = style.pick((1, 1, 1, 1), (0.8, 0.7, 1.2, 1.3), (1, 0.8, 1.15, 0.85), (1, 1.1, 1.0, 0.8))
    x = np.linspace(-0.2, length, 20)
    radius = np.interp(x / length, [0, 0.3, 0.7, 1], np.array(shares) * wide)
    shaft = tube(np.column_stack([x, 0 * x, 0 * x]), radius, flat=style.span(0.7, 1.0), sides=12)
    metal = steel and style.chance(0.25)
    parts = [*head, part(shaft, style.plain("metal") if metal else style.surface("wood", "wood", "plastic"), "top")]
    if metal or style.chance(0.5):
        start = length * style.span(0.4, 0.65)
        grip = rod((start, 0, 0), (length + 0.05, 0, 0), wide * 1.3, wide * style.pick(1.3, 1.55))
        parts.append(part(grip, style.surface("rubber", "plastic", patterned=0.6), "top"))
    elif style.chance(0.4):
        parts.append(part(ball(wide * 1.5, (length, 0, 0), 2), style.plain("plastic", "third")))
    pose = turn(style.span(-50, 50) + style.pick(0, 180)) @ turn(style.pick(0, 180), (1, 0, 0))
    return [p.moved(pose) for p in parts]


def _scissor_blade(kind: str, length: float, wide: float) -> Polygon:
    """Return a blade along x with its cutting edge at y = 0 and its tang behind the pivot."""
    tang = Polygon([(0.1, 0.0), (0.1, wide), (-0.3, wide * 0.5), (-0.3, -wide * 0.5)])
    if kind == "round":
        tip = Point(length - wide * 0.55, wide * 0.5).buffer(wide * 0.5)
        body = unary_union([rectangle(0, 0, length - wide * 0.5, wide), tip])
    elif kind == "hook":
        body = Polygon([(0, 0), (length, 0), (length * 0.9, wide * 0.75), (length * 0.75, wide), (0, wide)])
    elif kind == "zigzag":
        teeth = [(x, 0.07 * (i % 2)) for i, x in enumerate(np.linspace(0.2, length, 16))]
        body = Polygon([(0, 0), *teeth, (length, wide * 0.5), (length * 0.85, wide), (0, wide)])
    else:
        body = Polygon([(0, 0), (length, 0), (length * 0.45, wide * 0.85), (0, wide)])
    return unary_union([body, tang, Point(0, wide * 0.2).buffer(wide * 0.9)])


def _loop(kind: str, size: float, stretch: float) -> Polygon:
    """Return the outline of a finger hole around the origin."""
    if kind == "drop":
        return Polygon([(size * 2.1, size * 0.5), (-0.2, size), (-0.2, -size), (0.3, -size)]).union(
            Point(-size * 0.2, 0).buffer(size)
        )
    if kind == "square":
        return rectangle(-size * stretch * 0.7, -size * 0.7, size * stretch * 0.7, size * 0.7).buffer(size * 0.3)
    return affinity.scale(Point(0, 0).buffer(size), stretch if kind == "oval" else 1.0, 1.0)


def scissors(style: Style) -> list[Part]:
    """Build open or shut scissors: four blades, four handles of equal or unequal size, with short or long shanks."""
    length, wide, thick = style.span(1.1, 2.1), style.span(0.17, 0.3), 0.07
    tip, kind = style.pick("point", "point", "hook", "round", "zigzag"), style.pick("round", "oval", "drop", "square")
    shank, opened = style.span(0.35, 0.9), style.pick(3.0, style.span(8, 18), style.span(18, 32))
    size, bold, unequal = style.span(0.27, 0.42), style.span(0.07, 0.13), style.pick(1.0, 1.0, 1.35)
    stretch = style.span(1.25, 1.7)
    metal = style.plain("metal")
    grip = style.surface("plastic", "plastic", "rubber", "metal", patterned=0.45)
    other = style.plain(grip.kind, style.pick("main", "third")) if style.chance(0.3) else grip
    parts = []
    for side, finish, share in ((1, grip, 1.0), (-1, other, unequal)):
        hole = _loop(kind, size, stretch if share == 1 else stretch * share)
        back = -shank - hole.bounds[2]
        ring = affinity.translate(hole.buffer(bold), back, -size - bold - 0.03).difference(
            affinity.translate(hole, back, -size - bold - 0.03)
        )
        arm = LineString([(-0.22, 0), (-shank - 0.12, -size * 0.35)]).buffer(bold)
        blade = slab(_scissor_blade(tip, length, wide), thick, metal, bevel=0.0, low=thick * (side < 0))
        handle = slab(unary_union([ring, arm]), 0.2, finish, "top", 0.03, -0.03)
        parts += [_mirrored(piece, side).moved(turn(side * opened)) for piece in (blade, handle)]
    parts.append(part(lathe([(0.09, 0.0), (0.09, 0.18), (0, 0.2)], 20), style.plain(style.pick("metal", "plastic"))))
    pose = turn(style.span(-60, 60) + style.pick(0, 90, 180))
    return [p.moved(pose) for p in parts]


def _mirrored(piece: Part, side: int) -> Part:
    """Return the part, or with side -1 its mirror image in y with the triangles' order kept outward."""
    if side > 0:
        return piece
    swap = np.arange(len(piece.vertices)).reshape(-1, 3)[:, ::-1].ravel()
    sign = np.array([1.0, -1.0, 1.0])
    return Part(piece.vertices[swap] * sign, piece.normals[swap] * sign, piece.uv[swap], piece.finish)


_GRIPS = (
    [(0.2, 0), (0.27, 0.15), (0.27, 1.0), (0.2, 1.2)],
    [(0.16, 0), (0.19, 0.25), (0.3, 0.8), (0.27, 1.1), (0.12, 1.25)],
    [(0.2, 0), (0.33, 0.12), (0.27, 0.45), (0.34, 0.75), (0.25, 0.95)],
    [(0.24, 0), (0.17, 0.25), (0.26, 0.5), (0.28, 1.0), (0.22, 1.15)],
    [(0.15, 0), (0.2, 0.1), (0.38, 0.5), (0.3, 0.8), (0.1, 0.88)],
)


def _tip(style: Style, kind: str, length: float, thick: float, metal: Finish) -> list[Part]:
    """Return the shaft down from z = 0 with a flat, cross, hexagonal or tubular end."""
    sides = 6 if style.chance(0.3) else 16
    shaft = part(tube([(0, 0, 0.05), (0, 0, -length)], thick, sides=sides), metal)
    if kind == "flat":
        wide = thick * style.span(1.4, 2.3)
        blade = [(thick, 0), (wide, -0.2), (wide * 0.85, -0.42), (-wide * 0.85, -0.42), (-wide, -0.2), (-thick, 0)]
        turned = slab(Polygon(blade), thick * 0.9, metal, bevel=0.0, low=-thick * 0.45).moved(turn(90, (1, 0, 0)))
        return [shaft, turned.moved(turn(90, at=(0, 0, -length)))]
    if kind == "socket":
        wide, top = thick * style.span(1.5, 2.0), -length
        cup = lathe([(0, top - 0.2), (wide * 0.8, top - 0.35), (wide, top - 0.35), (wide, top), (0, top + 0.1)], 24)
        return [shaft, part(cup, metal)]
    end = rod((0, 0, -length), (0, 0, -length - 0.25), thick * 1.05, 0.03)
    return [shaft, part(end, BLACK if style.chance(0.5) else metal)]


def screwdriver(style: Style) -> list[Part]:
    """Build a lying screwdriver: six handles, fluted or smooth, stubby to long, with one of three tips."""
    length, thick = style.pick(style.span(0.45, 0.8), style.span(0.9, 1.9)), style.span(0.06, 0.1)
    bar = style.pick(0.0, 0.0, 0.0, 0.0, 0.0, style.span(0.45, 0.65))
    # A short shaft or a thick end under a cross bar would look like a hammer.
    length = max(length, 1.3) if bar else length
    kind = style.pick("flat", "flat", "cross", "cross", "cross" if bar else "socket")
    parts = _tip(style, kind, length, thick, style.plain("metal"))
    finish = style.surface("plastic", "plastic", "rubber", "wood", patterned=0.6)
    radius = 0.3
    if bar:
        line = np.column_stack([np.zeros(9), np.linspace(-bar, bar, 9), 0.15 + 0.12 * np.linspace(-1, 1, 9) ** 2])
        parts.append(part(tube(line, [0.13, 0.16, 0.17, 0.17, 0.17, 0.17, 0.17, 0.16, 0.13]), finish, "box"))
        parts.append(part(rod((0, 0, -0.25), (0, 0, 0.15), 0.14, 0.18), finish))
    else:
        girth, tall = style.span(0.85, 1.2), style.span(0.9, 1.35)
        profile = curve(style.pick(*_GRIPS), 18) * [girth, tall]
        flutes, deep = style.pick(0, 3, 6, 6, 8), style.span(0.05, 0.12)
        mesh = lathe(np.vstack([[(0, 0)], profile, [(0, profile[-1, 1] + 0.02)]]), 48)
        v, radius = mesh.vertices.copy(), float(profile[:, 0].max())
        share = np.clip(np.minimum(v[:, 2], profile[-1, 1] - v[:, 2]) / 0.25, 0, 1)
        v[:, :2] *= (1 + deep * share * np.cos(flutes * np.arctan2(v[:, 1], v[:, 0])))[:, None] if flutes else 1
        mesh.vertices = v
        parts.append(part(mesh, finish))
        cap = style.plain(style.pick("plastic", "metal"), style.pick("second", "third"))
        if style.chance(0.5):
            low, wide = profile[-1, 1] - 0.16, float(profile[-4, 0]) * 1.06
            parts.append(part(lathe([(0, low), (wide, low), (wide * 0.9, low + 0.22), (0, low + 0.24)], 32), cap))
        if style.chance(0.5):
            wide = float(profile[0, 0]) * style.span(0.8, 1.25)
            parts.append(part(lathe([(0, -0.12), (wide, -0.1), (wide, 0.06), (0, 0.08)], 32), cap))
    lean = float(np.degrees(np.arctan2(radius, length + 0.7)))
    pose = turn(style.span(-50, 50) + style.pick(0, 180)) @ turn(-90 - lean, (0, 1, 0)) @ turn(style.span(0, 360))
    return [p.moved(pose) for p in parts]
