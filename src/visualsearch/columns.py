"""What is known of a picture: columns from its path, and from a table beside the gallery."""

from __future__ import annotations

import csv
import io
import json
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from visualsearch.errors import ConfigError, DataError

Columns = Mapping[str, str]

SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
"""Files with these endings, in capitals or not, are pictures."""

_WORD = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: the columns that it gives, and where it stands."""

    columns: Columns
    line: int


def compile_template(template: str) -> re.Pattern[str]:
    """Turn a path template into a pattern for paths without their suffix.

    Each ``{word}`` matches at least one character of one folder's or file's name, and as many
    as it can: what stands between two words belongs to the last place where it occurs.

    Raises:
        ConfigError: ``path-template``: the template has no words, or cannot be told apart.

    >>> compile_template("{label}/{instance}-{view}").fullmatch("mug/red-mug-3").groupdict()
    {'label': 'mug', 'instance': 'red-mug', 'view': '3'}
    """
    words = _WORD.findall(template)
    wrong = _template_error(template, words)
    if wrong:
        example = "{label}/{instance}-{view}"
        message = f"path template {template!r}: {wrong}; expected something like '{example}'."
        raise ConfigError(message, slug="path-template")
    pieces = _WORD.split(template)
    named = [f"(?P<{piece}>[^/]+)" if i % 2 else re.escape(piece) for i, piece in enumerate(pieces)]
    return re.compile("".join(named))


def _template_error(template: str, words: list[str]) -> str | None:
    rest = _WORD.sub("\0", template)
    strange = next((word for word in words if not re.fullmatch(r"[A-Za-z_]\w*", word)), None)
    if "{" in rest or "}" in rest:
        return "a brace is not closed"
    if strange is not None:
        return f"{{{strange}}} is no name of letters, digits and _"
    if not words:
        return "it names no {word}"
    if len(set(words)) < len(words):
        return "a word comes twice"
    if "path" in words:
        return "{path} is taken: it is the picture's own path"
    if "\0\0" in rest:
        return "two words touch, so that nothing tells them apart"
    if template.lower().endswith(SUFFIXES):
        return "paths are compared without their suffix, so leave it out"
    return None


def path_columns(template: str | None) -> Callable[[str], Columns | None]:
    """Return the function that reads a picture's columns off its path; None where it does not fit.

    Without a template the first folder is the ``label``.

    >>> path_columns(None)("mug/red/3.jpg"), path_columns(None)("3.jpg")
    ({'label': 'mug'}, {})
    """
    if template is None:
        return lambda path: {"label": path.partition("/")[0]} if "/" in path else {}
    pattern = compile_template(template)

    def columns(path: str) -> Columns | None:
        match = pattern.fullmatch(posixpath.splitext(path)[0])
        return match.groupdict() if match else None

    return columns


def read_table(file: Path, folder: Path) -> dict[str, Row]:
    """Read a CSV or JSONL table with a ``path`` column: path relative to ``folder`` → its row.

    Values are text; an empty one is no value.

    Raises:
        DataError: ``table-missing``, ``table-format`` or ``table-broken``, with file and line.
    """
    readers = {".csv": _csv_rows, ".jsonl": _json_rows, ".ndjson": _json_rows}
    reader = readers.get(file.suffix.lower())
    if reader is None:
        raise DataError(f"{file}: expected a table in .csv or .jsonl; received {file.name!r}.", slug="table-format")
    table: dict[str, Row] = {}
    for line, record in reader(file, _text(file)):
        path = record.pop("path", None)
        if not isinstance(path, str) or not path:
            raise _broken(file, line, f"expected a path; received {path!r}")
        path = _relative(path, folder)
        if path in table:
            raise _broken(file, line, f"{path!r} stands in line {table[path].line} already; expected it once")
        columns = {name: _value(value, name, file, line) for name, value in record.items()}
        table[path] = Row({name: value for name, value in columns.items() if value}, line)
    return table


def _text(file: Path) -> str:
    try:
        data = file.read_bytes()
    except OSError as error:
        why = error.strerror or str(error)
        raise DataError(
            f"{file}: the table cannot be read: {why}. Check gallery.table.", slug="table-missing"
        ) from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _broken(file, line, f"expected UTF-8; received the byte 0x{data[error.start]:02x}") from error


def _csv_rows(file: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        if "path" not in header:
            raise _broken(file, 1, f"expected a column `path`, separated by commas; received {', '.join(header)!r}")
        named = [name for name in header if name]
        if len(set(named)) < len(named):
            raise _broken(file, 1, "a column comes twice; expected each once")
        for cells in reader:
            if len(cells) > len(header):
                raise _broken(file, reader.line_num, f"expected {len(header)} values; received {len(cells)}")
            if any(cells):  # a column without a name is a spreadsheet's row number
                yield reader.line_num, {name: cell for name, cell in zip(header, cells, strict=False) if name}
    except csv.Error as error:
        raise _broken(file, reader.line_num, f"broken CSV: {error}") from error


def _json_rows(file: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for line, row in enumerate(text.split("\n"), 1):
        if not row.strip():
            continue
        try:
            record = json.loads(row)
        except (ValueError, RecursionError) as error:
            raise _broken(file, line, f"broken JSON: {error}") from error
        if not isinstance(record, dict) or "path" not in record:
            raise _broken(file, line, f"expected an object with a `path`; received {row.strip()[:60]!r}")
        yield line, record


def _value(value: object, name: str, file: Path, line: int) -> str:
    if value is None:
        return ""
    text = json.dumps(value) if isinstance(value, bool | int | float) else value
    if not isinstance(text, str) or not text.isascii() and re.search("[\ud800-\udfff]", text):
        raise _broken(file, line, f"column {name!r}: expected text or a number; received {value!r}")
    return text.strip()


def _relative(path: str, folder: Path) -> str:
    """Write a table's path as the gallery does: relative to its folder, with forward slashes."""
    pure = PurePosixPath(posixpath.normpath(path.replace("\\", "/")))
    return str(pure.relative_to(folder)) if pure.is_relative_to(folder) else str(pure)


def _broken(file: Path, line: int, what: str) -> DataError:
    return DataError(f"{file}, line {line}: {what}.", slug="table-broken")
