"""Gallery → extractor: fit what an extractor learns from a gallery and its groups, before the first index."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from visualsearch.datatypes import Item, Matrix
from visualsearch.extractors.contract import LearnedExtractor
from visualsearch.gallery import Listing, Picture
from visualsearch.progress import Progress
from visualsearch.stages.ahead import batches
from visualsearch.stages.assembly import Parts
from visualsearch.stages.writing import BATCH, described

SAMPLE = 4096
"""Pictures on which an extractor is fitted at most."""


def fit_extractor(parts: Parts, listing: Listing, progress: Progress) -> None:
    """Fit what the extractor learns from the gallery, where it is wanted and missing, on a sample of it."""
    extractor = parts.extractor
    if not isinstance(extractor, LearnedExtractor) or not extractor.unfitted:
        return
    sample = sampled(parts, listing.pictures)
    rows: list[Matrix] = []
    groups: list[str] = []
    done = 0
    for some in batches(described(sample, parts.cropper), BATCH):
        rows.append(extractor.raw([crop for one in some for crop in one.crops]))
        groups.extend(group_of(parts, one.picture) for one in some for _ in one.crops)
        done += len(some)
        progress("fitting the extractor", done, len(sample))
    extractor.fit(np.concatenate(rows), groups, parts.settings.runtime.seed)


def sampled(parts: Parts, pictures: Sequence[Picture]) -> list[Picture]:
    """Return the pictures of randomly chosen groups, all of each, until there are enough."""
    of_group: defaultdict[str, list[Picture]] = defaultdict(list)
    for picture in pictures:
        of_group[group_of(parts, picture)].append(picture)
    groups = list(of_group.values())
    order = np.random.default_rng(parts.settings.runtime.seed).permutation(len(groups))
    chosen = [picture for number in order for picture in groups[number]]
    return sorted(chosen[:SAMPLE], key=lambda picture: picture.path)


def group_of(parts: Parts, one: Picture | Item) -> str:
    """Return what must not be torn apart with this one: its group, or else its picture."""
    return one.columns.get(group_column(parts), one.path)


def group_column(parts: Parts) -> str:
    """Return the column that names the groups: the YAML's, or ``instance`` where it says nothing."""
    return parts.settings.gallery.group or "instance"
