"""What is particular to Elasticsearch, on real servers of both majors: types, shards, versions, what others can read."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from elasticsearch import Elasticsearch
from fakes import paint_gallery
from servers import Cluster

from visualsearch import VisualSearch
from visualsearch.calibration.promises import Promise
from visualsearch.datatypes import Failure, Item, Matrix, Source
from visualsearch.embedder import Embedded
from visualsearch.errors import EngineError
from visualsearch.stages.retrieval import Retrieved, retrieve
from visualsearch.stages.searching import Request, Searcher
from visualsearch.stores.bruteforce import BruteForceStore, Contents
from visualsearch.stores.elasticsearch import ElasticsearchShelf
from visualsearch.stores.elasticsearch_store import ElasticsearchStore

MakeShelf = Callable[..., ElasticsearchShelf]


@pytest.fixture
def shelves(elasticsearch: Cluster) -> Iterator[MakeShelf]:
    """Return a function that makes shelves on one index, as several machines have them; remove it afterwards."""
    index = f"own-{secrets.token_hex(4)}"

    def make(**options: Any) -> ElasticsearchShelf:
        chosen = ElasticsearchShelf.Options(hosts=elasticsearch.addresses, index=index, **options)
        return ElasticsearchShelf(chosen, Path("/unused/model/index"))

    yield make
    with Elasticsearch(elasticsearch.addresses) as client:
        for name in client.indices.get(index=f"visualsearch-{index}*"):
            client.indices.delete(index=name)


@pytest.fixture
def client(elasticsearch: Cluster) -> Iterator[Elasticsearch]:
    """Return the plain client."""
    with Elasticsearch(elasticsearch.addresses) as opened:
        yield opened


def begun(shelf: ElasticsearchShelf, fingerprint: str = "f", dim: int = 3) -> ElasticsearchStore:
    store = shelf.begin(fingerprint, dim)
    assert isinstance(store, ElasticsearchStore)
    return store


def item(number: int, *buckets: str, **columns: str) -> Item:
    return Item(f"{number:04}", f"{number}.jpg", columns, buckets, Source(f"content {number}", "s", "l"))


def unit(rows: np.ndarray) -> Matrix:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def random_rows(n: int, dim: int, seed: int = 0) -> Matrix:
    return unit(np.random.default_rng(seed).standard_normal((n, dim)))


def filled(store: Any, n: int = 1_500, dim: int = 32) -> Matrix:
    vectors = random_rows(n, dim)
    store.upsert([item(i, f"b{i % 6}", parity=str(i % 2)) for i in range(n)], vectors)
    return vectors


@pytest.mark.parametrize(("kind", "shards"), [("flat", 3), ("hnsw", 1), ("int8_flat", 2), ("int8_hnsw", 1)])
def test_every_type_scores_like_brute_force_and_flat_finds_the_same(shelves: MakeShelf, kind: str, shards: int) -> None:
    oracle = BruteForceStore(Contents("f", 32))
    vectors = filled(oracle)
    asked = random_rows(40, 32, seed=1)
    with closing(begun(shelves(type=kind, shards=shards, bulk_mib=1), dim=32)) as store:
        filled(store)
        same = 0
        for route, where in ((None, {}), (frozenset({"b1", "b4"}), {}), (frozenset({"b1"}), {"parity": "1"})):
            expected = oracle.search(asked, 10, [route] * 40, where)
            for one, other, query in zip(store.search(asked, 10, [route] * 40, where), expected, asked, strict=True):
                assert one.compared == other.compared
                if kind == "flat":
                    assert [hit.id for hit in one.hits] == [hit.id for hit in other.hits]
                same += len({hit.id for hit in one.hits} & {hit.id for hit in other.hits})
                scores = [float(vectors[int(hit.id)].astype(float) @ query) for hit in one.hits]
                assert [hit.score for hit in one.hits] == pytest.approx(scores, abs=1e-5)
        assert same >= 0.98 * 3 * 40 * 10
        np.testing.assert_array_equal(store.vectors(["0007", "0003"]), vectors[[7, 3]])


def test_what_float32_cannot_tell_apart_comes_in_the_order_of_the_embedded_store(shelves: MakeShelf) -> None:
    """Pictures that are nearly the same, whose scores differ in the eighth digit."""
    one, direction = random_rows(2, 512)
    vectors = unit(one + np.random.default_rng(1).uniform(-3e-7, 3e-7, (60, 1)) * direction)
    oracle = BruteForceStore(Contents("f", 512))
    with closing(begun(shelves(), dim=512)) as store:
        for each in (store, oracle):
            each.upsert([item(n, "mug") for n in range(60)], vectors)
        for k in (1, 5, 60):
            found, expected = (each.search(vectors[:4], k, [None] * 4, {}) for each in (store, oracle))
            assert [[hit.id for hit in one.hits] for one in found] == [[hit.id for hit in one.hits] for one in expected]


def test_a_plain_client_reads_the_index(shelves: MakeShelf, client: Elasticsearch) -> None:
    shelf = shelves()
    store = begun(shelf)
    alias = store.version.base
    source = Source("content", "s", "l")
    some = [
        Item("1-0", "mug/1.jpg", {"label": "mug", "maker": "Müller & Sohn"}, ("mug",), source, (1, 2, 30, 40)),
        Item("2-0", "2.jpg", {}, (), source),
    ]
    store.upsert(some, unit(np.eye(3)[:2]))
    assert not client.indices.exists_alias(name=alias)
    shelf.publish(store)
    assert client.count(index=alias)["count"] == 2
    (hit,) = client.search(index=alias, query={"term": {"columns.maker": "Müller & Sohn"}})["hits"]["hits"]
    assert hit["_id"] == "1-0"
    assert hit["_source"]["path"] == "mug/1.jpg"
    assert hit["_source"]["columns"]["label"] == "mug"
    assert hit["_source"]["box"] == {"left": 1, "top": 2, "right": 30, "bottom": 40}
    assert "vector" not in hit["_source"]
    knn = {"field": "vector", "query_vector": [1, 0, 0], "k": 1, "num_candidates": 1}
    (near,) = client.search(index=alias, knn={**knn, "filter": {"term": {"buckets": "mug"}}})["hits"]["hits"]
    assert (near["_id"], near["_score"]) == ("1-0", pytest.approx(1.0))
    (made,) = client.indices.get(index=alias).values()
    meta = made["mappings"]["_meta"]
    assert (meta["format"], meta["fingerprint"], meta["dim"], meta["type"]) == (1, "f", 3, "flat")
    assert made["settings"]["index"]["refresh_interval"] == "1000ms"


def test_the_items_of_a_bucket_lie_together_on_disk(shelves: MakeShelf, client: Elasticsearch) -> None:
    homes = [(("mug", "bell", "car")[number % 3],) for number in range(30)] + [()] * 3 + [("bell", "car")]
    source = Source("content", "s", "l")
    items = [Item(f"{number}-0", f"{number}.jpg", {}, home, source) for number, home in enumerate(homes)]
    shelf = shelves()
    store = begun(shelf)
    store.upsert(items, unit(np.random.default_rng(0).standard_normal((len(items), 3))))
    shelf.publish(store)
    client.indices.forcemerge(index=store.version.base, max_num_segments=1)
    client.indices.refresh(index=store.version.base)
    hits = client.search(index=store.version.base, size=50, sort=["_doc"])["hits"]["hits"]
    firsts = [min(hit["_source"]["buckets"], default="none") for hit in hits]
    assert [name for name, _ in groupby(firsts)] == ["bell", "car", "mug", "none"]


def test_refresh_and_copies_are_put_off_while_loading(shelves: MakeShelf, client: Elasticsearch) -> None:
    shelf = shelves(replicas=2, refresh_s=5)
    store = begun(shelf)

    def settings() -> tuple[str, str]:
        now = client.indices.get(index=store.version.name)[store.version.name]["settings"]["index"]
        return now["refresh_interval"], now["number_of_replicas"]

    assert settings() == ("-1", "0")
    shelf.publish(store)
    assert settings() == ("5000ms", "2")


def test_replicas_and_refresh_of_the_live_index_follow_the_yaml(
    shelves: MakeShelf, client: Elasticsearch, tmp_path: Path
) -> None:
    gallery = paint_gallery(tmp_path / "gallery", each=2)
    host, base = shelves()._options.hosts[0], shelves()._base

    def indexed(**options: object) -> tuple[tuple[str, str, str], str]:
        """Run `index` with these options; return what the live index has then, and its name."""
        store = {"name": "elasticsearch", "hosts": [host], "index": base.removeprefix("visualsearch-"), **options}
        yaml = {"name": "m", "gallery": {"folder": str(gallery)}, "extractor": {"name": "fakes:Grid"}, "store": store}
        (tmp_path / "m.yaml").write_text(json.dumps(yaml))
        with VisualSearch.from_yaml(tmp_path / "m.yaml") as search:
            search.index()
        ((name, made),) = client.indices.get(index=base).items()
        now = made["settings"]["index"]
        return (now["refresh_interval"], now["number_of_replicas"], now["auto_expand_replicas"]), name

    first = f"{base}-v1"
    assert indexed() == (("1000ms", "0", "0-1"), first)
    assert indexed(replicas=2, refresh_s=5) == (("5000ms", "2", "false"), first)
    client.indices.put_settings(index=base, settings={"refresh_interval": "77s"})
    with closing(shelves(replicas=1).live()):  # who only looks changes nothing
        assert client.indices.get(index=base)[first]["settings"]["index"]["refresh_interval"] == "77s"
    assert indexed(replicas=1, refresh_s=5) == (("5000ms", "1", "false"), first)
    assert indexed(refresh_s=0.5) == (("500ms", "0", "0-1"), first)


@pytest.mark.parametrize("of", ["index", "alias"])
def test_somebody_elses_index_under_the_name_of_our_alias_is_told_and_left_alone(
    shelves: MakeShelf, client: Elasticsearch, of: str
) -> None:
    shelf = shelves()
    name = shelf._base
    there = {"index": name, "alias": f"{name}-of-others"}[of]
    client.indices.create(index=there, aliases={name: {}} if of == "alias" else {})
    received = {"index": "an index of that name", "alias": f"one of the index {there}"}[of]
    for ask in (shelf.live, shelf.unfinished, lambda: shelf.begin("f", 3)):
        with pytest.raises(EngineError) as caught:
            ask()
        assert caught.value.slug == "store-format"
        assert str(caught.value).endswith(
            f": {name}: expected an alias of a version that visualsearch made, or nothing; received {received}: "
            "choose another store.index, or remove or rename what is there."
        )
    assert [one for one in client.indices.get(index=f"{name}*") if "-state" not in one] == [there]


def test_an_index_of_before_the_sort_by_bucket_is_noted(shelves: MakeShelf, client: Elasticsearch) -> None:
    shelf = shelves()
    shelf.publish(begun(shelf))
    with closing(shelf.live()) as live:
        name, handle = live.version.name, live.version.handle
        assert live.notes() == []
    made = client.indices.get(index=name)[name]
    client.indices.delete(index=name)
    aliases = {shelf._base: {}, handle: {}}
    client.indices.create(index=name, mappings=made["mappings"], settings={"number_of_shards": 1}, aliases=aliases)
    with closing(shelf.live()) as live:
        (note,) = live.notes()
    assert note.startswith(f"{name} was made before items were sorted by bucket") and "index --rebuild" in note


def test_the_last_version_stays_for_its_readers_and_takes_no_more(shelves: MakeShelf, client: Elasticsearch) -> None:
    shelf, vector = shelves(), unit(np.eye(3)[:1])
    readers = []
    for number, fingerprint in enumerate("abc"):
        store = begun(shelf, fingerprint)
        store.upsert([item(number)], vector)
        shelf.publish(store)
        readers.append(shelf.live())
    first, second, third = readers
    assert [one.get(["0001"]) != [] for one in (second, third)] == [True, False]
    for gone in (first, second):
        with pytest.raises(EngineError) as caught:
            gone.upsert([item(9)], vector)
        assert caught.value.slug == "store-replaced"
    with pytest.raises(EngineError) as caught:
        first.count()
    assert caught.value.slug == "store-replaced"
    third.upsert([item(9)], vector)
    names = sorted(client.indices.get(index=f"{third.version.base}-v*"))
    assert names == [f"{third.version.base}-v{number}" for number in (2, 3)]
    for one in readers:
        one.close()


def test_an_index_that_was_given_up_is_not_made_again_by_its_writer(shelves: MakeShelf, client: Elasticsearch) -> None:
    given_up = begun(shelves(), "f")
    other = begun(shelves(), "g")
    with pytest.raises(EngineError) as caught:
        given_up.upsert([item(1)], unit(np.eye(3)[:1]))
    assert caught.value.slug == "store-replaced"
    assert list(client.indices.get(index=f"{other.version.base}-v*")) == [other.version.name]
    again = begun(shelves(type="hnsw"), "g")  # another type, so it is made anew
    assert again.version.kind == "hnsw"
    assert list(client.indices.get(index=f"{other.version.base}-v*")) == [again.version.name]
    for one in (given_up, other, again):
        one.close()


def test_two_machines_that_begin_and_publish_at_once_end_with_one_whole_index(
    shelves: MakeShelf, client: Elasticsearch
) -> None:
    """Both write the same gallery; whoever publishes second finds it done."""
    vectors, problems = random_rows(200, 3), list[BaseException]()
    barrier = threading.Barrier(2)

    def machine() -> None:
        shelf = shelves(bulk_mib=1)
        try:
            barrier.wait()
            store = begun(shelf)
            for start in range(0, 200, 20):
                store.upsert([item(n) for n in range(start, start + 20)], vectors[start : start + 20])
            shelf.publish(store)
        except EngineError as error:
            problems.append(error)

    threads = [threading.Thread(target=machine) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {getattr(error, "slug", "") for error in problems} <= {"store-replaced"}
    assert len(problems) < 2
    with closing(shelves().live()) as live:
        assert live.count() == 200
        assert list(client.indices.get_alias(name=live.version.base)) == [live.version.name]
        assert not client.indices.exists_alias(name=f"{live.version.base}-next")


def test_a_second_machine_knows_what_failed_and_what_was_forgotten(shelves: MakeShelf) -> None:
    shelf = shelves()
    shelf.publish(begun(shelf))
    failure = Failure("torn.jpg", "torn", Source("c", "s"))
    with closing(shelf.live()) as here, closing(shelves().live()) as there:
        here.record_failures([failure])
        here.bury(["content 1"])
        assert (there.failures(), there.buried()) == ([failure], {"content 1"})


def test_a_picture_whose_faces_are_not_all_taken_is_taken_out(shelves: MakeShelf) -> None:
    """A value that no field of the index can hold is refused by the server itself."""
    faces = [Item(f"face-{n}", "two.jpg", {}, (), Source("c", "s")) for n in range(2)]
    broken = Item("face-1", "two.jpg", {}, (), Source("c", "s"), (1, 2, 3, 2**40))
    with closing(begun(shelves())) as store:
        store.upsert([item(1)], unit(np.eye(3)[:1]))
        with pytest.raises(EngineError) as caught:
            store.upsert([faces[0], broken, item(2)], unit(np.eye(3)))
        assert caught.value.slug == "store-refused"
        assert list(caught.value.reasons) == ["face-1"]
        assert str(caught.value).count("\n") == 0 and "face-1" in str(caught.value)
        assert [one.id for page in store.pages() for one in page] == ["0001", "0002"]
        store.upsert(faces, unit(np.eye(3)[:2]))
        assert store.count() == 4


class OneShardAway:
    """A client to whose bulk requests the server answers, for some documents, that their shard is away."""

    def __init__(self, client: Any, away: set[str]) -> None:
        """Ask ``client`` for everything else; ``away`` are the documents' ids."""
        self._client, self._away = client, away

    def options(self, **options: Any) -> OneShardAway:
        """Return the same with other options."""
        return OneShardAway(self._client.options(**options), self._away)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def bulk(self, operations: list[bytes], **arguments: Any) -> dict[str, Any]:
        """Send what is not away, and answer for the rest."""
        actions = [next(iter(json.loads(one.split(b"\n")[0]).items())) for one in operations]
        there = [one for one, (_, action) in zip(operations, actions, strict=True) if action["_id"] not in self._away]
        answers = iter(self._client.bulk(operations=there, **arguments)["items"] if there else [])
        error = {"type": "unavailable_shards_exception", "reason": "[1] primary shard is not active"}
        return {
            "items": [
                {kind: {"status": 503, "error": error}} if action["_id"] in self._away else next(answers)
                for kind, action in actions
            ]
        }


