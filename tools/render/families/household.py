"""Hats, bells, sofas and drums."""

from __future__ import annotations

import numpy as np
import trimesh
from shapely.geometry import Polygon

from ..geometry import Part, ball, box, curve, extrude, lathe, part, rod, tube, turn, vessel
from ..materials import Finish, Style, fixed

_CROWNS = (
    [(0.55, 0), (0.5, 0.5), (0.56, 0.9)],
    [(0.55, 0), (0.55, 0.28), (0.42, 0.5), (0.2, 0.6)],
    [(0.55, 0), (0.5, 0.4), (0.42, 0.58)],
    [(0.55, 0), (0.54, 0.36)],
    [(0.55, 0), (0.3, 0.6), (0.05, 1.4)],
)


def _ring(radius: float, height: float, thick: float, sides: int = 8) -> trimesh.Trimesh:
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    circle = np.column_stack([radius * np.cos(angles), radius * np.sin(angles), np.full(40, height)])
    return tube(circle, thick, closed=True, sides=sides)


def _domed(style: Style, finish: Finish) -> list[Part]:
    """Build a cap with peak and button, or a ribbed woollen hat with cuff and bobble."""
    knit, ribs, slouch = style.chance(0.45), style.pick(0, 16, 24), style.pick(0.0, 0.0, 0.45)
    tall = style.span(0.75, 1.15) if knit else style.span(0.48, 0.66)
    plain = style.plain(finish.kind, style.pick("main", "second", "third"))
    pieces = [(lathe(curve([(0.57, 0), (0.58, tall * 0.42), (0.36, tall * 0.88), (0, tall)], 22), 72), finish)]
    if style.chance(0.75) or not knit:
        size = style.span(0.15, 0.24) if knit else 0.06
        pieces.append((ball(size, (0, 0, tall + size / 3), 2), style.plain("cloth", "second")))
    if not knit:
        bill = lathe([(0, 0.03), (0.3, 0.03), (0.57, 0.025), (0.57, -0.015), (0, -0.015)], 40)
        v = bill.vertices * [1, style.span(0.75, 1.0), 1] + [0, -0.5, 0.04]
        bill.vertices = v - np.outer(v[:, 0] ** 2 * style.pick(0.05, 0.5), [0, 0, 1])
        return [part(mesh, cover) for mesh, cover in [*pieces, (bill, plain)]]
    high = style.span(0.14, 0.34)
    pieces.append((lathe(curve([(0.6, 0), (0.66, high * 0.3), (0.66, high * 0.75), (0.56, high)], 10), 72), plain))
    for mesh, _ in pieces:
        v = mesh.vertices.copy()
        v[:, :2] *= (1 + 0.025 * (ribs > 0) * np.cos(ribs * np.arctan2(v[:, 1], v[:, 0])))[:, None]
        v[:, 0] += slouch * np.clip(v[:, 2] / tall - 0.4, 0, 0.6) ** 1.5
        mesh.vertices = v
    return [part(mesh, cover, crease=60) for mesh, cover in pieces]


def hat(style: Style) -> list[Part]:
    """Build a hat: five crowns with flat, turned up, hanging or rolled brim and band, a peaked cap or a woollen hat."""
    finish = style.surface("cloth", "cloth", "matte", patterned=0.5)
    if style.chance(0.4):
        return _domed(style, finish)
    crown = curve(style.pick(*_CROWNS), 22) * [1, style.span(0.85, 1.25)]
    (last, top), reach = crown[-1], style.span(0.22, 0.75)
    lift, curl = style.pick(-0.22, -0.08, 0, 0.1, 0.2), style.pick(0.0, 0.0, 0.18, 0.34)
    dent, curl, lift = style.pick(0.0, 0.18) * (last > 0.3), curl * min(1.0, top), lift * min(1.0, top * 1.5)
    brim = curve([(0.55, 0), (0.55 + reach * 0.55, lift * 0.3), (0.55 + reach, lift)], 9)
    cap = np.vstack([crown, [(last * 0.85, top + 0.03), (last * 0.4, top + 0.035), (0, top + 0.035)]])
    plain = finish if style.chance(0.6) else style.plain(finish.kind, "second")
    pieces = [(lathe(cap), finish), (lathe(np.vstack([brim - [0, 0.03], brim[::-1]])), plain)]
    if style.chance(0.8):
        band = crown[crown[:, 1] < style.span(0.12, 0.24)] + [0.015, 0.01]
        pieces.append((lathe(band), style.plain("cloth", "third" if plain is finish else "second")))
    for mesh, _ in pieces:
        v = mesh.vertices.copy()
        out = np.clip((np.hypot(v[:, 0], v[:, 1]) - 0.55) / reach, 0, 1)
        v[:, 2] += curl * out**1.3 * np.cos(2 * np.arctan2(v[:, 1], v[:, 0]))
        v[:, 2] -= dent * np.exp(-((v[:, 0] / 0.17) ** 2)) * np.clip(v[:, 2] / top * 4 - 3, 0, 1)
        mesh.vertices = v * [1, 1.15, 1]
    return [part(mesh, cover) for mesh, cover in pieces]


