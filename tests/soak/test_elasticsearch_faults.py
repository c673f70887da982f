"""Nodes that die while `index` runs and others search, on three of them and on one, of both majors."""

from __future__ import annotations

import random
import secrets
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import faults
import pytest
import servers
from elasticsearch import Elasticsearch
from faults import Gallery, assert_holds, assert_same, begin, end, holder, live_shelf, opened, taken, until
from servers import Cluster
from traffic import Traffic

from visualsearch.errors import EngineError
from visualsearch.stages.writing import BATCH

pytestmark = pytest.mark.soak

PICTURES = 20 * BATCH
PAUSE_S = 0.25
"""Between two batches, so that there is a middle of a run."""

SHORT_S = 10
"""Patience that ends."""

KILLS = 5


@pytest.fixture(scope="module", params=servers.VERSIONS)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Yield three nodes."""
    with servers.cluster(request.param, nodes=3) as started:
        yield started


@pytest.fixture
def three(cluster: Cluster) -> Iterator[Cluster]:
    """Yield three nodes that are well and empty; those that a test has killed are brought back."""
    cluster.wait(status="green")
    yield cluster
    for number, process in reversed(list(enumerate(cluster.processes))):
        if process.poll() is not None:
            cluster.restart(number)
    with Elasticsearch(cluster.addresses) as client:
        for index in client.indices.get(index="visualsearch-*"):
            client.indices.delete(index=index)


@pytest.fixture(params=servers.VERSIONS)
def one(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Yield one node of the test's own."""
    with servers.cluster(request.param) as started:
        yield started


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    """Return pictures that the embedded store has indexed without any fault."""
    made = Gallery(tmp_path_factory.mktemp("gallery"), PICTURES)
    assert end(begin(made.yml("embedded", "embedded"))).code == 0
    return made


@pytest.fixture
def name() -> str:
    """Return a name for an index of the test's own."""
    return f"faults-{secrets.token_hex(4)}"


def in_the_middle(running: subprocess.Popen[str], cluster: Cluster, index: str) -> None:
    """Wait until a run of `index` has written some batches."""
    until(lambda: running.poll() is not None or taken(cluster, index) >= 3 * BATCH)
    assert running.poll() is None, end(running)


def whole(yml: Path) -> Path:
    """Return the YAML of the same pictures in the embedded store."""
    return yml.with_name("embedded.yaml")


# ------------------------------------------------------------------------------- three nodes


def test_each_node_dies_once_while_others_write_and_search(three: Cluster, name: str) -> None:
    """No search fails or finds anything else, and every item that was acknowledged is there."""
    vectors = faults.random_rows(6_000, 32)
    shelf = live_shelf(three, name, 32, replicas=1, shards=3)
    traffic = Traffic(shelf, vectors)
    with traffic.flows():
        for node in range(3):
            three.wait(status="green")
            traffic.goes_on()
            three.kill(node)
            traffic.goes_on()
            three.restart(node)
    assert_holds(shelf, vectors)


def test_the_first_index_goes_on_when_a_node_dies(three: Cluster, gallery: Gallery, name: str) -> None:
    yml = gallery.yml(name, pause_s=PAUSE_S, hosts=three.addresses)
    running = begin(yml, "--json")
    in_the_middle(running, three, f"visualsearch-{name}-v1")
    three.kill(holder(three, f"visualsearch-{name}-v1"))
    assert end(running).summary["added"] == PICTURES
    assert_same(yml, whole(yml))