def test_a_picture_is_not_half_there_where_one_shard_stays_away(shelves: MakeShelf) -> None:
    faces = [Item(f"face-{n}", "two.jpg", {}, (), Source("c", "s")) for n in range(2)]
    with closing(begun(shelves(patience_s=1))) as store:
        store.connection._client = OneShardAway(store.connection._client, {"face-1"})
        with pytest.raises(EngineError) as caught:
            store.upsert([item(1), *faces], unit(np.eye(3)))
        assert caught.value.slug == "store-shards"
        assert [one.id for page in store.pages() for one in page] == ["0001"]


def test_more_dimensions_than_the_server_takes_are_refused_in_one_sentence(shelves: MakeShelf) -> None:
    with pytest.raises(EngineError, match="at most 4096 dimensions; received 4097") as caught:
        shelves().begin("f", 4_097)
    assert caught.value.slug == "store-dimensions"


# ------------------------------------------------------------------------------- counts


def product_search(store: ElasticsearchStore, query: Matrix, **options: Any) -> Retrieved:
    """Do all that a search of the product does once the picture is embedded: count, plan, search."""
    embedder = SimpleNamespace(buckets=[f"b{i}" for i in range(6)])
    promise = Promise("bucket", 0.9, 9, 9, np.full(6, 0.5))
    searcher = Searcher(store, None, embedder, promise, ladder=("more", "all"), at_most=1.0, model="", unrouted="")
    embedded, request = Embedded(query, np.eye(6, dtype=np.float32)[:1]), Request(10, **options)
    reach = searcher.reach(request)
    return retrieve(store, embedded, searcher.plans(embedded, request, reach.router), reach)[0]


