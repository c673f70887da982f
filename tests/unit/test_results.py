"""Which queries stand for all of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from visualsearch.results import Results


@pytest.mark.parametrize(
    ("queries", "number", "chosen"),
    [
        (256, 8, [16, 48, 80, 112, 144, 176, 208, 240]),
        (18, 12, [0, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17]),
        (3, 12, [0, 1, 2]),
        (0, 12, []),
    ],
)
def test_examples_are_spread_over_all_queries_but_strangers(queries: int, number: int, chosen: list[int]) -> None:
    answers = [*range(queries), "stranger"]
    rows = [SimpleNamespace(stranger=answer == "stranger") for answer in answers]
    evaluation: Any = SimpleNamespace(answers=answers, rows=rows)
    settings: Any = None
    assert Results(settings, evaluation, {}).examples(number) == chosen
