"""The montage, pixel by pixel where it matters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from visualsearch.datatypes import Answer, Hit, Probability, Query, Route
from visualsearch.errors import EngineError
from visualsearch.presentation import montage
from visualsearch.presentation.montage import SIDE, Layout, draw_montage, fitted, letterboxed
from visualsearch.presentation.palette import LIGHT

ROUTE = Route((Probability("mug", 0.9),), (), 0.5)


def colour(name: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(getattr(LIGHT, name)[1:]))


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    """Return a folder with a wide, a tall and a small picture."""
    random = np.random.default_rng(0)
    for name, shape in {"wide": (200, 400, 3), "tall": (400, 100, 3), "small": (20, 20, 3)}.items():
        Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8)).save(tmp_path / f"{name}.png")
    return tmp_path


def answer(gallery: Path, *paths: str) -> Answer:
    hits = tuple(Hit(path, path, {}, ("mug",), 0.9, rank) for rank, path in enumerate(paths, start=1))
    return Answer(Query(str(gallery / "wide.png")), hits, ROUTE)


def drawn(path: Path, answers: list[Answer], gallery: Path, **options: object) -> Image.Image:
    draw_montage(answers, gallery, lambda one: one.query.path and Path(one.query.path), path, **options)  # type: ignore[arg-type]
    return opened(path)


def opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.copy()


def tile(image: Image.Image, corner: tuple[int, int]) -> np.ndarray:
    return np.asarray(image)[corner[1] : corner[1] + SIDE, corner[0] : corner[0] + SIDE]


def expected_tile(path: Path) -> np.ndarray:
    """Shrink and centre independently of the product."""
    picture = opened(path)
    scale = min(1.0, SIDE / max(picture.size))
    small = picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS)
    square = np.full((SIDE, SIDE, 3), colour("panel"), dtype=np.uint8)
    top, left = (SIDE - small.height) // 2, (SIDE - small.width) // 2
    square[top : top + small.height, left : left + small.width] = np.asarray(small)
    return square


def test_queries_and_hits_stand_where_the_layout_says(gallery: Path) -> None:
    answers = [answer(gallery, "tall.png", "small.png"), answer(gallery, "small.png")]
    image = drawn(gallery / "out" / "m.png", answers, gallery)
    layout = Layout(columns=2, rows=2)
    assert image.size == layout.size
    for row in (0, 1):
        assert (tile(image, layout.query(row)) == expected_tile(gallery / "wide.png")).all()
    assert (tile(image, layout.hit(0, 0)) == expected_tile(gallery / "tall.png")).all()
    assert (tile(image, layout.hit(0, 1)) == expected_tile(gallery / "small.png")).all()
    assert (tile(image, layout.hit(1, 0)) == expected_tile(gallery / "small.png")).all()
    assert (tile(image, layout.hit(1, 1)) == colour("paper")).all()


def test_marks_differ_in_shape_as_well_as_in_colour(gallery: Path) -> None:
    one = answer(gallery, "tall.png", "small.png", "wide.png")
    judged = {"tall.png": True, "small.png": False, "wide.png": None}
    image = drawn(gallery / "m.png", [one], gallery, judge=lambda _, hit: judged[hit.id])
    layout = Layout(columns=3, rows=1)
    marks = []
    for column in range(3):
        left, top = layout.hit(0, column)
        region = np.asarray(image)[top + SIDE + 4 : top + SIDE + 30, left + SIDE - 24 : left + SIDE]
        marks.append(region)
    right, wrong = (
        (region == colour(name)).all(axis=2) for region, name in zip(marks, ("right", "wrong"), strict=False)
    )
    assert right.sum() > 150
    assert wrong.sum() > 150
    assert (right ^ wrong).sum() > 60  # disc and square, check and cross
    assert (marks[2] == colour("paper")).all()


def test_a_long_title_ends_before_what_the_marks_mean(gallery: Path) -> None:
    narrow = [answer(gallery, "small.png")]
    draw_montage(
        narrow, gallery, lambda one: None, gallery / "m.png", judge=lambda one, hit: True, title="A long title " * 9
    )
    header = np.asarray(opened(gallery / "m.png"))[:60]
    marks = np.flatnonzero((header == colour("right")).all(axis=2).any(axis=0))
    letters = np.flatnonzero((header == colour("ink")).all(axis=2).any(axis=0))
    assert len(letters)
    assert letters.max() < marks.min() - 5


def test_many_queries_and_hits_do_not_make_it_endless(gallery: Path) -> None:
    many = [answer(gallery, *["small.png"] * 30)] * 100
    image = drawn(gallery / "m.png", many, gallery, rows=5, hits=4)
    assert image.size == Layout(columns=4, rows=5).size


def test_pictures_that_are_gone_and_queries_without_hits_are_drawn_all_the_same(gallery: Path) -> None:
    answers = [
        answer(gallery, "gone.png"),
        Answer(Query(None), error="the file cannot be read: " + "a long reason " * 20),
        Answer(Query("line\nbreak-\x1b-ü.jpg"), (), Route((), (), 1.0)),
    ]
    draw_montage(answers, gallery, lambda one: None, gallery / "m.png", title="A title")
    image = opened(gallery / "m.png")
    layout = Layout(columns=1, rows=3)
    assert image.size == layout.size
    assert len(np.unique(tile(image, layout.hit(0, 0)).reshape(-1, 3), axis=0)) == 1


def test_a_letterbox_keeps_the_proportions() -> None:
    square = letterboxed(Image.new("RGB", (SIDE, SIDE // 2), "red"))
    assert square.size == (SIDE, SIDE)
    reds = (np.asarray(square) == (255, 0, 0)).all(axis=2)
    assert reds.sum() == SIDE * (SIDE // 2)
    assert square.getpixel((0, 0)) == colour("panel")


@pytest.mark.parametrize("text", ["short.jpg", "gallery/some-folder/with-a-very-long-name-in-it-03.jpg", "W" * 500])
def test_labels_fit_and_keep_their_end(text: str) -> None:
    draw, font = ImageDraw.Draw(Image.new("RGB", (1, 1))), ImageFont.load_default(13)
    short = fitted(text, 120, draw, font)
    assert draw.textlength(short, font) <= 120
    assert short == text or short[-6:] == text[-6:]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("gallery/some-folder/red-mug-03.jpg", "red-mug-03.jpg"),
        ("strangers-of-all-kinds/tractor-02.jpg", "tractor-02.jpg"),
        ("a-folder/name-of-18-mm.jpg", "name-of-18-mm.jpg"),
    ],
)
def test_a_file_name_that_fits_is_never_cut(text: str, kept: str) -> None:
    draw, font = ImageDraw.Draw(Image.new("RGB", (1, 1))), ImageFont.load_default(13)
    name = draw.textlength(kept, font)
    for width in range(int(name) + 1, int(draw.textlength(text, font)) + 20, 7):
        short = fitted(text, width, draw, font)
        assert short.endswith(kept)
        assert draw.textlength(short, font) <= width
        if short not in (text, kept):
            assert short[0] == "…" and text.endswith(short[1:])
            longer = f"…{text[len(text) - len(short) :]}"
            assert longer == f"…{text}" or draw.textlength(longer, font) > width, "one more letter had room"
    cut = fitted(text, int(name) - 10, draw, font)
    assert "/" not in cut and cut[0] == "…" and kept.endswith(cut[1:]) and cut[-4:] == ".jpg"


def test_a_folder_that_is_a_file_is_one_sentence(gallery: Path) -> None:
    with pytest.raises(EngineError) as caught:
        draw_montage([], gallery, lambda one: None, gallery / "wide.png" / "m.png")
    assert caught.value.slug == "disk"


def test_no_answers_make_an_empty_sheet(gallery: Path) -> None:
    assert drawn(gallery / "m.png", [], gallery).size == Layout(columns=1, rows=1).size
    assert montage.any_judged([], lambda *_: True, 3) is False
