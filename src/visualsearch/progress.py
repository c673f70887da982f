"""How long work tells that it goes on."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told of ``done`` out of ``total`` steps of a stage; drawn by the terminal, or not at all."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Take note; must be quick."""
        ...


def silent(stage: str, done: int, total: int) -> None:
    """Say nothing."""