_BELLS = (
    [(0.05, 0), (0.3, 0.06), (0.36, 0.3), (0.42, 0.62), (0.66, 0.95)],
    [(0.05, 0), (0.2, 0.05), (0.32, 0.3), (0.4, 0.6), (0.56, 0.8)],
    [(0.05, 0), (0.34, 0.12), (0.44, 0.4), (0.47, 0.75), (0.6, 0.9)],
    [(0.05, 0), (0.16, 0.12), (0.26, 0.5), (0.42, 0.8), (0.7, 1.0)],
)
_GRIPS = (
    [(0.07, 0), (0.14, 0.1), (0.08, 0.3), (0.13, 0.75), (0.02, 1)],
    [(0.1, 0), (0.1, 0.7), (0.17, 0.85), (0.02, 1)],
    [(0.06, 0), (0.06, 0.15), (0.16, 0.5), (0.1, 0.85), (0.02, 1)],
)


def _hung(style: Style, top: float, wide: float, wood: Finish) -> list[Part]:
    """Build what a bell hangs from: a ring, a beam or a frame with posts."""
    kind, metal = style.pick("ring", "beam", "frame"), style.plain("metal")
    if kind == "ring":
        loop = part(_ring(style.span(0.15, 0.24), 0, 0.05), metal)
        return [loop.moved(turn(90, (1, 0, 0), (0, 0, top + 0.15)))]
    bars = [((2 * wide + 0.5, 0.2, 0.18), (0, 0, top + 0.22)), ((0.14, 0.14, 0.2), (0, 0, top + 0.06))]
    for x in (-wide - 0.2, wide + 0.2) if kind == "frame" else ():
        bars += [((0.14, 0.16, top + 0.45), (x, 0, top / 2 - 0.1)), ((0.2, 0.8, 0.1), (x, 0, -0.3))]
    return [part(box(size, 0.01, at), wood, "box") for size, at in bars]


def bell(style: Style) -> list[Part]:
    """Build a bell: for the hand, upright or lying, hanging from a ring, beam or frame, or with a button on a foot."""
    finish = style.surface("metal", "metal", "metal", "ceramic", "plastic", patterned=0.7)
    wood, metal = style.plain(style.pick("wood", "wood", "plastic", "metal"), "third"), style.plain("metal")
    kind, long = style.pick("hand", "hand", "hung", "hung", "counter"), style.span(0.6, 1.0)
    if kind == "counter":
        tall, wide = style.span(0.38, 0.6), style.span(0.7, 0.9)
        dome = curve([(0.66, 0.1), (0.62, 0.1 + tall * 0.5), (0.38, 0.1 + tall * 0.88), (0, 0.1 + tall)], 24)
        foot = lathe([(0, 0), (wide, 0), (wide, 0.06), (wide * 0.9, 0.11), (0, 0.11)], 40)
        knob = lathe(
            [(0, tall), (0.05, tall), (0.05, tall + 0.24), (0.13, tall + 0.25), (0.12, tall + 0.3), (0, tall + 0.32)]
        )
        return [part(lathe(dome), finish), part(foot, wood), part(knob, metal)]
    profile = curve(style.pick(*_BELLS), 30) * [style.span(0.85, 1.15), style.span(0.85, 1.2)]
    wide, top = profile[-1]
    parts = [part(vessel(profile, 0.035), finish).moved(turn(180, (1, 0, 0), (0, 0, top)))]
    for share in style.pick((), (0.5,), (0.82,), (0.45, 0.85)):
        radius, drop = profile[int(share * 29)]
        parts.append(part(_ring(radius, top - drop, 0.025), metal))
    parts += [part(rod((0, 0, top * 0.9), (0, 0, 0.04), 0.035), metal), part(ball(0.12, (0, 0, 0.02), 2), metal)]
    if kind == "hung":
        return parts + _hung(style, top, wide, wood)
    parts.append(part(lathe(curve(style.pick(*_GRIPS), 26) * [1, long] + [0, top - 0.02], 28), wood))
    lean = -90 + np.degrees(np.arctan2(wide - 0.1, top + long)) if style.chance(0.35) else style.span(-6, 6)
    return [p.moved(turn(lean, (1, 0, 0))) for p in parts]


