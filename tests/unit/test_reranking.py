"""Query expansion: against a plain computation with loops, by hand, and through a whole search."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import paint

from visualsearch import ConfigError, VisualSearch
from visualsearch.config import parse
from visualsearch.datatypes import Found, Hit, Item, Source
from visualsearch.reranking import Expansion, reordered
from visualsearch.stages.reranking import reranked
from visualsearch.stores.bruteforce import BruteForceShelf
from visualsearch.stores.contract import Store


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def degrees(*angles: float) -> np.ndarray:
    return np.stack([np.cos(np.radians(angles)), np.sin(np.radians(angles))], axis=1).astype(np.float32)


def hits_of(query: np.ndarray, vectors: np.ndarray) -> tuple[tuple[Hit, ...], np.ndarray]:
    """Return all vectors as hits of a query, best first, and the vectors in their order."""
    scores = vectors @ query
    order = np.argsort(-scores, kind="stable")
    hits = (Hit(f"{i:03d}", f"{i}.jpg", {}, (), float(scores[i]), rank) for rank, i in enumerate(order, 1))
    return tuple(hits), vectors[order]


def plainly(query: np.ndarray, hits: tuple[Hit, ...], vectors: np.ndarray, how: Expansion) -> list[tuple[str, float]]:
    """Return ids and new scores, computed number by number."""
    mean = [float(value) for value in query]
    for hit, vector in list(zip(hits, vectors, strict=True))[: how.neighbours]:
        if hit.score >= how.least:
            mean = [one + hit.score**how.power * float(other) for one, other in zip(mean, vector, strict=True)]
    length = math.sqrt(sum(value * value for value in mean))
    anew = {
        hit.id: sum(one * float(other) for one, other in zip(mean, vector, strict=True)) / length
        for hit, vector in zip(hits, vectors, strict=True)
    }
    behind = sorted((hit.id for hit in hits[1:]), key=lambda one: -anew[one])
    return [(one, anew[one]) for one in (hits[0].id, *behind)]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("changes", [{}, {"neighbours": 2}, {"power": 0}, {"least": 0.3, "neighbours": 9}])
def test_the_new_order_is_that_of_a_plain_computation(seed: int, changes: dict[str, float]) -> None:
    rng = np.random.default_rng(seed)
    query, *rows = unit(rng.normal(size=(31, 8)) + 2 * rng.normal(size=8))
    hits, vectors = hits_of(query, np.stack(rows))
    how = Expansion.model_validate({"least": 0.7, **changes})
    found = reordered(query, hits, vectors, how)
    expected = plainly(query, hits, vectors, how)
    assert [hit.id for hit in found] == [one for one, _ in expected]
    assert [hit.rerank_score for hit in found] == pytest.approx([score for _, score in expected])
    assert [hit.rank for hit in found] == list(range(1, 31))
    assert {hit.id: hit.score for hit in found} == {hit.id: hit.score for hit in hits}


def test_a_sure_hit_brings_its_own_kind_forward_and_the_first_stays() -> None:
    """The query is at 0°. Its hits: 10° (sure), -24°, 25°, 40°; the mean is at 5°, so 25° comes before -24°."""
    query, vectors = degrees(0)[0], degrees(10, -24, 25, 40)
    hits, ordered = hits_of(query, vectors)
    assert [hit.path for hit in hits] == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
    found = reordered(query, hits, ordered, Expansion(least=0.95, power=0))
    assert [hit.path for hit in found] == ["0.jpg", "2.jpg", "1.jpg", "3.jpg"]
    assert found[1].rerank_score == pytest.approx(math.cos(math.radians(20)))
    # three that are sure at 10°, 12° and 30° draw the mean to 13°: 12° is nearest, 10° is still the first
    hits, ordered = hits_of(query, degrees(10, 12, 30))
    assert reordered(query, hits, ordered, Expansion(least=0.5, power=0))[0].path == "0.jpg"


def test_where_no_hit_is_sure_nothing_changes() -> None:
    hits, ordered = hits_of(degrees(0)[0], degrees(10, -24, 25))
    assert reordered(degrees(0)[0], hits, ordered, Expansion(least=0.99)) == hits


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return a store with items at these angles, by their numbers."""
    made = BruteForceShelf(BruteForceShelf.Options(name="bruteforce"), tmp_path).begin("made for a test", 2)
    vectors = degrees(10, -24, 25, 40)
    items = [Item(f"{i:03d}", f"{i}.jpg", {}, (), Source("content", "stamp")) for i in range(len(vectors))]
    made.upsert(items, vectors)
    return made


