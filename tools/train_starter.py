#!/usr/bin/env python
"""Train the starter on rendered pictures and write its weights with their card.

    tools/train_starter.py --data RENDERS --out FOLDER --minutes 60

Interrupt a training (Ctrl-C) and go on with --resume. What it gave, tools/prove_starter.py tells.
"""

from __future__ import annotations

import argparse
import os
import signal
from dataclasses import asdict
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
STORED = 96
HELD_OUT = 15


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    train(parser().parse_args(arguments))


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    training = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    training.add_argument("--data", type=Path, required=True, help="folder of family/instance-view.jpg")
    training.add_argument("--out", type=Path, required=True, help="for weights, card, checkpoint and curves")
    budget = training.add_mutually_exclusive_group(required=True)
    budget.add_argument("--minutes", type=float)
    budget.add_argument("--steps", type=int)
    training.add_argument("--sides", type=int, nargs="+", default=[64, 96], help="pixels: small at first")
    training.add_argument("--grow-at", type=float, nargs="*", default=[0.6], help="share done at each next side")
    for name, default in (("batch", 128), ("seed", 0), ("held-out", HELD_OUT)):
        training.add_argument(f"--{name}", type=int, default=default)
    training.add_argument("--instances", type=int, default=0, help="room for so many while they are still rendered")
    training.add_argument("--start", type=Path, help="resnet50.npz to begin with; without it the weights are random")
    training.add_argument("--peak", type=float, default=2e-3, help="highest learning rate")
    training.add_argument("--policy", choices=("mixed_bfloat16", "float32"), help="default: as the processor has it")
    training.add_argument("--resume", action="store_true")
    return training


def train(given: argparse.Namespace) -> None:
    """Train, then write weights and card."""
    from starter.cards import curve
    from starter.finishing import averaged, best_side, by_side, only_backbone, with_statistics
    from starter.measuring import split
    from starter.pictures import listed, load, unseen_paths
    from starter.weights import write

    training = prepare(given)
    training.run()
    if training.stop:
        return say(f"stopped at step {training.step}; go on with --resume")
    unseen = split(load(unseen_paths(listed(given.data), given.held_out), STORED))
    arrays = with_statistics(averaged(training), training.pictures, given.sides[-1])
    sides = by_side(arrays, unseen)
    card = card_of(given, training, best_side(sides)) | {"curve": curve(given.out), "figures": {"by_side": sides}}
    write(given.out, only_backbone(arrays), card)
    for side, row in sides.items():
        say(f"side {side}: {row}")


def prepare(given: argparse.Namespace) -> Any:
    """Return the training, at its start or where it was interrupted; Ctrl-C ends it in order."""
    import keras
    from starter.network import Network, resnet50
    from starter.pictures import instance_of, is_unseen, listed, load, unseen_paths, with_new
    from starter.schedule import Budget
    from starter.training import Plan, Training, learned_instances
    from starter.warm import begin
    from starter.weights import policy

    if len(given.grow_at) != len(given.sides) - 1:
        raise SystemExit(f"--grow-at: expected {len(given.sides) - 1} shares, one for each further side.")
    given.policy = given.policy or policy()
    paths = listed(given.data)
    families = sorted({path.parent.name for path in paths})
    unseen = load(unseen_paths(paths, given.held_out), STORED, families)
    mine = [path for path in paths if not is_unseen(instance_of(path), given.held_out)]
    pictures = load(mine, STORED, families, learned_instances(given.out) if given.resume else ())
    say(f"{len(pictures)} pictures of {len(pictures.instances)} instances; {len(unseen.instances)} held out")
    keras.utils.set_random_seed(given.seed)
    given.out.mkdir(parents=True, exist_ok=True)
    room = max(given.instances, len(pictures.instances))
    network = Network(resnet50(given.policy), len(families), room, given.seed)
    if given.start and not given.resume:
        begin(network, pictures, given.start, given.sides[0])
    budget, sides, grow_at = Budget(given.steps, given.minutes), tuple(given.sides), tuple(given.grow_at)
    plan = Plan(budget, sides, grow_at, given.batch, given.peak, seed=given.seed)
    training = Training(network, pictures, plan, given.out, look=looker(unseen, sides[-1]))
    known = set(paths)
    training.renew = lambda had: with_new(had, given.data, known, given.held_out, room)
    if given.resume:
        training.restore()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: setattr(training, "stop", True))
    return training


def looker(unseen: Any, side: int) -> Any:
    """Return a function that tells how well the network, as it is, finds unseen instances."""
    from starter.measuring import pooled, retrieval, split, unit

    trial = split(unseen)

    def look(network: Any) -> dict[str, float]:
        embed = pooled(network.backbone, side)
        found = retrieval(trial, *(unit(embed(p)) for p in (trial.gallery, trial.queries)))
        names = ("unseen_category_hit", "unseen_instance_hit", "unseen_instance_recall")
        return {name: round(float(v.mean()), 4) for name, v in zip(names, found, strict=True)}

    return look


def card_of(given: argparse.Namespace, training: Any, side: int) -> dict[str, Any]:
    """Return what is known about the weights but their figures."""
    from starter.cards import before, command, renders
    from starter.weights import hardware

    seen = training.pictures
    data = (
        f"{len(seen)} pictures rendered by tools/render: {len(seen.instances)} instances of {len(seen.families)} "
        f"families, none of them in data/sample; further instances, one in {given.held_out}, held out"
    )
    return {
        "name": "starter",
        "side": side,
        "preprocessing": "caffe",
        "data": data,
        "renders": renders(given.data),
        "families": list(seen.families),
        "seed": given.seed,
        "steps": training.step,
        "seconds": round(training.seconds),
        "hardware": f"{hardware()}, {given.policy}",
        "command": command("tools/train_starter.py", {**vars(given), "resume": False}),
        "plan": {k: v for k, v in asdict(training.plan).items() if not k.endswith("every_s")},
        "licence": "MIT",
        **({"start": before(given.start)} if given.start else {}),
    }


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
