"""A trained classifier on disk: one file of weights, and the card that names and vouches for it.

The file has a name of its own, and the card is replaced in one step after the file is
whole: whoever reads finds the old classifier or the new one, never half of either.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from visualsearch.errors import EngineError
from visualsearch.files import erase, erasing, replacing, sha256, write_text
from visualsearch.model import fingerprint

FORMAT = 1

CARD = "card.json"
"""In the folder ``classifier`` of a model."""


@dataclass(frozen=True, slots=True)
class Card:
    """What is known of a classifier without loading it.

    ``trunk`` fingerprints what its input comes from: the network before ``fork``, or the
    extractor whose embeddings it reads. ``train`` says how much was trained.
    """

    name: str
    train: str
    buckets: tuple[str, ...]
    fork: str | None
    trunk: str
    file: str = ""
    sha256: str = ""
    format: int = FORMAT

    @property
    def fingerprint(self) -> str:
        """Return a hash of all that decides the probabilities."""
        return fingerprint(self.name, self.buckets, self.fork, self.trunk, self.sha256)


def save(folder: Path, card: Card, stem: str, suffix: str, write: Callable[[Path], None]) -> Card:
    """Write the weights with ``write`` and then the card, and erase the classifier before; return the full card.

    Raises:
        EngineError: the disk is full or the folder cannot be written.
    """
    place = folder / "classifier"
    target = place / f"{stem}-{secrets.token_hex(4)}{suffix}"
    with replacing(target) as part:
        write(part)
    full = Card(**{**asdict(card), "file": target.name, "sha256": sha256(target)})
    try:
        with erasing(place / CARD):
            write_text(place / CARD, json.dumps(asdict(full), indent=2, ensure_ascii=False) + "\n")
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    for old in place.glob(f"*{stem}-*{suffix}"):
        if old != target:
            erase(old)  # it knows pictures that may have been forgotten since
    return full


def load(folder: Path, name: str, train: str, trunk: str) -> tuple[Card, Path]:
    """Return card and weights file of the classifier in the model ``folder``, verified.

    Raises:
        EngineError: it is missing, damaged or of a newer format, or was trained with other
            options or on another extractor.
    """
    card = read_card(folder / "classifier" / CARD)
    if (card.name, card.train) != (name, train):
        asked = f"the YAML asks for {name} (train: {train})"
        message = f"{folder}: the classifier was trained as {card.name} (train: {card.train}); {asked}: run train."
        raise EngineError(message, slug="classifier-stale")
    if card.trunk != trunk:
        message = f"{folder}: the classifier was trained on another extractor than the YAML names: run train."
        raise EngineError(message, slug="classifier-stale")
    path = folder / "classifier" / card.file
    if not path.is_file():
        raise EngineError(f"{path}: the classifier's weights are missing: run train.", slug="classifier-damaged")
    found = sha256(path)
    if found != card.sha256:
        message = f"{path}: expected SHA-256 {card.sha256[:12]}… as its card says; received {found[:12]}…: run train."
        raise EngineError(message, slug="classifier-damaged")
    return card, path


def read_card(path: Path) -> Card:
    """Return a classifier's card.

    Raises:
        EngineError: it is missing, damaged or of a newer format.
    """
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        newer = int(plain["format"]) > FORMAT
        card = None if newer else Card(**{**plain, "buckets": tuple(plain["buckets"])})
    except FileNotFoundError as error:
        raise EngineError(f"{path}: no classifier was trained yet: run train.", slug="classifier-missing") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EngineError(
            f"{path}: expected a classifier's card; received {error!r}: run train.", slug="classifier-damaged"
        ) from error
    if card is None:
        message = (
            f"{path}: expected format {FORMAT} or older; received {plain['format']}: update visualsearch or run train."
        )
        raise EngineError(message, slug="classifier-newer")
    if not isinstance(card.file, str) or Path(card.file).name != card.file:
        raise EngineError(
            f"{path}: expected the name of a file beside it; received {card.file!r}: run train.",
            slug="classifier-damaged",
        )
    return card
