"""The table of tails from what was found, and the memory of a process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def found(right: list[bool], seconds: float, passes: int) -> dict[str, Any]:
    return {
        "query": ["a1-0", "a1-1", "b1-0", "b1-1"],
        "group": ["a1", "a1", "b1", "b1"],
        "classifier_right": right,
        "instance_hit": [True, True, True, False],
        "recall": [1.0, 0.5, 0.5, 0.0],
        "category_hit": [True, True, True, True],
        "tuned_instance_hit": [True, False, None, False],
        "tuned_recall": [0.5, 0.5, None, 0.5],
        "tuned_category_hit": [True, True, True, False],
        "seconds": seconds,
        "peak_mib": 1000.4,
        "gmac": 0.3147,
        "passes": passes,
    }


def test_a_row_has_means_paired_differences_and_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "tools")
    from compare_tails import rows_of

    head, block = found([True, True, False, False], 10.2, 1), found([True, False, True, True], 99.6, 1)
    own, first, second = rows_of({"head": head, "last_block": block}).values()
    assert (first["classifier top-1"].value, second["classifier top-1"].value) == (0.5, 0.75)
    assert (first["less `head`"], second["less `head`"].value) == ("", 0.25)
    # an instance loses one of two, the other gains both: a mean of its two resampled draws lies between
    assert (second["less `head`"].low, second["less `head`"].high) == (-0.5, 1.0)
    assert (second["training, s"], second["peak, MiB"], second["passes"]) == (100, 1000, 1)
    assert first["instance hit rate at 1"].value == pytest.approx(1 / 3)  # None says nothing
    assert (own["instance hit rate at 1"].value, own["recall at 20"].value, own["passes"]) == (0.75, 0.5, "")
    assert list(own) == list(first)


def test_the_peak_is_that_of_the_program_alone() -> None:
    """A parent of 400 MiB starts a child that takes 200; neither is told the other's."""
    child = "from starter.tails import peak_mib; a = peak_mib(); b = b'x' * 200 * 2**20; print(a, peak_mib())"
    parent = f"import subprocess, sys; b = b'x' * 400 * 2**20; subprocess.run([sys.executable, '-c', {child!r}])"
    where = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "tools"), str(ROOT / "src")])}
    done = subprocess.run([sys.executable, "-c", parent], env=where, capture_output=True, text=True, check=True)
    before, after = map(float, done.stdout.split())
    assert before < 300
    assert 190 < after - before < 215
