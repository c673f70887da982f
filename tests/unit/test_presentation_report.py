"""The report, read back by an HTML parser: self-contained, accessible, escaped, bounded."""

from __future__ import annotations

import base64
import html
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from visualsearch.datatypes import Answer, Box, Hit, Probability, Query, Route, Step
from visualsearch.errors import EngineError
from visualsearch.evaluation.runs import RunRow
from visualsearch.evaluation.summary import summarise
from visualsearch.presentation import galleries, palette
from visualsearch.presentation.report import PICTURE_BYTES, write_report
from visualsearch.presentation.thumbnails import Thumbnails

VOID = {"meta", "img", "input", "wbr", "br"}
EVIL = "<script>alert(1)</script>&\"'.jpg"


class Page(HTMLParser):
    """Collects what a page holds and checks that every element is closed."""

    def __init__(self, text: str) -> None:
        """Parse a whole page."""
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element and that it is open."""
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Check that the element that was opened last is closed first."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Keep what is read."""
        if self.open[-1:] != ["style"]:
            self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of every such element."""
        return [attributes for name, attributes in self.tags if name == tag]

    def of_class(self, name: str) -> list[dict[str, str | None]]:
        """Return the attributes of every element of a class."""
        return [attributes for _, attributes in self.tags if name in (attributes.get("class") or "").split()]

    @property
    def text(self) -> str:
        """Return what can be read, spaces collapsed."""
        return re.sub(r"\s+", " ", "".join(self.texts))


def hit(path: str, rank: int) -> Hit:
    return Hit(path, path, {}, ("mug",), 1 - rank / 100, rank)


def answer(number: int, hits: int = 3, path: str | None = None) -> Answer:
    route = Route((Probability("mug", 0.8), Probability("new", None)), (Step("until", 2, 0.25),), 0.25)
    found = tuple(hit(f"mug/{number}-{rank}.jpg", rank) for rank in range(1, hits + 1))
    return Answer(
        Query(path or f"q/{number}.jpg"), found, route, timings_ms={"embed": 10.0 * number, "total": 11.0 * number}
    )


def row(one: Answer, right: Sequence[bool], guess: str = "mug", stranger: bool = False) -> RunRow:
    ids, wrong = tuple(hit.id for hit in one.hits), tuple(right)
    path = one.query.path or ""
    return RunRow(path, path, 3, ids, wrong, ids, wrong, 0.25, 1.0, "mug", guess, 2, False, 0.9, stranger)


def square(path: str, kind: str, box: Box | None) -> bytes:
    """Return a JPEG whose size depends on what is asked for."""
    buffer = io.BytesIO()
    Image.new("RGB", (24 if kind == "query" else 16, 16), "teal").save(buffer, "JPEG")
    return buffer.getvalue()


def page(path: Path, answers: Sequence[Answer], **given: Any) -> Page:
    write_report(path, **{"title": "t", "settings": {}, "answers": answers, "thumbnails": square, **given})
    return Page(path.read_text(encoding="utf-8"))


@pytest.fixture
def full(tmp_path: Path) -> Page:
    """Return a page with everything on it: one right first, one wrong first, one misled, one stranger, one failed."""
    answers = [answer(1), answer(2), answer(3), answer(4), Answer(Query("q/5.jpg"), error="truncated JPEG")]
    rows = [
        row(answers[0], [True, False, True]),
        row(answers[1], [False, True, False]),
        row(answers[2], [False, False, False], guess="bowl"),
        row(answers[3], [False, False, False], stranger=True),
        replace(row(answers[4], []), right_items=0, right_bucket=None),
    ]
    curves = [{"epoch": i, "loss": 2 / i, "val_loss": 2.5 / i, "val_top1": 1 - 1 / (i + 1)} for i in range(1, 6)]
    training = {"top1": {"chosen": 0.83, "head": 0.5}, "held_out": {"pictures": 6}, "curves": curves, "seconds": 3.0}
    index = {"added": 4, "failed": [{"path": "bad <1>.jpg", "reason": "an empty file: 0 bytes"}], "seconds": 1.0}
    settings = {"name": "t", "gallery": {"folder": "photos", "path": None}, "routing": {"widen": ["more", "all"]}}
    return page(
        tmp_path / "report.html",
        answers,
        title="A & B",
        settings=settings,
        evaluation=summarise(rows),
        rows=rows,
        training=training,
        index=index,
    )


def test_nothing_is_fetched_from_anywhere(full: Page, tmp_path: Path) -> None:
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in full.tags}
    sources = [value for _, attributes in full.tags for name, value in attributes.items() if name in ("src", "href")]
    assert sources
    assert all((value or "").startswith(("data:image/jpeg;base64,", "#")) for value in sources)
    assert not re.search(r"url\(|@import|https?:|srcset|\son\w+=", text)


def test_every_anchor_has_its_place_and_every_name_is_used_once(full: Page) -> None:
    names = Counter(attributes["id"] for _, attributes in full.tags if "id" in attributes)
    assert set(names.values()) == {1}
    assert {(link["href"] or "")[1:] for link in full.all("a")} <= set(names)
    assert {a["aria-labelledby"] for _, a in full.tags if "aria-labelledby" in a} <= set(names)


def test_pictures_have_texts_tables_have_heads_and_headings_do_not_jump(full: Page) -> None:
    assert all(image.get("alt") for image in full.all("img"))
    assert all(head.get("scope") in ("col", "row") for head in full.all("th"))
    assert len(full.all("caption")) == len(full.all("table")) >= 4
    assert all("aria-label" in a or a.get("aria-hidden") == "true" for a in full.all("svg"))
    levels = [int(tag[1]) for tag, _ in full.tags if tag in ("h1", "h2", "h3")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:], strict=False))
    assert dict(full.tags[0][1])["lang"] == "en"
    assert all(region.get("tabindex") == "0" for region in full.of_class("wide"))


def test_queries_hits_and_marks_are_those_of_the_run(full: Page) -> None:
    assert len(full.of_class("query")) == 4  # the stranger is not among them
    images = Counter((image["alt"] or "").startswith("query ") for image in full.all("img"))
    assert images == {True: 4, False: 9}
    items = [a for a in full.all("li") if a.get("class") in ("right", "wrong")]
    assert Counter(a["class"] for a in items) == {"right": 3, "wrong": 6}
    assert len(full.of_class("miss")) == 3
    assert "truncated JPEG" in full.text
    assert "mug taken for bowl" in full.text
    assert "first right hit at rank 2" in full.text


def test_the_worst_come_first_and_a_wrong_bucket_is_worst(full: Page) -> None:
    titles = {a["id"]: a["title"] for a in full.all("h3") if "title" in a}
    worst = {name: title for name, title in titles.items() if name and name.startswith("worst")}
    assert worst == {"worst-1": "q/3.jpg", "worst-2": "q/2.jpg"}


def test_settings_can_be_copied_into_a_yaml(tmp_path: Path) -> None:
    settings = {
        "gallery": {"folder": "yes", "table": None, "group": "${GROUP}", "path": "{label}/{view}"},
        "buckets": {"none": True, "column": None},
        "routing": {"keep": 0.9, "widen": []},
        "search": {"k": 20},
        "name": "caf\udce9: or # tea",
    }
    write_report(tmp_path / "r.html", title="t", settings=settings, answers=[], thumbnails=square)
    shown = (tmp_path / "r.html").read_text(encoding="utf-8")
    pairs = re.findall(r"<th[^>]*><code>(.*?)</code></th><td[^>]*><code>(.*?)</code></td>", shown)
    told = {key: html.unescape(value) for key, value in pairs}
    assert (told["gallery.table"], told["buckets.none"], told["gallery.folder"]) == ("null", "true", "'yes'")
    for key, value in told.items():
        wanted: Any = settings
        for part in key.split("."):
            wanted = wanted[part]
        assert yaml.safe_load(value) == wanted
    assert len(told) == 10


def test_figures_tables_and_charts_say_what_was_measured(full: Page) -> None:
    text = full.text
    assert "4 queries, searched in 4 pictures: on average each was compared with 25.0 % of the gallery." in text
    assert "hit rate at 1" in text
    assert "33.3 %" in text  # one of three answerable queries has a right first hit
    assert "Top 1 on 6 held-out pictures: 83.0 % (only a head: 50.0 %) · 3.0 s" in text
    assert "bad <1>.jpg" in text
    assert "an empty file: 0 bytes" in text
    assert "gallery.path" in text
    assert "gallery.folderphotosgallery.pathnullrouting.widen[more, all]" in text
    polylines = full.all("polyline")
    assert [len((line["points"] or "").split()) for line in polylines] == [5, 5, 5]
    assert "25 ms" in text  # the median of 10, 20, 30, 40


def test_a_number_and_its_unit_stay_on_one_line(full: Page) -> None:
    text = "\n".join(full.texts)
    unit = r"(%|ms|s|min|h|bytes)(?!\w)"
    assert [found.group() for found in re.finditer(rf"\d {unit}", text)] == []
    assert {found.group() for found in re.finditer(rf"\d\N{{NO-BREAK SPACE}}{unit}", text)} >= {
        "5\N{NO-BREAK SPACE}%", "0\N{NO-BREAK SPACE}%", "1\N{NO-BREAK SPACE}ms", "0\N{NO-BREAK SPACE}bytes",
    }  # fmt: skip


def test_a_heading_without_a_sentence_keeps_its_distance_from_the_first_card(full: Page, tmp_path: Path) -> None:
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    rule = re.search(r"section > h2 \+ :not\(\.note, \.filter\) \{ margin-top: (\d+)px; \}", text)
    assert rule is not None and int(rule[1]) >= 12
    bare = page(tmp_path / "bare.html", [answer(1)])
    tags = [(tag, a.get("class") or "") for tag, a in bare.tags]
    place = next(i for i, (tag, a) in enumerate(bare.tags) if tag == "h2" and a.get("id") == "queries-title")
    assert tags[place + 1] == ("article", "query"), (
        "no sentence stands between them here, so the rule is what parts them"
    )


def test_a_single_epoch_is_no_curve(tmp_path: Path) -> None:
    training = {"top1": {"chosen": 0.5, "head": 0.5}, "curves": [{"epoch": 1, "loss": 1.0, "val_top1": 0.5}]}
    shown = page(tmp_path / "r.html", [], training=training)
    assert shown.all("polyline") == []
    assert "Top 1 on held-out pictures: 50.0 %" in shown.text
    assert "only a head" not in shown.text


def test_a_curve_goes_down_where_the_loss_does(full: Page) -> None:
    loss = [tuple(map(float, point.split(","))) for point in (full.all("polyline")[0]["points"] or "").split()]
    assert [x for x, _ in loss] == sorted(x for x, _ in loss)
    assert [y for _, y in loss] == sorted(y for _, y in loss)  # pixels count from the top
    top1 = [tuple(map(float, point.split(","))) for point in (full.all("polyline")[2]["points"] or "").split()]
    assert [y for _, y in top1] == sorted((y for _, y in top1), reverse=True)


def test_whatever_a_name_holds_stays_text(tmp_path: Path) -> None:
    one = Answer(Query(EVIL), (hit(EVIL, 1), hit("stray\udcff\x1b.jpg", 2)), Route((Probability(EVIL, 0.5),), (), 1.0))
    shown = page(
        tmp_path / "r.html",
        [one],
        title=EVIL,
        settings={EVIL: {"inner": EVIL}},
        rows=[replace(row(one, [False, False], guess=EVIL), right_bucket="a<b")],
        index={"failed": [{"path": EVIL, "reason": EVIL}]},
    )
    assert shown.all("script") == []
    assert shown.text.count(EVIL) >= 8
    assert {image["alt"] for image in shown.all("img")} == {f"query {EVIL}", EVIL, "stray��.jpg"}


def test_a_plain_search_makes_a_page_too(tmp_path: Path) -> None:
    shown = page(tmp_path / "r.html", [answer(1), Answer(Query(None), error="no file")])
    assert len(shown.of_class("query")) == 2
    assert shown.of_class("mark") == []
    assert "picture from memory" in shown.text
    assert "Compared" in shown.text
    assert "Evaluation" not in shown.text
    assert len(page(tmp_path / "empty.html", []).of_class("query")) == 0


def test_a_query_without_a_right_picture_in_the_gallery_is_not_judged(tmp_path: Path) -> None:
    one = answer(1)
    lonely = replace(row(one, [False, False, False]), right_items=0, right_bucket=None)
    shown = page(tmp_path / "r.html", [one], rows=[lonely])
    assert (len(shown.of_class("query")), shown.of_class("mark"), shown.of_class("miss")) == (1, [], [])


def test_pictures_are_those_of_the_gallery(tmp_path: Path) -> None:
    (tmp_path / "gallery").mkdir()
    Image.new("RGB", (300, 150), "navy").save(tmp_path / "gallery" / "a.png")
    Image.new("RGB", (50, 100), "olive").save(tmp_path / "query.png")
    one = Answer(Query(str(tmp_path / "query.png")), (hit("a.png", 1), hit("gone.png", 2)))
    shown = page(tmp_path / "r.html", [one], thumbnails=Thumbnails(tmp_path / "gallery", side=60))
    pictures = [Image.open(io.BytesIO(base64.b64decode((a["src"] or "").partition(",")[2]))) for a in shown.all("img")]
    assert [picture.size for picture in pictures] == [(30, 60), (60, 30), (60, 60)]
    blue = pictures[1].getpixel((30, 15))
    assert isinstance(blue, tuple)
    assert max(abs(a - b) for a, b in zip(blue, (0, 0, 128), strict=True)) < 12


def test_many_queries_with_heavy_pictures_stay_small_and_say_so(tmp_path: Path) -> None:
    def heavy(path: str, kind: str, box: Box | None) -> bytes:
        return square(path, kind, box) + bytes(20_000)

    answers = [answer(i, hits=20) for i in range(1, 301)]
    shown = page(tmp_path / "r.html", answers, thumbnails=heavy)
    queries = len(shown.of_class("query"))
    per_query = (galleries.HITS + 1) * len(heavy("", "hit", None))
    assert queries * per_query < PICTURE_BYTES + 2 * per_query
    assert (tmp_path / "r.html").stat().st_size < 6_000_000
    assert f"{300 - queries} are not shown" in shown.text
    few = page(tmp_path / "few.html", answers[:20])
    assert len(few.of_class("query")) == 20
    assert "not shown" not in few.text


def test_a_report_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(EngineError):
        page(tmp_path / "file" / "r.html", [answer(1)])
    assert (tmp_path / "file").read_text() == "old"


@pytest.mark.parametrize("colours", [palette.LIGHT, palette.DARK], ids=["light", "dark"])
def test_texts_stand_out_from_what_is_behind_them(colours: palette.Palette) -> None:
    def luminance(colour: str) -> float:
        channels = [value / 255 for value in bytes.fromhex(colour[1:])]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for behind in (colours.paper, colours.panel):
        for text in (colours.ink, colours.muted, colours.accent, colours.right, colours.wrong):
            light, dark = sorted((luminance(text), luminance(behind)), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5
