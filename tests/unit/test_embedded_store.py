"""The embedded store beyond the contract: processes, memory, disks, and what is left behind."""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from visualsearch.datatypes import Buckets, Failure, Item, Matrix, Source
from visualsearch.errors import EngineError
from visualsearch.stores.bucket_cache import entry_bytes
from visualsearch.stores.embedded import CATALOGUE, EmbeddedShelf
from visualsearch.stores.embedded_store import EmbeddedStore
from visualsearch.stores.sqlite import Database, store_errors

DIM = 8


def item(number: int, *buckets: str, **columns: str) -> Item:
    return Item(f"{number:06}", f"{number}.jpg", columns, buckets, Source(f"content {number}", "stamp"))


def rows(n: int, seed: int = 0, dim: int = DIM) -> Matrix:
    matrix = np.random.default_rng(seed).standard_normal((n, dim), dtype=np.float32)
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
def shelf(folder: Path) -> EmbeddedShelf:
    return EmbeddedShelf(EmbeddedShelf.Options(), folder)


@pytest.fixture
def store(shelf: EmbeddedShelf) -> Iterator[EmbeddedStore]:
    """Return a live index with 900 items, 300 in each of three buckets."""
    building = shelf.begin("f", DIM)
    building.upsert([item(n, f"b{n % 3}", parity=str(n % 2)) for n in range(900)], rows(900))
    shelf.publish(building)
    live = shelf.live()
    assert isinstance(live, EmbeddedStore)
    with closing(live):
        yield live


def databases(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("embedded-*.sqlite"))


def python(script: str, *arguments: object, before: Sequence[str] = ()) -> subprocess.Popen[str]:
    """Start another process that has the same imports; ``before`` is a command that runs it."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [*before, sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


WRITER = """
import sys
from contextlib import closing
from pathlib import Path
import numpy as np
from visualsearch.datatypes import Item, Source
from visualsearch.stores.embedded import EmbeddedShelf

def batch(start, n, bucket):
    matrix = np.random.default_rng(start).standard_normal((n, 8), dtype=np.float32)
    items = [Item(f"{i:06}", f"{i}.jpg", {"batch": str(start)}, (bucket, "all"), Source(str(i), "s"))
             for i in range(start, start + n)]
    return items, matrix / np.linalg.norm(matrix, axis=1, keepdims=True)

