"""Progress bars on stderr, for work that takes a while."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from visualsearch.presentation.terminal import stderr_console

PATIENCE_S = 2.0
"""Work that is done sooner shows no bar."""


class TerminalProgress:
    """Draws a bar for each stage that takes longer than ``patience_s``; silent where no terminal is.

    Use it as a context manager or call ``close``, so that the cursor comes back. Stages may
    be told of from several threads.
    """

    def __init__(self, console: Console | None = None, patience_s: float = PATIENCE_S) -> None:
        """Draw on ``console``, or else on stderr."""
        self.console = console or stderr_console()
        self.patience_s = patience_s
        self._lock = threading.Lock()
        self._started: dict[str, float] = {}
        self._tasks: dict[str, TaskID] = {}
        self._bars = Progress(
            TextColumn("{task.description:<24.24}"),
            BarColumn(bar_width=24, complete_style="blue", finished_style="blue"),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True, elapsed_when_finished=True),
            console=self.console,
        )

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Note that ``done`` of ``total`` steps of a stage are done; a total of 0 is not known yet."""
        if not self.console.is_terminal:
            return
        with self._lock:
            started = self._started.setdefault(stage, time.monotonic())
            if stage in self._tasks or time.monotonic() - started >= self.patience_s:
                self._draw(stage, done, total)
            if total and done >= total:
                self._finish(stage)

    def close(self) -> None:
        """Stop drawing; bars stay as they are."""
        with self._lock:
            if self._tasks:
                self._bars.stop()

    def __enter__(self) -> Self:
        """Return self."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop drawing."""
        self.close()

    def _draw(self, stage: str, done: int, total: int) -> None:
        self._bars.start()
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=total or None)
        self._bars.update(self._tasks[stage], completed=done, total=total or None)

    def _finish(self, stage: str) -> None:
        """Leave the full bar on the screen; the same stage told of again is new work."""
        del self._started[stage]
        self._tasks.pop(stage, None)
        if not self._tasks:
            self._bars.stop()
            for task in self._bars.task_ids:
                self._bars.remove_task(task)
