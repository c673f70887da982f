"""How the learning rate follows the share of the training that is done."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """How long to train: a number of steps, or minutes (the steps are then what fits)."""

    steps: int | None = None
    minutes: float | None = None

    def done(self, step: int, seconds: float) -> float:
        """Return the share (0 to 1) of the training that is done.

        >>> Budget(steps=200).done(step=50, seconds=9.0)
        0.25
        >>> Budget(minutes=2).done(step=50, seconds=90.0)
        0.75
        """
        share = step / self.steps if self.steps is not None else seconds / (60 * (self.minutes or 0.0))
        return min(1.0, share)


def rate(done: float, peak: float, warm_up: float = 0.05, floor: float = 0.002) -> float:
    """Return the learning rate: a linear warm-up, then half a cosine down to ``floor`` × ``peak``.

    Following the share that is done, not a count of steps, lets the decay end with the time
    budget however busy the machine is. Loshchilov and Hutter 2017, equation 5, without restarts.

    >>> rate(0.025, peak=2.0), rate(0.05, peak=2.0), round(rate(1.0, peak=2.0), 6)
    (1.0, 2.0, 0.004)
    """
    if done < warm_up:
        return peak * max(done / warm_up, 0.01)
    fraction = (done - warm_up) / (1.0 - warm_up)
    return peak * (floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * fraction)))
