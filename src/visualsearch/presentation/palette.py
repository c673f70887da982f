"""The colours of the terminal, the montage and the report: one identity, on paper and in the dark.

``right`` and ``wrong`` are a bluish green and a vermilion that people with a colour-vision
deficiency tell apart (Okabe and Ito, Color Universal Design, 2008); wherever they are used a
shape says the same. Text colours have a contrast of at least 4.5 : 1 on ``paper`` and
``panel`` (WCAG 2.2, 1.4.3).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Palette:
    """Colours as #rrggbb."""

    paper: str
    panel: str
    line: str
    ink: str
    muted: str
    accent: str
    accent_soft: str
    other: str
    right: str
    wrong: str


LIGHT = Palette(
    paper="#ffffff",
    panel="#f4f6f9",
    line="#d9dfe7",
    ink="#17202b",
    muted="#566372",
    accent="#2456c9",
    accent_soft="#dbe5fb",
    other="#7d8896",
    right="#0b7355",
    wrong="#b93d0b",
)
DARK = Palette(
    paper="#10151b",
    panel="#18202a",
    line="#2d3845",
    ink="#e7ecf2",
    muted="#9fabb8",
    accent="#86abff",
    accent_soft="#22345a",
    other="#8b97a5",
    right="#55cfa6",
    wrong="#ff9a6b",
)
