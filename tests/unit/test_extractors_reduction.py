"""The reduction against an independent singular value decomposition."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from visualsearch.errors import DataError, EngineError
from visualsearch.extractors.reduction import fit_reduction, load_reduction, save_reduction


@pytest.fixture
def rows() -> np.ndarray:
    rng = np.random.default_rng(3)
    return (rng.normal(size=(60, 12)) * np.arange(12, 0, -1) + 5).astype(np.float32)


def test_components_span_what_the_singular_vectors_span(rows: np.ndarray) -> None:
    reduction = fit_reduction(rows, 4, seed=0, basis="b")
    centred = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    right = np.linalg.svd(centred, full_matrices=False)[2][:4]
    expected = np.abs(centred @ right.T)  # the sign of a component is free
    np.testing.assert_allclose(np.abs(reduction(rows)), expected, atol=1e-3)


def test_the_full_dimension_keeps_all_distances(rows: np.ndarray) -> None:
    reduced = fit_reduction(rows, 12, seed=0, basis="b")(rows)
    distances = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    np.testing.assert_allclose(np.linalg.norm(reduced[:, None] - reduced[None], axis=2), distances, atol=1e-3)


def test_same_rows_and_seed_give_the_same_hash(rows: np.ndarray) -> None:
    first, again = (fit_reduction(rows, 3, seed=5, basis="b").sha256 for _ in range(2))
    assert first == again
    assert first != fit_reduction(rows[::2], 3, seed=5, basis="b").sha256


def test_too_few_pictures_are_one_sentence(rows: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"12 dimensions need at least 12 pictures.*gave 11") as raised:
        fit_reduction(rows[:11], 12, seed=0, basis="b")
    assert raised.value.slug == "too-few-pictures"


def test_saved_and_loaded_it_is_the_same(rows: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "new" / "pca.npz"
    saved = fit_reduction(rows, 3, seed=0, basis="of these features")
    save_reduction(saved, path)
    loaded = load_reduction(path)
    assert loaded is not None
    np.testing.assert_array_equal(loaded(rows), saved(rows))
    assert (loaded.basis, loaded.dim, loaded.sha256) == ("of these features", 3, saved.sha256)
    assert [file.name for file in path.parent.iterdir()] == ["pca.npz"]


def test_before_the_first_fit_there_is_none(tmp_path: Path) -> None:
    assert load_reduction(tmp_path / "pca.npz") is None


@pytest.mark.parametrize("damage", ["cut", "other", "changed"])
def test_a_damaged_file_is_one_sentence(damage: str, rows: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "pca.npz"
    reduction = fit_reduction(rows, 3, seed=0, basis="b")
    save_reduction(reduction, path)
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:300])
    elif damage == "other":
        path.write_text("not arrays")
    else:
        with np.load(path) as file:
            arrays = dict(file)
        np.savez(path, **{**arrays, "mean": arrays["mean"] + 1})
    with pytest.raises(EngineError, match="index again") as raised:
        load_reduction(path)
    assert raised.value.slug == "model-damaged"