def _arms(style: Style, size: tuple[float, float, float, float], cover: Finish, wood: Finish) -> list[Part]:
    """Build a sofa's arms: boxes, rolls, slopes or open frames; `size` is half width, depth, seat and foot height."""
    half, deep, seat, foot = size
    kind, thick, high = (
        style.pick("box", "roll", "slope", "frame"),
        style.span(0.14, 0.28),
        seat + style.span(0.12, 0.3),
    )
    drop, parts = 0.2 if kind == "slope" else 0.0, []
    line = [(-deep / 2, foot), (-deep / 2, high - drop), (deep / 2 + 0.1, high + drop), (deep / 2 + 0.1, foot)]
    for x in (-half - thick / 2, half + thick / 2):
        if kind == "frame":
            bars = [((0.09, 0.09, high), (x, y, high / 2)) for y in (-deep / 2 + 0.06, deep / 2)]
            bars.append(((0.14, deep + 0.2, 0.08), (x, 0.05, high)))
            parts += [part(box(extent, 0.01, at), wood, "box") for extent, at in bars]
            continue
        panel = part(extrude(Polygon(line), thick, 0.03), cover, "box")
        parts.append(panel.moved(np.array([[0, 0, 1, x - thick / 2], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]])))
        if kind == "roll":
            parts.append(part(rod((x, -deep / 2 - 0.02, high), (x, deep / 2 + 0.1, high), thick * 0.72), cover))
    for x in (-half, half) if foot > 0.1 else ():
        parts += [part(rod((x, y, 0), (x, y, foot + 0.05), 0.04, 0.06), wood) for y in (0.08 - deep / 2, deep / 2)]
    return parts


def sofa(style: Style) -> list[Part]:
    """Build a sofa: straight, arched, waved or cushioned back, four kinds of arms, legs or none, chaise and pillows."""
    cover = style.surface("cloth", "cloth", "matte", "plastic", patterned=0.5)
    pad = cover if style.chance(0.5) else style.plain(cover.kind, style.pick("main", "second"))
    wood = style.plain(style.pick("wood", "wood", "metal"), "third")
    half, deep, tall, foot = (
        style.span(0.75, 1.35),
        style.span(0.75, 0.95),
        style.span(0.75, 1.1),
        style.pick(0.03, 0.12, 0.22),
    )
    seats, back, soft = style.pick(1, 2, 2, 3, 3), style.pick("flat", "arch", "wave", "pads"), style.pick(0.03, 0.08)
    seat, step, side = foot + 0.4, 2 * half / seats, style.pick(-1, 1)
    parts = [part(box((2 * half, deep, 0.22), 0.03, (0, 0, foot + 0.11)), cover, "box")]
    share = {"arch": 0.5, "wave": 1.0}.get(back, 0.0) * np.pi / half
    hump = [(x, tall + 0.16 * (np.cos(x * share) - (share == 0))) for x in np.linspace(half, -half, 16)]
    rear = extrude(Polygon([(-half, foot), (half, foot), *hump]), 0.2, 0.04)
    parts.append(part(rear, cover, "box").moved(turn(90, (1, 0, 0), (0, deep / 2 + 0.1, 0))))
    for x in (np.arange(seats) + 0.5) * step - half:
        parts.append(part(box((step - 0.02, deep, 0.2), soft, (x, -0.02, seat - 0.1)), pad, "box"))
        if back == "pads":
            rest = part(box((step - 0.03, 0.2, tall - seat + 0.08), 0.09), pad, "box")
            parts.append(rest.moved(turn(-10, (1, 0, 0), (x, deep / 2 - 0.16, (seat + tall) / 2 + 0.06))))
    if seats > 1 and style.chance(0.25):
        long = style.span(0.5, 0.8)
        spot = (side * (half - step / 2), -deep / 2 - long / 2, (seat + foot) / 2)
        parts.append(part(box((step, long, seat - foot), 0.05, spot), pad, "box"))
    for sx in style.pick((), (-1,), (1, -1), (-1, -0.55, 1)):
        pillow = part(box((0.42, 0.16, 0.42), 0.075), style.surface("cloth", patterned=0.9), "front")
        parts.append(pillow.moved(turn(-22, (1, sx * 0.4, 0), (sx * (half - 0.28), deep / 2 - 0.36, seat + 0.2))))
    return parts + _arms(style, (half, deep, seat, foot), cover, wood)


