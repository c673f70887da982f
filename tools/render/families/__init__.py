"""The object families and how each is usually looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..geometry import Part
from ..materials import Style
from . import balls, clocks, decor, furniture, hardware, small, strangers, tableware


@dataclass(frozen=True)
class Family:
    """A family of objects with the range of views (degrees) that show what it is."""

    build: Callable[[Style], list[Part]]
    turn: float = 180.0
    low: float = 8.0
    high: float = 45.0


GALLERY: dict[str, Family] = {
    "ball": Family(balls.ball, 75),
    "books": Family(small.books, 70, 12, 50),
    "bottle": Family(tableware.bottle, 180, 4, 38),
    "bowl": Family(tableware.bowl, 180, 14, 55),
    "candle": Family(decor.candle, 180, 6, 40),
    "chair": Family(furniture.chair, 150, 10, 40),
    "clock": Family(clocks.clock, 55, 2, 30),
    "dice": Family(balls.dice, 180, 18, 55),
    "glasses": Family(small.glasses, 60, 8, 45),
    "key": Family(hardware.key, 60, 38, 78),
    "lamp": Family(furniture.lamp, 180, 2, 32),
    "mug": Family(tableware.mug, 150, 8, 48),
    "plate": Family(tableware.plate, 55, 26, 68),
    "table": Family(furniture.table, 180, 10, 38),
    "trophy": Family(decor.trophy, 60, 3, 35),
    "wrench": Family(hardware.wrench, 60, 36, 78),
}

STRANGERS: dict[str, Family] = {
    "duck": Family(strangers.duck, 75, 6, 38),
    "guitar": Family(strangers.guitar, 50, 4, 30),
    "teapot": Family(tableware.teapot, 70, 6, 38),
    "umbrella": Family(strangers.umbrella, 60, 8, 35),
}
