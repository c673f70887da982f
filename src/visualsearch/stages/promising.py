"""Evidence and the YAML → what routes promise."""

from __future__ import annotations

from visualsearch.calibration.evidence import Evidence
from visualsearch.calibration.promises import Promise
from visualsearch.classifiers.contract import Classifier
from visualsearch.config import RoutingSettings
from visualsearch.errors import DataError


def promise_of(evidence: Evidence | None, classifier: Classifier | None, routing: RoutingSettings) -> Promise | None:
    """Return what routes promise; None where every search is exhaustive anyway.

    Raises:
        DataError: each bucket shall have a promise of its own, and some have too few groups, or they are clusters.
    """
    if evidence is None or classifier is None or routing.keep >= 1.0:
        return None
    if not routing.per_bucket:
        return evidence.promise(routing.keep)
    if evidence.kind == "hits":
        message = (
            "routing.per_bucket: expected buckets from a column, whose pictures can be promised something by themselves; "
            "received clusters: leave per_bucket out."
        )
        raise DataError(message, slug="no-column")
    promise, few = evidence.promise_per_bucket(routing.keep)
    if few:
        poorest = min(few, key=lambda place: few[place])
        message = (
            f"routing.per_bucket: expected {promise.needed} calibration groups or more in each bucket, which keep "
            f"{routing.keep:g} needs; received {few[poorest]} in {classifier.buckets[poorest]!r}, and too few in "
            f"{len(few)} of {len(classifier.buckets)} buckets: lower routing.keep, or leave per_bucket out."
        )
        raise DataError(message, slug="too-few-groups")
    return promise
