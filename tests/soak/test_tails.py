"""The comparison of tails on a small gallery, every figure of it computed once more by hand."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toys import COLOURS, picture, stage_cost, trunk_cost

ROOT = Path(__file__).parents[2]
STARTER_SIDE = json.loads((ROOT / "models" / "starter" / "card.json").read_text(encoding="utf-8"))["side"]
KINDS, INSTANCES, VIEWS = [f"{colour} disc" for colour in COLOURS], 4, 4


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write instances of coloured discs, three views of each for the gallery and one to ask with."""
    folder = tmp_path_factory.mktemp("data")
    for kind in KINDS:
        for instance in range(INSTANCES):
            for view in range(VIEWS):
                name = f"{kind.split()[0]}{instance}-{view}.png"
                path = folder / ("queries" if view == 3 else "gallery") / kind / name
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(picture(kind, 100 * instance + view).pixels).save(path)
    return folder


@pytest.mark.soak
@pytest.mark.parametrize(("tail", "passes"), [("head", 1), ("last_block", 1), ("all", 2)])
def test_a_query_costs_what_the_layers_add_up_to(
    tail: str, passes: int, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT / "tools")
    from starter.tails import compare

    told = compare(data, "random", tail, tmp_path)
    trunk, block = trunk_cost(side=STARTER_SIDE), stage_cost(STARTER_SIDE, 3)
    added = {"head": 0, "last_block": block, "all": trunk}[tail] + 2048 * len(KINDS)
    assert (told["gmac"], told["passes"]) == (pytest.approx((trunk + added) / 1e9, abs=5e-4), passes)
    if tail == "head":  # random weights have no projection, so the frozen pooled layer is the embedding
        for column in ("instance_hit", "recall", "category_hit"):
            assert told[f"tuned_{column}"] == told[column]


@pytest.mark.soak
def test_each_query_is_told_right(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "tools")
    from starter.tails import compare, starter_at

    from visualsearch.datatypes import Crop
    from visualsearch.extractors.applications import ApplicationExtractor
    from visualsearch.runtimes import create_runtime

    made = compare(data, "random", "last_block", tmp_path / "made")
    with starter_at(tmp_path / "made" / "random"):
        extractor = ApplicationExtractor(ApplicationExtractor.Options(), create_runtime("tensorflow"), tmp_path)
    paths = {part: sorted((data / part).glob("*/*.png")) for part in ("gallery", "queries")}
    gallery, queries = (
        extractor.embed([Crop(np.asarray(Image.open(path))) for path in paths[part]]) for part in ("gallery", "queries")
    )
    order = np.argsort(-queries @ gallery.T, axis=1)
    found = [[paths["gallery"][i].stem.partition("-")[0] for i in row] for row in order]
    asked = [path.stem.partition("-")[0] for path in paths["queries"]]
    assert made["instance"] == asked
    assert made["instance_hit"] == [row[0] == one for row, one in zip(found, asked, strict=True)]
    assert made["recall"] == [row[:20].count(one) / 3 for row, one in zip(found, asked, strict=True)]
    kinds = [paths["gallery"][row[0]].parent.name for row in order]
    assert made["category_hit"] == [kind == one for kind, one in zip(kinds, made["label"], strict=True)]
    assert {len(made[key]) for key in made if isinstance(made[key], list) and key != "notes"} == {len(asked), 0}
    assert made["peak_mib"] > 100 and made["seconds"] > 0
    sys.modules.pop("starter.tails", None)
