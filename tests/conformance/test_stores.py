"""What every store must do, compared with a brute force that shares no code with any of them."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shelves import MakeShelf
from traces import bits, spellings, traces

from visualsearch.datatypes import Buckets, Failure, Found, Item, Matrix, Source
from visualsearch.errors import EngineError
from visualsearch.stores.bruteforce import BruteForceShelf
from visualsearch.stores.contract import Shelf, Store
from visualsearch.stores.milvus import MilvusShelf

NAMES = ("mug", 'it\'s "two"; --', "line\nbreak\t", "🐈\u200d⬛ naïve", "", "%_*?")
TOLERANCE = 1e-4


def item(number: int | str, *buckets: str, **columns: str) -> Item:
    """Return an item whose every field tells it from the others."""
    source = Source(content=f"content {number}", stamp=f"stamp {number}", look=f"look {number}")
    return Item(f"{number:>04}", f"a folder/{number}.jpg", columns, buckets, source)


def unit(*rows: Sequence[float]) -> Matrix:
    """Return rows of unit length."""
    matrix = np.array(rows, np.float32)
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def random_rows(n: int, dim: int, seed: int = 0) -> Matrix:
    """Return n directions, all equally likely."""
    return unit(*np.random.default_rng(seed).standard_normal((n, dim)))


@dataclass
class Oracle:
    """The contract in plain Python: lists, loops, float64."""

    items: dict[str, tuple[Item, list[float]]] = field(default_factory=dict)

    def upsert(self, items: Sequence[Item], vectors: Matrix) -> None:
        """Write items, the last of each id."""
        for one, vector in zip(items, vectors.tolist(), strict=True):
            self.items[one.id] = (one, vector)

    def scores(self, query: Sequence[float], route: Buckets, where: dict[str, str]) -> dict[str, float]:
        """Return the cosine of each item that must be compared, by id."""
        scores = {}
        for name, (one, vector) in self.items.items():
            probed = route is None or one.buckets == () or any(bucket in route for bucket in one.buckets)
            if probed and all(key in one.columns and one.columns[key] == where[key] for key in where):
                scores[name] = sum(a * b for a, b in zip(query, vector, strict=True))
        return scores

    def check(self, found: Found, query: Matrix, k: int, route: Buckets, where: dict[str, str]) -> None:
        """Fail unless ``found`` is what the contract asks for."""
        scores = self.scores(query.tolist(), route, where)
        best = sorted(scores, key=lambda name: (-scores[name], name))[:k]
        ids = [hit.id for hit in found.hits]
        assert found.compared == len(scores)
        assert len(ids) == len(set(ids)) == len(best)
        assert [hit.rank for hit in found.hits] == list(range(1, len(best) + 1))
        assert [hit.score for hit in found.hits] == pytest.approx([scores[i] for i in best], abs=TOLERANCE)
        assert [scores[i] for i in ids] == pytest.approx([scores[i] for i in best], abs=TOLERANCE)
        if best:  # whatever does not tie with the last must be there
            last = scores[best[-1]]
            assert {i for i in best if scores[i] > last + TOLERANCE} <= set(ids)
        for hit in found.hits:
            stored = self.items[hit.id][0]
            assert (hit.path, dict(hit.columns), hit.buckets) == (stored.path, stored.columns, stored.buckets)
        for one, other in zip(found.hits, found.hits[1:], strict=False):
            assert (-one.score, one.id) < (-other.score, other.id)


@pytest.fixture
def store(shelf: Shelf) -> Iterator[Store]:
    """Return an empty store of three dimensions."""
    with closing(shelf.begin("of the embeddings", 3)) as opened:
        yield opened


@pytest.fixture(scope="module")
def lasting(make_shelf: Callable[[], Shelf]) -> Iterator[Store]:
    """Return a store of three dimensions for all examples of a test: to make an index takes longer than to empty it."""
    with closing(make_shelf().begin("f", 3)) as opened:
        yield opened


def ids(found: Found) -> list[str]:
    """Return the ids of the hits, best first."""
    return [hit.id for hit in found.hits]


# ------------------------------------------------------------------------------- any data

directions = st.tuples(*[st.integers(-2, 2)] * 3).filter(any)
texts = st.sampled_from(NAMES)
items = st.builds(
    lambda number, buckets, columns: (number, tuple(buckets), columns),
    st.integers(0, 25),
    st.lists(texts, max_size=3),  # the same bucket twice, too
    st.dictionaries(st.sampled_from(["label", 'a "column"\'\n']), texts),
)
batches = st.lists(st.tuples(items, directions), max_size=20)
routes = st.none() | st.frozensets(texts | st.just("nobody lives here"))
queries = st.lists(st.tuples(directions, routes), min_size=1, max_size=5)
filters = st.dictionaries(st.sampled_from(["label", 'a "column"\'\n', "no such column"]), texts, max_size=2)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    writes=st.lists(st.tuples(batches, st.sets(st.integers(0, 25), max_size=8)), min_size=1, max_size=3),
    questions=st.lists(st.tuples(queries, st.sampled_from([1, 2, 7, 100]), filters), min_size=1, max_size=4),
)
def test_whatever_is_written_is_found_like_brute_force_does(
    lasting: Store,
    writes: list[tuple[list[tuple[tuple[int, tuple[str, ...], dict[str, str]], tuple[int, ...]]], set[int]]],
    questions: list[tuple[list[tuple[tuple[int, ...], Buckets]], int, dict[str, str]]],
) -> None:
    """Write, replace and delete anything, asking in between: ties, duplicates, empty buckets."""
    oracle, store = Oracle(), lasting
    store.delete([f"{number:>04}" for number in range(26)])  # what the example before has left
    for batch, gone in writes:
        if batch:
            new = [item(number, *buckets, **columns) for (number, buckets, columns), _ in batch]
            vectors = unit(*(direction for _, direction in batch))
            store.upsert(new, vectors)
            oracle.upsert(new, vectors)
        store.delete([f"{number:>04}" for number in gone])
        for number in gone:
            oracle.items.pop(f"{number:>04}", None)
        for rows, k, where in questions:
            vectors = unit(*(direction for direction, _ in rows))
            wanted = [route for _, route in rows]
            found = store.search(vectors, k, wanted, where)
            assert len(found) == len(rows)
            for one, vector, route in zip(found, vectors, wanted, strict=True):
                oracle.check(one, vector, k, route, where)
    assert_holds(store, oracle)


def assert_holds(store: Store, oracle: Oracle) -> None:
    """Fail unless everything but ``search`` agrees with the oracle."""
    names = sorted(oracle.items)
    expected = [oracle.items[name][0] for name in names]
    assert [one for page in store.pages(7) for one in page] == expected
    assert store.get([*names, "unknown", *names]) == expected
    assert store.count() == len(names)
    np.testing.assert_allclose(
        store.vectors(names[::-1]), [oracle.items[name][1] for name in names[::-1]] or np.empty((0, 3))
    )
    counts = {}
    for one in expected:
        for bucket in set(one.buckets):
            counts[bucket] = counts.get(bucket, 0) + 1
    assert store.bucket_counts() == counts


def test_large_batches_and_buckets_are_searched_exactly(shelf: Shelf) -> None:
    """Compare several hundred routed queries with NumPy in float64, over blocks of any size."""
    routed = 39 if isinstance(shelf, MilvusShelf) else 299  # Milvus Lite goes through filters in Python
    random = np.random.default_rng(3)
    vectors = random_rows(3_000, 16)
    sizes = [f"b{min(29, int(size))}" for size in random.exponential(4, 3_000)]  # large buckets and tiny ones
    homes = [() if n % 50 == 0 else (sizes[n], f"b{n % 7}") if n % 5 == 0 else (sizes[n],) for n in range(3_000)]
    new = [item(n, *homes[n], parity=str(n % 2)) for n in range(3_000)]
    asked = random_rows(routed + 1, 16, seed=1)
    wanted: list[Buckets] = [None, *(frozenset({f"b{n % 30}", f"b{n % 11}"}) for n in range(routed))]
    with closing(shelf.begin("f", 16)) as store:
        for start in range(0, 3_000, 700):
            store.upsert(new[start : start + 700], vectors[start : start + 700])
        for where in ({}, {"parity": "1"}):
            for row, found in enumerate(store.search(asked, 20, wanted, where)):
                route = wanted[row]
                inside = [
                    n
                    for n in range(3_000)
                    if (route is None or not homes[n] or route & set(homes[n])) and (not where or n % 2)
                ]
                scores = vectors[inside].astype(np.float64) @ asked[row].astype(np.float64)
                order = np.argsort(-scores)[:20]
                assert ids(found) == [new[inside[place]].id for place in order]
                assert [hit.score for hit in found.hits] == pytest.approx(scores[order], abs=TOLERANCE)
                assert found.compared == len(inside)


def test_equal_vectors_tie_and_come_by_id_wherever_they_live(shelf: Shelf) -> None:
    """The same picture thirty times, in buckets of other sizes, written in another order."""
    vector = random_rows(1, 200)
    new = [item(n, f"b{n % 4}") for n in np.random.default_rng(0).permutation(30).tolist()]
    others = [item(100 + n, "b1") for n in range(400)]
    with closing(shelf.begin("f", 200)) as store:
        store.upsert(others, random_rows(400, 200, seed=5))
        store.upsert(new, np.repeat(vector, 30, axis=0))
        for k in (1, 7, 30):
            for route in (None, frozenset({"b0", "b1", "b2", "b3"})):
                found = store.search(vector, k, [route], {})[0]
                assert ids(found) == [f"{n:>04}" for n in range(k)]
                assert len({hit.score for hit in found.hits}) == 1
        assert ids(store.search(vector, 3, [frozenset({"b1"})], {})[0]) == ["0001", "0005", "0009"]


# ------------------------------------------------------------------------------- one by one


def test_an_empty_store_answers(store: Store) -> None:
    """Nothing is found, and nothing is an error."""
    assert store.search(unit((1, 0, 0), (0, 1, 0)), 5, [None, frozenset({"mug"})], {}) == [Found((), 0)] * 2
    assert (store.count(), store.bucket_counts(), list(store.pages()), store.get(["a"])) == (0, {}, [], [])
    assert (store.failures(), store.buried()) == ([], frozenset())
    assert store.vectors([]).shape == (0, 3)
    assert store.search(np.empty((0, 3), np.float32), 5, [], {}) == []
    store.upsert([], np.empty((0, 3), np.float32))
    store.delete(["a"])
    assert store.count() == 0


def test_items_in_no_bucket_are_compared_in_every_search(store: Store) -> None:
    """Also where the route names no bucket at all."""
    store.upsert([item(1), item(2, "mug"), item(3, "key")], unit((1, 0, 0), (1, 1, 0), (0, 1, 0)))
    found = store.search(unit(*[(1, 0, 0)] * 4), 9, [frozenset({"mug"}), frozenset({"void"}), frozenset(), None], {})
    assert [ids(one) for one in found] == [["0001", "0002"], ["0001"], ["0001"], ["0001", "0002", "0003"]]
    assert [one.compared for one in found] == [2, 1, 1, 3]


def test_an_item_of_several_buckets_is_compared_once(store: Store) -> None:
    """Whichever of them are probed."""
    store.upsert([item(1, "mug", "key"), item(2, "key")], unit((1, 0, 0), (0, 1, 0)))
    found = store.search(unit(*[(1, 0, 0)] * 3), 9, [frozenset({"mug", "key"}), frozenset({"mug"}), None], {})
    assert [ids(one) for one in found] == [["0001", "0002"], ["0001"], ["0001", "0002"]]
    assert [one.compared for one in found] == [2, 1, 2]


def test_a_filter_loses_no_hits(store: Store) -> None:
    """The nearest thousand do not pass, the furthest three do: all three are found."""
    far = [item(2_000 + n, "mug", brand="rare", size="s" if n else "m") for n in range(3)]
    store.upsert([item(n, "mug", brand="common") for n in range(1_000)], unit(*[(1, 0.01, 0)] * 1_000))
    store.upsert(far, unit((-1, 0, 0), (-1, 0.1, 0), (-1, 0.2, 0)))
    for route in (None, frozenset({"mug"})):
        found = store.search(unit((1, 0, 0)), 3, [route], {"brand": "rare"})[0]
        assert (ids(found), found.compared) == (["2002", "2001", "2000"], 3)
        found = store.search(unit((1, 0, 0)), 3, [route], {"brand": "rare", "size": "s"})[0]
        assert (ids(found), found.compared) == (["2002", "2001"], 2)
        assert store.search(unit((1, 0, 0)), 3, [route], {"brand": "common", "size": "s"})[0] == Found((), 0)


def test_writing_again_replaces_everything(store: Store) -> None:
    """Vector, buckets and columns: the old ones are gone."""
    store.upsert([item(1, "mug", label="mug"), item(2, "mug")], unit((1, 0, 0), (0, 1, 0)))
    store.search(unit((1, 0, 0)), 9, [None], {})  # whatever is kept in memory is old from here on
    store.upsert([item(1, "key", label="key")], unit((0, 0, 1)))
    assert store.bucket_counts() == {"key": 1, "mug": 1}
    assert ids(store.search(unit((0, 0, 1)), 1, [None], {})[0]) == ["0001"]
    assert ids(store.search(unit((1, 0, 0)), 9, [frozenset({"mug"})], {})[0]) == ["0002"]
    assert store.search(unit((1, 0, 0)), 9, [None], {"label": "mug"})[0] == Found((), 0)
    assert ids(store.search(unit((1, 0, 0)), 9, [None], {"label": "key"})[0]) == ["0001"]


def test_the_last_of_an_id_in_one_batch_is_kept(store: Store) -> None:
    """As if they had been written one after the other."""
    store.upsert([item(1, "mug"), item(1, "key")], unit((1, 0, 0), (0, 1, 0)))
    assert (store.count(), store.bucket_counts()) == (1, {"key": 1})
    np.testing.assert_array_equal(store.vectors(["0001"]), unit((0, 1, 0)))


def test_a_box_and_strange_names_come_back(store: Store) -> None:
    """Also a file name that is no valid Unicode, as some file systems have them."""
    strange = Item("x\udcff", "caf\udce9\x00.jpg", {"": "\udce9"}, ("b\udcff",), Source("", ""), (1, 2, 30, 40))
    store.upsert([strange], unit((1, 0, 0)))
    assert store.get(["x\udcff"]) == [strange] == next(store.pages())
    hit = store.search(unit((1, 0, 0)), 1, [frozenset({"b\udcff"})], {"": "\udce9"})[0].hits[0]
    assert (hit.path, hit.box, hit.columns, hit.score) == (strange.path, (1, 2, 30, 40), {"": "\udce9"}, 1.0)
    store.delete(["x\udcff"])
    assert (store.count(), store.bucket_counts()) == (0, {})


@pytest.mark.parametrize(
    "wrong", [np.eye(2, dtype=np.float32), unit((1, 0, 0)), np.full((2, 3), np.nan), np.zeros((2, 3))]
)
def test_wrong_vectors_change_nothing(store: Store, wrong: Matrix) -> None:
    """Too narrow, too few, not a number, without a length: one sentence, and none of them written."""
    store.upsert([item(1, "mug")], unit((1, 0, 0)))
    with pytest.raises(EngineError) as caught:
        store.upsert([item(1, "key"), item(2, "key")], wrong)
    assert caught.value.slug == "store-vectors"
    with pytest.raises(EngineError):
        store.search(wrong, 1, [None, None], {})
    assert (store.count(), store.bucket_counts()) == (1, {"mug": 1})


def test_an_unknown_id_is_named(store: Store) -> None:
    """By the KeyError of ``vectors``; ``get`` and ``delete`` pass over it."""
    store.upsert([item(1)], unit((1, 0, 0)))
    with pytest.raises(KeyError, match="nobody"):
        store.vectors(["0001", "nobody"])
    assert len(store.vectors(["0001", "0001"])) == 2


def test_pages_can_be_written_to_while_they_are_read(store: Store) -> None:
    """Every item once, each page at most as long as asked, the buckets changed on the way."""
    store.upsert([item(n, "mug") for n in range(25)], random_rows(25, 3))
    seen = []
    for page in store.pages(10):
        seen.append([one.id for one in page])
        store.upsert([item(int(one.id), "key") for one in page], store.vectors([one.id for one in page]))
    assert [len(page) for page in seen] == [10, 10, 5]
    assert [name for page in seen for name in page] == [f"{n:>04}" for n in range(25)]
    assert store.bucket_counts() == {"key": 25}


def test_failures_are_remembered_one_for_each_path(store: Store) -> None:
    """Ordered by path, the last one of each, until they are cleared."""
    first, again = (Failure("b.jpg", reason, Source(reason, "s", "l")) for reason in ("torn", "still torn"))
    other = Failure("caf\udce9.jpg", "no picture", Source("c", "s"))
    store.record_failures([other, first])
    store.record_failures([again])
    assert store.failures() == [again, other]
    store.clear_failures(["b.jpg", "never failed.jpg"])
    assert store.failures() == [other]


def test_what_is_buried_stays(store: Store) -> None:
    """Burying twice is harmless; it removes no item by itself."""
    store.upsert([item(1)], unit((1, 0, 0)))
    store.bury(["content 1", "content 2"])
    store.bury(["content 2"])
    assert (store.buried(), store.count()) == (frozenset({"content 1", "content 2"}), 1)


def test_a_closed_store_says_so(shelf: Shelf) -> None:
    """Closing twice is harmless, using it is an error."""
    store = shelf.begin("f", 3)
    store.close()
    store.close()
    with pytest.raises(EngineError) as caught:
        store.count()
    assert caught.value.slug == "store-closed"


def test_threads_write_and_search_together(shelf: Shelf) -> None:
    """Every search sees whole batches, and in the end everything is there."""
    store = shelf.begin("f", 3)
    vectors = random_rows(10, 3)
    problems: list[object] = []

    def write(worker: int) -> None:
        for batch in range(8):
            names = range(worker * 100 + batch * 10, worker * 100 + batch * 10 + 10)
            store.upsert([item(n, "mug", f"by {worker}") for n in names], vectors)

    def search() -> None:
        for _ in range(30):
            found = store.search(vectors[:2], 1_000, [None, frozenset({"mug"})], {})
            problems.extend(one.compared for one in found if one.compared % 10 or one.compared != len(one.hits))

    threads = [threading.Thread(target=write, args=(n,)) for n in range(2)]
    threads += [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert store.bucket_counts() == {"by 0": 80, "by 1": 80, "mug": 160}
    assert store.search(vectors[:1], 5, [None], {})[0].compared == 160
    store.close()


# ------------------------------------------------------------------------------- the shelf


def test_nothing_is_live_before_the_first_publication(shelf: Shelf) -> None:
    """Also while it is being built."""
    assert shelf.live() is None
    building = shelf.begin("f", 3)
    building.upsert([item(1)], unit((1, 0, 0)))
    assert shelf.live() is None
    shelf.publish(building)
    with pytest.raises(EngineError):
        building.count()
    with closing(shelf.live()) as live:
        assert (live.fingerprint, live.dim, live.count()) == ("f", 3, 1)


def test_an_unfinished_index_is_resumed_or_given_up(shelf: Shelf) -> None:
    """Resumed with the same fingerprint and dimension, begun anew with others."""
    with closing(shelf.begin("f", 3)) as store:
        store.upsert([item(1)], unit((1, 0, 0)))
    with closing(shelf.begin("f", 3)) as store:
        assert store.count() == 1
    with closing(shelf.begin("g", 3)) as store:
        assert (store.fingerprint, store.count()) == ("g", 0)
    with closing(shelf.begin("g", 2)) as store:
        assert (store.dim, store.count()) == (2, 0)


def test_a_successor_is_built_beside_and_published_at_once(shelf: Shelf) -> None:
    """The old index answers until then, and where it is still open, afterwards."""
    first = shelf.begin("f", 3)
    first.upsert([item(1, "mug")], unit((1, 0, 0)))
    shelf.publish(first)
    old = shelf.live()
    failure = Failure("torn.jpg", "torn", Source("c", "s"))
    old.record_failures([failure])
    old.bury(["content 7"])

    second = shelf.begin("g", 2)
    assert (second.failures(), second.buried()) == ([failure], frozenset({"content 7"}))
    second.upsert([item(2, "key"), item(3, "key")], unit((1, 0), (0, 1)))
    with closing(shelf.live()) as live:
        assert (live.fingerprint, live.count()) == ("f", 1)
    shelf.publish(second)

    assert ids(old.search(unit((1, 0, 0)), 1, [frozenset({"mug"})], {})[0]) == ["0001"]
    with closing(shelf.live()) as live:
        assert (live.fingerprint, live.dim, live.count()) == ("g", 2, 2)
        assert live.buried() == {"content 7"}
    old.close()


def test_what_is_forgotten_during_a_rebuild_stays_forgotten(shelf: Shelf) -> None:
    """A tombstone that the live index gets meanwhile takes the item out of its successor."""
    first = shelf.begin("f", 3)
    shelf.publish(first)
    second = shelf.begin("g", 3)
    second.upsert([item(1, "mug"), item(2, "key")], unit((1, 0, 0), (0, 1, 0)))
    with closing(shelf.live()) as live:
        live.bury(["content 1"])
    shelf.publish(second)
    with closing(shelf.live()) as live:
        assert (live.bucket_counts(), live.buried()) == ({"key": 1}, {"content 1"})


def test_an_index_that_was_given_up_cannot_be_published(shelf: Shelf) -> None:
    """Somebody else has begun another one since."""
    given_up = shelf.begin("f", 3)
    other = shelf.begin("g", 3)
    with pytest.raises(EngineError) as caught:
        shelf.publish(given_up)
    assert caught.value.slug == "store-replaced"
    shelf.publish(other)
    given_up.close()
    with closing(shelf.live()) as live:
        assert live.dim == 3


def test_what_is_erased_is_in_no_file(make_shelf: MakeShelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deleted, buried or failed, in the live index, in one that is being built or one that was replaced and is open."""
    name, dim, rng = f"Wilhelmina-{secrets.token_hex(6)}", 32, np.random.default_rng(0)
    vectors = unit(*rng.standard_normal((40, dim)))
    gone = [
        Item(f"{name}-id-{i}", f"{name}/{i}.jpg", {"person": name}, (name,), Source(f"{i:064x}", name, name))
        for i in range(3)
    ]
    stay = [item(i, "b", person="somebody") for i in range(37)]
    failures = [Failure(f"{name}/torn.jpg", "torn", Source("", name)), Failure("ok.jpg", "torn", Source("", ""))]
    failures.append(Failure(f"{name}/other.jpg", f"of {name}", Source("f" * 64, name)))
    wanted = [*spellings(name), *(one for vector in vectors[:3] for one in bits(vector))]
    shelf = make_shelf()
    if make_shelf.disk is None:
        monkeypatch.setattr("visualsearch.stores.elasticsearch.expunge", lambda *_: 0)
    opened = []
    for fingerprint in ("e", "f"):
        successor = shelf.begin(fingerprint, dim)
        successor.upsert([*gone, *stay], vectors)
        successor.record_failures(failures)
        shelf.publish(successor)
        opened.append(shelf.live())
    with closing(shelf.begin("g", dim)) as building:
        building.upsert([*stay, *gone[:2]], vectors[[*range(3, 40), 0, 1]])
        building.record_failures(failures)
    with closing(shelf.live()) as live:
        live.bury([gone[0].source.content])
        live.delete([gone[2].id])
    assert make_shelf.disk is None or isinstance(shelf, BruteForceShelf) or traces(make_shelf.disk, wanted)
    remarks = shelf.erase({one.source.content for one in gone} | {"f" * 64}, {f"{name}/torn.jpg"})
    if make_shelf.disk is not None:
        assert (traces(make_shelf.disk, wanted), remarks) == ([], ())
    for one in opened:
        one.close()
    with closing(shelf.live()) as live:
        assert (live.count(), [one.path for one in live.failures()]) == (37, ["ok.jpg"])
        assert {one.source.content for one in gone} <= live.buried()
        np.testing.assert_array_equal(live.vectors([one.id for one in stay]), vectors[3:])
    with closing(shelf.begin("g", dim)) as building:
        shelf.publish(building)
    with closing(shelf.live()) as live:
        assert {one.path for page in live.pages() for one in page} <= {one.path for one in stay}
        assert [one.path for one in live.failures()] == ["ok.jpg"]
