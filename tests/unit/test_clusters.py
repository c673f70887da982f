"""Clusters: compared with known blobs, with hand counts, and with searches over a painted gallery."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from fakes import Grid, paint, paint_gallery
from PIL import Image

from visualsearch import DataError, VisualSearch
from visualsearch.clusters import FEWEST, LARGEST, Clusters, auto, make, nearest, shared_out
from visualsearch.datatypes import Crop, Item, Matrix, Source
from visualsearch.stages.drifting import drifted
from visualsearch.stores.bruteforce import BruteForceStore, Contents

RNG = np.random.default_rng(5)


def unit(rows: Matrix) -> Matrix:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def blobs(
    sizes: tuple[int, ...], dim: int = 8, noise: float = 0.05
) -> tuple[Matrix, np.ndarray[tuple[int], np.dtype[np.intp]]]:
    rng = np.random.default_rng(3)
    homes = np.repeat(np.arange(len(sizes)), sizes)
    middles = np.eye(dim)[: len(sizes)]
    return unit(middles[homes] + noise * rng.standard_normal((len(homes), dim))), homes


def made(vectors: Matrix, wanted: int, learned: list[int] | None = None) -> Clusters:
    rows = list(range(len(vectors))) if learned is None else learned
    return make(vectors, [str(row) for row in range(len(vectors))], rows, wanted, "e", 0)


def test_blobs_are_found_and_each_centroid_is_the_direction_of_its_mean() -> None:
    vectors, homes = blobs((30, 20, 25))
    clusters = made(vectors, 3)
    names = np.array(clusters.of(vectors))
    assert [len(set(names[homes == blob])) for blob in range(3)] == [1, 1, 1]
    assert len(set(names)) == 3
    for place, name in enumerate(clusters.names):
        mean = vectors[names == name].astype(np.float64).mean(axis=0)
        np.testing.assert_allclose(clusters.centroids[place], mean / np.linalg.norm(mean), atol=1e-5)


def test_none_is_larger_than_three_times_the_mean_and_none_stands_for_a_single_item() -> None:
    dense = unit(np.eye(16)[:1] + 0.02 * RNG.standard_normal((600, 16)))
    vectors = np.concatenate([dense, unit(RNG.standard_normal((200, 16)))])
    clusters = made(vectors, 40)
    counts = np.bincount(nearest(vectors, clusters.centroids), minlength=len(clusters.names))
    assert counts.min() >= FEWEST
    assert counts.max() <= LARGEST * len(vectors) / len(clusters.names)


def test_what_may_not_be_learned_from_changes_no_centroid() -> None:
    vectors, _ = blobs((30, 20, 25))
    learned = list(range(0, 75, 2))
    other = vectors.copy()
    other[1::2] = unit(RNG.standard_normal((37, 8)))
    np.testing.assert_array_equal(made(vectors, 3, learned).centroids, made(other, 3, learned).centroids)


def test_an_item_is_placed_by_itself_however_full_its_bucket_is() -> None:
    vectors, _ = blobs((30, 20, 25))
    clusters = made(vectors, 5)
    expected = [str(clusters.names[max(range(5), key=lambda k: float(row @ clusters.centroids[k]))]) for row in vectors]
    assert clusters.of(vectors) == expected
    assert [clusters.of(row[None])[0] for row in vectors] == expected


def test_saved_clusters_are_the_same_and_of_no_other_embeddings(tmp_path: Path) -> None:
    clusters = made(blobs((30, 20))[0], 2)
    clusters.save(tmp_path)
    again = Clusters.load(tmp_path, "e")
    assert again is not None
    np.testing.assert_array_equal(again.centroids, clusters.centroids)
    assert (again.names.tolist(), again.ids.tolist(), again.made) == (
        clusters.names.tolist(),
        clusters.ids.tolist(),
        clusters.made,
    )
    assert Clusters.load(tmp_path, "other") is None
    (tmp_path / "clusters.npz").write_bytes(b"half")
    assert Clusters.load(tmp_path, "e") is None


def test_other_clusters_have_other_names() -> None:
    vectors, _ = blobs((30, 20, 25))
    assert not set(made(vectors, 3).names.tolist()) & set(made(vectors[5:], 3).names.tolist())


def test_auto_grows_with_the_gallery_and_too_few_items_are_refused() -> None:
    numbers = [auto(items) for items in (12, 100, 1_000, 10_000, 100_000, 10_000_000)]
    assert numbers == sorted(numbers)
    assert numbers[0] == 2
    with pytest.raises(DataError) as caught:
        made(blobs((3,))[0], 2)
    assert caught.value.slug == "too-few-items"


def test_a_full_cluster_keeps_what_is_most_like_it_and_nobody_prefers_one_with_room() -> None:
    rng = np.random.default_rng(4)
    vectors, centroids = unit(rng.standard_normal((300, 6)) + [2, 0, 0, 0, 0, 0]), unit(rng.standard_normal((20, 6)))
    homes = shared_out(vectors, centroids, room=18)
    counts = np.bincount(homes, minlength=20)
    assert counts.max() <= 18
    scores = vectors @ centroids.T
    for row, home in enumerate(homes):
        for other in np.flatnonzero(scores[row] > scores[row, home] + 1e-6):
            assert counts[other] == 18
            assert scores[homes == other, other].min() >= scores[row, other] - 1e-6
    assert (shared_out(vectors, centroids, room=300) == scores.argmax(axis=1)).all()


def drift_of(added: Matrix) -> list[tuple[bool, str]]:
    vectors, _ = blobs((200, 200, 200))
    clusters = made(vectors, 6, list(range(0, 600, 2)))
    store = BruteForceStore(Contents("f", 8))
    every = np.concatenate([vectors, added])
    homes = clusters.of(every)
    store.upsert([Item(str(n), f"{n}.jpg", {}, (homes[n],), Source(str(n), "")) for n in range(len(every))], every)
    return list(drifted(clusters, store))


def test_drift_is_told_where_newcomers_are_of_another_kind_and_not_where_they_are_like_the_others() -> None:
    alike = unit(np.eye(8)[np.arange(90) % 3] + 0.05 * np.random.default_rng(9).standard_normal((90, 8)))
    assert [reason for reason, _ in drift_of(alike)] == [False, False]
    strange = unit(np.eye(8)[3 + np.arange(90) % 3] + 0.3 * np.random.default_rng(9).standard_normal((90, 8)))
    (_, newcomers) = drift_of(strange)
    assert newcomers[0]
    assert "90 of 690 items came after" in newcomers[1]
    large = unit(np.eye(8)[:1] + 0.01 * np.random.default_rng(9).standard_normal((900, 8)))
    assert drift_of(large)[0][0]


YAML = """
name: painted
out: {out}
gallery: {{folder: {gallery}}}
extractor: {{name: "fakes:Grid"}}
classifier: {{name: extractor}}
buckets: {{clusters: 6}}
routing: {{keep: 0.8, widen: []}}
search: {{k: 3}}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clusters")
    gallery = paint_gallery(folder / "gallery", each=24)
    yaml = folder / "painted.yaml"
    yaml.write_text(YAML.format(out=folder / "model", gallery=gallery))
    with VisualSearch.from_yaml(yaml) as search:
        search.index()
        search.train()
    return yaml


