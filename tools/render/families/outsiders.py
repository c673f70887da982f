"""Four more families kept out of training, for measuring on a larger set than the sample.

They are the potted cactus, the photo camera, the snowman and, in its own module, the bicycle.
"""

from __future__ import annotations

import numpy as np
import trimesh
from shapely.geometry import Polygon
from shapely.geometry import box as rectangle

from ..geometry import Part, ball, curve, extrude, lathe, part, regular, rod, tube, turn, vessel
from ..materials import Finish, Style, fixed
from .bicycles import BLACK, struts


def _ribbed(path: np.ndarray, radius: float, ribs: int, deep: float, dome: float) -> list[trimesh.Trimesh]:
    """Return a ribbed stem along a path, domed over a share of its length, and the spines on its ribs."""
    count, sides = len(path), ribs * 4
    share = np.clip((np.linspace(0, 1, count) - 1 + dome) / dome, 0, 0.999)
    mesh = tube(path, radius * np.sqrt(1 - share**2), sides=sides)
    wave = np.append(np.tile(1 + deep * np.cos(np.arange(sides) * np.pi / 2), count), [1, 1])[:, None]
    centre = np.vstack([np.repeat(path, sides, axis=0), path[0], path[-1]])
    mesh.vertices = centre + (mesh.vertices - centre) * wave
    roots = mesh.vertices[:-2].reshape(count, sides, 3)[2:-1:3, ::4].reshape(-1, 3)
    out = roots - np.repeat(path[2:-1:3], ribs, axis=0)
    tips = roots + out / np.linalg.norm(out, axis=1, keepdims=True) * 0.09
    return [mesh, struts([np.array(pair) for pair in zip(roots - out * 0.05, tips, strict=True)], 0.012, 3)]