_SHELLS = {
    "snare": [(0.75, 0), (0.75, 0.42)],
    "tom": [(0.6, 0), (0.6, 0.85)],
    "rope": [(0.62, 0), (0.62, 0.8)],
    "bass": [(0.8, 0), (0.8, 0.6)],
    "goblet": [(0.36, 0), (0.24, 0.55), (0.3, 0.8), (0.52, 1.15), (0.54, 1.45)],
    "conga": [(0.34, 0), (0.5, 0.6), (0.48, 1.1), (0.4, 1.5)],
    "bongos": [(0.36, 0), (0.44, 0.5)],
    "kettle": [(0.05, 0), (0.4, 0.1), (0.66, 0.4), (0.7, 0.65)],
}


def _lacing(style: Style, line: np.ndarray, rope: bool, both: bool) -> list[Part]:
    """Build a zigzag rope or straight rods with lugs round a drum's shell."""
    finish = style.plain("cloth", "third") if rope else style.plain("metal")
    top, low = line[-1, 1] - 0.04, line[0, 1] + 0.04 if both else line[-1, 1] * 0.55
    count, parts = style.pick(6, 8, 10), []
    if rope:
        angle = np.arange(count * 8) * 2 * np.pi / (count * 8)
        height = low + (top - low) * np.abs((np.arange(count * 8) / 4) % 2 - 1)
        radius = np.interp(height, line[:, 1], line[:, 0]) + 0.03
        path = np.column_stack([radius * np.cos(angle), radius * np.sin(angle), height])
        return [part(tube(path, 0.025, closed=True, sides=6), finish)]
    for a in np.arange(count) * 2 * np.pi / count:
        ends = [((r := np.interp(z, line[:, 1], line[:, 0]) + 0.05) * np.cos(a), r * np.sin(a), z) for z in (low, top)]
        parts.append(part(rod(*ends, 0.022), finish))
        parts.append(part(ball(0.06, np.mean(ends, axis=0), 1), finish))
    return parts


def _sticks(style: Style, top: float) -> list[Part]:
    """Build two crossed sticks on a drum's skin."""
    stick, parts = style.plain("wood", style.pick("second", "third")), []
    for a in (style.span(10, 40), style.span(-40, -10)):
        pose = turn(a, at=(0, 0, top + 0.06)) @ turn(-6, (0, 1, 0))
        pair = (rod((-0.5, 0, 0), (0.95, 0, 0), 0.035, 0.045), ball(0.08, (-0.5, 0, 0.03), 2))
        parts += [part(mesh, stick).moved(pose) for mesh in pair]
    return parts


def drum(style: Style) -> list[Part]:
    """Build a drum: snare, tom, rope drum, bass drum, goblet, conga, bongos or kettledrum, often with sticks."""
    kind = style.pick(*_SHELLS)
    line = curve(_SHELLS[kind], 24) * [style.span(0.85, 1.15), style.span(0.85, 1.2)]
    (radius, top), both = line[-1], line[0, 0] > 0.5
    finish = style.surface("plastic", "wood", "metal", "ceramic", patterned=0.75)
    hoop = style.plain(style.pick("metal", "wood", "plastic"), style.pick("second", "third"))
    skin = fixed("matte", style.pick((0.93, 0.9, 0.82), (0.96, 0.96, 0.95), (0.85, 0.74, 0.58), (0.15, 0.15, 0.16)))
    if kind == "bass" and style.chance(0.6):
        skin = style.surface("matte", patterned=0.9)
    parts = [part(lathe(line), finish), part(lathe([(0, top), (radius, top)], 40), skin, "polar")]
    for r, z in (line[0], line[-1]) if both else (line[-1],):
        parts.append(part(_ring(r + 0.02, z - 0.02 if z else 0.02, 0.05), hoop))
    if style.chance(0.8):
        parts += _lacing(style, line, kind == "rope" or style.chance(0.3), both)
    if kind == "kettle" or (kind in ("snare", "tom") and style.chance(0.4)):
        low, metal = style.span(0.3, 0.8), style.plain("metal")
        for a in (0.5, 2.6, 4.7):
            out = np.array([np.cos(a), np.sin(a), 0]) * radius
            parts.append(part(rod(out * 1.15 - [0, 0, low], out + [0, 0, top * 0.5], 0.035), metal))
    if kind == "bass":
        return [p.moved(turn(90, (1, 0, 0), (0, 0, radius))) for p in parts]
    if kind == "bongos":
        small = style.span(0.75, 0.95)
        twin = [p.moved(turn(0, at=(radius * (1 + small) + 0.1, 0, 0)) @ np.diag([small, small, 1, 1])) for p in parts]
        return [*parts, *twin, part(box((0.4, 0.3, 0.3), 0.02, (radius + 0.03, 0, top / 2)), hoop)]
    return parts + _sticks(style, top) if style.chance(0.6) else parts