def requests(cluster: Cluster) -> Counter[str]:
    """Return how many requests the server itself has counted, by route."""
    (node,) = cluster.get("_nodes/stats/http")["nodes"].values()
    counted = {route: told["requests"]["count"] for route, told in node["http"]["routes"].items()}
    return Counter({route: n for route, n in counted.items() if not route.startswith("/_nodes")})


def test_a_search_is_one_request_while_the_counts_are_remembered(elasticsearch: Cluster, shelves: MakeShelf) -> None:
    shelf = shelves(refresh_s=600)
    store = begun(shelf, dim=32)
    filled(store)
    shelf.publish(store)
    queries = random_rows(9, 32, seed=1)
    with closing(shelf.live()) as live:
        before = requests(elasticsearch)
        first = product_search(live, queries[:1])
        assert (requests(elasticsearch) - before).total() == 2
        before = requests(elasticsearch)
        for row in range(1, 9):
            product_search(live, queries[row : row + 1])
        assert requests(elasticsearch) - before == {"/_msearch": 8}
    assert first.route(1_500).compared == 250 / 1_500


def recount(store: ElasticsearchStore) -> tuple[int, dict[str, int]]:
    """Count the items by reading all of them."""
    items = [one for page in store.pages() for one in page]
    return len(items), dict(Counter(name for one in items for name in one.buckets))


