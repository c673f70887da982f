"""Milvus Lite in a file: locked, forked, damaged, killed; types that approximate; and the same code against a server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from traces import traces

from visualsearch.datatypes import Failure, Item, Matrix, Source
from visualsearch.errors import EngineError, RefusedItems
from visualsearch.stores.bruteforce import BruteForceShelf
from visualsearch.stores.contract import Shelf, Store
from visualsearch.stores.milvus import MilvusShelf
from visualsearch.stores.milvus_client import Connection

pytest.importorskip("pymilvus", reason="pip install 'visualsearch[milvus]'")

SOURCE = Path(__file__).parents[2] / "src"


def shelf_in(folder: Path, **options: Any) -> MilvusShelf:
    return MilvusShelf(MilvusShelf.Options(**options), folder / "model" / "index")


def items_of(n: int) -> list[Item]:
    return [
        Item(f"{i:>04}", f"{i}.jpg", {"parity": str(i % 2)}, (f"b{i % 4}",), Source(f"c{i}", "s")) for i in range(n)
    ]


def rows_of(n: int, dim: int, seed: int = 0) -> Matrix:
    made = np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def published(shelf: Shelf, n: int = 20, dim: int = 8) -> None:
    store = shelf.begin("f", dim)
    store.upsert(items_of(n), rows_of(n, dim))
    shelf.publish(store)


def there(shelf: Shelf) -> Store:
    store = shelf.live()
    assert store is not None
    return store


def another_process(program: str, *arguments: object) -> subprocess.Popen[str]:
    where = {**os.environ, "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.Popen(command, env=where, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


OPENING = """
import sys
from pathlib import Path
from visualsearch.errors import EngineError
from visualsearch.stores.milvus import MilvusShelf
try:
    store = MilvusShelf(MilvusShelf.Options(), Path(sys.argv[1])).live()
    print("found", store.count())
    store.close()
except EngineError as error:
    print(error.slug, error)
"""


def test_a_file_that_another_process_has_open_is_told_in_one_sentence(tmp_path: Path) -> None:
    """And nothing but that is printed; once it is closed, the other process has it."""
    shelf = shelf_in(tmp_path)
    published(shelf)
    folder = tmp_path / "model" / "index"
    with closing(there(shelf)):
        locked, _ = another_process(OPENING, folder).communicate()
    found, _ = another_process(OPENING, folder).communicate()
    assert locked == (
        f"store-locked {folder}/milvus.db: another process has this file open, and Milvus Lite serves one at a time: "
        "wait until it is done, or use a server.\n"
    )
    assert found == "found 20\n"


def test_nothing_is_left_when_the_last_store_is_closed(tmp_path: Path) -> None:
    """No thread of a server, no socket, no lock; stores that share the file keep it open as long as they need it."""
    shelf = shelf_in(tmp_path)

    def sockets() -> list[Path]:
        return list(Path(tempfile.gettempdir()).glob(f"visualsearch-{os.getpid()}-*"))

    published(shelf)
    first, second = there(shelf), there(shelf)
    (folder,) = sockets()
    assert folder.stat().st_mode & 0o077 == 0
    first.close()
    assert second.count() == 20
    second.close()
    assert sockets() == []
    deadline = time.monotonic() + 10
    while any("milvus" in thread.name for thread in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not [thread for thread in threading.enumerate() if "milvus" in thread.name]


def test_no_file_is_made_by_looking(tmp_path: Path) -> None:
    assert shelf_in(tmp_path).live() is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # that threads are running is the point
def test_a_forked_child_is_told_and_does_no_harm(tmp_path: Path) -> None:
    shelf = shelf_in(tmp_path)
    published(shelf)
    with closing(there(shelf)) as store:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                store.count()
            except EngineError as error:
                os.write(writing, error.slug.encode())
            store.close()
            os._exit(0)
        os.waitpid(child, 0)
        assert os.read(reading, 100) == b"store-closed"
        os.close(reading), os.close(writing)
        assert store.count() == 20
        assert store.search(rows_of(1, 8), 1, [None], {})[0].hits[0].id == "0000"


@pytest.mark.parametrize("damage", ["aliases.json", "schema.json", "data_*.parquet", "an old file"])
def test_a_damaged_file_is_told_in_one_sentence(damage: str, tmp_path: Path) -> None:
    shelf = shelf_in(tmp_path)
    published(shelf)
    path = tmp_path / "model" / "index" / "milvus.db"
    if damage == "an old file":  # as Milvus Lite before 3.0 wrote
        path.rename(tmp_path / "away")
        path.write_bytes(b"SQLite format 3\0")
    else:
        for file in path.rglob(damage):
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(EngineError) as caught, closing(there(shelf)) as store:
        store.count()
    assert caught.value.slug == "store-corrupt"
    assert "delete" in str(caught.value) and "index again" in str(caught.value) and "\n" not in str(caught.value)


WRITING = """
import sys
from pathlib import Path
sys.path[:0] = [sys.argv[2], str(Path(sys.argv[2]).parent)]
from test_milvus_faults import items_of, rows_of
from visualsearch.stores.milvus import MilvusShelf
store = MilvusShelf(MilvusShelf.Options(), Path(sys.argv[1])).begin(sys.argv[3], 8)
some, rows = items_of(4_000), rows_of(4_000, 8)
for start in range(0, 4_000, 20):
    store.upsert(some[start : start + 20], rows[start : start + 20])
    print(start + 20, flush=True)
