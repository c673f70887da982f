"""Scenes for the renderer and the pictures they give."""

from __future__ import annotations

from typing import Any

import mitsuba as mi
import numpy as np
import trimesh
from PIL import Image

from . import develop, families, lights, surroundings
from .geometry import Part, ball, box, lathe, part, settled, turn
from .materials import Style, bitmap, bsdf, linear
from .views import Camera, hidden_share

mi.set_variant("scalar_rgb")
Transform = mi.ScalarTransform4f


def mesh_shape(piece: Part) -> mi.Object:
    """Return the renderer's shape for a part."""
    props = mi.Properties()
    count = len(piece.vertices)
    if piece.finish.kind == "flame":
        props["mesh_emitter"] = mi.load_dict({"type": "area", "radiance": {"type": "rgb", "value": [7.0, 4.2, 1.6]}})
    else:
        props["mesh_bsdf"] = mi.load_dict(bsdf(piece.finish))
    mesh = mi.Mesh("part", count, count // 3, props, True, True)
    params = mi.traverse(mesh)
    params["vertex_positions"] = np.ascontiguousarray(piece.vertices, dtype=np.float32).ravel()
    params["vertex_normals"] = np.ascontiguousarray(piece.normals, dtype=np.float32).ravel()
    params["vertex_texcoords"] = np.ascontiguousarray(piece.uv, dtype=np.float32).ravel()
    params["faces"] = np.arange(count, dtype=np.uint32)
    params.update()
    return mesh


def extra(what: str, seed: int) -> list[Part]:
    """Build a simple shape or a small object to stand beside or before the main one."""
    style = Style(np.random.default_rng(seed))
    if what in families.GALLERY:
        return settled(families.GALLERY[what].build(style))
    finish = style.surface("plastic", "ceramic", "matte", "wood", patterned=0.3)
    if what == "box":
        mesh = box((style.span(0.5, 1.2), style.span(0.5, 1.2), style.span(0.6, 1.6)), 0.04)
    elif what == "ball":
        mesh = ball(1.0)
    elif what == "cone":
        mesh = lathe([(0, 0), (0.6, 0), (0.1, 1.3), (0, 1.32)])
    else:
        mesh = lathe([(0, 0), (0.5, 0), (0.5, style.span(0.4, 1.5)), (0, 1.0)])
    return settled([part(mesh, finish, "sphere" if what == "ball" else "cyl")])


def _points(parts: list[Part]) -> np.ndarray:
    return np.vstack([p.vertices for p in parts])


def _companions(view: dict[str, Any], points: np.ndarray, camera: Camera) -> list[Part]:
    """Place what stands beside or before the object."""
    pieces: list[Part] = []
    if "beside" in view:
        spec = view["beside"]
        base = extra(spec["what"], spec["seed"])
        angle = np.radians(view["az"] + spec["az"])
        away = np.array([np.sin(angle), -np.cos(angle), 0.0])
        reach = float((points[points[:, 2] < 0.8] @ away).max()) + spec["size"] * 1.05
        matrix = turn(float(spec["seed"] % 360), at=away * reach) @ np.diag([spec["size"]] * 3 + [1.0])
        pieces += [p.moved(matrix) for p in base]
    if "before" in view:
        spec = view["before"]
        base = extra(spec["what"], spec["seed"])
        near = camera.back * [1, 1, 0]
        near /= np.linalg.norm(near)
        size = np.diag([spec["size"]] * 3 + [1.0])
        front = float((points @ near).max()) + spec["size"]
        low, high = 0.0, 3.0
        # Slide sideways from far out towards the middle until the wanted share is covered.
        for _ in range(12):
            middle = (low + high) / 2
            at = near * front + camera.right * spec["side"] * middle
            moved = [p.moved(turn(0, at=at) @ size) for p in base]
            if hidden_share(camera, points, _points(moved)) > spec["hide"]:
                low = middle
            else:
                high = middle
        at = near * front + camera.right * spec["side"] * high
        pieces += [p.moved(turn(0, at=at) @ size) for p in base]
    return pieces


def _surfaces(view: dict[str, Any], points: np.ndarray) -> dict[str, Any]:
    """Return the floor, the wall and a skirting board."""
    kind, seed, color, size, angle = view["floor"]
    half = 14.0
    gloss = {"tile": 0.3, "marble": 0.25, "top": 0.4, "planks": 0.5, "parquet": 0.42}.get(kind)
    result: dict[str, Any] = {
        "floor": {
            "type": "rectangle",
            "to_world": Transform().rotate([0, 0, 1], angle).scale([half, half, 1]),
            "bsdf": _coat(bitmap(surroundings.texture(kind, seed, color), 2 * half / size), gloss),
        }
    }
    kind, seed, color, gap, yaw = view["wall"]
    far = np.radians(view["az"] + yaw)
    away = np.array([-np.sin(far), np.cos(far), 0.0])
    gap = gap + 3.0 if kind == "room" else gap
    at = away * (float((points @ away).max()) + gap)
    repeat = {"room": 1.6, "sweep": 1.0, "paint": 4.0, "concrete": 5.0}.get(kind, 9.0)
    picture = surroundings.texture("paint" if kind == "sweep" else kind, seed, color)
    frame = Transform().look_at(origin=at.tolist(), target=(at - away).tolist(), up=[0, 0, 1])
    result["wall"] = {
        "type": "rectangle",
        "to_world": frame @ Transform().scale([half, half, 1]),
        "bsdf": _coat(bitmap(picture, repeat), None),
    }
    if view["skirting"]:
        board = Transform().translate((at - away * 0.02).tolist()).rotate([0, 0, 1], float(np.degrees(far)))
        result["skirting"] = {
            "type": "cube",
            "to_world": board @ Transform().scale([half, 0.04, 0.16]),
            "bsdf": {"type": "diffuse", "reflectance": {"type": "rgb", "value": linear((0.88, 0.87, 0.84))}},
        }
    return result


def _coat(texture: dict[str, Any], gloss: float | None) -> dict[str, Any]:
    if gloss is None:
        return {"type": "twosided", "bsdf": {"type": "diffuse", "reflectance": texture}}
    return {
        "type": "twosided",
        "bsdf": {"type": "principled", "roughness": gloss, "specular": 0.5, "base_color": texture},
    }


class Subject:
    """One instance ready to be rendered from many sides."""

    def __init__(self, family: families.Family, rng: np.random.Generator) -> None:
        """Build the instance's parts and shapes."""
        self.parts = settled(family.build(Style(rng)))
        self.points = _points(self.parts)
        self.outline = np.unique(trimesh.convex.convex_hull(self.points).vertices, axis=0)
        self.shapes = [mesh_shape(p) for p in self.parts]

    def render(self, view: dict[str, Any], side: int, samples: int, over: float = 2.0) -> Image.Image:
        """Return the picture of a view, `side` pixels along its shorter side.

        It is rendered `over` times as large, with that many samples in each of the larger's pixels.
        """
        camera = Camera(view, self.outline)
        shape = np.asarray(view["shape"]) / min(view["shape"])
        width, height = (int(round(side * s)) for s in shape)
        scene = _surfaces(view, self.points) | lights.emitters(view, camera)
        for index, shape_ in enumerate(self.shapes):
            scene[f"part{index}"] = shape_
        for index, piece in enumerate(_companions(view, self.outline, camera)):
            scene[f"extra{index}"] = mesh_shape(piece)
        scene["camera"] = _sensor(view, camera, round(width * over), round(height * over))
        # Loaded in one go, lamps would come in a random order, and with it the noise.
        ready = {name: mi.load_dict(item) if isinstance(item, dict) else item for name, item in scene.items()}
        loaded = mi.load_dict({"type": "scene", **ready})
        path = mi.load_dict({"type": "path", "max_depth": self._depth(), "rr_depth": 9})
        light = np.array(mi.render(loaded, integrator=path, spp=samples, seed=view["seed"]))[..., :3]
        # The same seed puts the guide's first sample of each pixel where the picture's is.
        guide = np.array(mi.render(loaded, integrator=_guide(), spp=samples, seed=view["seed"]))
        light = develop.smooth(develop.clamp(light), guide, 4 if samples < 3 else 3)
        return develop.picture(light, view, (width, height))

    def _depth(self) -> int:
        return 6 if any(p.finish.kind in ("glass", "lens") for p in self.parts) else 3


def _guide() -> mi.Object:
    return mi.load_dict({"type": "aov", "aovs": "color:albedo,normal:sh_normal,depth:depth"})


def _sensor(view: dict[str, Any], camera: Camera, width: int, height: int) -> dict[str, Any]:
    frame = Transform().look_at(origin=camera.origin().tolist(), target=camera.target.tolist(), up=camera.up.tolist())
    return {
        "type": "perspective",
        "fov": float(view["fov"]),
        "fov_axis": "smaller",
        "to_world": frame @ Transform().rotate([0, 0, 1], view["roll"]),
        "film": {
            "type": "hdrfilm",
            "width": width,
            "height": height,
            "rfilter": {"type": "box"},
            "pixel_format": "rgb",
        },
        "sampler": {"type": "independent", "sample_count": 1},
    }
