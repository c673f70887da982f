"""Toy boats, rockets and aeroplanes."""

from __future__ import annotations

import numpy as np
import trimesh
from shapely import affinity
from shapely.geometry import LineString, Polygon

from ..geometry import Part, ball, box, curve, extrude, lathe, part, rod, tube, turn, vessel
from ..materials import Finish, Style, fixed
from .vehicles import BLACK, PANE, upright, wheels


def _afloat(mesh: trimesh.Trimesh, length: float, beam: float, sheer: float, stern: float) -> trimesh.Trimesh:
    """Warp a turned mesh of radius one to a hull with a pointed bow towards x and a cut-off stern."""
    v = mesh.vertices.copy()
    bow = v[:, 0] / np.maximum(np.hypot(v[:, 0], v[:, 1]), 1e-9)
    v[:, 1] *= beam * np.sqrt(1 - np.minimum(bow, 1) * 0.96)
    v[:, 2] += sheer * np.clip(v[:, 0], 0, None) ** 2
    v[:, 0] = np.maximum(v[:, 0], -stern) * length
    mesh.vertices = v
    return mesh


def _rig(style: Style, height: float) -> list[Part]:
    """Build one or two masts with three-cornered or square sails, and a pennant."""
    cloth, wood = style.surface("cloth", patterned=0.7), style.plain("wood", "third")
    kind = style.pick("sloop", "sloop", "square", "lug")
    top, foot = height + style.span(2.0, 3.0), height + 0.3
    parts = []
    for x in (-0.65, 0.65) if kind == "square" and style.chance(0.6) else (0.15,):
        parts.append(part(rod((x, 0, height - 0.3), (x, 0, top), 0.05, 0.03), wood))
        if kind == "square":
            for low, high, half in ((foot, top - 0.95, 0.85), (top - 0.85, top - 0.15, 0.65)):
                rise = np.linspace(0, 1, 9)
                bulge = np.column_stack([x + 0.05 + np.sin(np.pi * rise) * 0.25, low + (high - low) * rise])
                parts.append(upright(LineString(bulge).buffer(0.025), half * 2, cloth))
            continue
        back = -style.span(1.1, 1.5)
        peak = [(x - 0.06, top - 0.1)] if kind == "sloop" else [(x - 0.06, top - 0.6), (back * 0.6, top)]
        parts.append(upright(Polygon([(x - 0.06, foot), *peak, (back, foot)]), 0.03, cloth))
        parts.append(part(rod((x, 0, foot - 0.04), (back, 0, foot - 0.04), 0.035), wood))
        if kind == "sloop" and style.chance(0.75):
            jib = Polygon([(x + 0.1, foot), (1.45, foot - 0.1), (x + 0.1, top - style.span(0.3, 0.9))])
            parts.append(upright(jib, 0.03, style.pick(cloth, style.plain("cloth"))))
    if style.chance(0.5):
        parts.append(upright(Polygon([(0, top), (0, top + 0.22), (-0.45, top + 0.11)]), 0.03, wood))
    return parts


def _house(style: Style, height: float, beam: float) -> list[Part]:
    """Build deck-houses with windows, and funnels or a windscreen."""
    walls, trim = style.plain("plastic", "second"), style.plain("plastic", "third")
    pane, tall, at = fixed("ceramic", PANE), style.span(0.45, 0.75), style.span(-0.4, 0.1)
    wide, long = beam * style.span(0.9, 1.2), style.span(0.9, 1.5)
    parts = [part(box((long, wide, tall), 0.04, (at, 0, height + tall / 2 - 0.05)), walls)]
    for x in np.linspace(-0.36, 0.36, style.pick(2, 3)) * long:
        parts.append(part(rod((at + x, -wide * 0.52, height + 0.28), (at + x, wide * 0.52, height + 0.28), 0.1), pane))
    top = height + tall - 0.05
    if style.chance(0.6):
        parts.append(part(box((long * 0.5, wide * 0.85, 0.4), 0.03, (at + long * 0.2, 0, top + 0.2)), walls))
        parts.append(part(box((long * 0.51, wide * 0.87, 0.16), 0, (at + long * 0.2, 0, top + 0.25)), pane))
        parts.append(part(box((long * 0.6, wide, 0.06), 0.02, (at + long * 0.2, 0, top + 0.42)), trim))
    count, thick, rise = style.pick(1, 1, 2, 3), style.span(0.13, 0.22), style.span(0.6, 1.0)
    for index in range(count):
        foot = np.array([at - long * 0.32 + index * 0.42 - (0.2 if count > 1 else 0), 0, top - 0.1])
        lean = np.array([-style.pick(0.0, 0.12), 0, rise])
        parts.append(part(rod(foot, foot + lean, thick), trim))
        parts.append(part(rod(foot + lean * 0.75, foot + lean * 1.03, thick * 1.07), fixed("matte", BLACK)))
    return parts