shelf = EmbeddedShelf(EmbeddedShelf.Options(), Path(sys.argv[1]))
"""


# ------------------------------------------------------------------------------- processes


def test_what_another_process_writes_is_seen_and_only_that_is_read_again(store: EmbeddedStore, folder: Path) -> None:
    query = rows(1, seed=9)
    everywhere: list[Buckets] = [None]
    assert store.search(query, 3, everywhere, {})[0].compared == 900
    with store.database.reading() as db:
        lists = dict(db.execute("SELECT value, number FROM lists WHERE kind = 'bucket'").fetchall())
        before = {name: store.cache._entries[number][2] for name, number in lists.items()}

    script = WRITER + "live = shelf.live(); live.upsert(*batch(5000, 10, 'b1')); live.delete(['000004']); live.close()"
    with python(script, folder) as writer:
        assert writer.wait() == 0

    assert store.search(query, 3, everywhere, {})[0].compared == 909
    assert store.count() == 909
    assert store.bucket_counts() == {"b0": 300, "b1": 309, "b2": 300, "all": 10}
    after = {name: store.cache._entries[number][2] for name, number in lists.items()}
    assert [after[name] is before[name] for name in ("b0", "b1", "b2")] == [True, False, True]
    new = store.vectors(["005003"])
    assert store.search(new, 1, [frozenset({"b1"})], {"batch": "5000"})[0].hits[0].id == "005003"
    assert "000004" not in {hit.id for hit in store.search(new, 1_000, everywhere, {})[0].hits}


def test_several_processes_write_at_the_same_time(store: EmbeddedStore, folder: Path) -> None:
    script = WRITER + (
        "first = int(sys.argv[2])\n"
        "with closing(shelf.live()) as live:\n"
        "    for start in range(first, first + 2000, 100): live.upsert(*batch(start, 100, f'of {first}'))"
    )
    with python(script, folder, 10_000) as one, python(script, folder, 20_000) as other:
        assert (one.wait(), other.wait()) == (0, 0)
    counts = store.bucket_counts()
    assert (store.count(), counts["of 10000"], counts["of 20000"], counts["all"]) == (4_900, 2_000, 2_000, 4_000)
    assert_consistent(store)


@pytest.mark.parametrize("moment_s", [0.0, 0.13, 0.31])
def test_a_process_that_is_killed_while_writing_leaves_whole_batches(folder: Path, moment_s: float) -> None:
    script = WRITER + (
        "store = shelf.begin('f', 8)\n"
        "for start in range(0, 900_000, 50):\n"
        "    store.upsert(*batch(start % 5000, 50, f'b{start % 7}'))\n"
        "    if start % 300 == 0: store.delete([f'{i:06}' for i in range(start % 5000, start % 5000 + 50)])\n"
        "    if start == 1000: print('going', flush=True)\n"
    )
    with python(script, folder) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "going\n"
        time.sleep(moment_s)
        writer.send_signal(signal.SIGKILL)
        assert writer.wait() == -signal.SIGKILL

    with closing(EmbeddedShelf(EmbeddedShelf.Options(), folder).begin("f", 8)) as store:
        batches: dict[str, int] = {}
        for page in store.pages():
            for one in page:
                batches[one.columns["batch"]] = batches.get(one.columns["batch"], 0) + 1
        assert batches and set(batches.values()) == {50}
        assert_consistent(store)
    assert len(databases(folder)) == 1  # resumed, not begun anew


def assert_consistent(store: EmbeddedStore) -> None:
    """Fail unless every table tells the same of every item, and a search finds each."""
    items = [one for page in store.pages() for one in page]
    counts: dict[str, int] = {}
    for one in items:
        for bucket in set(one.buckets):
            counts[bucket] = counts.get(bucket, 0) + 1
    assert store.count() == len(items)
    assert store.bucket_counts() == counts
    found = store.search(store.vectors([items[0].id]), len(items) + 1, [None], {})[0]
    assert {hit.id for hit in found.hits} == {one.id for one in items}
    with store.database.reading() as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        wrong = "SELECT * FROM lists WHERE size != (SELECT count(*) FROM postings WHERE list = number)"
        assert db.execute(wrong).fetchall() == []
        assert db.execute("SELECT count(*) FROM vectors").fetchall() == [(len(items),)]


# ------------------------------------------------------------------------------- memory


@pytest.mark.parametrize("budget", [0, 2_000, 5_000, 12_000, 40_000, 1 << 20])
def test_any_budget_gives_the_same_hits_and_is_kept(tmp_path: Path, budget: int) -> None:
    """Buckets of all sizes, items of several buckets, filters: streamed or kept, it is the same."""
    shelf = EmbeddedShelf(EmbeddedShelf.Options(), tmp_path)
    n, vectors = 6_000, rows(6_000)
    # b0 is larger than any budget but the last and is read in two pages; every ninth is in two buckets
    homes = [("b0",) if i % 3 else (f"b{i % 40}", "b0")[: 1 + (i % 9 == 0)] if i % 50 else () for i in range(n)]
    with closing(shelf.begin("f", DIM)) as store:
        assert isinstance(store, EmbeddedStore)
        store.upsert([item(i, *homes[i], tenth=str(i % 10), half=str(i % 2)) for i in range(n)], vectors)
        store.cache.budget_bytes = budget
        routes: list[Buckets] = [None, frozenset({"b0"}), frozenset({"b3", "b6", "b9"}), frozenset({"b0", "b36"})]
        asked = rows(len(routes), seed=4)
        for where in ({}, {"half": "1"}, {"tenth": "3"}, {"half": "1", "tenth": "4"}):
            for some in ([0], [1], [2], [3], [0, 1, 2, 3]):
                answers = store.search(asked[some], 15, [routes[row] for row in some], where)
                for row, found in zip(some, answers, strict=True):
                    route = routes[row]
                    inside = [
                        i
                        for i in range(n)
                        if (route is None or not homes[i] or route & set(homes[i]))
                        and where.get("tenth", str(i % 10)) == str(i % 10)
                        and where.get("half", str(i % 2)) == str(i % 2)
                    ]
                    scores = vectors[inside].astype(float) @ asked[row].astype(float)
                    best = [f"{inside[place]:06}" for place in np.argsort(-scores, kind="stable")[:15]]
                    assert [hit.id for hit in found.hits] == best
                    assert found.compared == len(inside)
                held = [part for _, _, part in store.cache._entries.values()]
                arrays = sum(part.numbers.nbytes + part.shared.nbytes + part.matrix.nbytes for part in held)
                assert arrays <= store.cache.held_bytes <= budget
                assert store.cache.held_bytes == sum(entry_bytes(len(p), p.matrix.shape[1]) for p in held)


def test_what_was_searched_longest_ago_is_evicted_first(store: EmbeddedStore) -> None:
    store.cache.budget_bytes = 2 * entry_bytes(300, DIM)
    with store.database.reading() as db:
        names = dict(db.execute("SELECT number, value FROM lists WHERE kind = 'bucket'").fetchall())
    for bucket in ("b0", "b1", "b0", "b2"):
        store.search(rows(1), 1, [frozenset({bucket})], {})
    assert [names[number] for number in store.cache._entries] == ["b0", "b2"]


# ------------------------------------------------------------------------------- files


def test_a_superseded_file_stays_while_it_is_open_and_goes_afterwards(
    store: EmbeddedStore, shelf: EmbeddedShelf, folder: Path
) -> None:
    shelf.publish(shelf.begin("g", DIM))
    assert len(databases(folder)) == 2
    assert store.search(rows(1), 5, [None], {})[0].compared == 900  # from the old file, on new connections too
    with pytest.raises(EngineError) as caught:
        store.bury(["lost if it were written here"])
    assert caught.value.slug == "store-replaced"
    store.close()
    with closing(shelf.live()) as live:
        assert live.fingerprint == "g"
    assert databases(folder) == [live.path.name]


def test_publishing_again_and_beginning_again_leave_one_file(shelf: EmbeddedShelf, folder: Path) -> None:
    for fingerprint in ("f", "g", "g", "h"):
        shelf.begin("given up", DIM).close()
        store = shelf.begin(fingerprint, DIM)
        store.upsert([item(1)], rows(1))
        shelf.publish(store)
        shelf.publish(store)  # already live: nothing to do
    assert len(databases(folder)) == 1
    assert sorted(path.name for path in folder.iterdir()) == [*databases(folder), CATALOGUE]


def test_what_a_kill_leaves_on_the_shelf_does_not_harm(shelf: EmbeddedShelf, folder: Path) -> None:
    folder.mkdir()
    (folder / CATALOGUE).touch()  # killed before anything was written to it
    (folder / "embedded-00000000.sqlite").touch()  # killed before it was entered
    assert shelf.live() is None
    assert databases(folder) == []
    shelf.publish(shelf.begin("f", DIM))
    with closing(shelf.live()) as live:
        assert live.count() == 0


def test_what_is_deleted_leaves_no_trace_in_the_files(shelf: EmbeddedShelf, folder: Path) -> None:
    name = "Wilhelmina-the-Unforgettable"
    stays = [item(n, "b", person="somebody") for n in range(50)]
    gone = Item("gone", f"{name}/1.jpg", {"person": name}, (name,), Source(f"{name} content", "s", f"{name} look"))
    store = shelf.begin("f", DIM)
    store.upsert([*stays, gone], rows(51))
    vector = store.vectors(["gone"]).tobytes()
    shelf.publish(store)

    def traces() -> list[str]:
        files = [path for path in folder.iterdir() if path.is_file()]
        return [p.name for p in files if name.encode() in p.read_bytes() or vector in p.read_bytes()]

    assert traces()
    with closing(shelf.live()) as live:
        live.delete(["gone"])
    assert traces() == []


def test_what_another_program_left_in_free_pages_is_erased(shelf: EmbeddedShelf, folder: Path) -> None:
    """One that deletes without overwriting, as SQLite does unless it is told: the file is written anew."""
    store = shelf.begin("f", DIM)
    store.upsert([item(n, "b") for n in range(50)], rows(50))
    shelf.publish(store)
    file = folder / databases(folder)[0]
    with closing(sqlite3.connect(file)) as other:
        other.execute("PRAGMA secure_delete = OFF")
        other.executemany("INSERT INTO failures VALUES (?, 'Wilhelmina', '', '', '')", [(str(n),) for n in range(99)])
        other.commit()
        other.execute("DELETE FROM failures")
        other.commit()
    assert b"Wilhelmina" in file.read_bytes()
    assert shelf.erase([], []) == ()
    assert not [path for path in folder.iterdir() if b"Wilhelmina" in path.read_bytes()]
    with closing(shelf.live()) as live:
        assert live.count() == 50


def test_a_reader_of_an_old_state_is_waited_for_and_named(
    shelf: EmbeddedShelf, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log cannot be emptied while it reads; afterwards it can."""
    monkeypatch.setattr("visualsearch.stores.embedded.Database", functools.partial(Database, timeout_s=0.1))
    store = shelf.begin("f", DIM)
    store.upsert([Item("gone", "Wilhelmina", {}, (), Source("c", "s"))], rows(1))
    shelf.publish(store)
    with closing(shelf.live()) as live:
        assert isinstance(live, EmbeddedStore)
        with live.database.reading() as db:
            assert db.execute("SELECT count(*) FROM items").fetchone() == (1,)
            with pytest.raises(EngineError, match="another process was reading") as caught:
                shelf.erase(["c"], [])
            assert caught.value.slug == "store-locked"
        assert shelf.erase(["c"], []) == ()
        assert not [path for path in folder.iterdir() if b"Wilhelmina" in path.read_bytes()]


