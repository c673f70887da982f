"""Every store of the table, and those of others: VISUALSEARCH_TEST_STORES=package.module:Class,..."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from typing import TypeAlias

import pytest

from visualsearch.errors import EngineError
from visualsearch.plugins import load
from visualsearch.stores import STORES
from visualsearch.stores.contract import Shelf

OTHERS = [name for name in os.environ.get("VISUALSEARCH_TEST_STORES", "").split(",") if name]

MakeShelf: TypeAlias = Callable[[], Shelf]


@pytest.fixture(scope="session", params=[*sorted(STORES), *OTHERS])
def make_shelf(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> MakeShelf:
    """Return a function that makes an empty shelf, in a folder of its own, with every call."""
    try:
        plugin = load(STORES, request.param, "store")
    except EngineError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("shelves")
    numbers = itertools.count()
    options = plugin.Options(name=request.param)
    return lambda: plugin(options, folder / str(next(numbers)) / "index")


@pytest.fixture
def shelf(make_shelf: MakeShelf) -> Shelf:
    """Return an empty shelf."""
    return make_shelf()
