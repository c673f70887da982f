"""Where a network's weights come from, and what identifies them; nothing heavy is imported here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from visualsearch.datatypes import Matrix
from visualsearch.errors import EngineError
from visualsearch.extractors.networks import PREPROCESSING
from visualsearch.files import sha256

WORDS = ("starter", "published", "random")
"""What ``weights`` may say beside ``file:PATH``."""

STARTERS = ("resnet50",)
"""The networks that this project trained itself."""

PROJECTION = "projection/kernel"
"""The key of a starter's linear map from pooled features to embeddings."""

SUFFIXES = (".h5", ".keras", ".npz")
"""How the names of weights files end; what a file is its content says."""

PACKAGE = Path(__file__).parents[1]

STARTER_FOLDERS = (PACKAGE / "starter", PACKAGE.parents[1] / "models" / "starter")
"""Where the starter lies: in an installed package, and in the source tree."""


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Weights that were found; ``identity`` changes whenever their values do.

    ``path`` is None for those that Keras downloads, and for random ones. A starter's card adds the input's side and
    preprocessing, its file perhaps a projection (features, dim).
    """

    source: str
    identity: str
    path: Path | None = None
    side: int | None = None
    preprocessing: str | None = None
    projection: Matrix | None = None


def find_weights(name: str, source: str) -> Weights:
    """Return the weights of network ``name`` that ``source`` (one of ``WORDS``, or file:PATH) means.

    PATH may be a folder that holds one weights file.

    Raises:
        EngineError: they are missing or damaged.
    """
    if source == "starter":
        return _starter(name)
    if source == "published":
        # Keras checks what it downloads against the hashes in its own code.
        return Weights(source, f"published {name}")
    if source == "random":
        return Weights(source, f"random 1 {name}")
    path = Path(source.removeprefix("file:")).expanduser()
    if path.is_dir():
        path = _only_file(path)
    if not path.is_file():
        message = f"weights: expected a weights file at {path}; there is none: check the path."
        raise EngineError(message, slug="weights-missing")
    return Weights(source, _hash(path), path)


def _only_file(folder: Path) -> Path:
    """Return the weights file of a folder that has one."""
    files = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)
    if len(files) == 1:
        return files[0]
    listed = ", ".join(path.name for path in files)
    choice = f"name one of its files, {listed}" if files else f"it has none of {', '.join(SUFFIXES)}"
    raise EngineError(f"weights: expected one weights file in {folder}: {choice}.", slug="weights-missing")


def _starter(name: str) -> Weights:
    folder = next((f for f in STARTER_FOLDERS if (f / f"{name}.npz").is_file()), None)
    if folder is None:
        message = (
            f"weights: expected the starter's {name}.npz in {STARTER_FOLDERS[0]}; there is none: "
            "install the package again, or use file:PATH."
        )
        raise EngineError(message, slug="weights-missing")
    path, card = folder / f"{name}.npz", _card(folder / "card.json")
    identity = _hash(path)
    if identity != card["sha256"]:
        message = (
            f"{path}: expected SHA-256 {card['sha256'][:12]}… as its card says; received {identity[:12]}…: "
            "install the package again."
        )
        raise EngineError(message, slug="weights-damaged")
    return Weights("starter", identity, path, int(card["side"]), card["preprocessing"], _projection(path))


def _card(path: Path) -> Mapping[str, Any]:
    try:
        card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if int(card["side"]) > 0 and card["preprocessing"] in PREPROCESSING and isinstance(card["sha256"], str):
            return card
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{path}: expected the starter's card; received {error!r}: install the package again."
        raise EngineError(message, slug="weights-damaged") from error
    message = f"{path}: expected a side, one of {', '.join(PREPROCESSING)} and a hash: install the package again."
    raise EngineError(message, slug="weights-damaged")


def _projection(path: Path) -> Matrix | None:
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            return file[PROJECTION].astype(np.float32) if PROJECTION in file else None
    except (OSError, ValueError, BadZipFile) as error:
        raise EngineError(f"{path}: expected NumPy arrays; received {error}.", slug="weights-damaged") from error


def _hash(path: Path) -> str:
    try:
        return sha256(path)
    except OSError as error:
        raise EngineError(f"{path}: the weights cannot be read: {error.strerror}.", slug="weights-missing") from error
