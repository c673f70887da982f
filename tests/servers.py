"""Elasticsearch servers of the tests' own: real ones, begun when a test asks for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from tools.elasticsearch.cluster import VERSIONS, Cluster, Missing

__all__ = ["VERSIONS", "Cluster", "cluster"]

HEAP_MIB = 512
QUICK = ("-XX:TieredStopAtLevel=1",)
"""Compile lightly: a start takes 6.6 seconds of processor time instead of 10.8, and tests write little."""


@contextmanager
def cluster(version: str, nodes: int = 1, **options: Any) -> Iterator[Cluster]:
    """Yield a cluster that answers, ended afterwards; skip where Java, Maven or the network is missing.

    Args:
        version: one of VERSIONS.
        nodes: how many servers.
        options: what else ``Cluster`` takes.
    """
    with closing(Cluster(version, nodes, **{"heap_mib": HEAP_MIB, "java_options": QUICK, **options})) as started:
        try:
            started.start()
        except Missing as missing:
            pytest.skip(str(missing))  # under CI=true this fails: tests/conftest.py
        yield started
