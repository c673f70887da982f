"""The montage: queries and their hits as one PNG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from visualsearch.datatypes import Answer, Box, Hit
from visualsearch.files import replacing
from visualsearch.gallery import file_of
from visualsearch.model import GENERATOR
from visualsearch.presentation.palette import LIGHT
from visualsearch.presentation.thumbnails import Picture, shrunk
from visualsearch.presentation.wording import Judge, bucket_list, count, nobody_knows, percent, printable, query_name

SIDE = 168
"""Of a thumbnail."""

GAP, MARGIN, LABEL = 16, 28, 68
"""Between tiles, around everything, and the height of the lines under a tile."""

QUERY = SIDE + 2 * GAP
"""Width of the panel that sets the query apart."""

HEADER = 46

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things stand, in pixels."""

    columns: int
    rows: int

    @property
    def row_height(self) -> int:
        """Return the height of a query's row, its lower gap included."""
        return SIDE + LABEL + 3 * GAP

    @property
    def size(self) -> tuple[int, int]:
        """Return width and height of the montage."""
        width = 2 * MARGIN + QUERY + GAP + self.columns * (SIDE + GAP)
        return width, MARGIN + HEADER + self.rows * self.row_height + MARGIN

    def query(self, row: int) -> tuple[int, int]:
        """Return the left upper corner of a query's thumbnail."""
        return MARGIN + GAP, MARGIN + HEADER + row * self.row_height + GAP

    def hit(self, row: int, column: int) -> tuple[int, int]:
        """Return the left upper corner of a hit's thumbnail."""
        left, top = self.query(row)
        return left + SIDE + 2 * GAP + GAP + column * (SIDE + GAP), top


def draw_montage(
    answers: Sequence[Answer],
    gallery_folder: Path,
    query_image_of: Callable[[Answer], Picture | None],
    path: Path,
    *,
    judge: Judge = nobody_knows,
    title: str = "",
    hits: int = 8,
    rows: int = 24,
) -> None:
    """Write a PNG: a row for each query, its hits beside it, best first.

    Args:
        answers: what to draw; answers without hits say why.
        gallery_folder: what the hits' paths are relative to.
        query_image_of: the picture that an answer is for, or None where it is not at hand.
        path: where the PNG goes.
        judge: says which hits are right, where the truth is known.
        title: what stands above.
        hits: how many hits a row has at most.
        rows: how many queries are drawn at most; the title says how many are left out.

    Raises:
        EngineError: the file cannot be written.
    """
    shown = answers[:rows]
    widest = max((len(answer.hits) for answer in shown), default=0)
    sheet = _Sheet(Layout(columns=max(1, min(hits, widest)), rows=max(1, len(shown))))
    sheet.header(title, len(shown), len(answers), any_judged(shown, judge, hits))
    for row, answer in enumerate(shown):
        sheet.query(row, answer, query_image_of(answer))
        for column, hit in enumerate(answer.hits[: sheet.layout.columns]):
            sheet.hit(row, column, hit, file_of(gallery_folder, hit.path), judge(answer, hit))
    with replacing(path) as part:
        sheet.image.save(part, "PNG", pnginfo=_signed())


def _signed() -> PngInfo:
    """Return the word in the file by which `forget` knows a montage of ours."""
    info = PngInfo()
    info.add_text("Software", GENERATOR)
    return info


def any_judged(answers: Sequence[Answer], judge: Judge, hits: int) -> bool:
    """Return whether the truth is known of any hit that is shown."""
    return any(judge(answer, hit) is not None for answer in answers for hit in answer.hits[:hits])


def letterboxed(image: Image.Image, side: int = SIDE) -> Image.Image:
    """Return a square with the picture in its middle, its proportions kept."""
    square = Image.new("RGB", (side, side), LIGHT.panel)
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square


