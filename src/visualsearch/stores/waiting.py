"""Patience with a server that is away or busy, which is told while it lasts."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from visualsearch.secrets import hidden

log = logging.getLogger(__name__)

SILENT_S = 2.0
"""Who waits longer is told so."""

AGAIN_S = 10.0
"""And again after so long."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0


class Voice:
    """Says how long a server has been waited for: once for all threads that wait, as a note of the program's log."""

    def __init__(self, whom: str, patience_s: float) -> None:
        """Name ``whom`` one waits for."""
        self._whom = whom
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._quiet_until = 0.0

    def tell(self, since: float) -> None:
        """Say that it has been waited for since then, unless that is a moment ago or has just been said."""
        now = time.monotonic()
        with self._lock:
            if now < max(self._quiet_until, since + SILENT_S):
                return
            self._quiet_until = now + AGAIN_S
        log.warning("waiting for %s (%.0f s of %g s)", hidden(self._whom), now - since, self._patience_s)

    @contextmanager
    def over(self) -> Iterator[None]:
        """Tell of a block that takes long even where its first question is never answered."""
        timer = threading.Timer(SILENT_S, self.tell, [time.monotonic()])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


class Patience:
    """The time within which one question may be asked again, with longer and longer pauses."""

    def __init__(self, patience_s: float, voice: Voice) -> None:
        """Begin now."""
        self._patience_s = patience_s
        self._voice = voice
        self.renew()

    def renew(self) -> None:
        """Begin anew."""
        self._since = time.monotonic()
        self._pause = FIRST_PAUSE_S

    @property
    def left_s(self) -> float:
        """Return how many seconds are left; less than 0 where it is over."""
        return self._since + self._patience_s - time.monotonic()

    @property
    def ends(self) -> bool:
        """Return whether it is over before the next pause is."""
        return self.left_s < self._pause

    def pause(self) -> None:
        """Wait a little."""
        self._voice.tell(self._since)
        time.sleep(self._pause * random.uniform(0.5, 1.0))
        self._pause = min(2 * self._pause, LONGEST_PAUSE_S)