# ------------------------------------------------------------------------------- what goes wrong


def test_a_file_of_a_newer_version_is_refused(store: EmbeddedStore, shelf: EmbeddedShelf) -> None:
    with store.database.writing() as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(EngineError, match="version 99: .* update") as caught:
        shelf.live()
    assert caught.value.slug == "store-newer"
    with pytest.raises(EngineError, match="version 99"):
        shelf.begin("g", DIM)


@pytest.mark.parametrize("damage", ["text", "torn", "empty", "missing", "other"])
def test_a_file_that_is_no_index_is_told_in_one_sentence(
    store: EmbeddedStore, shelf: EmbeddedShelf, damage: str
) -> None:
    store.close()
    if damage == "text":
        store.path.write_text("this is no database " * 500)
    elif damage == "torn":
        store.path.write_bytes(store.path.read_bytes()[:20_000])
    elif damage == "empty":
        store.path.write_bytes(b"")
    else:
        store.path.unlink()
        if damage == "other":
            with closing(sqlite3.connect(store.path)) as other:
                other.execute("CREATE TABLE something (completely)")
    with pytest.raises(EngineError) as caught, closing(shelf.live()) as live:
        live.search(rows(1), 5, [None], {})
    assert caught.value.slug == "store-corrupt"
    assert str(store.path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_writer_that_takes_too_long_is_told(store: EmbeddedStore) -> None:
    with closing(EmbeddedStore(store.path, timeout_s=0.05)) as other, store.database.writing():
        with pytest.raises(EngineError) as caught:
            other.delete(["000001"])
        assert caught.value.slug == "store-locked"
        assert other.count() == 900  # reading goes on meanwhile
    assert store.count() == 900


def test_a_batch_that_fails_half_way_leaves_nothing(store: EmbeddedStore) -> None:
    with store.database.reading() as db:
        db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0] + 3}").fetchall()
    new = [item(10_000 + n, "new") for n in range(5_000)]
    with pytest.raises(EngineError) as caught:
        store.upsert(new, rows(5_000))
    assert caught.value.slug == "store-disk-full"
    assert (store.count(), "new" in store.bucket_counts()) == (900, False)
    assert store.search(rows(1), 900, [None], {})[0].compared == 900
    assert_consistent(store)


