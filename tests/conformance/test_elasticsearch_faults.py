"""What happens to the store when servers, disks and lines fail, with real servers: nothing lost, one sentence."""

from __future__ import annotations

import secrets
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import faults
import pytest
import servers
from breaking_line import line_to
from elasticsearch import Elasticsearch
from fakes import paint
from faults import Disturbed, Ended, Gallery, assert_holds, assert_same, holder, live_shelf, opened
from servers import Cluster
from traffic import Traffic

from visualsearch.cli import main
from visualsearch.errors import EngineError
from visualsearch.stages.writing import BATCH

FIRST = servers.VERSIONS[0]
PICTURES = 4 * BATCH

SHORT_S = 4
"""Patience that ends; less than this an index may take to be made on a busy machine."""

NARROW = {
    "node.processors": "1",  # one thread writes,
    "thread_pool.write.queue_size": "1",  # and one request waits
    "indexing_pressure.memory.limit": "3mb",
    "cluster.info.update.interval": "1h",  # the server itself would take off a block that it has not set
}
"""Settings of a server that is soon busy."""


@pytest.fixture(scope="module")
def narrow() -> Iterator[Cluster]:
    """Yield a server of this module's own, which may be stopped and is soon busy."""
    with servers.cluster(FIRST, settings=NARROW) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    """Return pictures that the embedded store has indexed without any fault."""
    made = Gallery(tmp_path_factory.mktemp("gallery"), PICTURES)
    assert main(["-yml", str(made.yml("embedded", "embedded")), "-q", "index"]) == 0
    return made


@pytest.fixture
def name() -> str:
    """Return a name for an index of the test's own."""
    return f"faults-{secrets.token_hex(4)}"


Index = Callable[..., Ended]


@pytest.fixture
def index(capsys: pytest.CaptureFixture[str]) -> Index:
    """Return a function that runs the command `index` and returns how it ended."""

    def run(yml: Path, *arguments: str) -> Ended:
        capsys.readouterr()
        code = main(["-yml", str(yml), "index", *arguments])
        return Ended(code, *capsys.readouterr())

    return run


# ------------------------------------------------------------------------------- the line breaks


def test_every_answer_is_lost_once_and_the_index_is_whole(
    elasticsearch: Cluster, gallery: Gallery, name: str, index: Index
) -> None:
    """Of each request every second answer is cut, so all that `index` and searches ask for is asked for twice."""
    asked = Counter[str]()

    def every_second(request: str) -> bool:
        asked[request] += 1
        return asked[request] % 2 == 1

    with line_to(elasticsearch.addresses[0], every_second) as line:
        yml = gallery.yml(name, hosts=[line.address])
        assert index(yml, "--json").summary["added"] == PICTURES
        assert index(yml, "--json", "--rebuild").summary["added"] == PICTURES
        assert_same(yml, gallery.folder / "embedded.yaml")
    for part in ("_bulk", "_msearch", "_aliases", "_refresh", "_settings", f"PUT /visualsearch-{name}-v1", "_nodes"):
        assert any(part in request for request in line.broken), part
    assert_same(gallery.yml(name, hosts=elasticsearch.addresses), gallery.folder / "embedded.yaml")


