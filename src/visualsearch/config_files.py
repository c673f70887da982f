"""The YAML file as text, and which one was meant where there is none."""

from __future__ import annotations

import difflib
from pathlib import Path

from visualsearch.errors import ConfigError

SUFFIXES = (".yaml", ".yml")


def read_yaml(path: Path, option: str | None = None) -> str:
    """Return the text of a YAML file; ``option`` is that of the command line which names it.

    Raises:
        ConfigError: ``yaml-missing``, ``yaml-unreadable`` or ``yaml-syntax``.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: there is no such file. {_advice(path, option)}", slug="yaml-missing") from error
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        message = f"{path}: expected UTF-8; received the byte 0x{byte:02x}. Save the file as UTF-8."
        raise ConfigError(message, slug="yaml-syntax") from error
    except OSError as error:
        message = f"{path}: expected a YAML file; it cannot be read ({error.strerror})."
        raise ConfigError(message, slug="yaml-unreadable") from error


def _advice(path: Path, option: str | None) -> str:
    near = nearest_file(path)
    if near is not None:
        return f"Did you mean {str(near)!r}?"
    other = f" or name it with {option}" if option else ""
    return f"Write one (`gallery: {{folder: photos/}}` is enough){other}."


def nearest_file(path: Path) -> Path | None:
    """Return the YAML file of the same folder whose name is most like that of ``path``; None where none is."""
    try:
        names = [file.name for file in path.parent.iterdir() if file.suffix.lower() in SUFFIXES]
    except OSError:
        return None
    near = difflib.get_close_matches(path.name, names, n=1)
    return path.with_name(near[0]) if near else None
