"""Scores → verdicts: match, similar or stranger, at rates that hold for finite samples. Pure NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from visualsearch.calibration.conformal import Groups, Scores, even_shares, needed, threshold

Verdict = Literal["match", "similar", "stranger"]


@dataclass(frozen=True, slots=True)
class MatchRule:
    """From which match score on a hit is a match: one of ``rate`` of the impostors reaches it, at most.

    ``n`` values had an impostor, ``needed`` are needed; ``least`` is None where there are too few.
    """

    rate: float
    n: int
    needed: int
    least: float | None


def match_rule(impostors: Scores, groups: Groups, rate: float) -> MatchRule:
    """Calibrate on the best scores of impostors: what a search finds that has nothing right to find.

    The threshold is conformal, over groups (see ``conformal.threshold``): of strangers that are to
    the gallery as its own values are to each other, at most the share ``rate`` is told a match.

    >>> match_rule(np.arange(1.0, 20.0), np.arange(19), 0.05).least > 19.0
    True
    >>> match_rule(np.arange(1.0, 19.0), np.arange(18), 0.05)
    MatchRule(rate=0.05, n=18, needed=19, least=None)
    """
    n = len(np.unique(groups))
    exceeded = threshold(impostors, even_shares(groups), groups, 1 - rate) if n else None
    least = None if exceeded is None else float(np.nextafter(exceeded, np.inf))
    return MatchRule(rate, n, needed(1 - rate), least)


@dataclass(frozen=True)
class Familiar:
    """What searches for pictures come to whose like the gallery has: (n,) each.

    ``near`` is the best match score, ``certain`` the classifier's largest probability, None where it is not asked;
    ``groups`` are numbers.
    """

    near: Scores
    certain: Scores | None
    groups: Groups

    @cached_property
    def n(self) -> int:
        """Return how many groups there are."""
        return len(np.unique(self.groups))

    @cached_property
    def _shares(self) -> Scores:
        return even_shares(self.groups)

    @cached_property
    def _ranked(self) -> list[tuple[Scores, Scores]]:
        """Return the scores that are looked at, each with its ranks, which no new picture changes."""
        known = [self.near] if self.certain is None else [self.near, self.certain]
        return [(scores, _ranks(scores, self._shares)) for scores in known]

    def p_value(self, near: float, certain: float | None) -> float:
        """Return how probable it is that such a picture fits as badly as this, in both at once.

        A picture is as strange as the better of its two ranks: nothing is near *and* no bucket fits.
        The ranks are taken among all pictures with the new one among them, so that the value is a
        conformal p-value (Vovk, Gammerman and Shafer 2005): at most a share ``a`` of
        familiar pictures has one of ``a`` or less, and not the square of it.

        >>> both = Familiar(np.array([1.0, 2, 3, 4]), np.array([4.0, 3, 2, 1]) / 5, np.arange(4))
        >>> both.p_value(0.5, 0.1), both.p_value(0.5, 0.9), both.p_value(3.5, None)
        (0.2, 1.0, 0.8)
        """
        shares, theirs, own = self._shares, np.zeros(len(self.groups)), 0.0
        for (scores, ranks), new in zip(self._ranked, (near, certain), strict=False):
            if new is not None:
                theirs = np.maximum(theirs, ranks + (new <= scores))
                own = max(own, float(shares[scores <= new].sum()) + 1)
        return float((1 + shares[theirs <= own + _ROUNDING].sum()) / (self.n + 1))


_ROUNDING = 1e-9


def _ranks(scores: Scores, shares: Scores) -> Scores:
    """Return the mass of what is not higher, for each."""
    order = np.argsort(scores, kind="stable")
    mass = np.concatenate([[0.0], np.cumsum(shares[order])])
    ranks: Scores = mass[np.searchsorted(scores[order], scores, side="right")]
    return ranks


def verdict(matched: bool, p_value: float | None, rate: float) -> Verdict:
    """Return what to call a picture of which some hit is a match, or none, and that fits so well.

    >>> verdict(True, 0.01, 0.05), verdict(False, 0.01, 0.05), verdict(False, 0.2, 0.05), verdict(False, None, 0.05)
    ('match', 'stranger', 'similar', 'similar')
    """
    if matched:
        return "match"
    return "stranger" if p_value is not None and p_value <= rate else "similar"
