"""Folders of files, listed; nothing is decoded here, so the files hold a few bytes."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from visualsearch.errors import DataError
from visualsearch.gallery import Listing, Picture, content_hash, file_of, in_its_place, list_pictures, require_column


@dataclass(frozen=True)
class Settings:
    """The part of the YAML that a listing needs."""

    folder: Path
    path: str | None = None
    table: Path | None = None


def make(folder: Path, *names: str) -> Path:
    """Write small files, with the folders they need."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def paths(listing: Listing) -> list[str]:
    """Return the paths of a listing, in its order."""
    return [picture.path for picture in listing.pictures]


def test_pictures_are_found_at_every_depth_and_ordered(tmp_path: Path) -> None:
    make(tmp_path, "b/2.jpg", "b/10.JPG", "a/x/y/z.png", "top.webp", "a-b/1.tiff")
    assert paths(list_pictures(Settings(tmp_path))) == [
        "a-b/1.tiff",
        "a/x/y/z.png",
        "b/10.JPG",
        "b/2.jpg",
        "top.webp",
    ]


def test_what_is_no_picture_or_hidden_is_left_out(tmp_path: Path) -> None:
    make(
        tmp_path,
        "a.jpg",
        "a.txt",
        "Thumbs.db",
        "jpg",
        ".hidden.jpg",
        ".git/b.jpg",
        "__MACOSX/c.jpg",
        "d/._d.jpg",
    )
    assert paths(list_pictures(Settings(tmp_path))) == ["a.jpg"]


def test_every_suffix_is_known(tmp_path: Path) -> None:
    names = [f"a.{suffix}" for suffix in ("bmp", "gif", "jfif", "jpeg", "jpg", "png", "tif", "tiff", "webp")]
    assert paths(list_pictures(Settings(make(tmp_path, *names)))) == names


def test_a_hidden_folder_above_the_gallery_does_not_hide_it(tmp_path: Path) -> None:
    assert paths(list_pictures(Settings(make(tmp_path / ".cache", "a.jpg")))) == ["a.jpg"]


def test_a_picture_knows_its_file_and_stamp(tmp_path: Path) -> None:
    make(tmp_path, "a/1.jpg")
    [picture] = list_pictures(Settings(tmp_path)).pictures
    about = (tmp_path / "a/1.jpg").stat()
    stamp = f"{about.st_size}:{about.st_mtime_ns}:{about.st_ctime_ns}"
    assert picture == Picture("a/1.jpg", tmp_path / "a/1.jpg", {"label": "a"}, stamp)


def test_a_folder_with_a_picture_s_name_is_a_folder(tmp_path: Path) -> None:
    assert paths(list_pictures(Settings(make(tmp_path, "odd.jpg/1.jpg")))) == ["odd.jpg/1.jpg"]


def test_links_are_followed_without_going_round(tmp_path: Path) -> None:
    gallery = make(tmp_path / "gallery", "b/1.jpg", "b/deep/2.jpg")
    outside = make(tmp_path / "outside", "3.jpg")
    (gallery / "b/deep/up").symlink_to(gallery)
    (gallery / "b/self").symlink_to(gallery / "b/self")
    (gallery / "a").symlink_to(gallery / "b")  # sorts first, yet the folder is listed by its own name
    (gallery / "c").symlink_to(outside)
    (gallery / "d").symlink_to(outside)
    (gallery / "file.jpg").symlink_to(outside / "3.jpg")
    assert paths(list_pictures(Settings(gallery))) == ["b/1.jpg", "b/deep/2.jpg", "c/3.jpg", "file.jpg"]


