#!/usr/bin/env python
"""Train the starter on rendered pictures, or measure a weights file.

    tools/train_starter.py train --data RENDERS --out FOLDER --minutes 60
    tools/train_starter.py measure --weights models/starter/resnet50.npz --data data/sample

Interrupt a training (Ctrl-C) and go on with --resume.
"""

from __future__ import annotations

import argparse
import json
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
    given = parser().parse_args(arguments)
    given.command(given)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the two commands."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(required=True)
    training = commands.add_parser("train", help="train on family/instance-view.jpg and write weights and card")
    training.set_defaults(command=train)
    training.add_argument("--data", type=Path, required=True)
    training.add_argument("--out", type=Path, required=True, help="for weights, card, checkpoint and curves")
    budget = training.add_mutually_exclusive_group(required=True)
    budget.add_argument("--minutes", type=float)
    budget.add_argument("--steps", type=int)
    training.add_argument("--sides", type=int, nargs="+", default=[64, 96], help="pixels: small at first")
    training.add_argument("--grow-at", type=float, nargs="*", default=[0.6], help="share done at each next side")
    for name, default in (("batch", 128), ("seed", 0), ("held-out", HELD_OUT)):
        training.add_argument(f"--{name}", type=int, default=default)
    training.add_argument("--instances", type=int, default=0, help="room for so many while they are still rendered")
    training.add_argument("--peak", type=float, default=2e-3, help="highest learning rate")
    training.add_argument("--policy", choices=("mixed_bfloat16", "float32"), default="mixed_bfloat16")
    training.add_argument("--resume", action="store_true")
    measuring = commands.add_parser("measure", help="print the table on unseen instances")
    measuring.set_defaults(command=measure)
    measuring.add_argument("--weights", type=Path, required=True)
    measuring.add_argument(
        "--data", type=Path, required=True, help="a training folder, or one with gallery/ and queries/"
    )
    measuring.add_argument("--side", type=int, help="the card's, unless given")
    measuring.add_argument("--held-out", type=int, default=HELD_OUT, help="one instance in so many was held out")
    return top


def train(given: argparse.Namespace) -> None:
    """Train, then write weights and card."""
    from starter.finishing import averaged, best_side, by_side, only_backbone, with_statistics
    from starter.measuring import split, table, trial
    from starter.pictures import listed, load, unseen_paths
    from starter.weights import PROJECTION, plain_backbone, rounded, write

    training = prepare(given)
    training.run()
    if training.stop:
        return say(f"stopped at step {training.step}; go on with --resume")
    unseen = split(load(unseen_paths(listed(given.data), given.held_out), STORED))
    arrays = with_statistics(averaged(training), training.pictures, given.sides[-1])
    sides = by_side(arrays, unseen)
    side = best_side(sides)
    card = card_of(given, training, side) | {"figures": {"by_side": sides}}
    write(given.out, only_backbone(arrays), card)  # before the longer table: nothing is lost
    half = rounded(arrays)
    found = trial(given.data, side, given.held_out)  # as `measure` reads them: it gives the same table
    rows = table(found, plain_backbone(half), plain_backbone(), half[PROJECTION].astype("float32"), side)
    card["figures"] |= {"unseen": rows}
    write(given.out, only_backbone(arrays), card)
    show(rows, sides)


def prepare(given: argparse.Namespace) -> Any:
    """Return the training, at its start or where it was interrupted; Ctrl-C ends it in order."""
    import keras
    from starter.network import Network, resnet50
    from starter.pictures import instance_of, is_unseen, listed, load, unseen_paths, with_new
    from starter.schedule import Budget
    from starter.training import Plan, Training, learned_instances

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
    if len(given.grow_at) != len(given.sides) - 1:
        raise SystemExit(f"--grow-at: expected {len(given.sides) - 1} shares, one for each further side.")
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
        "families": list(seen.families),
        "seed": given.seed,
        "steps": training.step,
        "seconds": round(training.seconds),
        "hardware": f"{hardware()}, {given.policy}",
        "plan": {k: v for k, v in asdict(training.plan).items() if not k.endswith("every_s")},
        "licence": "MIT",
    }


def measure(given: argparse.Namespace) -> None:
    """Print the table of a weights file and the naive baselines."""
    from starter.measuring import table, trial
    from starter.weights import PROJECTION, load_arrays, plain_backbone

    arrays = load_arrays(given.weights)
    side = given.side or json.loads(given.weights.with_name("card.json").read_text())["side"]
    found = trial(given.data, side, given.held_out)
    say(f"side {side}; gallery {len(found.gallery)}, queries {len(found.queries)}")
    projection = arrays[PROJECTION].astype("float32")
    show(table(found, plain_backbone(arrays), plain_backbone(), projection, side))


def show(rows: dict[str, Any], sides: dict[int, Any] | None = None) -> None:
    """Print the figures."""
    from starter.measuring import printed

    for side, row in (sides or {}).items():
        say(f"side {side}: {row}")
    for line in printed(rows):
        say(line)


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
