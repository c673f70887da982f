"""The benchmark of the Elasticsearch store, in small: its gallery, its truth, its figures, recounted."""

from __future__ import annotations

import doctest
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from elasticsearch import Elasticsearch
from servers import VERSIONS, Cluster

from benchmarks import elasticsearch as benchmark
from benchmarks.stores import tables
from benchmarks.stores.vectors import BUCKETS, DIM, Gallery, K, Truth, gallery
from visualsearch.datatypes import Hit
from visualsearch.stores.elasticsearch import ElasticsearchShelf
from visualsearch.stores.elasticsearch_bulk import writing

ROOT = Path(__file__).parents[2]
VECTORS, QUERIES, BULK = 2_000, 5, 200


@pytest.fixture(scope="module")
def made() -> Gallery:
    return gallery(VECTORS, QUERIES)


def nearest(made: Gallery, query: int, routed: bool) -> list[int]:
    """Return the rows that are nearest, by sorting all of them."""
    rows = [row for row in range(len(made.vectors)) if not routed or made.homes[row] == made.asked[query]]
    return sorted(rows, key=lambda row: -float(np.dot(made.vectors[row].astype(float), made.queries[query])))[:K]


def hits(made: Gallery, rows: list[int]) -> tuple[Hit, ...]:
    items = [made.items(row, row + 1)[0] for row in rows]
    return tuple(Hit(one.id, one.path, one.columns, one.buckets, 0.0, rank) for rank, one in enumerate(items, 1))


def test_the_examples_in_the_docstrings_run() -> None:
    assert doctest.testmod(tables).failed == 0


def test_the_gallery_is_the_same_each_time_and_its_buckets_are_spread(made: Gallery) -> None:
    again = gallery(VECTORS, QUERIES)
    np.testing.assert_array_equal(made.vectors, again.vectors)
    assert made.vectors.shape == (VECTORS, DIM)
    np.testing.assert_allclose(np.linalg.norm(made.vectors, axis=1), 1, atol=1e-5)
    inside = made.vectors[made.homes == 3] @ made.vectors[made.homes == 3].T
    outside = made.vectors[made.homes == 3] @ made.vectors[made.homes == 4].T
    assert 0.35 < np.median(inside) < 0.65 and abs(np.median(outside)) < 0.2
    assert 0.03 < np.std(inside[~np.eye(len(inside), dtype=bool)]) < 0.1  # some are nearer than others
    assert set(made.homes) == set(range(BUCKETS))


@pytest.mark.parametrize("routed", [True, False])
def test_agreement_is_the_share_of_the_nearest_that_was_found(made: Gallery, routed: bool) -> None:
    truth = Truth(made)
    for query in range(QUERIES):
        right = nearest(made, query, routed)
        assert truth.agreement(query, hits(made, right), routed) == 1
        wrong = [row for row in range(40) if row not in right][: len(right)]
        assert truth.agreement(query, hits(made, [*right[5:], *wrong[:5]]), routed) == (len(right) - 5) / len(right)
        assert truth.agreement(query, hits(made, [*right[:1]] * 20), routed) == 1 / len(right)
        assert truth.agreement(query, (), routed) == 0


@pytest.fixture(scope="module")
def server(elasticsearch_server: Callable[[str], Cluster]) -> Iterator[Cluster]:
    """Return the session's server of the first version; what the benchmark left there is removed."""
    cluster = elasticsearch_server(VERSIONS[0])
    yield cluster
    with Elasticsearch(cluster.addresses) as client:
        for name in client.indices.get(index="visualsearch-benchmark-*"):
            client.indices.delete(index=name)


@pytest.fixture(scope="module")
def ran(server: Cluster, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    """Run the benchmark once; return its figures and its report."""
    told = f"--vectors {VECTORS} --queries {QUERIES} --bulk {BULK} --repetitions 1 --warm-up-s 0"
    given = benchmark.arguments(told.split())
    figures = benchmark.run(given, server, tmp_path_factory.mktemp("benchmark"))
    return figures, "\n".join(benchmark.report(given, figures))


def cells(report: str, first: str) -> list[list[str]]:
    """Return the rows of the report's tables that begin with this cell."""
    lines = (line.strip("| ").split(" | ") for line in report.splitlines() if line.startswith("| "))
    return [[cell.strip() for cell in line] for line in lines if line[0] == first]


@pytest.mark.parametrize(("search", "routed"), [("routed, `flat`", True), ("exhaustive, `flat`", False)])
def test_the_agreement_in_the_table_is_that_of_a_recount(
    ran: tuple[dict[str, Any], str], server: Cluster, made: Gallery, search: str, routed: bool
) -> None:
    shelf = ElasticsearchShelf(
        ElasticsearchShelf.Options(hosts=server.addresses, index="benchmark-flat"), Path("/unused/model/index")
    )
    found = 0
    with closing(shelf.live()) as store:
        assert store.count() == VECTORS
        for query in range(QUERIES):
            route = frozenset({made.labels[made.asked[query]]}) if routed else None
            answer = store.search(made.queries[query : query + 1], K, [route], {})[0]
            expected = {made.items(row, row + 1)[0].id for row in nearest(made, query, routed)}
            found += len(expected & {hit.id for hit in answer.hits}) / len(expected)
    assert found / QUERIES == 1
    rows = cells(ran[1], search)
    assert [row[4] for row in rows] == ["1.000", "1.000"]  # as loaded, and merged to one segment
    assert rows[1][1] == "1"


def test_a_search_on_the_graph_is_held_against_all_and_the_embedded_store_asks_no_server(
    ran: tuple[dict[str, Any], str],
) -> None:
    figures, report = ran
    for rows in figures["searching"].values():
        by_name = {row["search"]: row for row in rows}
        assert by_name["whole `hnsw`, `num_candidates` 100"]["agreement"] >= 0.9
        assert by_name["routed, `hnsw`"]["agreement"] == 1
        for name, row in by_name.items():
            assert (row["requests"] == 0) == ("embedded" in name)
            assert all(milliseconds > 0 for milliseconds in row["ms"])
    assert "- as loaded: routed agreement 1.000 (goal 1.000: reached)" in report


def test_both_clients_write_the_same_documents_in_as_many_bytes_as_they_say(
    ran: tuple[dict[str, Any], str], made: Gallery
) -> None:
    pairs = zip(made.items(0, BULK), made.vectors, strict=False)
    own = sum(len(writing(item, vector).lines) + 1 for item, vector in pairs) / BULK
    sizes = {row["written by"]: row["bytes/item"] for row in ran[0]["writing"]}
    assert sizes["store, one call"] == sizes["store, calls of 1,000"] == pytest.approx(own, rel=1e-9)
    assert sizes["bare client, `parallel_bulk`"] > own  # it writes float32 with the digits of a double
    assert cells(ran[1], "bare client, `parallel_bulk`")[0][3] == "100%"


def test_it_runs_as_a_program_beside_a_package_of_its_own_name() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "elasticsearch.py"), "--vectors", "0"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd="/")
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].endswith("--vectors: expected a whole number from 1; received 0")
