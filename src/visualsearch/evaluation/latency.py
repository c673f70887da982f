"""How long each stage of a search took."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from visualsearch.evaluation.runs import RunRow

STAGES = ("decode", "crop", "embed", "search", "search_exhaustive")


def latency(rows: Sequence[RunRow]) -> dict[str, dict[str, float]] | None:
    """Return median and 95th percentile of each stage's milliseconds over queries; None where nothing was timed.

    Decoding, cropping and embedding are those of the run in which a query was embedded; embedding and searching run in
    batches, and a batch's time is shared by its queries.
    """
    times = {stage: [row.timings_ms[stage] for row in rows if stage in row.timings_ms] for stage in STAGES}
    told = {}
    for stage, some in times.items():
        if some:
            median, late = np.percentile(some, [50, 95]).tolist()
            told[stage] = {"median": median, "p95": late}
    return told or None
