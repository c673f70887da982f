"""Ours on real faces: the ten queries among twenty people of LFW, where it lies beside the checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.protocols.people import PAIRS, part
from tools.protocols.rows import Task, row_of
from tools.protocols.systems import SYSTEMS
from visualsearch.progress import silent

pytestmark = pytest.mark.soak


def test_all_pictures_of_the_ten_are_found(
    real_pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lfw = real_pictures / "lfw"
    people = part(lfw, 20, tmp_path / "people")
    monkeypatch.setenv("LFW", str(people))
    [ours] = [system for system in SYSTEMS if system.id == "lfw"]
    row = row_of(ours, Task(tmp_path / "out", people, lfw / PAIRS), silent)
    assert row["measured"], row.get("note")
    found = row["figures"]
    assert found["ten"] == {"queries": 10, "found": 50, "of": 50}
    assert found["without_face"] == 0
    assert found["leave_one_out"]["hit_rate_at_1"] >= 0.985
    assert found["leave_one_out"]["map_at_20"] >= 0.96