def test_a_line_that_always_breaks_is_told_in_a_sentence_and_the_next_run_goes_on(
    elasticsearch_server: Callable[[str], Cluster],
    gallery: Gallery,
    name: str,
    index: Index,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (server,) = elasticsearch_server(FIRST).addresses
    broken: list[bool] = []
    monkeypatch.setattr(Disturbed, "happens", {3 * BATCH: lambda: broken.append(True)})
    with line_to(server, lambda request: bool(broken) and "_bulk" in request) as line:
        said = index(gallery.yml(name, hosts=[line.address], patience_s=SHORT_S)).said("store-unreachable")
    assert len(line.broken) > 1
    assert said.startswith(f"Elasticsearch at {line.address}: expected an answer within {SHORT_S} s; received none (")
    assert said.endswith(
        "): see whether it runs, and whether store.hosts names its addresses, https:// where it wants TLS."
    )
    assert said.count("(") == said.count(")") and "'" not in said
    monkeypatch.setattr(Disturbed, "happens", {})
    yml = gallery.yml(name, hosts=[server])
    summary = index(yml, "--json").summary
    # the server has taken the third batch too: only its answers were lost
    assert (summary["unchanged"], summary["added"]) == (3 * BATCH, PICTURES - 3 * BATCH)
    assert_same(yml, gallery.folder / "embedded.yaml")


# ------------------------------------------------------------------------------- the server refuses


def turned_read_only(
    cluster: Cluster, block: str, yml: Path, name: str, index: Index, patch: pytest.MonkeyPatch
) -> str:
    """Set a block in the middle of a run, take it off, run again; return what the first run said."""
    with Elasticsearch(cluster.addresses) as client:

        def turn(value: bool | None) -> None:
            client.indices.put_settings(index=f"visualsearch-{name}", settings={f"index.blocks.{block}": value})

        patch.setattr(Disturbed, "happens", {3 * BATCH: lambda: turn(True)})
        said = index(yml).said("store-read-only")
        client.indices.refresh(index=f"visualsearch-{name}")
        assert client.count(index=f"visualsearch-{name}")["count"] == 2 * BATCH
        turn(None)
    patch.setattr(Disturbed, "happens", {})
    summary = index(yml, "--json").summary
    assert (summary["unchanged"], summary["added"]) == (2 * BATCH, PICTURES - 2 * BATCH)
    return said


def test_an_index_turned_read_only_by_hand(
    elasticsearch: Cluster, gallery: Gallery, name: str, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    yml = gallery.yml(name, hosts=elasticsearch.addresses)
    said = turned_read_only(elasticsearch, "write", yml, name, index, monkeypatch)
    assert f"[visualsearch-{name}-v1] blocked by: [FORBIDDEN/8/index write (api)]: free disk space" in said
    assert_same(yml, gallery.folder / "embedded.yaml")


def test_an_index_that_takes_deletes_only_for_its_disk_is_full(
    narrow: Cluster, gallery: Gallery, name: str, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server sets this block at its flood stage, and takes it off as soon as there is room: so it is waited for."""
    yml = gallery.yml(name, hosts=narrow.addresses, patience_s=SHORT_S)
    said = turned_read_only(narrow, "read_only_allow_delete", yml, name, index, monkeypatch)
    assert "flood-stage watermark" in said and "free disk space where it is full" in said
    assert_same(yml, gallery.folder / "embedded.yaml")


def test_a_refused_picture_is_named_with_the_reason_and_the_others_are_stored(
    elasticsearch: Cluster, name: str, index: Index, tmp_path: Path
) -> None:
    pictures = Gallery(tmp_path, 40)
    crooked = paint(tmp_path / "gallery/2/crooked.png", seed=1, size=(9, 8))
    yml = pictures.yml(name, crop="faults:Crooked", hosts=elasticsearch.addresses)
    summary = index(yml, "--json").summary
    ((path, reason),) = [one.values() for one in summary["failed"]]
    assert (summary["added"], path) == (40, "2/crooked.png")
    assert reason.startswith("the store refused it: ") and str(2**40) in reason
    assert index(yml, "--json").summary["unchanged"] == 40, "it is not tried again until it changes"
    held, _ = faults.found(yml)
    assert sorted(path for path, *_ in held.values()) == [
        f"{n % 7}/{n:05}.png" for n in sorted(range(40), key=lambda n: (n % 7, n))
    ]
    paint(crooked, seed=1, size=(8, 8))
    assert index(yml, "--json").summary["added"] == 1
    embedded = pictures.yml("embedded", "embedded", crop="faults:Crooked")
    assert index(embedded).code == 0
    assert_same(yml, embedded)
    for number in range(2):  # where all are refused, the fault may be the index's, so none is given up
        paint(tmp_path / f"gallery/3/crooked{number}.png", seed=number, size=(9, 8))
    assert " of 3/crooked0.png (and 1 more): " in index(yml).said("store-refused")


# ------------------------------------------------------------------------------- the server is busy


def refused(cluster: Cluster) -> tuple[int, int]:
    """Return how many requests the server has refused: for its queue was full, and for its memory was."""
    (node,) = cluster.get("_nodes/stats/thread_pool,indexing_pressure")["nodes"].values()
    pressure = node["indexing_pressure"]["memory"]["total"]
    return node["thread_pool"]["write"]["rejected"], pressure["coordinating_rejections"]


def test_a_full_queue_only_takes_longer(narrow: Cluster, name: str) -> None:
    """Ten writers at once, one thread that writes, room for one request to wait."""
    writers, each, dim = 10, 40, 64
    vectors = faults.random_rows(writers * each, dim)
    shelf = live_shelf(narrow, name, dim)
    before, _ = refused(narrow)
    together = threading.Barrier(writers, timeout=60)

    def write(writer: int) -> None:
        part = slice(writer * each, (writer + 1) * each)
        with closing(opened(shelf)) as store:
            for _ in range(2):  # again is harmless
                together.wait()
                store.upsert(faults.items(range(part.start, part.stop)), vectors[part])

    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(write, range(writers)))
    assert refused(narrow)[0] > before
    assert_holds(shelf, vectors)


def test_a_server_that_stays_busy_is_told_in_a_sentence(narrow: Cluster, name: str) -> None:
    """Requests of 4 MiB are more than this server ever has room for; those of 1 MiB take turns."""
    vectors = faults.random_rows(800, 512)
    items = faults.items(range(len(vectors)))
    shelf = live_shelf(narrow, name, 512, bulk_mib=4, patience_s=SHORT_S)
    _, before = refused(narrow)
    with closing(opened(shelf)) as store, pytest.raises(EngineError) as caught:
        store.upsert(items, vectors)
    assert caught.value.slug == "store-busy"
    said = str(caught.value)
    assert "rejected execution of coordinating operation" in said and "\n" not in said
    assert said.endswith(": let it recover, or raise store.patience_s, and run again: nothing is lost.")
    smaller = live_shelf(narrow, name, 512, bulk_mib=1)
    with closing(opened(smaller)) as store:
        store.upsert(items, vectors)
    assert refused(narrow)[1] > before
    assert_holds(smaller, vectors)


# ------------------------------------------------------------------------------- servers go and come


def test_a_server_stopped_and_started_in_the_middle_of_a_run(
    narrow: Cluster, gallery: Gallery, name: str, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First for longer than patience lasts, then again, in the middle of the run that goes on."""
    yml = gallery.yml(name, hosts=narrow.addresses, patience_s=SHORT_S)
    monkeypatch.setattr(Disturbed, "happens", {3 * BATCH: lambda: narrow.stop(0)})
    said = index(yml).said("store-unreachable")
    assert "Connection refused" in said
    with ThreadPoolExecutor(1) as background:
        starting = background.submit(narrow.restart, 0)
        monkeypatch.setattr(Disturbed, "happens", {})
        summary = index(gallery.yml(name, hosts=narrow.addresses), "--json").summary
        starting.result()
    assert (summary["unchanged"], summary["added"]) == (2 * BATCH, PICTURES - 2 * BATCH)
    assert_same(yml, gallery.folder / "embedded.yaml")


def test_a_node_killed_while_others_write_and_search(name: str) -> None:
    """Three nodes, two copies of each shard; the node dies that has the one to which everything is written first."""
    vectors = faults.random_rows(4_000, 32)
    with servers.cluster(FIRST, nodes=3) as cluster:
        shelf = live_shelf(cluster, name, 32, replicas=1)
        traffic = Traffic(shelf, vectors)
        with traffic.flows():
            traffic.goes_on()
            victim = holder(cluster, f"visualsearch-{name}")
            cluster.kill(victim)
            traffic.goes_on()
            assert holder(cluster, f"visualsearch-{name}") != victim
        assert_holds(shelf, vectors)
