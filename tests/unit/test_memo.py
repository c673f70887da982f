"""The memo of queries: what it gives back, and when it starts anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from visualsearch.stages.memo import QueryMemo


def filled(path: Path, key: str) -> QueryMemo:
    memo = QueryMemo.open(path, key)
    probabilities = np.array([0.25, 0.75], np.float32)
    memo.add("1:2:3", np.array([0.6, 0.8], np.float32), probabilities, [1.0, 2.0, 3.0], (0, 2, 30, 40))
    memo.add("4:5:6", np.array([0.8, 0.6], np.float32), probabilities, [1.0, 2.0, 3.0], None)
    memo.save()
    return memo


def test_what_was_remembered_comes_back(tmp_path: Path) -> None:
    filled(tmp_path / "queries.npz", "model")
    entries = QueryMemo.open(tmp_path / "queries.npz", "model").entries
    assert [entry.box for entry in entries.values()] == [(0, 2, 30, 40), None]
    known = entries["1:2:3"]
    assert known.vector.tolist() == np.array([0.6, 0.8], np.float32).tolist()
    assert known.probabilities.tolist() == [0.25, 0.75]
    assert known.timings_ms.tolist() == [1, 2, 3]


def test_another_model_and_a_damaged_file_start_empty(tmp_path: Path) -> None:
    file = tmp_path / "queries.npz"
    filled(file, "model")
    assert QueryMemo.open(file, "another").entries == {}
    file.write_bytes(file.read_bytes()[:100])
    assert QueryMemo.open(file, "model").entries == {}
    assert QueryMemo.open(tmp_path / "none.npz", "model").entries == {}
