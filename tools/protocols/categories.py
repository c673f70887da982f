"""The split of Caltech-101: of each category, by file name, the first thirty are the gallery and the rest are queries."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from tools.protocols.people import link_all
from visualsearch.config import GallerySettings
from visualsearch.errors import DataError
from visualsearch.gallery import Picture, list_pictures

FIRST = 30


@dataclass(frozen=True, slots=True)
class Categories:
    """Two folders of links, one for what can be found and one for what is looked for."""

    gallery: Path
    queries: Path

    @property
    def overrides(self) -> tuple[str, ...]:
        """Return what is set beside a configuration."""
        return tuple(
            f"{section}.folder={json.dumps(str(folder))}"
            for section, folder in (("gallery", self.gallery), ("queries", self.queries))
        )


def split(folder: Path, place: Path, limit: int | None = None, first: int = FIRST) -> Categories:
    """Make the split below ``place``, of the first ``limit`` categories; a category of few pictures has no queries.

    Raises:
        DataError: no category has more than ``first`` pictures, so that there are no queries.
    """
    by_category: dict[str, list[Picture]] = {}
    for picture in list_pictures(GallerySettings(folder=folder)).pictures:
        if "label" in picture.columns:
            by_category.setdefault(picture.columns["label"], []).append(picture)
    chosen = [by_category[name] for name in sorted(by_category)][:limit]
    made = Categories(place / "gallery", place / "queries")
    link_all({one.path: one.file for group in chosen for one in group[:first]}, made.gallery)
    queries = {one.path: one.file for group in chosen for one in group[first:]}
    if not queries:
        message = f"{folder}: expected categories with more than {first} pictures, the rest being queries; found none."
        raise DataError(message, slug="queries-missing")
    link_all(queries, made.queries)
    return made
