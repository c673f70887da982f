"""The formula of docs/production.md: counted by hand, and against what a real server takes."""

from __future__ import annotations

import doctest

import pytest
from servers import Cluster

from tools import sizing
from tools.measure_sizes import measured, rows


def test_the_examples_hold() -> None:
    failed, attempted = doctest.testmod(sizing)
    assert failed == 0 < attempted


@pytest.mark.parametrize(
    ("kind", "hot", "disk"),
    [("flat", 400, 400), ("hnsw", 464, 464), ("int8_flat", 104, 504), ("int8_hnsw", 168, 568)],
)
def test_a_vector_of_100_dimensions_by_hand(kind: str, hot: int, disk: int) -> None:
    assert (sizing.vector_hot(kind, 100), sizing.vector_disk(kind, 100)) == (hot, disk)


def test_an_index_by_hand() -> None:
    """A billion items of 104 + 96 bytes: 200 GB on the disk of which 104 GB are compared."""
    one = sizing.size(1e9, "flat", 26, replicas=2, item_bytes=96)
    assert (one.hot, one.disk) == (104e9, 200e9)
    assert one.shards == 5  # of 200 million items; by bytes 4 would do
    assert one.cluster_disk == pytest.approx(200e9 * 3 * 3 / 0.85)
    assert one.nodes == 10  # 312 GB in pieces of 32
    assert sizing.size(1e9, "flat", 250, replicas=0, item_bytes=0).shards == 20  # of 50 GB
    assert [sizing.size(1e3, "flat", 26, replicas=n).nodes for n in (0, 1)] == [1, 3]


def test_vectors_take_what_the_formula_says(elasticsearch: Cluster) -> None:
    found = measured(elasticsearch.addresses, 1500, 64, kinds=("int8_flat", "hnsw"), history_s=0)
    assert found["int8_flat"].vector == pytest.approx(64 * 5 + 4, rel=0.01)
    # the graph of so few is looser than 4 m says
    assert 64 * 4 + 30 < found["hnsw"].vector < 64 * 4 + 70
    assert [row.split(" | ")[1] for row in rows(found, 64)[2:]] == ["324", "320"]


@pytest.mark.soak
def test_items_take_what_the_page_says(elasticsearch: Cluster) -> None:
    for kind, one in measured(elasticsearch.addresses, 4000, 256).items():
        assert one.vector == pytest.approx(sizing.vector_disk(kind, 256), rel=0.03)
        assert one.total - one.vector == pytest.approx(sizing.ITEM_BYTES, rel=0.1)
        assert one.written > one.total + 4 * 256  # the JSON, some ten bytes a dimension
