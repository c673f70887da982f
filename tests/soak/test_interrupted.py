"""An index on ten thousand pictures, killed five times at random, ends as one that was not."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from fakes import paint

from visualsearch import VisualSearch

YAML = 'out: {out}\ngallery: {{folder: gallery}}\nextractor: {{name: "fakes:Grid"}}\n'
PICTURES, KILLS = 10_000, 5


def contents(yml: Path) -> dict[str, tuple[Any, ...]]:
    with VisualSearch.from_yaml(yml) as search:
        store = search._parts.shelf.live()
        assert store is not None
        items = [item for page in store.pages() for item in page]
        vectors = store.vectors([item.id for item in items])
        store.close()
    return {item.id: (item.path, item.buckets, row.tobytes()) for item, row in zip(items, vectors, strict=True)}


@pytest.mark.soak
def test_killed_five_times_at_random(tmp_path: Path) -> None:
    for number in range(PICTURES):
        paint(tmp_path / f"gallery/{number % 50:02d}/{number:05d}.png", seed=number, hue=number % 3, size=(8, 8))
    for name in ("whole", "torn"):
        (tmp_path / f"{name}.yaml").write_text(YAML.format(out=name))
    whole, torn = tmp_path / "whole.yaml", tmp_path / "torn.yaml"
    with VisualSearch.from_yaml(whole) as search:
        start = time.monotonic()
        search.index()
        seconds = time.monotonic() - start
    command = [sys.executable, "-m", "visualsearch", "-yml", str(torn), "--json", "index"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    killed = 0
    for _ in range(KILLS):
        running = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            running.communicate(timeout=1 + random.uniform(0.1, 0.3) * seconds)
        except subprocess.TimeoutExpired:
            running.send_signal(signal.SIGKILL)
            running.communicate()
            killed += 1
    assert killed >= 1, "the index was done before it could be killed"
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["failed"] == []
    assert contents(torn) == contents(whole)