def test_counts_follow_the_writes_of_their_own_store_at_once(shelves: MakeShelf) -> None:
    long = "b" * 3_000  # of such a name the index has a hash only
    with closing(begun(shelves(refresh_s=600), dim=32)) as store:
        filled(store, n=100)
        writes: list[Callable[[], None]] = [
            lambda: None,
            lambda: store.upsert([item(n, "new", long) for n in range(50, 150)], random_rows(100, 32)),
            lambda: store.upsert([item(7)], random_rows(1, 32)),
            lambda: store.upsert([item(8, *(f"one of many {n}" for n in range(2_500)))], random_rows(1, 32)),
            lambda: store.delete([f"{n:04}" for n in range(40, 60)]),
        ]
        seen = []
        for write in writes:
            write()
            seen.append((store.count(), store.bucket_counts()))
            assert seen[-1] == recount(store)
        assert [total for total, _ in seen] == [100, 150, 150, 150, 130]
        assert seen[-1][1][long] == 90


def test_counts_follow_the_writes_of_another_store_a_little_later(shelves: MakeShelf) -> None:
    shelf = shelves(refresh_s=0.3)
    store = begun(shelf, dim=32)
    filled(store, n=60)
    shelf.publish(store)
    with closing(shelf.live()) as here, closing(shelves(refresh_s=0.3).live()) as there:
        assert here.count() == there.count() == 60
        there.upsert([item(n, "new") for n in range(60, 90)], random_rows(30, 32))
        end = time.monotonic() + 60
        while (here.count(), here.bucket_counts().get("new")) != (90, 30) and time.monotonic() < end:
            time.sleep(0.05)
        assert (here.count(), here.bucket_counts()) == (there.count(), there.bucket_counts()) == recount(here)


def test_no_search_compares_more_than_all_while_others_write(shelves: MakeShelf) -> None:
    """The counts are those of a moment ago, and the index has twice as many items by now."""
    shelf = shelves(refresh_s=600)
    store = begun(shelf, dim=32)
    vectors = filled(store, n=60)
    shelf.publish(store)
    with closing(shelf.live()) as here, closing(shelves(refresh_s=600).live()) as there:
        assert here.count() == 60
        there.upsert([item(n, "new") for n in range(60, 120)], vectors)
        there.refresh()
        found = product_search(here, vectors[:1], exhaustive=True)
        assert (found.found.compared, found.route(here.count()).compared, found.steps[0].compared) == (120, 1.0, 1.0)
