"""The training loop: batches, checkpoints, curves; stopped and resumed at any step."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .augment import augment, preprocess
from .network import Network
from .optimiser import AdamW, Average
from .pictures import Pictures
from .schedule import Budget, rate
from .weights import Arrays, fill, load_arrays, save_arrays

Tensor = Any

CHECKPOINT = "checkpoint.npz"


def learned_instances(folder: Path) -> tuple[str, ...]:
    """Return the instances of the checkpoint in ``folder``, in the order of the instance head."""
    return tuple(map(str, load_arrays(folder / CHECKPOINT)["instances"]))


@dataclass(frozen=True)
class Plan:
    """What a training is told: its budget, and the numbers that shape it.

    Pictures are ``sides[0]`` pixels wide at first, and grow to the next of ``sides`` at each share
    of ``grow_at`` that is done: small ones teach shapes quickly, large ones the details at the end
    (Howard 2018, "Training Imagenet in 3 hours for 25 minutes").
    """

    budget: Budget
    sides: tuple[int, ...] = (64, 96)
    grow_at: tuple[float, ...] = (0.6,)
    batch: int = 128
    peak: float = 2e-3
    decay: float = 0.05
    smoothing: float = 0.1
    seed: int = 0
    average_every: int = 8
    log_every: int = 25
    save_every_s: float = 300.0
    look_every_s: float = 600.0

    def side(self, done: float) -> int:
        """Return the pictures' side when ``done`` (0 to 1) of the training is over.

        >>> plan = Plan(Budget(steps=10), sides=(64, 80, 96), grow_at=(0.5, 0.75))
        >>> [plan.side(done) for done in (0.0, 0.5, 0.8)]
        [64, 80, 96]
        """
        return self.sides[sum(done >= share for share in self.grow_at)]


@dataclass
class Training:
    """One training, on ``pictures``, with its files in ``folder``.

    ``look`` is called now and then with the network and returns figures for the curves;
    ``renew`` before each epoch, and returns the pictures with those that were rendered since.
    ``stop`` ends the loop after the step in hand, with a checkpoint.
    """

    network: Network
    pictures: Pictures
    plan: Plan
    folder: Path
    look: Callable[[Network], dict[str, float]] | None = None
    renew: Callable[[Pictures], Pictures] | None = None
    step: int = 0
    epoch: int = -1
    place: int = 0
    seconds: float = 0.0
    stop: bool = False
    clock: Callable[[], float] = time.monotonic
    _sums: NDArray[np.float64] = field(default_factory=lambda: np.zeros(4))
    _order: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def __post_init__(self) -> None:
        """Make the optimiser, the average and the compiled step."""
        self.optimiser = AdamW(self.network.trainable, self.plan.decay)
        self.average = Average(self.network.trainable)
        self._compiled = tf.function(self._learn)

    @property
    def checkpoint(self) -> Path:
        """Where the state of this training is kept."""
        return self.folder / CHECKPOINT

    @property
    def done(self) -> float:
        """Return the share of the training that is done."""
        return self.plan.budget.done(self.step, self.seconds)

    def run(self, until: int | None = None) -> None:
        """Train until the budget is spent, step ``until`` is reached, or ``stop`` is set."""
        started, before = self.clock(), self.seconds
        saved = looked = logged = self.seconds
        while self.done < 1.0 and not self.stop and (until is None or self.step < until):
            self._sums += self._one_step()
            self.seconds = before + self.clock() - started
            if self.step % self.plan.log_every == 0:
                self._log(self.seconds - logged)
                logged = self.seconds
            if self.look and self.seconds - looked > self.plan.look_every_s:
                self._write({"step": self.step, **self.look(self.network)})
                looked = self.seconds
            if self.seconds - saved > self.plan.save_every_s:
                self.save()
                saved = self.seconds
        self.save()

    def next_batch(self) -> NDArray[np.int64]:
        """Return which pictures the next step learns from: every epoch another order, the rest left out."""
        if self.place + self.plan.batch > len(self._order):
            self.epoch, self.place = self.epoch + 1, 0
            if self.renew:
                self.pictures = self.renew(self.pictures)
            self._shuffle()
        self.place += self.plan.batch
        return self._order[self.place - self.plan.batch : self.place]

    def _shuffle(self) -> None:
        self._order = np.random.default_rng((self.plan.seed, self.epoch)).permutation(len(self.pictures))

    def _one_step(self) -> NDArray[np.float64]:
        chosen = self.next_batch()
        told = self._compiled(
            tf.constant(self.pictures.pixels[chosen]),
            tf.constant(self.pictures.family[chosen]),
            tf.constant(self.pictures.instance[chosen]),
            tf.constant(rate(self.done, self.plan.peak), tf.float32),
            tf.constant(self.step, tf.int32),
            self.plan.side(self.done),
        )
        self.step += 1
        if self.step % self.plan.average_every == 0:
            self.average.add(tf.constant(float(self.step // self.plan.average_every - 1)))
        return np.append(np.asarray(told, np.float64), 1.0)

    def _learn(self, pixels: Tensor, family: Tensor, instance: Tensor, rate: Tensor, step: Tensor, side: int) -> Tensor:
        seen = augment(pixels, side, tf.stack([step, self.plan.seed]))
        with tf.GradientTape() as tape:
            pooled = self.network.pooled(preprocess(seen), training=True)
            by_family, by_instance, right = self.network.losses(pooled, family, instance, self.plan.smoothing)
            loss = by_family + by_instance
        gradients = tape.gradient(loss, list(self.network.trainable.values()))
        self.optimiser.apply(gradients, rate, tf.cast(step + 1, tf.float32))
        return by_family, by_instance, right

    def _log(self, seconds: float) -> None:
        family, instance, right, steps = self._sums
        self._sums = np.zeros(4)
        speed = steps * self.plan.batch / max(seconds, 1e-9)
        values = {
            "step": self.step,
            "done": round(self.done, 4),
            "seconds": round(self.seconds, 1),
            "side": self.plan.side(self.done),
            "rate": rate(self.done, self.plan.peak),
            "family_loss": round(family / steps, 4),
            "instance_loss": round(instance / steps, 4),
            "family_right": round(right / steps, 4),
            "pictures_per_second": round(speed, 1),
            "pictures": len(self.pictures),
        }
        if not np.isfinite(family + instance):
            raise SystemExit(f"step {self.step}: expected a finite loss; the training diverged. Lower --peak.")
        self._write(values)

    def _write(self, values: dict[str, Any]) -> None:
        with (self.folder / "curves.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(values) + "\n")
        print("  ".join(f"{k} {v:.4g}" for k, v in values.items()), flush=True)  # noqa: T201

    def save(self) -> None:
        """Write everything that going on needs, whole or not at all."""
        groups = self._groups()
        arrays: Arrays = {f"{g}:{p}": v.numpy() for g, held in groups.items() for p, v in held.items()}
        arrays["instances"] = np.array(self.pictures.instances)
        arrays["state"] = np.array([self.step, self.seconds, self.epoch, self.place])
        save_arrays(self.checkpoint, arrays)

    def restore(self) -> None:
        """Go back to where the checkpoint was written.

        Raises:
            SystemExit: the checkpoint is of another network or other pictures.
        """
        arrays = load_arrays(self.checkpoint)
        for group, held in self._groups().items():
            for path, variable in held.items():
                expected = f"{self.checkpoint}: expected {path}"
                fill(variable, arrays, f"{group}:{path}", expected, " Resume with the same --data.")
        self.step, self.epoch, self.place = (int(arrays["state"][i]) for i in (0, 2, 3))
        self.seconds = float(arrays["state"][1])
        self._shuffle()

    def _groups(self) -> dict[str, dict[str, tf.Variable]]:
        first, second, mean = self.optimiser.first, self.optimiser.second, self.average.mean
        return {"value": self.network.variables, "first": first, "second": second, "mean": mean}