def places(search: VisualSearch) -> dict[str, tuple[str, ...]]:
    store = search._parts.shelf.live()
    assert store is not None
    try:
        return {item.path: item.buckets for page in store.pages() for item in page}
    finally:
        store.close()


def vector(file: Path) -> Matrix:
    return Grid(Grid.Options(name="grid"), None, file).embed([Crop(np.asarray(Image.open(file).convert("RGB")))])


def clusters_in(yaml: Path) -> Clusters:
    with VisualSearch.from_yaml(yaml) as search:
        found = search._parts.clusters
    assert found is not None
    return found


def test_every_item_lies_in_the_nearest_cluster_that_is_not_full_and_routes_promise_hits(trained: Path) -> None:
    gallery, clusters = trained.parent / "gallery", clusters_in(trained)
    with VisualSearch.from_yaml(trained) as search:
        homes = places(search)
        counts = Counter(homes.values())
        assert max(counts.values()) <= LARGEST * len(homes) / len(clusters.names)
        for path, buckets in homes.items():
            scores = clusters.centroids @ vector(gallery / path)[0]
            nearer = clusters.names[scores > scores[clusters.names == buckets[0]] + 1e-6]
            assert all(counts[name,] == int(LARGEST * len(homes) / len(clusters.names)) for name in nearer), "full ones"
        route = search.search(gallery / "red/red00.png").route
        summary = search.evaluate().summary
    assert route is not None and route.promise is not None
    assert (route.promise["kind"], route.promise["level"], route.promise["held"]) == ("hits", 0.8, True)
    assert 0.8 <= summary["kept"] <= 1.0
    assert 0 < summary["routed"]["compared"] < 1
    assert summary["classifier"]["top1"] is None, "clusters have no right answer"