def test_links_that_lead_nowhere_are_listed_so_that_they_are_told(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg")
    (tmp_path / "broken.jpg").symlink_to(tmp_path / "none.jpg")
    (tmp_path / "round.jpg").symlink_to(tmp_path / "round.jpg")
    listing = list_pictures(Settings(tmp_path))
    assert paths(listing) == ["a.jpg", "broken.jpg", "round.jpg"]
    assert [picture.stamp for picture in listing.pictures[1:]] == ["", ""]


def test_pipes_are_no_pictures(tmp_path: Path) -> None:
    make(tmp_path, "a.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    assert paths(list_pictures(Settings(tmp_path))) == ["a.jpg"]


def test_names_that_are_not_utf_8_are_spelt_out_and_found_again(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
    try:
        Path(os.fsdecode(raw)).write_text("latin")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only; try another TMPDIR")
    make(tmp_path, "café.jpg", "new\nline.jpg", "plain \\xe9.jpg")
    listing = list_pictures(Settings(tmp_path))
    assert paths(listing) == ["caf\\xe9.jpg", "café.jpg", "new\nline.jpg", "plain \\xe9.jpg"]
    for picture in listing.pictures:
        picture.path.encode()
        assert picture.file.exists()
        assert file_of(tmp_path, picture.path) == picture.file


def test_missing_folders_and_files_are_told(tmp_path: Path) -> None:
    make(tmp_path, "file")
    for name, why in (("none", "there is no such folder"), ("file", "a file, not a folder")):
        with pytest.raises(DataError, match=why) as caught:
            list_pictures(Settings(tmp_path / name))
        assert caught.value.slug == "gallery-missing"


def test_an_empty_folder_says_what_is_looked_for(tmp_path: Path) -> None:
    make(tmp_path, "notes.txt", ".hidden.jpg")
    with pytest.raises(DataError, match=r"expected pictures \(\.jpg, \.jpeg, .*\.tiff\).*found none") as caught:
        list_pictures(Settings(tmp_path))
    assert caught.value.slug == "gallery-empty"


def test_an_unreadable_folder_stops_the_listing(where_permissions_hold: Path) -> None:
    folder = make(where_permissions_hold, "a/1.jpg", "b/2.jpg")
    (folder / "b").chmod(0)
    with pytest.raises(DataError, match=r"b: the folder cannot be read \(Permission denied\)") as caught:
        list_pictures(Settings(folder))
    assert caught.value.slug == "gallery-unreadable"


def test_first_folders_are_labels_and_a_flat_folder_has_no_columns(tmp_path: Path) -> None:
    make(tmp_path / "deep", "mug/red/1.jpg", "cup/2.jpg", "3.jpg")
    listing = list_pictures(Settings(tmp_path / "deep"))
    assert [dict(picture.columns) for picture in listing.pictures] == [{}, {"label": "cup"}, {"label": "mug"}]
    assert (listing.columns, listing.unmatched) == ({"label"}, 0)
    assert list_pictures(Settings(make(tmp_path / "flat", "1.jpg"))).columns == frozenset()


def test_pictures_that_do_not_fit_the_template_are_counted(tmp_path: Path) -> None:
    make(tmp_path, "mug/red-1.jpg", "mug/red.jpg", "3-4.jpg")
    listing = list_pictures(Settings(tmp_path, "{label}/{instance}-{view}"))
    columns = {picture.path: dict(picture.columns) for picture in listing.pictures}
    assert columns["mug/red-1.jpg"] == {"label": "mug", "instance": "red", "view": "1"}
    assert (columns["mug/red.jpg"], columns["3-4.jpg"], listing.unmatched) == ({}, {}, 2)


def test_the_table_wins_over_the_path_and_says_nothing_where_it_is_empty(tmp_path: Path) -> None:
    gallery = make(tmp_path / "gallery", "mug/1.jpg", "mug/2.jpg", "mug/3.jpg")
    table = tmp_path / "table.csv"
    table.write_text("path,label,brand\nmug/1.jpg,cup,Acme\nmug/2.jpg,,\nnone.jpg,x,y\n./gone.jpg,x,y\n")
    listing = list_pictures(Settings(gallery, table=table))
    columns = [dict(picture.columns) for picture in listing.pictures]
    assert columns == [{"label": "cup", "brand": "Acme"}, {"label": "mug"}, {"label": "mug"}]
    assert (listing.columns, listing.absent) == ({"label", "brand"}, 2)


def test_unknown_columns_are_answered_with_the_known_ones(tmp_path: Path) -> None:
    make(tmp_path / "a", "mug/1.jpg")
    columns = list_pictures(Settings(tmp_path / "a", "{label}/{n}")).columns
    require_column(columns, "label", "buckets.column")
    with pytest.raises(DataError, match=r"^buckets\.column: .*\(label, n\); received 'colour'") as caught:
        require_column(columns, "colour", "buckets.column")
    assert caught.value.slug == "unknown-column"
    with pytest.raises(DataError, match="none at all"):
        require_column((), "label", "gallery.group")


def test_nothing_is_written_into_the_folder(tmp_path: Path) -> None:
    make(tmp_path, "a/1.jpg")
    before = sorted((path, path.stat().st_mtime_ns) for path in (tmp_path, *tmp_path.rglob("*")))
    list_pictures(Settings(tmp_path))
    assert sorted((path, path.stat().st_mtime_ns) for path in (tmp_path, *tmp_path.rglob("*"))) == before


def test_content_hash_is_sha_256() -> None:
    assert content_hash(b"abc") == hashlib.sha256(b"abc").hexdigest()


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (["a.png", "b.JPG", "c.JPG", "d.txt", "e.txt", "f.txt"], "*.JPG"),
        (["note.txt", "mug/a.jpg", "mug/b.jpeg", "bowl/c.jpeg"], "*/*.jpeg"),
        (["x/y/1.webp"], "*/*/*.webp"),
    ],
)
def test_in_place_of_a_folder_a_pattern_is_named_that_finds_its_pictures(
    tmp_path: Path, names: list[str], pattern: str
) -> None:
    folder = make(tmp_path / "my queries", *names)
    said = in_its_place(folder)
    assert said == f"try '{folder}'/{pattern}"
    shell = subprocess.run(["sh", "-c", f"ls {said.removeprefix('try ')}"], capture_output=True, text=True, check=True)
    found = {str(Path(line).relative_to(folder)) for line in shell.stdout.splitlines()}
    assert found == {name for name in names if name.endswith(pattern.rpartition("*")[2])}


def test_a_folder_without_pictures_has_no_pattern(tmp_path: Path) -> None:
    assert in_its_place(make(tmp_path, "a.txt")) == "there are no pictures in it"