def test_what_the_file_system_refuses_is_told(folder: Path) -> None:
    for error, slug in ((PermissionError(13, "no"), "store-permission"), (OSError(28, "full"), "store-disk-full")):
        with pytest.raises(EngineError) as caught, store_errors(folder):
            raise error
        assert caught.value.slug == slug
    folder.touch()  # a file where the folder should be
    with pytest.raises(EngineError) as caught:
        EmbeddedShelf(EmbeddedShelf.Options(), folder).begin("f", DIM)
    assert str(folder) in str(caught.value)


SMALL_DISK = (
    WRITER
    + """
import json, os, subprocess
from visualsearch.errors import EngineError

def opened_again():
    with closing(EmbeddedShelf(EmbeddedShelf.Options(), Path(sys.argv[1])).live()) as fresh:
        found = fresh.search(batch(0, 1, "b")[1], 3, [None], {})[0]
        try:
            fresh.upsert(*batch(100_000, 500, "b"))
            slug = None
        except EngineError as error:
            slug = error.slug
        return [found.compared, len(found.hits), slug]

store = shelf.begin("f", 8)
store.upsert(*batch(0, 500, "b"))
shelf.publish(store)
"""
)


def test_a_full_disk_keeps_what_was_stored_searchable(tmp_path: Path) -> None:
    script = """
written = 500
with closing(shelf.live()) as live:
    live.search(batch(0, 1, "b")[1], 3, [None], {})
    try:
        while True:
            live.upsert(*batch(written, 500, "b"))
            written += 500
    except EngineError as error:
        report = {"slug": error.slug, "sentence": str(error)}
    found = live.search(batch(0, 1, "b")[1], 3, [None], {})[0]
    report |= {"written": written, "while": [found.compared, live.count(), live.bucket_counts()]}
print(json.dumps(report | {"afterwards": opened_again()}))
"""
    report = on_small_disk(tmp_path, SMALL_DISK + script)
    assert isinstance(report, dict)
    assert report["slug"] == "store-disk-full"
    assert "\n" not in report["sentence"]
    written = report["written"]
    assert report["while"] == [written, written, {"b": written, "all": written}]
    assert report["afterwards"] == [written, 3, "store-disk-full"]


