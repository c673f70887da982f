"""Every store of the table, and those of others: VISUALSEARCH_TEST_STORES=package.module:Class,...

Milvus is a file here; VISUALSEARCH_TEST_MILVUS=http://... names a server to be tested too, whose
collections `visualsearch_conformance_...` are left behind.
"""

from __future__ import annotations

import itertools
import os
import secrets

import pytest
from servers import VERSIONS
from shelves import MakeShelf

from visualsearch.errors import EngineError
from visualsearch.plugins import load
from visualsearch.stores import STORES
from visualsearch.stores.contract import Shelf

OTHERS = [name for name in os.environ.get("VISUALSEARCH_TEST_STORES", "").split(",") if name]

MILVUS = os.environ.get("VISUALSEARCH_TEST_MILVUS")


STORES_AND_VERSIONS = [
    (name, version)
    for name in (*sorted(STORES), *OTHERS)
    for version in (VERSIONS if name == "elasticsearch" else (None,))
] + [("milvus", MILVUS)] * bool(MILVUS)
"""Each store's name with the version of the server that it needs, or its address, if any."""


@pytest.fixture(scope="session", params=STORES_AND_VERSIONS, ids=lambda row: "-".join(filter(None, row)))
def make_shelf(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> MakeShelf:
    """Return what makes shelves of a store."""
    name, version = request.param
    try:
        plugin = load(STORES, name, "store")
    except EngineError as error:
        pytest.skip(str(error))
    if name == "milvus":
        pytest.importorskip("pymilvus", reason="pip install 'visualsearch[milvus]'")
    server = request.getfixturevalue("elasticsearch_server")(version) if name == "elasticsearch" else None
    folder = tmp_path_factory.mktemp("shelves")
    numbers = itertools.count()

    def make() -> Shelf:
        number = next(numbers)
        where = {"hosts": server.addresses, "index": f"conformance-{number}"} if server else {}
        if name == "milvus" and version:
            where = {"uri": version, "collection": f"conformance_{secrets.token_hex(4)}"}
        return plugin(plugin.Options(name=name, **where), folder / str(number) / "index")

    # a server forgets within half a minute: that is waited for on one of the versions
    disk = None if version else folder
    return MakeShelf(make, server.folder if server and version == VERSIONS[0] else disk)


@pytest.fixture
def shelf(make_shelf: MakeShelf) -> Shelf:
    """Return an empty shelf."""
    return make_shelf()