def boat(style: Style) -> list[Part]:
    """Build a boat: a sailing boat, a steamer or an open boat with oars, on one of three hulls."""
    length, beam, sheer = style.span(1.5, 1.95), style.span(0.5, 0.72), style.span(0.05, 0.4)
    deep, stern, wall = style.span(0.5, 0.8), style.pick(0.7, 0.85, 1.0), 0.05
    foot = style.span(0.4, 0.75)
    line = curve(style.pick([(foot, 0), (0.9, 0.55), (1, 1)], [(foot, 0), (1, 1)], [(foot, 0), (0.95, 0.3), (1, 1)]), 9)
    hull = style.surface("plastic", "plastic", "wood", "ceramic", patterned=0.7)
    shape = (length, beam, sheer, stern)
    parts = [part(_afloat(vessel(line * [1, deep], wall), *shape), hull)]
    rim = lathe([(0.97, deep), (1.03, deep), (1.03, deep + 0.07), (0.97, deep + 0.07)])
    parts.append(part(_afloat(rim, *shape), style.plain(hull.kind, style.pick("second", "third"))))
    kind = style.pick("sail", "sail", "house", "house", "open")
    level = deep * (0.35 if kind == "open" else 0.8)
    wood = style.plain("wood", "third")
    parts.append(
        part(_afloat(lathe([(0, level), (np.interp(level, line[:, 1] * deep, line[:, 0]), level)]), *shape), wood)
    )
    if kind == "sail":
        return parts + _rig(style, deep)
    if kind == "house":
        return parts + _house(style, level, beam)
    for x in (-0.8, -0.1, 0.5)[: style.pick(2, 3)]:
        parts.append(part(box((0.26, beam * 1.75, 0.06), 0.02, (x, 0, deep * 0.8)), wood))
    for side in (-1, 1):
        tip, grip = np.array([-0.9, side * beam * 2.2, 0.25]), np.array([0.15, side * beam * 0.35, deep + 0.35])
        parts.append(part(rod(grip, tip, 0.045), wood))
        blade = tube(np.linspace(tip, tip + (tip - grip) * 0.3, 4), 0.13, flat=0.25)
        parts.append(part(blade, style.plain("plastic", "second")))
    return parts


_ROCKETS = (
    [(0.3, 0), (0.52, 0.5), (0.58, 1.1), (0.42, 1.8), (0.16, 2.4), (0, 2.6)],
    [(0.4, 0), (0.4, 1.6), (0.32, 2.0), (0.14, 2.4), (0, 2.55)],
    [(0.5, 0), (0.5, 1.0), (0.34, 1.2), (0.34, 1.9), (0.18, 2.3), (0, 2.6)],
    [(0.36, 0), (0.62, 0.6), (0.5, 1.2), (0.2, 1.7), (0, 1.9)],
    [(0.5, 0), (0.42, 1.0), (0.34, 1.9), (0.2, 2.3), (0, 2.4)],
)
_FINS = (
    [(0, 0.75), (0.5, 0.1), (0.5, -0.3), (0, 0.1)],
    [(0, 1.0), (0.7, -0.35), (0.5, -0.35), (0, 0.05)],
    [(0, 0.7), (0.35, 0.55), (0.45, -0.3), (0, 0.0)],
    [(0, 0.9), (0.45, 0.75), (0.7, 0.25), (0.62, -0.35), (0.4, 0.0), (0, 0.05)],
    [(0, 0.6), (0.6, -0.3), (0, -0.1)],
)


