"""What `check --deep` says of searches that approximate; compared with a store that loses hits on purpose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import paint_gallery

from visualsearch import VisualSearch
from visualsearch.datatypes import Buckets, Found, Item, Matrix, Source
from visualsearch.stages.proving import vector_findings
from visualsearch.stores.bruteforce import BruteForceShelf, BruteForceStore, Contents
from visualsearch.stores.contract import Store


class Forgetful(BruteForceStore):
    """Returns other items in place of every second hit, as a graph may that was walked too hastily."""

    def search(self, vectors: Matrix, k: int, buckets: Sequence[Buckets], where: Mapping[str, str]) -> list[Found]:
        """Keep the first, third, … hit."""
        return [
            replace(found, hits=found.hits[: 2 * k : 2]) for found in super().search(vectors, 2 * k, buckets, where)
        ]


@pytest.mark.parametrize(("kind", "level", "share"), [(BruteForceStore, "ok", "1.000"), (Forgetful, "note", "0.500")])
def test_the_share_of_brute_forces_hits_is_told(kind: type[BruteForceStore], level: str, share: str) -> None:
    store = kind(Contents("f", 8))
    vectors = np.random.default_rng(0).standard_normal((300, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    store.upsert([Item(f"{n:03}", f"{n}.jpg", {}, (), Source(str(n), "")) for n in range(300)], vectors)
    lengths, agreement = vector_findings(store)
    assert lengths.level == "ok"
    assert (agreement.level, agreement.what) == (level, "agreement")
    assert f"return {share} of the 20 hits" in agreement.says
    assert list(vector_findings(BruteForceStore(Contents("f", 8)))) == [lengths]


class Noted(BruteForceShelf):
    """A shelf whose store says what could be better, as one does whose index is of an older make."""

    def live(self) -> Store | None:
        """Open the index that searches use."""
        store = super().live()
        if store is not None:
            store.notes = lambda: ["v1 is old: run index --rebuild"]  # type: ignore[attr-defined]
        return store


@pytest.mark.parametrize("store", ["bruteforce", "test_stages_checking:Noted"])
def test_what_a_store_says_of_itself_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: str) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent)
    paint_gallery(tmp_path / "gallery", each=1)
    (tmp_path / "a.yaml").write_text(
        f'gallery: {{folder: gallery}}\nextractor: {{name: "fakes:Grid"}}\nstore: {{name: "{store}"}}'
    )
    with VisualSearch.from_yaml(tmp_path / "a.yaml") as search:
        search.index()
        notes = [one.says for one in search.check() if (one.level, one.what) == ("note", "index")]
    assert notes == (["v1 is old: run index --rebuild"] if store.endswith("Noted") else [])
