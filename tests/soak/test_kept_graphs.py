"""The graphs that a model folder keeps: made by `index` and `train`, used by searches, gone when nothing uses them."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes import paint_gallery
from toys import write_starter

from visualsearch import VisualSearch
from visualsearch.extractors import weights
from visualsearch.runtimes import openvino

YAML = """
out: model
gallery: {folder: gallery}
extractor: {name: resnet50, weights: starter}
classifier: {train: head, copies: 0}
runtime: {engine: openvino}
"""


def opened(folder: Path) -> VisualSearch:
    (folder / "application.yaml").write_text(YAML)
    return VisualSearch.from_yaml(folder / "application.yaml")


def kept(folder: Path) -> set[str]:
    return {path.name for path in (folder / "model" / "runtime").iterdir()}


@pytest.mark.soak
def test_a_training_prepares_the_first_search_and_new_weights_leave_no_old_graphs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino", reason="pip install openvino")
    paint_gallery(tmp_path / "gallery", each=4)
    first, second = (write_starter(tmp_path / f"starter{seed}", seed=seed) for seed in (1, 2))
    monkeypatch.setattr(weights, "STARTER_FOLDERS", (first,))
    with opened(tmp_path) as search:
        search.index()
        (of_extractor,) = kept(tmp_path)
        search.train()
        assert of_extractor in kept(tmp_path)
        assert len(kept(tmp_path)) == 2
    converted: list[str] = []
    convert = openvino.OpenVINORuntime._convert

    def noting(self: openvino.OpenVINORuntime, graph: object, key: str) -> object:
        converted.append(key)
        return convert(self, graph, key)

    monkeypatch.setattr(openvino.OpenVINORuntime, "_convert", noting)
    with opened(tmp_path) as search:
        answer = search.search(tmp_path / "gallery/red/red00.png", k=2)
        assert answer.hits[0].path == "red/red00.png"
        assert answer.route is not None and answer.route.buckets, "routed by the classifier"
    assert converted == [], "the training has prepared it"
    monkeypatch.setattr(weights, "STARTER_FOLDERS", (second,))
    with opened(tmp_path) as search:
        search.index()
    assert kept(tmp_path) == set(converted)
    assert len(converted) == 1 and of_extractor not in converted
