"""The recipe makes the sample again: every picture's parameters from the seed."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "data/sample"

pytestmark = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("mitsuba", "trimesh", "shapely")),
    reason="renderer: pip install -r tools/requirements.txt",
)


def test_the_seed_gives_the_parameters_of_every_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    from render import recipe  # type: ignore[import-not-found]

    written = json.loads((SAMPLE / "recipe.json").read_text())
    for name, made in written["pictures"].items():
        space = "strangers" if name.startswith("strangers") else "sample"
        view = int(Path(name).stem.rsplit("-", 1)[1])
        again = recipe.view_of(space, written["seed"], made["family"], made["instance"], view)
        expected = {key: value for key, value in made.items() if key not in ("family", "instance")}
        assert json.loads(json.dumps(again)) == expected, name


def test_pictures_of_another_seed_or_size_are_not_mixed_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import render_gallery  # type: ignore[import-not-found]

    command = ["training", "--out", str(tmp_path), "--instances-per-family", "0"]
    assert render_gallery.main(command) == 0
    assert render_gallery.main(command) == 0
    with pytest.raises(SystemExit, match="it has some of --seed 1, --side 96: name another --out"):
        render_gallery.main([*command, "--seed", "2", "--side", "48"])