@pytest.mark.parametrize("back", [True, False], ids=["the node comes back", "it stays away"])
def test_a_rebuild_without_copies_says_that_it_was_lost(
    three: Cluster, gallery: Gallery, name: str, back: bool
) -> None:
    """The live index answers meanwhile; the next run goes on where the node is back, and begins anew where not."""
    yml = gallery.yml(name, pause_s=PAUSE_S, hosts=three.addresses, patience_s=SHORT_S)
    assert end(begin(yml)).code == 0
    running = begin(yml, "--rebuild")
    in_the_middle(running, three, f"visualsearch-{name}-v2")
    lost = holder(three, f"visualsearch-{name}-v2")
    three.kill(lost)
    said = end(running).said("store-shards")
    assert f"[visualsearch-{name}-v2][0]" in said and "index --rebuild" in said
    assert_same(yml, whole(yml))
    if back:
        three.restart(lost)
    summary = end(begin(yml, "--rebuild", "--json")).summary
    assert summary["added"] + summary["unchanged"] == PICTURES
    assert (summary["unchanged"] >= 3 * BATCH) if back else (summary["unchanged"] == 0)
    assert_same(yml, whole(yml))
    if not back:
        three.restart(lost)  # what it still has of the lost one is not taken up again
    with Elasticsearch(three.addresses) as client:
        three.wait(status="green")
        versions = sorted(client.indices.get(index=f"visualsearch-{name}-v*"))
        assert versions == [f"visualsearch-{name}-v{n}" for n in ((1, 2) if back else (1, 3))]


def test_a_rebuild_with_copies_goes_on_when_a_node_dies(three: Cluster, gallery: Gallery, name: str) -> None:
    yml = gallery.yml(name, pause_s=PAUSE_S, hosts=three.addresses, loading_replicas=1)
    assert end(begin(yml)).code == 0
    running = begin(yml, "--rebuild", "--json")
    in_the_middle(running, three, f"visualsearch-{name}-v2")
    three.kill(holder(three, f"visualsearch-{name}-v2"))
    assert end(running).summary["added"] == PICTURES
    assert_same(yml, whole(yml))


def test_a_majority_that_is_away_is_told_and_nothing_is_lost(three: Cluster, name: str) -> None:
    vectors = faults.random_rows(2_000, 32)
    items = faults.items(range(2_000))
    shelf = live_shelf(three, name, 32, replicas=1, patience_s=SHORT_S)
    three.wait(status="green")
    with closing(opened(shelf)) as store:
        store.upsert(items[:1_000], vectors[:1_000])
        for node in (0, 1):
            three.kill(node)
        with pytest.raises(EngineError) as caught:
            store.upsert(items[1_000:], vectors[1_000:])
        assert caught.value.slug == "store-busy"
        assert "no master" in str(caught.value) and "\n" not in str(caught.value)
        assert str(caught.value).endswith("raise store.patience_s, and run again: nothing is lost.")
        three.restart(1)  # it died last, so what it has is newer
        store.upsert(items[1_000:], vectors[1_000:])
    assert_holds(shelf, vectors)


# ------------------------------------------------------------------------------- one node


def test_a_server_that_ends_in_order_and_one_that_is_killed_are_waited_for(
    one: Cluster, gallery: Gallery, name: str
) -> None:
    yml = gallery.yml(name, pause_s=PAUSE_S, hosts=one.addresses, patience_s=240)
    running = begin(yml, "--json")
    for stop in (one.stop, one.kill):
        before = taken(one, f"visualsearch-{name}-v1")
        until(lambda before=before: taken(one, f"visualsearch-{name}-v1") >= before + 3 * BATCH)
        stop(0)
        assert running.poll() is None, end(running)
        one.restart(0)
    assert end(running).summary["added"] == PICTURES
    assert_same(yml, whole(yml))


def test_an_index_killed_at_random_ends_as_one_that_was_not(one: Cluster, gallery: Gallery, name: str) -> None:
    yml = gallery.yml(name, pause_s=PAUSE_S, hosts=one.addresses)
    killed = 0
    for _ in range(KILLS):
        running = begin(yml)
        try:
            running.communicate(timeout=random.uniform(2, 6))
        except subprocess.TimeoutExpired:
            running.send_signal(signal.SIGKILL)
            running.communicate()
            killed += 1
    assert killed >= 1, "the index was done before it could be killed"
    assert end(begin(yml, "--json")).summary["failed"] == []
    assert_same(yml, whole(yml))