def rocket(style: Style) -> list[Part]:
    """Build a standing rocket: one of five bodies and of five fins, nose, portholes, nozzle, flames or boosters."""
    wide, tall = style.span(0.75, 1.2), style.span(0.95, 1.3)
    line = curve(style.pick(*_ROCKETS), 45) * [wide, tall]
    split = int(style.span(26, 36))
    paint = style.surface("plastic", "plastic", "ceramic", "metal", "wood", patterned=0.65)
    trim = style.plain(style.pick("plastic", "metal"), style.pick("second", "third"))
    parts = [
        part(lathe(np.vstack([[(0, 0)], line[: split + 1]]), 40), paint),
        part(lathe(line[split:], 40), trim),
    ]
    foot, count = float(line[2, 0]), style.pick(3, 4, 4, 5)
    shape = Polygon(style.pick(*_FINS)).buffer(0.04)
    fin = upright(affinity.translate(shape, foot - 0.12, 0.1), style.span(0.06, 0.12), trim)
    parts += [fin.moved(turn(90 + 360 * k / count + (45 if count == 4 else 0))) for k in range(count)]
    nozzle = lathe([(0, 0.02), (foot * 0.5, 0.02), (foot * 0.75, -0.22), (0, -0.18)], 24)
    parts.append(part(nozzle, style.pick(style.plain("metal"), fixed("matte", BLACK))))
    if style.chance(0.35):
        for reach, drop, color in ((0.7, 0.75, (0.85, 0.35, 0.12)), (0.8, 0.45, (0.95, 0.75, 0.25))):
            flame = lathe([(0, -0.15), (foot * reach * 0.8, -0.18), (foot * reach, -0.3), (0.0, -drop)], 16)
            parts.append(part(flame, fixed("plastic", color)))
    if style.chance(0.3):
        case = curve([(0.17, 0), (0.17, 0.9), (0.1, 1.1), (0, 1.25)], 14) * [wide, tall]
        booster = part(lathe(np.vstack([[(0, 0)], case]), 20), style.plain("plastic", "third"))
        reach = float(line[8, 0]) + 0.15 * wide
        parts += [booster.moved(turn(0, at=(side * reach, 0, -0.1))) for side in (-1, 1)]
    rim, size = style.plain(style.pick("metal", "plastic"), "third"), style.span(0.12, 0.2)
    for z in style.pick((1.25,), (1.35,), (1.0, 1.5), (0.8, 1.15, 1.5), ()):
        out = float(np.interp(z * tall, line[:, 1], line[:, 0]))
        for reach, radius, finish in ((0.03, size, rim), (0.05, size * 0.68, fixed("ceramic", PANE))):
            disc = rod((0, -out + 0.12, z * tall), (0, -out - reach, z * tall), radius)
            parts += [part(disc, finish).moved(turn(angle)) for angle in (0, 180)]
    return parts


def _wing(style: Style, root: float, span: float, thick: float, finish: Finish, sweep: float) -> Part:
    """Build a pair of wings about the origin, lying in x and y."""
    tip = root * style.span(0.35, 0.95)
    half = [(root / 2, 0), (root / 2 - sweep, span), (root / 2 - sweep - tip, span), (-root / 2, 0)]
    outline = Polygon(half + [(x, -y) for x, y in half[::-1]]).buffer(-0.05).buffer(0.12)
    return part(extrude(outline, thick, thick * 0.3), finish, "top")


def _engines(style: Style, jet: bool, nose: float, girth: float, span: float) -> list[Part]:
    """Build a propeller with its spinner, or two or four pods below the wings."""
    trim, metal = style.plain("plastic", "third"), style.plain("metal")
    if jet:
        pod = lathe([(0, -0.3), (0.12, -0.3), (0.19, 0), (0.19, 0.3), (0.14, 0.3), (0.12, 0.1), (0, 0.1)], 20)
        spots = [(0.15, y * span, -girth * 0.8) for y in style.pick((0.4,), (0.3, 0.62))]
        piece = part(pod, style.pick(trim, metal)).moved(turn(90, (0, 1, 0)))
        return [piece.moved(turn(0, at=(x, s * y, z))) for x, y, z in spots for s in (-1, 1)]
    parts = [
        part(lathe(curve([(0.15, 0), (0.12, 0.14), (0, 0.25)], 8), 16), metal).moved(turn(90, (0, 1, 0), (nose, 0, 0)))
    ]
    count, start, long = style.pick(2, 3, 4), style.span(0, 90), style.span(0.55, 0.8)
    for k in range(count):
        blade = part(box((0.05, 0.16, long), 0.02, (nose + 0.08, 0, long / 2)), trim)
        parts.append(blade.moved(turn(start + 360 * k / count, (1, 0, 0))))
    return parts


