"""The model folder: trained artefacts, the card that describes them, and their hashes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from visualsearch.errors import EngineError
from visualsearch.files import sha256, write_text

FORMAT = 1

ARTEFACTS = ("*.npz", "classifier/*")
"""What the card vouches for; compiled graphs, index and reports can be made again from these."""

QUERIES = "queries.npz"
"""What is remembered of queries: it can be made again too, and changes whenever others are measured."""

RESULTS = {"montage": "montage.png", "report": "report.html", "run": "run.jsonl"}
"""What a run leaves to look at, in the folder ``report``."""

GENERATOR = "VisualSearch"

MARKS = {
    ".html": f'<meta name="generator" content="{GENERATOR}">'.encode(),
    ".png": f"Software\0{GENERATOR}".encode(),
}
"""By what a report and a montage are known as written here, wherever they lie."""


def fingerprint(*parts: object) -> str:
    """Return a short hash that changes when any part does.

    >>> fingerprint("resnet50", 224) == fingerprint("resnet50", 224)
    True
    >>> fingerprint("resnet50", 224) == fingerprint("resnet50", 225)
    False
    """
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


class ModelFolder:
    """``models/<name>/``: read and written through its card."""

    def __init__(self, path: Path) -> None:
        """Point at a folder; nothing is made before something is written."""
        self.path = path

    @property
    def card_path(self) -> Path:
        """Return where the card lies."""
        return self.path / "card.json"

    def card(self) -> dict[str, Any]:
        """Return the card, or an empty one where nothing was made yet.

        Raises:
            EngineError: the card is no JSON, or of a newer format.
        """
        if not self.card_path.exists():
            return {}
        try:
            card = json.loads(self.card_path.read_text(encoding="utf-8"))
            newer = card["format"] > FORMAT
        except (OSError, ValueError, KeyError, TypeError) as error:
            message = f"{self.card_path}: expected a model card; received {error!r}. Delete the folder and run again."
            raise EngineError(message, slug="model-broken") from error
        if newer:
            message = (
                f"{self.card_path}: expected format {FORMAT} or older; received {card['format']}. Update visualsearch."
            )
            raise EngineError(message, slug="model-newer")
        return dict(card)

    def update(self, **parts: Mapping[str, Any] | str) -> None:
        """Put ``parts`` into the card and hash the artefacts again."""
        card = {**self.card(), "format": FORMAT, **parts, "files": self._hashes()}
        write_text(self.card_path, json.dumps(card, indent=2, sort_keys=True) + "\n")

    def damaged(self) -> list[str]:
        """Return the artefacts that are missing or differ from what the card says."""
        present, known = self._hashes(), self.card().get("files", {})
        return sorted(name for name, digest in known.items() if present.get(name) != digest and name != QUERIES)

    def _hashes(self) -> dict[str, str]:
        files = [
            file for pattern in ARTEFACTS for file in self.path.glob(pattern) if file.is_file() and file.name != QUERIES
        ]
        return {file.relative_to(self.path).as_posix(): sha256(file) for file in sorted(files)}