def test_several_queries_are_put_in_order_by_the_vectors_of_the_store(store: Store) -> None:
    queries = degrees(0, 90)
    found = [*store.search(queries, 4, [None, None], {}), Found((), 4)]
    how = Expansion(least=0.95, power=0)
    near, far, none = reranked(store, np.concatenate([queries, queries[:1]]), found, how, 3)
    assert [hit.path for hit in near.hits] == ["0.jpg", "2.jpg", "1.jpg"]
    assert far.hits == found[1].hits[:3]  # none of them is sure
    assert none == found[2]
    assert [hit.path for hit in reranked(store, queries[:1], found[:1], None, 2)[0].hits] == ["0.jpg", "1.jpg"]
    among = reranked(store, queries[:1], found[:1], how.model_copy(update={"among": 2}), 4)[0]
    assert [hit.path for hit in among.hits] == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]


def test_an_item_that_goes_meanwhile_leaves_the_order_of_the_store(store: Store) -> None:
    found = store.search(degrees(0), 4, [None], {})
    gone = replace(found[0], hits=(*found[0].hits[:3], replace(found[0].hits[3], id="gone")))
    assert reranked(store, degrees(0), [gone], Expansion(least=0.95), 4) == [gone]


@pytest.mark.parametrize(
    ("rerank", "sentence"),
    [
        ("{}", "search.rerank.least is missing: it has no default. Example: search: {rerank: {least: 0.95}}."),
        ("{least: 2}", "search.rerank.least: expected less than 1; received 2."),
        ("{leest: 0.9}", "search.rerank.leest: unknown key. Did you mean 'least'?"),
        ("{least: 0.9, name: graph}", "search.rerank.name: expected 'expansion'; received 'graph'."),
    ],
)
def test_what_is_wrong_with_it_is_one_sentence(rerank: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(f"gallery: {{folder: a}}\nsearch: {{rerank: {rerank}}}", Path.cwd())
    assert sentence in str(raised.value)


def test_searches_evaluations_and_why_not_agree_on_the_order(tmp_path: Path) -> None:
    for number in range(12):
        paint(tmp_path / f"gallery/{'ab'[number % 2]}/{number}.png", number, hue=number % 2)
    paint(tmp_path / "query.png", 108)
    yaml = tmp_path / "application.yaml"
    yaml.write_text(
        'gallery: {folder: gallery}\nextractor: {name: "fakes:Grid"}\nsearch: {k: 3, rerank: {least: 0.3, neighbours: 1}}'
    )
    with VisualSearch.from_yaml(yaml) as search, VisualSearch.from_yaml(yaml, ["search.rerank=null"]) as plain:
        search.index()
        near = plain.search(tmp_path / "query.png", k=12).hits
        found = search.search(tmp_path / "query.png").hits
        with plain._searcher().use() as searcher:
            [prepared] = searcher.prepare(tmp_path / "query.png")
            assert prepared.crop is not None
            vector = searcher.embedder.embed([prepared.crop]).vectors[0]
            vectors = searcher.store.vectors([hit.id for hit in near])
        expected = plainly(vector, near, vectors, Expansion(least=0.3, neighbours=1))
        assert [hit.id for hit in found] == [one for one, _ in expected[:3]]
        assert [hit.id for hit in found] != [hit.id for hit in near[:3]]
        assert [hit.rerank_score for hit in near] == [None] * 12
        left = next(hit for hit in near[:3] if hit.id not in {one.id for one in found})
        told = search.why_not(tmp_path / "query.png", left.path)
        assert told == (
            f"{left.path} was at rank {left.rank} (score {left.score:.3f}); search.rerank put it after the 3 hits."
        )
        evaluated = search.evaluate()
    row, answer = evaluated.rows[0], evaluated.answers[0]
    others = [hit.id for hit in answer.hits]
    assert list(row.exhaustive) == others == list(row.routed)
    own = plain.search(tmp_path / "gallery" / row.query, k=12)
    behind = tuple(hit for hit in own.hits if hit.path != row.query)
    with plain._searcher().use() as searcher:
        vector = searcher.store.vectors([next(hit.id for hit in own.hits if hit.path == row.query)])[0]
        vectors = searcher.store.vectors([hit.id for hit in behind])
    assert others == [one for one, _ in plainly(vector, behind, vectors, Expansion(least=0.3, neighbours=1))]