def _pads(style: Style) -> tuple[list[trimesh.Trimesh], list[np.ndarray]]:
    """Return the flat pads of a prickly pear with their spines last, and the tops of the pads."""
    meshes, tips = [], []
    grow = [(np.zeros(3), style.span(-8, 8), style.span(0.42, 0.52), 0)]
    while grow:
        at, lean, size, level = grow.pop(0)
        pose = turn(style.span(-35, 35)) @ turn(lean, (0, 1, 0))
        pad = trimesh.creation.icosphere(subdivisions=2 if level else 3)
        pad.vertices = pad.vertices * [size * 0.7, 0.1, size] + [0, 0, size * 0.93]
        meshes.append(pad.apply_transform(pose).apply_translation(at))
        tips.append(at + pose[:3, 2] * size * 1.93)
        sides = style.pick((-1, 1), (-1, 0.1, 1), (-0.6, 1)) if level == 0 else style.pick((), (0.2,), (-1, 1))
        for side in sides if level < 2 else ():
            end = np.array([side * size * 0.45, 0, size * (1.85 - 0.3 * abs(side))])
            grow.append((at + pose[:3, :3] @ end, lean + side * 38, size * style.span(0.6, 0.8), level + 1))
    dots = [ball(0.025, spot, 0) for mesh in meshes for spot in mesh.vertices[:: len(mesh.vertices) // 40]]
    return [*meshes, trimesh.util.concatenate(dots)], tips


def _stems(style: Style, kind: str) -> tuple[list[trimesh.Trimesh], list[np.ndarray]]:
    """Return ribbed stems, a column with arms, a group or a globe, with their spines last, and their tops."""
    tall = {"column": style.span(1.5, 2.3), "group": style.span(1.0, 1.6), "globe": style.span(0.9, 1.2)}[kind]
    paths = [np.linspace((0, 0, -0.1), (0, 0, tall), 18)]
    for side in style.pick((1,), (-1, 1), (-1, 1), ()) if kind == "column" else ():
        low, far = style.span(0.25, 0.5) * tall, style.span(0.5, 0.62)
        knots = [(0, 0, low), (side * far * 0.8, 0, low + 0.04), (side * far, 0, low + 0.25)]
        paths.append(curve([*knots, (side * far, 0, low + style.span(0.6, 1.05))], 18))
    for angle in np.arange(style.pick(2, 3)) * 2.1 + style.span(0, 6) if kind == "group" else ():
        foot = np.array([0.36 * np.cos(angle), 0.36 * np.sin(angle), -0.1])
        paths.append(np.linspace(foot, foot * [1.3, 1.3, 1] + [0, 0, tall * style.span(0.45, 0.8)], 18))
    wide = {"column": style.span(0.26, 0.34), "group": 0.24, "globe": style.span(0.48, 0.56)}[kind]
    ribs, deep, dome = style.pick(7, 9, 11), style.span(0.1, 0.18), 0.65 if kind == "globe" else 0.3
    stems = [_ribbed(path, wide * (0.75 if i else 1), ribs, deep, dome) for i, path in enumerate(paths)]
    return [*(s[0] for s in stems), trimesh.util.concatenate([s[1] for s in stems])], [path[-1] for path in paths]


def cactus(style: Style) -> list[Part]:
    """Build a potted cactus: column with arms, group, globe or prickly pear, perhaps in bloom."""
    kind = style.pick("column", "column", "group", "globe", "pear", "pear")
    green = fixed("matte", (style.span(0.16, 0.42), style.span(0.4, 0.55), style.span(0.18, 0.36)))
    meshes, tips = _pads(style) if kind == "pear" else _stems(style, kind)
    parts = [part(mesh, green, crease=60) for mesh in meshes[:-1]]
    parts.append(part(meshes[-1], fixed("matte", (0.92, 0.88, 0.72))))
    bloom = fixed("matte", style.pick((0.9, 0.3, 0.5), (0.95, 0.75, 0.2), (0.85, 0.2, 0.15)))
    for tip in tips[-style.pick(1, 2, 3) :] if style.chance(0.5) else ():
        flower = lathe([(0, -0.04), (0.1, 0.03), (0.18, 0.12), (0.05, 0.08), (0, 0.09)], 12)
        parts.append(part(flower.apply_translation(tip), bloom))
    low, wide, foot = style.span(0.6, 1.0), style.span(0.66, 0.76), style.span(0.4, 0.62)
    outline = style.pick([(foot, 0), (wide, low)], [(foot, 0), (wide * 1.1, low * 0.5), (wide, low)])
    clay = style.surface("ceramic", "ceramic", "matte", patterned=0.6)
    parts.append(part(vessel(curve(outline, 14), 0.06), clay).moved(turn(0, at=(0, 0, -low))))
    soil = fixed("matte", style.pick((0.2, 0.14, 0.1), (0.75, 0.7, 0.62)))
    parts.append(part(lathe([(0, -0.05), (wide - 0.03, -0.08)], 32), soil))
    if style.chance(0.35):
        saucer = lathe([(0, 0), (foot + 0.1, 0), (foot + 0.22, 0.12), (foot + 0.15, 0.12), (foot, 0.05)], 40)
        parts.append(part(saucer.apply_translation([0, 0, -low - 0.04]), style.plain("ceramic", "third")))
    return parts


def _lens(style: Style, at: tuple[float, float, float], radius: float, long: float) -> list[Part]:
    """Return a lens that points to the front: stepped barrel, coloured ring, coated glass and its glint."""
    steps = [(0, 0), (1, 0), (1, 0.4), (0.92, 0.42), (0.92, 0.9), (0.97, 1), (0.8, 1), (0.72, 0.85)]
    lines = steps, [(1.04, 0.12), (1.04, 0.32)], [(0.74, 0.86), (0.4, 0.92), (0, 0.94)], [(0, 0.96), (0.16, 0.96)]
    meshes = [lathe(np.array(line) * [radius, long], 36) for line in lines]
    meshes[3].apply_translation([-radius * 0.3, radius * 0.3, 0])
    barrel = style.plain("metal") if style.chance(0.35) else BLACK
    tint = fixed("ceramic", style.pick((0.08, 0.1, 0.25), (0.2, 0.08, 0.28), (0.06, 0.18, 0.2)))
    finishes = barrel, style.plain("rubber", "third"), tint, fixed("ceramic", (0.75, 0.8, 0.9))
    return [part(m, f).moved(turn(90, (1, 0, 0), at)) for m, f in zip(meshes, finishes, strict=True)]


def _slab(shape: Polygon, front: float, back: float, finish: Finish) -> Part:
    """Return an outline of the x-z plane extruded from back to front, both given towards the viewer."""
    return part(extrude(shape, front - back, 0.02), finish, "top").moved(turn(90, (1, 0, 0), (0, -back, 0)))


def _fittings(style: Style, w: float, h: float, deep: float, metal: Finish) -> list[Part]:
    """Return the dials, and perhaps a grip, of a camera."""
    dials = [(-w * 0.72, 0.1), (w * 0.62, 0.14), (-w * 0.4, 0.06)]
    tops = [lathe([(0, 0.1), (r, 0.1), (r, 0)], 24).apply_translation([x, -deep / 2, h]) for x, r in dials]
    grip = _slab(rectangle(-w, 0.08, -w * 0.66, h * 0.8).buffer(0.03), deep + 0.14, 0, BLACK)
    return [part(mesh, metal) for mesh in tops] + ([grip] if style.chance(0.5) else [])


def camera(style: Style) -> list[Part]:
    """Build a photo camera: single-lens reflex, rangefinder, instant or twin-lens, perhaps on a strap."""
    kind = style.pick("reflex", "reflex", "rangefinder", "rangefinder", "instant", "twin")
    w, h = {"instant": (0.62, 0.95), "twin": (0.42, 1.25)}.get(kind, (style.span(0.68, 0.85), style.span(0.72, 0.95)))
    deep, corner = style.span(0.3, 0.45), style.span(0.04, 0.16)
    cover = style.surface("plastic", "rubber", patterned=0.3) if style.chance(0.65) else BLACK
    metal = style.plain(style.pick("metal", "metal", "plastic"), style.pick("second", "third"))
    parts = [_slab(rectangle(corner - w, corner, w - corner, h - corner).buffer(corner), deep, 0, metal)]
    parts.append(_slab(rectangle(-w - 0.01, h * 0.14, w + 0.01, h * 0.72), deep + 0.02, -0.02, cover))
    off, high = {"instant": (0.0, h * 0.62), "twin": (0.0, 0.4)}.get(kind, (style.pick(0.0, 0.0, 0.12), h * 0.45))
    radius = 0.25 if kind in ("instant", "twin") else style.span(0.29, 0.36)
    long = style.span(0.2, 0.75) if kind == "reflex" else style.span(0.12, 0.3)
    parts += _lens(style, (off, -deep, high), radius, long)
    if kind == "reflex":
        hump = Polygon([(-0.34, h - 0.03), (0.34, h - 0.03), (0.2, h + 0.24), (-0.2, h + 0.24)]).buffer(0.02)
        parts.append(_slab(hump, deep + 0.06, 0.06, style.pick(metal, cover)))
    elif kind == "twin":
        parts += _lens(style, (0, -deep, 0.94), 0.2, long * 0.7)
        parts.append(_slab(rectangle(-0.34, h, 0.34, h + style.span(0.08, 0.4)), deep - 0.04, 0.02, cover))
    else:
        parts.append(_slab(rectangle(-0.12, h * 0.91, 0.14, h * 0.98), deep + 0.03, 0.1, BLACK))
        flash = rectangle(w * 0.5, h * 0.76, w * 0.9, h * 0.92)
        parts.append(_slab(flash, deep + 0.04, 0, fixed("plastic", (1, 1, 0.9))))
    if kind == "instant":
        parts.append(_slab(rectangle(-w - 0.04, 0, w + 0.04, h * 0.3).buffer(0.02), deep + 0.35, -0.1, metal))
        parts.append(_slab(rectangle(-w * 0.8, 0.12, w * 0.8, 0.17), deep + 0.38, deep, BLACK))
    elif kind != "twin":
        parts += _fittings(style, w, h, deep, metal)
    if style.chance(0.4):
        far = w + style.span(0.35, 0.7)
        knots = [(w, h * 0.85), (w + 0.2, h * 0.5), (far * 0.93, 0.05), (far, 0.04)]
        line = curve([(x, -deep / 2 - 0.4 * (1 - z / h), z) for x, z in knots], 16)
        parts.append(part(struts([line, line * [-1, 1, 1]], 0.045), style.plain("cloth", "third")))
    return parts


def _hat(style: Style, kind: str, size: float) -> list[Part]:
    """Return a hat that sits at z = 0 on a head of that radius."""
    felt, band, tall = (
        style.surface("cloth", patterned=0.4),
        style.plain("cloth", "second"),
        style.span(0.8, 1.3) * size,
    )
    if kind == "top":
        dark, r = style.pick(felt, fixed("cloth", (0.07, 0.07, 0.08))), size * 0.68
        rim = [(0, 0), (size * 1.15, 0), (size * 1.15, 0.04), (r, 0.05), (r, tall), (0, tall)]
        return [part(lathe(rim, 40), dark), part(lathe([(r + 0.012, 0.06), (r + 0.012, tall * 0.3)], 40), band)]
    if kind == "bucket":
        metal = style.plain(style.pick("metal", "plastic"), "third")
        return [part(lathe([(size, 0), (size, 0.04), (size * 0.6, size * 1.2), (0, size * 1.2)], 40), metal)]
    tall, bend = (tall * 1.35, 0.42) if kind == "cone" else (tall * 0.75, 0.8)
    cap = lathe(curve([(size * 0.93, -0.1), (size * bend, tall * 0.6), (size * 0.1, tall)], 16), 40)
    cuff = lathe([(size * 0.9, -0.14), (size, -0.14), (size, 0.04), (size * 0.88, 0.05)], 40)
    return [part(cap, felt), part(cuff, band), part(ball(size * 0.24, (0, 0, tall), 2), band)]


def _dress(style: Style, neck: float, round_: float, wide: float) -> list[Part]:
    """Return a scarf at a height about a neck, its tail down the front, and twigs for arms; each may lack."""
    parts: list[Part] = []
    if style.chance(0.65):
        wool, x = style.surface("cloth", patterned=0.7), style.pick(-1, 1) * round_ * 0.5
        circle = [(a, b, neck) for a, b in regular(36, round_).exterior.coords[:-1]]
        parts.append(part(tube(circle, 0.12, sides=10, closed=True), wool))
        fall = [(x, -round_ * 0.9, neck), (x, -wide - 0.1, neck - wide * 0.6), (x, -wide - 0.12, neck - wide * 1.3)]
        parts.append(part(tube(curve(fall, 10), 0.11, sides=8), wool))
    for side in (-1, 1) if style.chance(0.8) else ():
        reach, rise, at = (
            style.span(0.5, 0.8),
            style.span(-0.15, 0.6),
            np.array([side * wide * 0.85, 0, neck - wide / 2]),
        )
        hand = at + [side * reach, -0.15, rise]
        twigs = [rod(hand, hand + [side * x, 0, z], 0.025) for x, z in ((0.18, 0.05), (0.1, 0.2), (-0.02, 0.17))]
        twigs.append(tube(curve([at, at + [side * reach * 0.6, -0.1, rise * 0.4], hand], 8), 0.04, sides=8))
        parts.append(part(trimesh.util.concatenate(twigs), fixed("matte", (0.3, 0.2, 0.13))))
    return parts


def snowman(style: Style) -> list[Part]:
    """Build a snowman of two or three balls with carrot, buttons, hat, scarf and twigs."""
    snow, coal = fixed("matte", style.pick((0.96, 0.97, 1), (0.9, 0.93, 0.97))), fixed("matte", (0.07, 0.07, 0.08))
    sizes = [0.8, style.span(0.52, 0.64), style.span(0.36, 0.46)] if style.chance(0.7) else [0.8, style.span(0.46, 0.6)]
    squash = style.span(0.82, 0.98)
    steps = [0.72, *(0.8 * (a + b) for a, b in zip(sizes, sizes[1:], strict=False))]
    levels = np.cumsum(steps) * squash
    balls = [
        ball(r).apply_scale([1, 1, squash]).apply_translation([0, 0, z]) for r, z in zip(sizes, levels, strict=True)
    ]
    parts = [part(mesh, snow) for mesh in balls]
    size, wide, head, chest = sizes[-1], sizes[-2], levels[-1], levels[-2]

    def on(level: float, radius: float, x: float, z: float, large: float, finish: Finish) -> Part:
        """Return a bead on the front of a ball of snow."""
        spot = np.array([x, -np.sqrt(1 - x * x - z * z), z * squash]) * radius
        return part(ball(large, spot + [0, 0, level], 1), finish)

    parts += [on(head, size, x, 0.28, size * 0.14, coal) for x in (-0.34, 0.34)]
    mouth = np.linspace(-0.5, 0.5, 6) if style.chance(0.75) else ()
    parts += [on(head, size, x, 0.9 * x * x - 0.5, size * 0.08, coal) for x in mouth]
    tip = (0, -size * 0.9 - style.span(0.3, 0.6), head + style.span(-0.08, 0.05))
    parts.append(part(rod((0, -size * 0.8, head), tip, size * 0.19, 0.015), fixed("matte", (0.93, 0.45, 0.1))))
    button = style.pick(coal, style.plain("plastic", "second"))
    parts += [on(chest, wide, 0, z, 0.075, button) for z in style.pick((0.5, 0.05, -0.4), (0.3, -0.2), ())]
    parts += _dress(style, head - size * squash * 0.85, min(size, wide) * 0.8, wide)
    kind = style.pick("top", "top", "bobble", "bobble", "cone", "bucket", "none")
    if kind != "none":
        pose = turn(style.span(-10, 10), (0, 1, 0), (0, 0, head + size * squash * 0.55))
        parts += [p.moved(pose) for p in _hat(style, kind, size * 0.95)]
    return parts
