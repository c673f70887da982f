"""Commands as a user types them: what they print, and with which code they end."""

from __future__ import annotations

import json
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from fakes import paint, paint_gallery
from PIL import Image

from visualsearch.cli import main

YAML = """
out: model
gallery: {folder: gallery}
extractor: {name: "fakes:Grid"}
classifier: {name: extractor}
routing: {keep: 0.5, widen: []}
search: {k: 3}
"""


@pytest.fixture
def yml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    paint_gallery(tmp_path / "gallery")
    (tmp_path / "application.yaml").write_text(YAML)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "application.yaml"


def printed(capsys: pytest.CaptureFixture[str], *argv: str, code: int = 0) -> Any:
    """Run a command with --json; return what it printed."""
    capsys.readouterr()
    assert main([*argv, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def complaint(capsys: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str]:
    """Run a command that fails; return its code and the one sentence on stderr."""
    capsys.readouterr()
    code = main([*argv])
    out = capsys.readouterr()
    assert "Traceback" not in out.err + out.out
    return code, " ".join(out.err.split())


def test_json_of_index_train_search_and_evaluate(yml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (yml.parent / "gallery/red/bad.jpg").write_text("Hello")
    index = printed(capsys, "index")
    assert list(index) == ["added", "changed", "renamed", "removed", "unchanged", "failed", "seconds"]
    assert (index["added"], index["unchanged"], [one["path"] for one in index["failed"]]) == (18, 0, ["red/bad.jpg"])
    assert printed(capsys, "train")["buckets"] == ["blue", "green", "red"]
    (answer,) = printed(capsys, "search", "gallery/red/red00.png", "-k", "2")
    assert list(answer) == ["query", "hits", "route", "verdict", "fit", "model", "error", "timings_ms"]
    assert [hit["path"] for hit in answer["hits"]][0] == "red/red00.png"
    assert list(answer["hits"][0]) == [
        "id", "path", "columns", "buckets", "score", "rank", "box", "rerank_score", "match_score", "match",
    ]  # fmt: skip
    assert set(answer["timings_ms"]) == {"decode", "crop", "embed", "search", "total"}
    assert answer["route"]["promise"] == {"kind": "bucket", "level": 0.5, "n": 4, "held": True}
    assert list(answer["route"]["steps"][0]) == ["why", "buckets", "compared", "added"]
    assert answer["verdict"] is answer["hits"][0]["match"] is None
    evaluation = printed(capsys, "evaluate")
    assert {"queries", "classifier", "routed", "exhaustive", "kept", "strangers"} <= set(evaluation)
    assert evaluation["queries"] == 18
    assert set(evaluation["routed"]) == {"hit_rate_at", "recall_at", "map_at", "compared"}
    assert set(evaluation["routed"]["hit_rate_at"]) == {"1", "5", "20"}
    # with one picture left out, five of its colour remain; the pictures of one hue are each other's nearest
    assert evaluation["exhaustive"]["hit_rate_at"]["1"] == 1.0
    assert evaluation["exhaustive"]["compared"] == 1.0
    assert evaluation["routed"]["compared"] == pytest.approx(6 / 18)


def test_before_a_training_an_evaluation_says_that_its_routed_figures_are_exhaustive(
    yml: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["index", "-q"])
    untrained = "no classifier is trained, so the routed search is the exhaustive one: run `visualsearch train`"
    assert untrained in printed(capsys, "evaluate")["notes"]
    assert main(["evaluate", "--report", "report.html"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    page = (yml.parent / "report.html").read_text()
    assert untrained in shown and untrained in page
    without = ["--set", "buckets={none: true}", "evaluate"]
    assert any("fewer than two buckets" in note for note in printed(capsys, *without)["notes"])
    main(["train", "-q"])
    assert not any("exhaustive one" in note for note in printed(capsys, "evaluate")["notes"])


def untimed(out: str) -> list[str]:
    """Return the lines that are printed, but for the one that says how long each stage took."""
    return re.sub(r"  time: .*?(?=^montage)", "", out, flags=re.DOTALL | re.MULTILINE).splitlines()


def test_the_one_click_run_leaves_results_and_a_second_one_embeds_nothing(
    yml: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from fakes import Grid

    assert main([]) == 0
    first = capsys.readouterr().out
    assert "red/" in first
    assert "hit rate at 1" in first
    report = yml.parent / "model/report"
    assert {file.name for file in report.iterdir()} >= {"montage.png", "report.html", "run.jsonl"}
    embedded = Grid.embedded
    assert main([]) == 0
    assert Grid.embedded == embedded
    assert untimed(capsys.readouterr().out)[-12:] == untimed(first)[-12:]


def test_a_flat_folder_is_searched_exhaustively(yml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flat = yml.parent / "flat"
    for number in range(5):
        paint(flat / f"{number}.png", seed=number)
    yml.write_text(YAML.replace("folder: gallery", "folder: flat"))
    assert main([]) == 0
    assert "no buckets" in capsys.readouterr().out.replace("\n", " ")
    (answer,) = printed(capsys, "search", "flat/3.png")
    assert (answer["hits"][0]["path"], answer["route"]["compared"]) == ("3.png", 1.0)


def test_a_single_class_is_searched_exhaustively_and_cannot_be_trained(
    yml: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for label in ("blue", "green"):
        for file in (yml.parent / "gallery" / label).iterdir():
            file.unlink()
    assert main([]) == 0
    assert "exhaustive" in capsys.readouterr().out
    code, said = complaint(capsys, "train")
    assert (code, "single-bucket" in said) == (3, True)


def test_some_unreadable_queries_exit_with_3_after_the_answers_for_the_others(
    yml: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["index", "-q"])
    capsys.readouterr()
    both = ["search", "gallery/red/red00.png", "nowhere.png"]
    assert main([*both, "--json", "--montage", "seen.png"]) == 3
    out, err = capsys.readouterr()
    good, bad = json.loads(out)
    assert (good["error"], good["hits"][0]["path"], bad["error"]) == (None, "red/red00.png", "there is no such file")
    assert json.loads(err)["error"]["slug"] == "query-unreadable"
    assert (yml.parent / "seen.png").exists()
    assert main(both) == 3
    out, err = capsys.readouterr()
    assert "red/red00.png" in out
    said = "1 of 2 pictures could not be searched, the first is nowhere.png: there is no such file."
    assert " ".join(err.split()) == f"error: {said} [query-unreadable]"
    assert main([*both[:2], "gallery/red/red01.png"]) == 0
    capsys.readouterr()
    assert main(["search", "nowhere.png"]) == 3
    assert capsys.readouterr() == ("", "error: nowhere.png: there is no such file. [query-unreadable]\n")


def test_a_folder_as_query_is_answered_with_what_to_name_instead(yml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["index", "-q"])
    code, said = complaint(capsys, "search", "gallery")
    assert (code, "gallery: a folder, not a picture: try gallery/*/*.png." in said) == (3, True)


def test_why_and_why_not(yml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["-q"])
    capsys.readouterr()
    assert main(["search", "gallery/red/red00.png", "--why"]) == 0
    out = capsys.readouterr().out
    assert "probability" in out
    assert "red" in out
    assert main(["search", "gallery/red/red00.png", "--why-not", "blue/blue00.png"]) == 0
    assert "was not probed" in capsys.readouterr().out.replace("\n", " ")
    why_not = ["search", "gallery/red/red00.png", "--why-not", "blue/blue00.png"]
    assert "is at rank" in printed(capsys, *why_not, "--exhaustive")["why_not"]
    assert "is among the hits" in printed(capsys, *why_not, "--bucket", "blue", "-k", "6")["why_not"]
    assert complaint(capsys, "search", "nowhere.png", "--why-not", "blue/blue00.png")[0] == 3
    code, said = complaint(capsys, *why_not, "--montage", "hits.png")
    assert code == 2 and "--why-not has none" in said


def test_forget_copy_and_check(yml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["-q"])
    told = printed(capsys, "forget", "red/red00.png")
    assert (list(told), told["forgotten"]) == (["forgotten", "erased", "left"], ["red/red00.png"])
    assert told["erased"][0].startswith("index: vectors, paths and columns of 1 item,")
    assert any("report/report.html" in line for line in told["erased"])
    assert any("pictures themselves are yours" in line for line in told["left"])
    assert printed(capsys, "forget", "--where", "label=blue")["forgotten"] == [
        f"blue/blue{i:02d}.png" for i in range(6)
    ]
    (yml.parent / "other.yaml").write_text(YAML.replace("out: model", "out: other"))
    assert printed(capsys, "copy", "--to", "other.yaml") == {"copied": 11}
    query = ["-yml", "other.yaml", "search", "gallery/red/red01.png", "-k", "50"]
    assert len(printed(capsys, *query, "--exhaustive")[0]["hits"]) == 11
    assert len(printed(capsys, *query)[0]["hits"]) == 5, "the classifier came along"
    assert len(printed(capsys, *query, "--exhaustive", "--where", "label=green")[0]["hits"]) == 6
    (yml.parent / "coarse.yaml").write_text(
        YAML.replace("out: model", "out: coarse").replace('Grid"', 'Grid", cells: 2')
    )
    assert printed(capsys, "-yml", "coarse.yaml", "index")["added"] == 18
    code, said = complaint(capsys, "copy", "--to", "coarse.yaml")
    assert (code, "other-extractor" in said) == (2, True)
    assert len(printed(capsys, "-yml", "coarse.yaml", *query[2:], "--exhaustive")[0]["hits"]) == 18
    found = {one["what"]: one["level"] for one in printed(capsys, "check", "--deep")}
    assert found["vectors"] == "ok"
    assert "properties" in printed(capsys, "check", "--schema")


@pytest.mark.parametrize(
    ("wrong", "codes"),
    [
        ((), []),
        (("gallery",), [3]),
        (("model",), [4]),
        (("model", "gallery"), [3, 4]),
        (("extractor",), [3]),
    ],
)
def test_check_exits_with_the_code_of_the_worst_problem(
    yml: Path, capsys: pytest.CaptureFixture[str], wrong: tuple[str, ...], codes: list[int]
) -> None:
    main(["-q", "index"])
    main(["-q", "train"])
    options = []
    if "gallery" in wrong:
        (yml.parent / "gallery").rename(yml.parent / "elsewhere")
    if "model" in wrong:
        for file in (yml.parent / "model/classifier").iterdir():
            file.write_bytes(b"torn")
    if "extractor" in wrong:
        options = ["--set", "extractor={name: 'fakes:Grid', cells: 2}"]
    assert main([*options, "check"]) == max(codes, default=0)
    found = printed(capsys, *options, "check", code=max(codes, default=0))
    assert sorted({one["exit_code"] for one in found if one["level"] == "problem"}) == codes
    assert all(one["exit_code"] == 0 for one in found if one["level"] != "problem")


def test_a_filter_on_a_column_that_is_not_there_forgets_nothing_silently(
    yml: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["index", "-q"])
    code, said = complaint(capsys, "forget", "--where", "labell=red")
    assert (code, "Did you mean 'label'?" in said) == (2, True)


def test_buckets_that_are_switched_off_are_off_at_once(yml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["-q"])
    query = ["search", "gallery/red/red00.png"]
    assert printed(capsys, *query)[0]["route"]["compared"] < 1
    assert printed(capsys, *query, "--set", "buckets={none: true}")[0]["route"]["compared"] == 1


def test_queries_that_are_missing_are_told_before_the_work(yml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = complaint(capsys, "--set", "queries.folder=nowhere")
    assert (code, "queries.folder" in said) == (3, True)
    assert not (yml.parent / "model").exists()


def test_an_index_of_another_extractor_names_it_and_the_way_out(yml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["index", "-q"])
    coarse = ["--set", "extractor={name: 'fakes:Grid', cells: 2}"]
    code, said = complaint(capsys, *coarse, "search", "gallery/red/red00.png")
    then, now = "{name: fakes:Grid, cells: 4}", "{name: fakes:Grid, cells: 2}"
    assert (code, f"made with extractor: {then}, and the YAML names {now}." in said) == (3, True)
    assert "`name:`" in said
    levels = [one["says"] for one in printed(capsys, *coarse, "check", code=3) if one["level"] == "problem"]
    assert any(then in says for says in levels)
    (yml.parent / "gallery").rename(yml.parent / "renamed")
    capsys.readouterr()
    assert main(["--set", "gallery.folder=renamed", "index"]) == 0
    said = capsys.readouterr().out
    assert f"this model was indexed from {yml.parent / 'gallery'} until now" in said and "18 unchanged" in said


@pytest.mark.parametrize(
    ("override", "code", "slug"),
    [
        ("gallery.folder=nowhere", 3, "gallery-missing"),
        ("extractor={name: resnet50, weights: 'file:none.npz'}", 4, "weights-missing"),
        ("extractor={name: mobilenet, weights: 'file:garbage.npz'}", 4, "weights-layout"),
        ("buckets.column=brand", 3, "unknown-column"),
    ],
)
def test_a_first_index_that_fails_leaves_nothing_behind(
    yml: Path, capsys: pytest.CaptureFixture[str], override: str, code: int, slug: str
) -> None:
    (yml.parent / "garbage.npz").write_text("garbage")
    before = sorted(yml.parent.rglob("*"))
    assert main(["--set", "out=models/new", "--set", override, "index", "--json"]) == code
    assert json.loads(capsys.readouterr().err)["error"]["slug"] == slug
    assert sorted(yml.parent.rglob("*")) == before


def test_a_failed_index_removes_nothing_that_was_there(yml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["index", "-q"])
    (yml.parent / "empty").mkdir()
    missing = ["--set", "extractor={name: resnet50, weights: 'file:none.npz'}", "index"]
    assert complaint(capsys, *missing)[0] == complaint(capsys, "--set", "out=empty", *missing)[0] == 4
    assert (yml.parent / "empty").is_dir()
    assert printed(capsys, "index")["unchanged"] == 18


def test_a_template_that_fits_no_path_is_an_error(yml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = complaint(capsys, "--set", "gallery.path={label}/{a}/{b}", "index")
    assert (code, "blue/blue00.png" in said) == (3, True)


def test_a_filter_that_nothing_satisfies_names_the_nearest_value(yml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["index", "-q"])
    capsys.readouterr()
    query = ["search", "gallery/red/red00.png", "--where", "label=Gren"]
    said = "no picture has label 'Gren'; did you mean 'green'?"
    assert main(query) == 0
    assert capsys.readouterr().out.count(said) == 1
    main(["train", "-q"])
    capsys.readouterr()
    for options in ([], ["--set", "routing.widen=[more, all]"], ["--bucket", "blue"], ["--exhaustive"]):
        (answer,) = printed(capsys, *query, *options)
        assert (answer["hits"], answer["route"]["steps"][-1]["why"], len(answer["route"]["steps"])) == ([], said, 2)
    (elsewhere,) = printed(capsys, *query[:-1], "label=green", "--bucket", "blue")
    assert (elsewhere["hits"], len(elsewhere["route"]["steps"])) == ([], 1), "there are such pictures, not in there"
    assert printed(capsys, "forget", "--where", "label=green")["forgotten"]
    assert printed(capsys, *query)[0]["route"]["steps"][-1]["why"] == "no picture has label 'Gren'"


def test_options_stand_before_or_behind_the_command(yml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["index", "-q"])
    query = ["search", "gallery/red/red00.png"]
    for argv in (["--set", "search.k=2", *query], [*query, "--set", "search.k=2"]):
        assert len(printed(capsys, *argv)[0]["hits"]) == 2
    before_and_behind = ["--set", "search.k=9", *query, "--set", "routing.keep=1"]
    assert printed(capsys, *before_and_behind)[0]["route"]["compared"] == 1.0


def test_montage_of_a_search(yml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["index", "-q"])
    assert main(["search", "gallery/red/red00.png", "--montage", "seen.png"]) == 0
    with Image.open("seen.png") as seen:
        assert seen.width > 300


def png_header(width: int, height: int) -> bytes:
    """Return a PNG that claims a size and has no pixels to speak of."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


def test_pictures_that_cannot_be_indexed_are_told_and_the_rest_is_searchable(
    yml: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    red = yml.parent / "gallery/red"
    (red / "text.jpg").write_text("Hello")
    (red / "empty.png").write_bytes(b"")
    (red / "huge.png").write_bytes(png_header(30_000, 30_000))
    Image.effect_noise((300, 300), 80).save(red / "torn.jpg")
    (red / "torn.jpg").write_bytes((red / "torn.jpg").read_bytes()[:9000])
    failed = {one["path"]: one["reason"] for one in printed(capsys, "index")["failed"]}
    assert set(failed) == {"red/text.jpg", "red/empty.png", "red/huge.png", "red/torn.jpg"}
    assert "30,000" in failed["red/huge.png"]
    assert len(printed(capsys, "search", "gallery/red/red00.png", "-k", "50")[0]["hits"]) == 18


@pytest.mark.parametrize(
    ("change", "argv", "code", "says"),
    [
        ("gallery: {folder: gallery}|galery: {folder: gallery}", ["index"], 2, "gallery"),
        ("keep: 0.5|kepp: 0.5", ["index"], 2, "keep"),
        ("keep: 0.5|keep: 5", ["index"], 2, "routing.keep"),
        ("fakes:Grid|resnet51", ["index"], 2, "resnet50"),
        ("folder: gallery|folder: nowhere", ["index"], 3, "nowhere"),
        ("classifier: {name: extractor}|buckets: {column: brand}", ["index"], 3, "brand"),
        ("|", ["search", "gallery/red/red00.png"], 3, "index"),
        ("|", ["-yml", "missing.yaml", "index"], 2, "missing.yaml"),
        ("|", ["--set", "routing.kepp=1", "index"], 2, "keep"),
        (
            'extractor: {name: "fakes:Grid"}|extractor: {name: resnet50, weights: "file:none.h5"}',
            ["index"],
            4,
            "none.h5",
        ),
    ],
)
def test_mistakes_are_one_sentence_and_the_right_code(
    yml: Path, capsys: pytest.CaptureFixture[str], change: str, argv: list[str], code: int, says: str
) -> None:
    old, _, new = change.partition("|")
    yml.write_text(YAML.replace(old, new) if old else YAML)
    got, said = complaint(capsys, *argv)
    assert got == code
    assert says in said
    assert said.startswith("error: ")


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (
            ["index", "-yml", "aplication.yaml"],
            "aplication.yaml: there is no such file. Did you mean 'application.yaml'?",
        ),
        (["index", "-yml", "nothere"], "nothere: there is no such file. Write one ({}) or name it with -yml."),
        (["copy", "--to", "nothere"], "nothere: there is no such file. Write one ({}) or name it with --to."),
        (["copy", "--to", "sub/othr.yml"], "sub/othr.yml: there is no such file. Did you mean 'sub/other.yml'?"),
        (["index", "-yml", "no/aplication.yaml"], "no/aplication.yaml: there is no such file. Write one ({}) or name"),
    ],
)
def test_a_yaml_that_is_not_there_is_answered_with_the_one_that_was_meant(
    yml: Path, capsys: pytest.CaptureFixture[str], argv: list[str], says: str
) -> None:
    (yml.parent / "sub").mkdir()
    (yml.parent / "sub/other.yml").write_text(YAML)
    (yml.parent / "aplication.png").touch()
    code, said = complaint(capsys, *argv)
    assert (code, said.startswith("error: " + says.format("`gallery: {folder: photos/}` is enough"))) == (2, True), said


def test_an_error_with_json_has_its_slug(yml: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "gallery/red/red00.png", "--json"]) == 3
    told = json.loads(capsys.readouterr().err)
    assert told["error"]["slug"] == "index-missing"


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["search"], "visualsearch search: the following arguments are required: IMAGE"),
        (
            ["serch", "a.jpg"],
            "visualsearch: expected a command (train, index, search, evaluate, forget, copy, check) or none; "
            "received 'serch'. Did you mean 'search'?",
        ),
        (["-yml", "a.yaml", "cehck"], "received 'cehck'. Did you mean 'check'?"),
        (["a.jpg"], "or none; received 'a.jpg'."),
        (["search", "a.jpg", "-k", "two"], "argument -k: invalid int value: 'two'"),
        (["search", "a.jpg", "--where", "label"], "expected COLUMN=VALUE; received 'label'"),
        (["copy"], "visualsearch copy: the following arguments are required: --to"),
        (["index", "--rebild"], "unrecognized arguments: --rebild"),
    ],
)
def test_a_command_line_that_is_wrong_is_an_error_like_others(
    capsys: pytest.CaptureFixture[str], argv: list[str], says: str
) -> None:
    for whole in (["--json", *argv], [*argv, "--json"]):
        assert main(whole) == 2
        out, err = capsys.readouterr()
        told = json.loads(err)
        assert (out, set(told), set(told["error"]), told["error"]["slug"]) == (
            "", {"error"}, {"slug", "message"}, "usage",
        )  # fmt: skip
        assert says in told["error"]["message"]
    assert main(argv) == 2
    out, err = capsys.readouterr()
    assert (out, err.startswith("usage: visualsearch"), f"{says}" in err) == ("", True, True)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["index"], "Stopped: what was indexed by then stays, and the same command goes on from there."),
        ([], "Stopped: what was indexed by then stays, and the same command goes on from there; a training"),
        (["train"], "Stopped: index and classifier are as they were; run it again to train from the beginning."),
        (["evaluate"], "Stopped: nothing was changed; run it again to see the rest."),
    ],
)
def test_an_interrupted_command_says_calmly_what_is_kept(
    yml: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, argv: list[str], says: str
) -> None:
    from fakes import Grid

    if argv[:1] in (["train"], ["evaluate"]):
        main(["index", "-q"])
    monkeypatch.setattr(Grid, "fails_after", 0)
    code, said = complaint(capsys, *argv)
    assert (code, said.startswith(says), "error" in said) == (130, True, False)
    assert main([*argv, "--json"]) == 130
    told = json.loads(capsys.readouterr().err)
    assert told["error"]["slug"] == "interrupted"
    assert told["error"]["message"].startswith(says)
