"""The lamps, sun, windows and room light of a picture."""

from __future__ import annotations

from typing import Any

import mitsuba as mi
import numpy as np

from . import surroundings
from .views import Camera

_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])


def _tint(warm: float) -> np.ndarray:
    return np.array([1 + 0.22 * warm, 1.0, 1 - 0.32 * warm])


def _unseen(camera: Camera, corners: np.ndarray) -> bool:
    """Tell whether a box lies behind the camera, above the frame or to one side of it."""
    behind = (corners - camera.origin()) @ camera.back > 0
    if behind.any():
        return bool(behind.all())
    across, up = camera.project(corners).T
    aside = np.abs(across).min() > 1.02 and np.ptp(np.sign(across)) == 0
    return bool(up.min() > 1.02 or aside)


def _place(view: dict[str, Any], camera: Camera, lamp: dict[str, Any]) -> np.ndarray:
    """Return a lamp's position, raised and then moved away until the camera does not see it."""
    az = np.radians(view["az"] + lamp["az"])
    for farther in (1.0, 1.5, 2.2, 3.5):
        for degrees in np.arange(lamp["el"], 89, 4):
            el = np.radians(degrees)
            aim = np.array([np.sin(az) * np.cos(el), -np.cos(az) * np.cos(el), np.sin(el)])
            place = aim * lamp["far"] * farther
            if _unseen(camera, place + max(lamp["size"]) * _CORNERS):
                return place
    return place


def emitters(view: dict[str, Any], camera: Camera) -> dict[str, Any]:
    """Return the renderer's light sources for a view."""
    seed, warm, level = view["room"]
    panorama = mi.Bitmap(surroundings.environment(seed, warm, level))
    turn = mi.ScalarTransform4f
    upright = turn().rotate([0, 0, 1], view["az"]).rotate([1, 0, 0], 90)
    result: dict[str, Any] = {"room": {"type": "envmap", "bitmap": panorama, "to_world": upright}}
    for index, lamp in enumerate(view["lights"]):
        place = _place(view, camera, lamp)
        far = float(np.linalg.norm(place))
        if index == 0 and view["sun"]:
            value = _tint(lamp["warm"]) * lamp["power"] * 2.6
            light = {"type": "rgb", "value": value.tolist()}
            result["sun"] = {"type": "directional", "direction": (-place / far).tolist(), "irradiance": light}
            continue
        area = 4 * lamp["size"][0] * lamp["size"][1]
        value = _tint(lamp["warm"]) * lamp["power"] * 3.2 * far**2 / area
        frame = turn().look_at(origin=place.tolist(), target=[0, 0, 0.4], up=[0.1, 0.05, 1])
        result[f"lamp{index}"] = {
            "type": "rectangle",
            "to_world": frame @ turn().scale([*lamp["size"], 1]),
            "emitter": {"type": "area", "radiance": {"type": "rgb", "value": value.tolist()}},
        }
    return result
