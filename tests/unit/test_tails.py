"""What a training costs: the memory of its process alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_peak_is_that_of_the_program_alone() -> None:
    """A parent of 400 MiB starts a child that takes 200; neither is told the other's."""
    child = "from starter.tails import peak_mib; a = peak_mib(); b = b'x' * 200 * 2**20; print(a, peak_mib())"
    parent = f"import subprocess, sys; b = b'x' * 400 * 2**20; subprocess.run([sys.executable, '-c', {child!r}])"
    where = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "tools"), str(ROOT / "src")])}
    done = subprocess.run([sys.executable, "-c", parent], env=where, capture_output=True, text=True, check=True)
    before, after = map(float, done.stdout.split())
    assert before < 300
    assert 190 < after - before < 215