def test_an_index_on_a_full_disk_opens(tmp_path: Path) -> None:
    script = """
try:
    with open(os.path.dirname(sys.argv[1]) + "/filler", "wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))
except OSError:
    print(json.dumps(opened_again()))
"""
    assert on_small_disk(tmp_path, SMALL_DISK + script) == [500, 3, "store-disk-full"]


def test_an_index_on_a_read_only_disk_opens(tmp_path: Path) -> None:
    script = """
subprocess.run(["mount", "-o", "remount,ro", os.path.dirname(sys.argv[1])], check=True)
print(json.dumps(opened_again()))
"""
    assert on_small_disk(tmp_path, SMALL_DISK + script) == [500, 3, "store-permission"]


def on_small_disk(tmp_path: Path, script: str) -> object:
    """Run a script on a file system of 3 MB that exists for it alone; return the JSON it prints."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size=3m tmpfs {disk}"
    alone = ["unshare", "--mount", *(["--map-root-user"] if os.geteuid() else []), "sh", "-c"]
    if not shutil.which("unshare") or subprocess.run([*alone, mount], capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here; needs Linux and `unshare --mount`")
    with python(script, disk / "index", before=[*alone, f'{mount} && exec "$@"', "sh"]) as run:
        assert run.stdout is not None
        report = run.stdout.read()
    assert run.returncode == 0
    return json.loads(report)


def test_options_are_checked() -> None:
    assert EmbeddedShelf.Options().memory_mib == 1024
    for wrong in ({"memory_mib": 0}, {"memory_mb": 5}, {"memory_mib": "much"}):
        with pytest.raises(ValidationError):
            EmbeddedShelf.Options(**wrong)


def test_failures_survive_closing(store: EmbeddedStore, shelf: EmbeddedShelf) -> None:
    failure = Failure("torn.jpg", "torn", Source("c", "s", "l"))
    store.record_failures([failure])
    store.bury(["content 1"])
    store.close()
    with closing(shelf.live()) as live:
        assert (live.failures(), live.buried(), live.count()) == ([failure], {"content 1"}, 900)
