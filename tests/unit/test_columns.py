"""Columns from paths and tables."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visualsearch.columns import compile_template, path_columns, read_table
from visualsearch.errors import ConfigError, DataError

FOLDER = Path("/gallery")


@pytest.mark.parametrize(
    ("template", "path", "columns"),
    [
        ("{label}/{instance}-{view}", "mug/mug01-3.jpg", {"label": "mug", "instance": "mug01", "view": "3"}),
        ("{label}/{instance}-{view}", "mug/a-b-3.JPG", {"label": "mug", "instance": "a-b", "view": "3"}),
        ("{label}/{instance}-{view}", "mug/3.jpg", None),
        ("{label}/{instance}-{view}", "shop/mug/a-3.jpg", None),
        (
            "{person}/{person_}_{n}",
            "Al_Gore/Al_Gore_0001.jpg",
            {"person": "Al_Gore", "person_": "Al_Gore", "n": "0001"},
        ),
        ("obj{id}__{angle}", "obj12__35.png", {"id": "12", "angle": "35"}),
        ("{name}", "a.b.jpg", {"name": "a.b"}),
        ("a+b/{x}", "a+b/1.jpg", {"x": "1"}),
        ("a+b/{x}", "aab/1.jpg", None),
        (None, "mug/red/3.jpg", {"label": "mug"}),
        (None, "3.jpg", {}),
    ],
)
def test_path_columns(template: str | None, path: str, columns: dict[str, str] | None) -> None:
    assert path_columns(template)(path) == columns


NAMES = st.text("abc12", min_size=1, max_size=5)


@given(NAMES, NAMES, NAMES)
def test_a_path_made_by_a_template_is_read_back(label: str, instance: str, view: str) -> None:
    columns = {"label": label, "instance": instance, "view": view}
    template = "x{label}/{instance}-{view}"
    assert compile_template(template).fullmatch(template.format(**columns)).groupdict() == columns  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("photos", "it names no {word}"),
        ("", "it names no {word}"),
        ("{label", "a brace is not closed"),
        ("{la{b}el}", "a brace is not closed"),
        ("{label}/{label}", "a word comes twice"),
        ("{a}{b}", "two words touch"),
        ("{}", "{} is no name"),
        ("{my label}", "{my label} is no name"),
        ("{label}/{n}.jpg", "leave it out"),
        ("{path}", "{path} is taken"),
    ],
)
def test_templates_that_cannot_work(template: str, why: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(why)) as caught:
        compile_template(template)
    assert caught.value.slug == "path-template"


def columns_in(file: Path) -> dict[str, dict[str, str]]:
    """Return what a table gives each path."""
    return {path: dict(row.columns) for path, row in read_table(file, FOLDER).items()}


EXPECTED = {"a/1.jpg": {"brand": "Ö, ltd", "size": "3"}, "a/2.jpg": {"size": "4"}}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_csv(tmp_path: Path, encoding: str, newline: str) -> None:
    lines = ["path,brand,size", 'a/1.jpg,"Ö, ltd",3', "", "a/2.jpg,, 4 ", ""]
    (tmp_path / "t.csv").write_bytes(newline.join(lines).encode(encoding))
    assert columns_in(tmp_path / "t.csv") == EXPECTED


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_jsonl(tmp_path: Path, encoding: str) -> None:
    lines = [
        '{"path": "a/1.jpg", "brand": "Ö, ltd", "size": 3}',
        "",
        '{"size": "4", "brand": null, "path": "a/2.jpg"}',
    ]
    (tmp_path / "t.JSONL").write_bytes("\r\n".join(lines).encode(encoding))
    assert columns_in(tmp_path / "t.JSONL") == EXPECTED


def test_a_spreadsheet_s_row_numbers_are_no_column(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(",path,size\n0,a/1.jpg,3\n1,a/2.jpg\n")
    assert columns_in(tmp_path / "t.csv") == {"a/1.jpg": {"size": "3"}, "a/2.jpg": {}}


def test_paths_are_made_relative(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("path,n\n./a//1.jpg,1\n/gallery/a/2.jpg,2\na\\3.jpg,3\n/other/4.jpg,4\n")
    assert list(read_table(tmp_path / "t.csv", FOLDER)) == ["a/1.jpg", "a/2.jpg", "a/3.jpg", "/other/4.jpg"]


def test_json_values_become_text(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"path": "a", "i": 3, "f": 1.5, "b": true, "n": null, "e": " "}')
    assert columns_in(tmp_path / "t.jsonl") == {"a": {"i": "3", "f": "1.5", "b": "true"}}


@pytest.mark.parametrize(
    ("name", "text", "line", "why"),
    [
        (
            "t.csv",
            "file,size\na,3\n",
            1,
            "expected a column `path`, separated by commas; received 'file, size'",
        ),
        ("t.csv", "path;size\na;3\n", 1, "separated by commas; received 'path;size'"),
        ("t.csv", "", 1, "expected a column `path`"),
        ("t.csv", "path,size,size\n", 1, "a column comes twice"),
        ("t.csv", "path,size\na,3\nb,3\na,4\n", 4, "'a' stands in line 2 already"),
        ("t.csv", "path,size\na,3\n./a,4\n", 3, "'a' stands in line 2 already"),
        ("t.csv", "path,size\na,3\nb,3,5\n", 3, "expected 2 values; received 3"),
        ("t.csv", "path,size\n,3\n", 2, "expected a path; received ''"),
        ("t.csv", 'path,size\na,3\nb,"3\n', 3, "broken CSV: unexpected end of data"),
        ("t.jsonl", '{"path": "a"}\n{"path": \n', 2, "broken JSON"),
        ("t.jsonl", '{"path": "a"}\n\n[1]\n', 3, "expected an object with a `path`; received '[1]'"),
        ("t.jsonl", '{"file": "a"}', 1, "expected an object with a `path`"),
        ("t.jsonl", '{"path": 3}', 1, "expected a path; received 3"),
        (
            "t.jsonl",
            '{"path": "a", "tags": ["x"]}',
            1,
            "column 'tags': expected text or a number; received ['x']",
        ),
        ("t.jsonl", '{"path": "a", "t": "\\ud800"}', 1, "column 't': expected text"),
        ("t.jsonl", '{"path": "a"}\n{"path": "a"}', 2, "'a' stands in line 1 already"),
    ],
)
def test_broken_tables_are_told_with_their_line(tmp_path: Path, name: str, text: str, line: int, why: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=re.escape(why)) as caught:
        read_table(tmp_path / name, FOLDER)
    assert caught.value.slug == "table-broken"
    assert str(caught.value).startswith(f"{tmp_path / name}, line {line}: ")
    assert "\n" not in str(caught.value)


def test_other_encodings_are_told_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("path,brand\na,x\nb,Ö\n".encode("latin-1"))
    with pytest.raises(DataError, match="line 3: expected UTF-8; received the byte 0xd6"):
        read_table(tmp_path / "t.csv", FOLDER)


@pytest.mark.parametrize(
    ("name", "slug"), [("t.tsv", "table-format"), ("t", "table-format"), ("t.csv", "table-missing")]
)
def test_tables_that_cannot_be_read(tmp_path: Path, name: str, slug: str) -> None:
    with pytest.raises(DataError) as caught:
        read_table(tmp_path / name, FOLDER)
    assert caught.value.slug == slug


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
PATHS = st.from_regex(r"[abc]{1,3}(/[abc]{1,3})?", fullmatch=True)


@given(rows=st.dictionaries(PATHS, st.tuples(CELLS, CELLS)))
def test_csv_and_jsonl_hold_what_was_written(
    rows: dict[str, tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("tables")
    with (folder / "t.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "x", "y"), *((path, *cells) for path, cells in rows.items())])
    lines = [json.dumps({"path": path, "x": x, "y": y}) for path, (x, y) in rows.items()]
    (folder / "t.jsonl").write_text("\n".join(lines))
    expected = {
        path: {name: cell.strip() for name, cell in zip("xy", cells, strict=True) if cell.strip()}
        for path, cells in rows.items()
    }
    assert columns_in(folder / "t.csv") == expected
    assert columns_in(folder / "t.jsonl") == expected