"""


@pytest.mark.parametrize("fingerprint", ["f", "g"])
def test_what_a_killed_writer_was_told_is_written_is_there(fingerprint: str, tmp_path: Path) -> None:
    """SIGKILL in the middle: the published version is whole, the unfinished one has every acknowledged item."""
    shelf, folder = shelf_in(tmp_path), tmp_path / "model" / "index"
    published(shelf)
    writer = another_process(WRITING, folder, Path(__file__).parent, fingerprint)
    assert writer.stdout is not None
    with writer.stdout as said:
        told = next(line for line in said if int(line) >= 200)
        writer.send_signal(signal.SIGKILL)
        acknowledged = int([told, *said.read().split()][-1])
    assert writer.wait() == -signal.SIGKILL and 200 <= acknowledged < 4_000
    with closing(there(shelf)) as live:
        assert [item.id for page in live.pages() for item in page] == [item.id for item in items_of(20)]
        np.testing.assert_array_equal(live.vectors(["0003", "0019"]), rows_of(20, 8)[[3, 19]])
    resumed = shelf.begin(fingerprint, 8)
    assert resumed.count() >= acknowledged and resumed.count() % 20 == 0
    assert resumed.get([item.id for item in items_of(acknowledged)]) == items_of(acknowledged)
    np.testing.assert_array_equal(
        resumed.vectors([item.id for item in items_of(acknowledged)]), rows_of(4_000, 8)[:acknowledged]
    )
    shelf.publish(resumed)
    with closing(there(shelf)) as live:
        assert live.count() >= acknowledged


# ------------------------------------------------------------------------------- index types


@pytest.mark.parametrize("metric", ["l2", "cosine"])
@pytest.mark.parametrize(
    ("index", "at_least"),
    [
        ({"index": "FLAT"}, 1.0),
        ({"index": "IVF_FLAT", "nlist": 16, "nprobe": 16}, 1.0),
        ({"index": "IVF_FLAT", "nlist": 16, "nprobe": 4}, 0.5),
        ({"index": "HNSW", "m": 8}, 0.9),
        ({"index": "AUTOINDEX"}, 0.9),
    ],
    ids=lambda value: "-".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_a_type_agrees_with_brute_force_as_far_as_it_promises(
    index: dict[str, Any], at_least: float, metric: str, tmp_path: Path
) -> None:
    """Searched in what was written to disk and indexed, in all and within buckets; every score is the cosine."""
    n, dim, k = 1_200, 16, 10
    shelf, truth = shelf_in(tmp_path, metric=metric, **index), BruteForceShelf(BruteForceShelf.Options(), tmp_path)
    published(shelf, n, dim)  # closing writes segments, which alone are indexed
    published(truth, n, dim)
    vectors, queries = rows_of(n, dim).astype(np.float64), rows_of(12, dim, seed=1)
    shared = 0
    with closing(there(shelf)) as store, closing(there(truth)) as oracle:
        for route in (None, frozenset({"b1"})):
            routes = [route] * len(queries)
            answers = zip(store.search(queries, k, routes, {}), oracle.search(queries, k, routes, {}), strict=True)
            for query, (found, right) in zip(queries, answers, strict=True):
                assert found.compared == right.compared
                cosines = vectors[[int(hit.id) for hit in found.hits]] @ query
                assert [hit.score for hit in found.hits] == pytest.approx(cosines, abs=1e-4)
                shared += len({hit.id for hit in right.hits} & {hit.id for hit in found.hits})
    agreement = shared / (2 * len(queries) * k)
    assert agreement >= at_least, f"agreement {agreement:.3f}"


def test_too_many_dimensions_and_too_large_items_are_refused(tmp_path: Path) -> None:
    shelf = shelf_in(tmp_path)
    with pytest.raises(EngineError, match="at most 32768 dimensions") as caught:
        shelf.begin("f", 32_769)
    assert caught.value.slug == "store-dimensions"
    some = items_of(3)
    huge = Item("huge", "1.jpg", {}, ("x" * 70_000,), Source("c", "s"))
    with closing(shelf.begin("f", 8)) as store:
        with pytest.raises(RefusedItems) as refused:
            store.upsert([*some, huge], rows_of(4, 8))
        assert list(refused.value.reasons) == ["huge"] and refused.value.slug == "store-refused"
        assert [item.id for item in next(store.pages())] == ["0000", "0002"]  # nothing of the path 1.jpg


def test_what_is_said_to_a_replaced_index_is_not_lost_unheard(tmp_path: Path) -> None:
    shelf = shelf_in(tmp_path)
    published(shelf)
    with closing(there(shelf)) as old:
        shelf.publish(shelf.begin("g", 8))
        assert old.count() == 20
        with pytest.raises(EngineError) as caught:
            old.upsert(items_of(1), rows_of(1, 8))
        assert caught.value.slug == "store-replaced"


# ------------------------------------------------------------------------------- by its address


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the address of Milvus Lite as a server of its own, to which the store is what it is to any server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = "from milvus_lite.cmdline import main; import sys; main(sys.argv[1:])"
    data = tmp_path_factory.mktemp("server") / "data"
    server = another_process(program, "server", "--data-dir", data, "--host", "127.0.0.1", "--port", port)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.communicate()


def test_a_server_is_used_by_two_at_once(address: str, tmp_path: Path) -> None:
    """Each finds at once what the other wrote; filters name the buckets, as nothing is known of what others write."""
    one, two = (shelf_in(tmp_path / name, uri=address, collection="two", counts_s=0.001) for name in "ab")
    oracle = BruteForceShelf(BruteForceShelf.Options(), tmp_path).begin("f", 8)
    some, vectors, queries = items_of(60), rows_of(60, 8), rows_of(5, 8, seed=1)
    with closing(one.begin("f", 8)) as first, closing(two.begin("f", 8)) as second:
        for start, store in ((0, first), (20, second), (40, first)):
            store.upsert(some[start : start + 20], vectors[start : start + 20])
            oracle.upsert(some[start : start + 20], vectors[start : start + 20])
            for store in (first, second):
                routes = [None, frozenset({"b1"}), frozenset({"b0", "b2"}), frozenset({"void"}), frozenset({"b3"})]
                for where in ({}, {"parity": "1"}):
                    found, right = store.search(queries, 7, routes, where), oracle.search(queries, 7, routes, where)
                    assert [[hit.id for hit in a.hits] for a in found] == [[hit.id for hit in b.hits] for b in right]
                    assert [a.compared for a in found] == [b.compared for b in right]
        one.publish(first)
    with closing(there(two)) as live:
        assert (live.count(), live.bucket_counts()) == (60, {"b0": 15, "b1": 15, "b2": 15, "b3": 15})


def test_a_server_that_is_away_is_told_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(EngineError) as caught:
        shelf_in(tmp_path, uri="http://127.0.0.1:1", patience_s=0.5).live()
    assert caught.value.slug == "store-unreachable"
    assert str(caught.value).startswith("Milvus at http://127.0.0.1:1: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize("method", ["upsert", "drop_collection", "rename_collection"])
def test_an_erasing_that_is_interrupted_loses_no_tombstone(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the copy of what is remembered is whole, before the old one goes, and before the copy has its name."""
    shelf = shelf_in(tmp_path)
    published(shelf)
    with closing(there(shelf)) as store:
        store.bury([f"gone {i}" for i in range(5)])
        store.record_failures([Failure("torn.jpg", "torn", Source("", ""))])
    asked = Connection.ask

    def failing(self: Connection, name: str, *what: Any, **how: Any) -> Any:
        if name == method and str(what[0]).endswith(("_state", "_state_copy")):
            raise KeyboardInterrupt
        return asked(self, name, *what, **how)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Connection, "ask", failing)
        shelf.erase(["c0"], ["torn.jpg"])
    for _ in range(2):
        with closing(there(shelf)) as store:
            assert {f"gone {i}" for i in range(5)} <= store.buried()
        assert shelf.erase(["c0"], ["torn.jpg"]) == ()
    with closing(there(shelf)) as store:
        assert (store.count(), store.failures(), len(store.buried())) == (19, [], 6)
    assert traces(tmp_path, [b"torn.jpg"]) == []
