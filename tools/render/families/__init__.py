"""The object families and how each is usually looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..geometry import Part
from ..materials import Style
from . import (
    balls,
    bicycles,
    clocks,
    crafts,
    decor,
    furniture,
    hardware,
    household,
    kitchen,
    outsiders,
    small,
    strangers,
    tableware,
    trinkets,
    vehicles,
    workshop,
)


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

# Further families that only training sees, so that the network learns shapes beyond the gallery's.
TRAINING: dict[str, Family] = {
    "aeroplane": Family(crafts.aeroplane, 110, 14, 50),
    "bell": Family(household.bell, 60, 4, 34),
    "boat": Family(crafts.boat, 70, 8, 42),
    "car": Family(vehicles.car, 70, 8, 42),
    "comb": Family(trinkets.comb, 60, 38, 80),
    "drum": Family(household.drum, 60, 10, 42),
    "hammer": Family(workshop.hammer, 60, 36, 78),
    "hat": Family(household.hat, 100, 4, 38),
    "padlock": Family(trinkets.padlock, 55, 4, 36),
    "pan": Family(kitchen.pan, 70, 24, 66),
    "rocket": Family(crafts.rocket, 60, 2, 32),
    "scissors": Family(workshop.scissors, 60, 38, 80),
    "screwdriver": Family(workshop.screwdriver, 60, 34, 76),
    "sofa": Family(household.sofa, 55, 8, 38),
    "spoon": Family(kitchen.spoon, 60, 36, 76),
    "train": Family(vehicles.train, 65, 8, 40),
}

# Further families that no training sees, for a trial with more strangers than the sample has.
OUTSIDERS: dict[str, Family] = {
    "bicycle": Family(bicycles.bicycle, 60, 4, 32),
    "cactus": Family(outsiders.cactus, 180, 6, 40),
    "camera": Family(outsiders.camera, 55, 4, 40),
    "snowman": Family(outsiders.snowman, 65, 4, 35),
}

ALL = GALLERY | TRAINING | STRANGERS | OUTSIDERS