def test_a_new_item_finds_its_cluster_a_renamed_one_keeps_it_and_none_moves(trained: Path) -> None:
    gallery = trained.parent / "gallery"
    with VisualSearch.from_yaml(trained) as search:
        before = places(search)
        file = paint(gallery / "red" / "late.png", seed=777, hue=0)
        (gallery / "blue" / "blue01.png").rename(gallery / "blue" / "other.png")
        search.index()
        after = places(search)
        (gallery / "blue" / "other.png").rename(gallery / "blue" / "blue01.png")
        file.unlink()
        scores = clusters_in(trained).centroids @ vector_of_late(search, after)
        search.index()
    assert after["red/late.png"] == (clusters_in(trained).names[int(np.argmax(scores))],)
    assert after["blue/other.png"] == before["blue/blue01.png"]
    assert {path: after[path] for path in before if path in after} == {
        path: before[path] for path in before if path in after
    }


def vector_of_late(search: VisualSearch, after: dict[str, tuple[str, ...]]) -> Matrix:
    store = search._parts.shelf.live()
    assert store is not None
    ids = [item.id for page in store.pages() for item in page if item.path == "red/late.png"]
    found: Matrix = store.vectors(ids)[0]
    store.close()
    return found


def test_a_copy_routes_as_its_source(trained: Path, tmp_path: Path) -> None:
    query = trained.parent / "gallery/green/green03.png"
    overrides = [f"out={tmp_path / 'copy'}"]
    with VisualSearch.from_yaml(trained) as source, VisualSearch.from_yaml(trained, overrides) as target:
        source.copy_to(target)
        one, other = source.search(query), target.search(query)
    assert one.route == other.route
    assert one.route is not None and one.route.buckets


def test_no_centroid_tells_of_a_forgotten_item(trained: Path, tmp_path: Path) -> None:
    gallery = trained.parent / "gallery"
    overrides = [f"out={tmp_path / 'forgetful'}"]
    with VisualSearch.from_yaml(trained) as source, VisualSearch.from_yaml(trained, overrides) as search:
        source.copy_to(search)
        before, homes = clusters_in(trained), places(search)
        counts = {home: list(homes.values()).count(home) for home in set(homes.values())}
        home = min((home for home in counts if counts[home] > 3), key=lambda home: counts[home])
        members = sorted(path for path, buckets in homes.items() if buckets == home)
        search.forget(members[:1])
        after = search._parts.clusters
        assert after is not None
        mean = np.concatenate([vector(gallery / path) for path in members[1:]]).mean(axis=0)
        place = after.names.tolist().index(home[0])
        np.testing.assert_allclose(after.centroids[place], mean / np.linalg.norm(mean), atol=1e-5)
        assert len(after.ids) == len(before.ids) - 1
        told = search.forget(members[1:-1]).erased
        after = search._parts.clusters
        assert after is not None
        assert home[0] not in after.names
        assert any("1 cluster with fewer than two is dissolved" in sentence for sentence in told)
        alone = places(search)[members[-1]]
        assert alone == tuple(after.of(vector(gallery / members[-1])))
        assert search.search(gallery / members[-1], k=1).hits[0].path == members[-1]


def test_what_was_calibrated_by_other_groups_is_not_used(trained: Path) -> None:
    with VisualSearch.from_yaml(trained) as search:
        assert search.trained
    with VisualSearch.from_yaml(trained, ["gallery.group=label"]) as search:
        assert not search.trained


def test_no_promise_for_each_cluster_by_itself(trained: Path) -> None:
    with (
        VisualSearch.from_yaml(trained, ["routing.per_bucket=true"]) as search,
        pytest.raises(DataError, match="expected buckets from a column") as caught,
    ):
        search.search(trained.parent / "gallery/red/red00.png")
    assert caught.value.slug == "no-column"