class _Sheet:
    """The paper that is drawn on."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.image = Image.new("RGB", layout.size, LIGHT.paper)
        self.draw = ImageDraw.Draw(self.image)
        self.large, self.normal, self.small = (ImageFont.load_default(size) for size in (22, 15, 13))

    def header(self, title: str, shown: int, total: int, judged: bool) -> None:
        queries = count(total, "query", "queries")
        told = queries if shown == total else f"the first {shown} of {queries}"
        left, top, right = MARGIN, MARGIN - 6, self.layout.size[0] - MARGIN - GAP
        if judged:
            right = self._legend(right, top + 4)
        if title:
            title = self._shortened(title, right - left)
            self.draw.text((left, top), title, LIGHT.ink, self.large)
            left += int(self.draw.textlength(title, self.large)) + 14
        if left + self.draw.textlength(told, self.normal) <= right:
            self.draw.text((left, top + 6), told, LIGHT.muted, self.normal)

    def query(self, row: int, answer: Answer, picture: Picture | None) -> None:
        left, top = self.layout.query(row)
        box = (left - GAP, top - GAP, left + SIDE + GAP, top + SIDE + LABEL + GAP)
        self.draw.rounded_rectangle(box, 10, LIGHT.panel, LIGHT.line)
        self._tile(left, top, picture, answer.query.box)
        self._text(left, top + SIDE + 8, _name(answer), LIGHT.ink, self.normal)
        for number, line in enumerate(_route(answer)):
            self._text(left, top + SIDE + 30 + 18 * number, line, LIGHT.muted, self.small)
        if answer.error is not None or not answer.hits:
            x, y = self.layout.hit(row, 0)
            self._wrapped(x, y, answer.error or "no hits")

    def hit(self, row: int, column: int, hit: Hit, picture: Path, right: bool | None) -> None:
        left, top = self.layout.hit(row, column)
        self._tile(left, top, picture, hit.box)
        told = f"{hit.score:.3f} match" if hit.match else f"{hit.score:.3f}"
        self.draw.text((left, top + SIDE + 8), told, LIGHT.ink, self.normal)
        frame = (left - 3, top - 3, left + SIDE + 2, top + SIDE + 2)
        self.draw.rectangle(frame, outline=LIGHT.right if right else LIGHT.line, width=3 if right else 1)
        if right is not None:
            self._mark(left + SIDE - 22, top + SIDE + 7, right)
        self._text(left, top + SIDE + 30, hit.path, LIGHT.muted, self.small)

    def _tile(self, left: int, top: int, picture: Picture | None, box: Box | None) -> None:
        if picture is not None:
            self.image.paste(letterboxed(shrunk(picture, SIDE, box)), (left, top))
        else:
            self.draw.rectangle((left, top, left + SIDE, top + SIDE), LIGHT.line)

    def _mark(self, left: int, top: int, right: bool) -> None:
        """Draw a check in a disc or a cross in a square, 20 pixels wide."""
        if right:
            self.draw.ellipse((left, top, left + 20, top + 20), LIGHT.right)
            check = [(left + 5, top + 10), (left + 9, top + 14), (left + 15, top + 6)]
            self.draw.line(check, LIGHT.paper, 3, joint="curve")
            return
        self.draw.rectangle((left, top, left + 20, top + 20), LIGHT.wrong)
        for down in ((5, 15), (15, 5)):
            self.draw.line((left + 5, top + down[0], left + 15, top + down[1]), LIGHT.paper, 3)

    def _legend(self, right_edge: int, top: int) -> int:
        """Draw what the marks mean; return where that begins."""
        for right, word in ((False, "wrong"), (True, "right")):
            right_edge -= int(self.draw.textlength(word, self.normal))
            self.draw.text((right_edge, top + 1), word, LIGHT.muted, self.normal)
            right_edge -= 26
            self._mark(right_edge, top, right)
            right_edge -= 18
        return right_edge

    def _shortened(self, title: str, width: int) -> str:
        """Return a title at most ``width`` pixels wide: what is too long loses its end."""
        parts = (title, *(f"{title[:end].rstrip()}…" for end in range(len(title) - 1, 0, -1)))
        return next((part for part in parts if self.draw.textlength(part, self.large) <= width), "…")

    def _text(self, left: int, top: int, text: str, colour: str, font: Font) -> None:
        """Write one line, shortened where it is wider than a tile."""
        self.draw.text((left, top), fitted(printable(text), SIDE, self.draw, font), colour, font)

    def _wrapped(self, left: int, top: int, text: str) -> None:
        lines, width = [""], self.layout.size[0] - left - MARGIN
        for word in printable(text).split():
            longer = f"{lines[-1]} {word}".strip()
            fits = self.draw.textlength(longer, self.normal) <= width
            lines[-1:] = [longer] if fits or not lines[-1] else [lines[-1], word]
        self.draw.text((left, top + 8), "\n".join(lines[:8]), LIGHT.wrong, self.normal, spacing=6)


def fitted(text: str, width: int, draw: ImageDraw.ImageDraw, font: Font) -> str:
    """Return ``text`` at most ``width`` pixels wide: what is too long loses its beginning, a path its folders first."""
    name = len(text) - len(text.rpartition("/")[2])
    folders = (f"…{text[start:]}" for start in range(1, name))
    shorter_names = (f"…{text[start:]}" for start in range(name + 1, len(text)))
    shown = chain([text], folders, [text[name:]], shorter_names)
    return next((short for short in shown if draw.textlength(short, font) <= width), "…")


def _name(answer: Answer) -> str:
    return query_name(answer.query.path)


def _route(answer: Answer) -> list[str]:
    if answer.route is None:
        return []
    compared = f"compared {percent(answer.route.compared)}" + (f" · {answer.verdict}" if answer.verdict else "")
    return [bucket_list(answer.route.buckets, most=1) or "exhaustive", compared]
