"""The parts of the Milvus store that need no Milvus: options, rows, filters, requests."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visualsearch import ConfigError
from visualsearch.config import parse
from visualsearch.datatypes import Item, Source
from visualsearch.stores.milvus_client import slug_of
from visualsearch.stores.milvus_counts import Memory
from visualsearch.stores.milvus_options import MilvusOptions, base_name
from visualsearch.stores.milvus_rows import (
    NO_BUCKET,
    condition,
    home,
    item_of,
    key_of,
    row_of,
    size_of,
    token,
    too_large,
)
from visualsearch.stores.milvus_search import cosine
from visualsearch.stores.portions import portions

texts = st.text(st.characters(min_codepoint=0, max_codepoint=0x10FFFF), max_size=8)  # lone surrogates, NUL
items = st.builds(
    Item,
    id=texts,
    path=texts,
    columns=st.dictionaries(texts, texts, max_size=3),
    buckets=st.lists(texts, max_size=3).map(tuple),
    source=st.builds(Source, texts, texts, texts),
    box=st.none() | st.tuples(*[st.integers(0, 9_999)] * 4),
)
NOWHERE = np.array([1, 0], np.float32)

# ------------------------------------------------------------------------------- rows


@given(items)
def test_any_item_comes_back_from_its_row(item: Item) -> None:
    """Through JSON in UTF-8, with names that are no valid Unicode."""
    row = row_of(item, NOWHERE)
    assert item_of(json.loads(json.dumps(row["item"], ensure_ascii=False).encode().decode())) == item
    assert (row["home"] == NO_BUCKET) == (row["buckets"] == [NO_BUCKET]) == (item.buckets == ())
    assert size_of(row) >= 8 + len(json.dumps(row["item"], ensure_ascii=False, separators=(",", ":")).encode())


@given(st.lists(texts, min_size=2, max_size=6, unique=True))
def test_keys_are_in_the_order_of_the_ids(ids: list[str]) -> None:
    assert [key_of(one) for one in sorted(ids)] == sorted(map(key_of, ids))
    assert len(set(map(key_of, ids))) == len(ids)
    assert all(key_of(one).isalnum() and key_of(one).isascii() for one in ids)


@given(st.lists(st.lists(texts, max_size=3, unique=True), max_size=6))
def test_other_buckets_are_another_home(some: list[list[str]]) -> None:
    sets = {tuple(sorted(buckets)) for buckets in some}
    assert len({home(buckets) for buckets in sets}) == len(sets)


def test_what_milvus_would_refuse_is_found_before_it_is_sent() -> None:
    def reason(**other: object) -> str | None:
        whole = {"id": "a", "path": "a.jpg", "columns": {}, "buckets": (), "source": Source("c", "s")}
        return too_large(row_of(Item(**{**whole, **other}), NOWHERE))

    assert reason() is None
    assert reason(buckets=("x" * 60_000,)) is None
    assert reason(id="x" * 33_000) == "expected texts of at most 65535 bytes; received 66001"
    assert "received 66000" in str(reason(buckets=("é" * 33_000,)))
    assert "beside the vector" in str(reason(path="x" * 66_000))
    assert "4096 buckets" in str(reason(buckets=tuple(map(str, range(5_000)))))


# ------------------------------------------------------------------------------- filters


def strings(written: str) -> list[str]:
    """Read a filter as a grammar of string literals would, one that knows no escape."""
    parts = written.split('"')
    assert len(parts) % 2 == 1, written
    return parts[1::2]


@given(st.frozensets(texts, max_size=4), st.dictionaries(texts, texts, max_size=3))
def test_no_text_can_break_a_filter(route: frozenset[str], where: dict[str, str]) -> None:
    """Whatever a bucket, a column or a value is called, the filter has one string for it, and no more."""
    written = condition(route, where)
    names = sorted(token(name) for name in route)
    facts = sorted(f"{token(name)}={token(value)}" for name, value in where.items())
    assert strings(written) == [NO_BUCKET, *names, *facts]
    outside = "".join(written.split('"')[::2])
    assert set(outside) <= set("ARRAY_CONTAINS_ANY(buckets, []) and ARRAY_CONTAINS_ALL(facts")
    assert not set(written) & set("'\\\n\r\t\0")


@pytest.mark.parametrize(
    "name", ['a "b"', "it's", "back\\slash", "line\nbreak", "red mug", "🐈 naïve", "a=b", '"] or true']
)
def test_a_name_is_kept_readable_and_told_from_all_others(name: str) -> None:
    assert item_of(row_of(Item("1", "p", {name: name}, (name,), Source("", "")), NOWHERE)["item"]).buckets == (name,)
    assert token(name) == name if name in ("red mug", "🐈 naïve") else token(name) != name
    assert '"' not in token(name) and "\\" not in token(name) and "'" not in token(name) and "=" not in token(name)


def test_a_filter_is_made_of_buckets_and_columns() -> None:
    assert condition(None, {}) == ""
    assert condition(None, {"brand": "x", "label": "mug"}) == 'ARRAY_CONTAINS_ALL(facts, ["brand=x", "label=mug"])'
    assert condition(frozenset({"mug"}), {}, homes=["key=mug", "mug"]) == 'home in ["key=mug", "mug"]'


# ------------------------------------------------------------------------------- scores, counts, requests


@given(st.integers(2, 200), st.integers(0, 2**32 - 1))
def test_a_squared_distance_is_turned_back_into_the_cosine(dim: int, seed: int) -> None:
    a, b = np.random.default_rng(seed).standard_normal((2, dim))
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    assert abs(cosine(float(np.square(a - b).sum()), "l2") - float(a @ b)) < 1e-12
    assert cosine(float(a @ b), "cosine") == float(a @ b)
    assert (cosine(-1e-7, "l2"), cosine(1.0000001, "cosine")) == (1.0, 1.0)


def test_a_census_that_a_write_overtook_is_not_remembered() -> None:
    memory, there = Memory(600), {("mug",): 1}

    def count(chosen: str) -> dict[tuple[str, ...], int]:
        found = dict(there)
        if there["mug",] < 3:
            there["mug",] += 1
            memory.forget("a")
        return found

    assert [memory.census("a", "", count)["mug",] for _ in range(5)] == [1, 2, 3, 3, 3]
    assert memory.census("a", "other", lambda chosen: {(): 7}) == {(): 7}


@given(st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=4), max_size=12), st.integers(100, 400))
def test_requests_are_bounded_and_tear_no_picture_apart(pictures: list[list[int]], limit: int) -> None:
    def row(picture: int, face: int, size: int) -> dict[str, object]:
        return row_of(Item(f"{picture}-{face}", "x" * size, {}, (), Source("", "")), NOWHERE)

    made = [[row(p, f, size) for f, size in enumerate(sizes)] for p, sizes in enumerate(pictures)]
    sent = list(portions(made, limit, size_of))
    assert [one for batch in sent for one in batch] == [one for rows in made for one in rows]
    for batch in sent:
        inside = {one["item"]["id"].split("-")[0] for one in batch}
        assert sum(map(size_of, batch)) <= limit or len(inside) == 1
        assert len(batch) == sum(len(made[int(picture)]) for picture in inside)


@pytest.mark.parametrize(
    ("told", "slug"),
    [
        ("alias not found[database=default][alias=visualsearch_a] (code=1600)", "store-replaced"),
        ("[describe_alias] Retry timeout: 30.0s, <UNAVAILABLE: failed to connect to all addresses>", "store-busy"),
        (
            "Fail connecting to server on a:1, illegal connection params or server unavailable (code=2)",
            "store-unreachable",
        ),
        ("auth check failure, please check api key is correct (UNAUTHENTICATED)", "store-credentials"),
        ("PrivilegeUpsert: permission deny to someone (PERMISSION_DENIED)", "store-permission"),
        ("quota exceeded[reason=disk quota exceeded] (code=11)", "store-disk-full"),
        ("node offline (code=1)", "store-failed"),
    ],
)
def test_what_milvus_says_is_told_apart(told: str, slug: str) -> None:
    assert slug_of(told) == slug


# ------------------------------------------------------------------------------- options


def options(text: str, monkeypatch: pytest.MonkeyPatch, **environment: str) -> MilvusOptions:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    made = parse(f"gallery: {{folder: g}}\nstore: {{name: milvus, {text}}}", Path("/somewhere")).store
    assert isinstance(made, MilvusOptions)
    return made


def test_the_token_comes_from_the_environment_and_is_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    made = options(
        'uri: "https://a:19530", token: "${MV_TOKEN}", ca: "file:ca.pem"', monkeypatch, MV_TOKEN="root:s3cret-91"
    )
    assert (made.token, made.ca, made.is_file) == ("root:s3cret-91", "file:/somewhere/ca.pem", False)
    shown = f"{made!r} {made.model_dump()} {made.model_dump_json()}"
    assert "s3cret-91" not in shown and "${MV_TOKEN}" in shown


def test_a_file_is_meant_from_the_yaml(monkeypatch: pytest.MonkeyPatch) -> None:
    made = options("uri: 'file:there/milvus.db', index: HNSW, m: 8", monkeypatch)
    assert (made.uri, made.is_file, made.build) == (
        "file:/somewhere/there/milvus.db",
        True,
        {"M": 8, "efConstruction": 200},
    )
    made = options("index: IVF_FLAT, nlist: 9, nprobe: 9", monkeypatch)
    assert (made.uri, made.is_file, made.build) == (None, True, {"nlist": 9})
    assert options("index: AUTOINDEX", monkeypatch).build == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("uri: 'http://a:19530', token: hunter2-0815", "from the environment"),
        ("uri: 'http://someone-0815:hunter2-0815@a:19530'", "without user and password"),
        ("uri: 'a:19530'", "expected file:PATH, or an address such as http://milvus-1:19530; received 'a:19530'"),
        ("uri: 'http://a'", "such as http://milvus-1:19530; received 'http://a'"),
        ("uri: 'file:milvus'", "ends in .db"),
        ("collection: shop-1", "letters, digits and '_'"),
        ("collection: shop_v2", "not ending like _v1"),
        ("index: IVF_SQ8", "'FLAT'"),
        ("index: flat", "'FLAT'"),
        ("metric: ip", "'l2'"),
        ("nlist: 4, nprobe: 5", "nprobe: expected at most nlist, 4; received 5"),
        ("ca: ca.pem, uri: 'https://a:1'", "file:PATH"),
        ("ca: 'file:ca.pem', uri: 'http://a:1'", "https://"),
    ],
)
def test_a_mistake_is_one_sentence_without_the_secret(text: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError) as caught:
        options(text, monkeypatch)
    message = str(caught.value)
    assert said in message and "\n" not in message
    assert "hunter2" not in message and "someone-0815" not in message


def test_a_token_without_a_server_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="expected an address of a server in uri, too"):
        options('token: "${MV_TOKEN}"', monkeypatch, MV_TOKEN="root:s3cret-91")


def test_names_in_milvus_are_letters_digits_and_underscores() -> None:
    assert base_name("Shop_1", "other") == "visualsearch_Shop_1"
    assert base_name(None, "Läden & mehr") == "visualsearch_L_den_mehr"
    assert base_name(None, "…") == "visualsearch_gallery"
    assert base_name(None, "shop-v2") == "visualsearch_shop_v2_gallery"
