"""`copy --to`: an index goes from store to store and back, to the bit, and nothing is embedded again."""

from __future__ import annotations

import secrets
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fakes import Grid, paint_gallery
from servers import Cluster

from visualsearch import UsageError, VisualSearch

YAML = """
name: {name}
out: {out}
gallery: {{folder: {gallery}}}
extractor: {{name: "fakes:Grid"}}
classifier: {{name: extractor}}
store: {store}
"""


def opened(gallery: Path, name: str, store: str) -> VisualSearch:
    yaml = gallery.parent / f"{name}.yaml"
    yaml.write_text(YAML.format(name=name, out=gallery.parent / name, gallery=gallery, store=store))
    return VisualSearch.from_yaml(yaml)


def contents(search: VisualSearch) -> dict[str, Any]:
    """Return everything that an index holds, vectors included."""
    with closing(search._parts.shelf.live()) as store:
        items = [item for page in store.pages(5) for item in page]
        vectors = store.vectors([item.id for item in items])
        return {
            "items": items,
            "vectors": vectors.tobytes(),
            "failures": store.failures(),
            "buried": store.buried(),
            "buckets": store.bucket_counts(),
            "fingerprint": store.fingerprint,
        }


def test_an_index_goes_to_milvus_and_comes_back_the_same(tmp_path: Path) -> None:
    pytest.importorskip("pymilvus", reason="pip install 'visualsearch[milvus]'")
    gallery = paint_gallery(tmp_path / "gallery")
    (gallery / "red/torn.png").write_text("no picture")
    stores = {"one": "{name: embedded}", "two": "{name: milvus, metric: cosine}", "three": "{name: embedded}"}
    one, two, three = (opened(gallery, name, store) for name, store in stores.items())
    with closing(one), closing(two), closing(three):
        one.index()
        one.forget(["blue/blue00.png"])
        expected = contents(one)
        assert (len(expected["items"]), len(expected["failures"]), len(expected["buried"])) == (17, 1, 1)
        assert (one.copy_to(two), two.copy_to(three)) == (17, 17)
        assert contents(two) == contents(three) == expected
        hits, same = (search.search(gallery / "red/red00.png", k=9).hits for search in (two, one))
        assert [hit.id for hit in hits] == [hit.id for hit in same]
        assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in same], abs=1e-5)
        embedded = Grid.embedded
        assert (two.index().unchanged, Grid.embedded) == (17, embedded)


def test_an_index_goes_round_and_comes_back_the_same(elasticsearch: Cluster, tmp_path: Path) -> None:
    gallery = paint_gallery(tmp_path / "gallery")
    (gallery / "red/torn.png").write_text("no picture")
    index = f"copy-{secrets.token_hex(4)}"
    there = f"{{name: elasticsearch, hosts: ['{elasticsearch.addresses[0]}'], index: {index}}}"
    ways = {"one": "{name: embedded}", "two": there, "three": "{name: bruteforce}", "four": "{name: embedded}"}
    searches = {name: opened(gallery, name, store) for name, store in ways.items()}
    first = searches["one"]
    try:
        first.index()
        first.forget(["blue/blue00.png"])
        expected, embedded = contents(first), Grid.embedded
        assert (len(expected["items"]), len(expected["failures"]), len(expected["buried"])) == (17, 1, 1)
        names = list(searches)
        for source, target in zip(names, names[1:], strict=False):
            assert searches[source].copy_to(searches[target]) == 17
            assert contents(searches[target]) == expected
        for search in searches.values():
            hits = search.search(gallery / "red/red00.png", k=9).hits
            same = first.search(gallery / "red/red00.png", k=9).hits
            assert [hit.id for hit in hits] == [hit.id for hit in same]
            assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in same], abs=1e-5)
        embedded += 2 * len(searches)  # the queries
        assert Grid.embedded == embedded
        summary = searches["two"].index()
        assert (summary.unchanged, summary.added, Grid.embedded) == (17, 0, embedded)
        assert searches["two"].copy_to(first) == 17
        with pytest.raises(UsageError):
            first.copy_to(first)
    finally:
        for search in searches.values():
            search.close()


def test_a_copy_that_was_killed_ends_as_the_source_is_by_then(elasticsearch: Cluster, tmp_path: Path) -> None:
    """What the first attempt wrote and the source has lost since is not in the copy."""
    gallery = paint_gallery(tmp_path / "gallery")
    (gallery / "red/torn.png").write_text("no picture")
    there = f"{{name: elasticsearch, hosts: ['{elasticsearch.addresses[0]}'], index: copy-{secrets.token_hex(4)}}}"
    with opened(gallery, "one", "{name: embedded}") as source, opened(gallery, "two", there) as target:
        source.index()
        with closing(source._parts.shelf.live()) as live:
            (page,) = live.pages()
            with closing(target._parts.shelf.begin(live.fingerprint, live.dim)) as begun:
                begun.upsert(page, live.vectors([item.id for item in page]))
                begun.record_failures(live.failures())
        for gone in ("red/red00.png", "red/torn.png"):
            (gallery / gone).unlink()
        source.index()
        assert source.copy_to(target) == 17
        assert contents(target) == contents(source)


def test_check_names_what_an_interrupted_rebuild_left(elasticsearch: Cluster, tmp_path: Path) -> None:
    gallery = paint_gallery(tmp_path / "gallery")
    index = f"copy-{secrets.token_hex(4)}"
    there = f"{{name: elasticsearch, hosts: ['{elasticsearch.addresses[0]}'], index: {index}}}"

    def said() -> list[str]:
        return [one.says for one in search.check() if "interrupted" in one.says]

    with opened(gallery, "one", there) as search:
        search.index()
        assert said() == []
        parts = search._parts
        parts.shelf.begin(parts.embedding_fingerprint, parts.extractor.dim).close()
        (one,) = said()
        assert one.startswith(f"visualsearch-{index}-v2, ")
        search.index(rebuild=True)
        assert said() == []
