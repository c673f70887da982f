"""Small mesh vocabulary: lathe, tube, extrusion, rounded boxes, and parts with texture coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import trimesh
from scipy.interpolate import PchipInterpolator
from shapely.geometry import Polygon

from .materials import Finish

Points = Sequence[tuple[float, ...]]


@dataclass(frozen=True)
class Part:
    """One mesh as separate triangle corners, with normals, texture coordinates and a finish."""

    vertices: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    finish: Finish

    def moved(self, matrix: np.ndarray) -> Part:
        """Return the part under a 4x4 transform without shear."""
        linear = matrix[:3, :3]
        normals = self.normals @ np.linalg.inv(linear)
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
        return replace(self, vertices=self.vertices @ linear.T + matrix[:3, 3], normals=normals)


def part(mesh: trimesh.Trimesh, finish: Finish, uv: str = "cyl", crease: float = 38.0) -> Part:
    """Make a part of a mesh, smoothing normals across edges flatter than `crease` degrees."""
    mesh = mesh.copy()
    mesh.merge_vertices()
    mesh.update_faces(mesh.nondegenerate_faces())
    mesh.fix_normals() if mesh.is_watertight else None
    return Part(
        np.asarray(mesh.vertices[mesh.faces].reshape(-1, 3)),
        _corner_normals(mesh, np.radians(crease)),
        _texture_coordinates(mesh, uv),
        finish,
    )


def _corner_normals(mesh: trimesh.Trimesh, crease: float) -> np.ndarray:
    flat = mesh.face_adjacency[mesh.face_adjacency_angles < crease]
    group = trimesh.graph.connected_component_labels(flat, node_count=len(mesh.faces))
    keys = mesh.faces.astype(np.int64) * (group.max() + 1) + group[:, None]
    _, inverse = np.unique(keys.ravel(), return_inverse=True)
    weighted = np.repeat(mesh.face_normals * mesh.area_faces[:, None], 3, axis=0)
    total = np.zeros((inverse.max() + 1, 3))
    np.add.at(total, inverse, weighted)
    normals = total[inverse]
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    flat_normals = np.repeat(mesh.face_normals, 3, axis=0)
    return np.where(length > 1e-12, normals / np.maximum(length, 1e-12), flat_normals)


def _texture_coordinates(mesh: trimesh.Trimesh, mode: str) -> np.ndarray:
    points = mesh.vertices[mesh.faces]
    low, high = mesh.bounds
    unit = (points - low) / np.maximum(high - low, 1e-6)
    if mode == "top":
        return unit[..., :2].reshape(-1, 2)
    if mode == "front":
        return unit[..., [0, 2]].reshape(-1, 2)
    if mode == "box":
        axis = np.abs(mesh.face_normals).argmax(axis=1)
        # The long side of the grain follows the part's longest dimension.
        order = np.argsort(high - low)[::-1]
        choices = np.array([[a for a in order if a != skip] for skip in range(3)])[axis]
        return np.take_along_axis(points, choices[:, None, :], axis=2)[..., ::-1].reshape(-1, 2)
    centre = (low + high) / 2
    rel = points - centre
    u = np.arctan2(rel[..., 1], rel[..., 0]) / (2 * np.pi) + 0.5
    u = np.where((u.max(axis=1) - u.min(axis=1) > 0.5)[:, None] & (u < 0.5), u + 1, u)
    if mode == "sphere":
        v = np.arccos(np.clip(rel[..., 2] / np.linalg.norm(rel, axis=-1), -1, 1)) / np.pi
        return np.stack([u, 1 - v], axis=-1).reshape(-1, 2)
    if mode == "polar":
        radius = np.linalg.norm(rel[..., :2], axis=-1) / max((high - low)[:2].max() / 2, 1e-6)
        return np.stack([u, radius * 0.999], axis=-1).reshape(-1, 2)
    return np.stack([u, unit[..., 2]], axis=-1).reshape(-1, 2)


def curve(points: Points, count: int = 40) -> np.ndarray:
    """Return a smooth curve through the points that does not overshoot."""
    knots = np.asarray(points, dtype=float)
    steps = np.r_[0, np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))]
    return PchipInterpolator(steps, knots)(np.linspace(0, steps[-1], count))


def lathe(profile: Points | np.ndarray, segments: int = 56) -> trimesh.Trimesh:
    """Turn a profile of (radius, height) points about the vertical axis."""
    line = np.asarray(profile, dtype=float)
    line[:, 0] = np.maximum(line[:, 0], 0.0)
    return trimesh.creation.revolve(line, sections=segments)


def vessel(outer: np.ndarray, wall: float, floor: float | None = None) -> trimesh.Trimesh:
    """Turn an outer profile, given from the foot to the rim, into an open vessel with a wall."""
    bottom = outer[0, 1] + (wall if floor is None else floor)
    inner = np.column_stack([outer[:, 0] - wall, outer[:, 1]])
    inner = inner[(inner[:, 1] > bottom) & (inner[:, 0] > wall * 0.3)][::-1]
    rim = (outer[-1] + inner[0]) / 2 + [0, wall * 0.45]
    ends = [[0.0, outer[0, 1]]], [rim], [[inner[-1, 0] * 0.85, bottom], [0.0, bottom]]
    return lathe(np.vstack([ends[0], outer, ends[1], inner, ends[2]]))


def tube(
    path: Points | np.ndarray,
    radius: float | np.ndarray,
    flat: float = 1.0,
    sides: int = 14,
    closed: bool = False,
) -> trimesh.Trimesh:
    """Sweep an ellipse along a path; `flat` scales its second axis."""
    line = np.asarray(path, dtype=float)
    count = len(line)
    ahead = np.roll(line, -1, 0) - np.roll(line, 1, 0)
    if not closed:
        ahead[0], ahead[-1] = line[1] - line[0], line[-1] - line[-2]
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    side = np.cross(ahead[0], [0.02, 0.013, 1.0] if abs(ahead[0][2]) < 0.9 else [0.0, 1.0, 0.0])
    angles = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    radii = np.broadcast_to(radius, count)
    rings = []
    for index in range(count):
        side = side - ahead[index] * (side @ ahead[index])
        side = side / np.linalg.norm(side)
        other = np.cross(ahead[index], side)
        ring = np.outer(np.cos(angles), side) + flat * np.outer(np.sin(angles), other)
        rings.append(line[index] + radii[index] * ring)
    return _skin(np.array(rings), closed)


def _skin(rings: np.ndarray, closed: bool) -> trimesh.Trimesh:
    count, sides, _ = rings.shape
    vertices = rings.reshape(-1, 3)
    faces = []
    for index in range(count if closed else count - 1):
        here, there = index * sides, (index + 1) % count * sides
        for j in range(sides):
            k = (j + 1) % sides
            faces += [[here + j, here + k, there + k], [here + j, there + k, there + j]]
    if not closed:
        vertices = np.vstack([vertices, rings[0].mean(0), rings[-1].mean(0)])
        for j in range(sides):
            k = (j + 1) % sides
            last = (count - 1) * sides
            faces += [[count * sides, k, j], [count * sides + 1, last + j, last + k]]
    return trimesh.Trimesh(vertices, faces)


def extrude(shape: Polygon, height: float, bevel: float = 0.0) -> trimesh.Trimesh:
    """Extrude a polygon upwards from z = 0, with chamfer-like steps where a bevel is given."""
    if bevel <= 0:
        return trimesh.creation.extrude_polygon(shape, height)
    layers = []
    for share in (0.0, 0.4, 1.0):
        inner = shape.buffer(-bevel * share)
        pieces = list(inner.geoms) if hasattr(inner, "geoms") else [inner]
        drop = bevel * (1 - share)
        for piece in (p for p in pieces if not p.is_empty):
            layer = trimesh.creation.extrude_polygon(piece, height - 2 * drop)
            layers.append(layer.apply_translation([0, 0, drop]))
    return trimesh.util.concatenate(layers)


def regular(sides: int, radius: float, spin: float = 0.0) -> Polygon:
    """Return a regular polygon, its first corner turned by `spin` radians."""
    angles = np.arange(sides) * 2 * np.pi / sides + spin
    return Polygon(np.column_stack([np.cos(angles), np.sin(angles)]) * radius)


def box(size: Sequence[float], rounding: float = 0.0, at: Sequence[float] = (0, 0, 0)) -> trimesh.Trimesh:
    """Return a box centred at `at`, its edges rounded by a radius."""
    extent = np.asarray(size, dtype=float)
    rounding = min(rounding, extent.min() * 0.49)
    if rounding <= 0:
        mesh = trimesh.creation.box(extent)
    else:
        ball = trimesh.creation.icosphere(subdivisions=1, radius=rounding).vertices
        signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
        corners = signs * (extent / 2 - rounding)
        mesh = trimesh.convex.convex_hull((corners[:, None] + ball).reshape(-1, 3))
    return mesh.apply_translation(at)


def rod(start: Sequence[float], end: Sequence[float], radius: float, tip: float | None = None) -> trimesh.Trimesh:
    """Return a round rod between two points, tapering to a tip radius."""
    path = np.linspace(start, end, 4)
    return tube(path, np.linspace(radius, radius if tip is None else tip, 4), sides=20)


def ball(radius: float, at: Sequence[float] = (0, 0, 0), detail: int = 3) -> trimesh.Trimesh:
    """Return a sphere."""
    return trimesh.creation.icosphere(subdivisions=detail, radius=radius).apply_translation(at)


def turn(degrees: float, axis: Sequence[float] = (0, 0, 1), at: Sequence[float] = (0, 0, 0)) -> np.ndarray:
    """Return a rotation about an axis followed by a shift."""
    matrix = trimesh.transformations.rotation_matrix(np.radians(degrees), axis)
    matrix[:3, 3] = at
    return matrix


def settled(parts: Sequence[Part]) -> list[Part]:
    """Scale the parts to a bounding diagonal of two and stand them on z = 0 about the origin."""
    points = np.vstack([p.vertices for p in parts])
    low, high = points.min(0), points.max(0)
    scale = 2.0 / np.linalg.norm(high - low)
    matrix = np.diag([scale, scale, scale, 1.0])
    matrix[:3, 3] = -scale * np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]])
    return [p.moved(matrix) for p in parts]