def _undercarriage(style: Style, girth: float, hub: Finish) -> list[Part]:
    """Build two wheels and three struts below a fuselage."""
    metal, low = style.plain("metal"), girth + 0.42
    feet = ((0.6, 0.45), (0.6, -0.45), (-1.2, 0.0))
    parts = [part(rod((x, y * 0.4, -girth * 0.3), (x, y, 0.18 - low), 0.05), metal) for x, y in feet]
    axles = wheels((0.6,), 0.45, 0.2, 0.14, fixed("rubber", BLACK), hub)
    return parts + [p.moved(turn(0, at=(0, 0, -low))) for p in axles]


def aeroplane(style: Style) -> list[Part]:
    """Build an aeroplane: propeller or jet, one or two wings, swept or straight, with tail, canopy and wheels."""
    jet, girth, long = style.chance(0.45), style.span(0.26, 0.42), style.span(0.85, 1.15)
    knots = [(0.05, -2.0), (0.5, -1.2), (1, -0.2), (1, 0.9), (0.75, 1.3), (0.45 if not jet else 0, 1.55)]
    line = curve([(r * girth, z * long) for r, z in knots], 24)
    ends = [[(0, line[0, 1])], line, [(0, line[-1, 1])]]
    paint = style.surface("plastic", "plastic", "wood", "metal", "ceramic", patterned=0.6)
    cloth = style.surface("plastic", patterned=0.5) if style.chance(0.4) else style.plain("plastic", "second")
    parts = [part(lathe(np.vstack(ends), 28), paint).moved(turn(90, (0, 1, 0)))]
    span, root = style.span(1.5, 2.1), style.span(0.6, 0.95)
    sweep = style.span(0.6, 1.1) if jet else style.pick(0.0, 0.0, 0.25)
    wing = _wing(style, root, span, 0.1, cloth, sweep)
    two = not jet and style.chance(0.4)
    levels = (-girth * 0.8, girth + 0.45) if two else (style.pick(-0.6, -0.6, 0.9) * girth,)
    parts += [wing.moved(turn(0, at=(0.3, 0, z))) for z in levels]
    if two:
        parts += [
            part(rod((x, y * span, levels[0]), (x, y * span, levels[1] + 0.05), 0.035), style.plain("wood", "third"))
            for x in (0.15, 0.42)
            for y in (-0.65, -0.15, 0.15, 0.65)
        ]
    tail, back = style.pick(cloth, style.plain("plastic", "third")), -1.65 * long
    parts.append(_wing(style, 0.5, style.span(0.6, 0.85), 0.07, tail, sweep * 0.45).moved(turn(0, at=(back, 0, 0.02))))
    high = style.span(0.6, 0.95)
    fin = Polygon([(back + 0.4, 0), (back - 0.1, high), (back - 0.4, high), (back - 0.3, 0)]).buffer(0.05)
    parts.append(upright(fin, 0.08, tail))
    pane = fixed("ceramic", style.pick(PANE, BLACK, (0.6, 0.74, 0.8)))
    if jet and style.chance(0.7):
        for x in np.linspace(-0.7, 0.75, 7) * long:
            parts.append(part(rod((x, -girth * 0.98, 0.1), (x, girth * 0.98, 0.1), 0.06), pane))
    canopy = ball(1.0, detail=2)
    canopy.vertices = canopy.vertices * [style.span(0.3, 0.5), girth * 0.65, girth * 0.55]
    parts.append(part(canopy.apply_translation([style.span(0.5, 0.9) * long, 0, girth * 0.8]), pane))
    parts += _engines(style, jet, float(line[-1, 1]), girth, span)
    parts += _undercarriage(style, girth, tail)
    return [p.moved(turn(-55)) for p in parts]
