"""The parts of the Elasticsearch store that need no server, and which servers it refuses."""

from __future__ import annotations

import json
import math
import socket
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import paint_gallery
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from serving import serving

from visualsearch import ConfigError, EngineError
from visualsearch.cli import main
from visualsearch.config import parse
from visualsearch.datatypes import Item, Source
from visualsearch.stores import waiting
from visualsearch.stores.checks import unit_enough
from visualsearch.stores.elasticsearch import ElasticsearchShelf
from visualsearch.stores.elasticsearch_bulk import Operation, requests, writing
from visualsearch.stores.elasticsearch_catalogue import loading, searching
from visualsearch.stores.elasticsearch_client import Connection
from visualsearch.stores.elasticsearch_counts import Counter
from visualsearch.stores.elasticsearch_mapping import (
    LONGEST,
    condition,
    cosine,
    document,
    document_id,
    index_body,
    item_of,
    token,
    vector_text,
)
from visualsearch.stores.elasticsearch_options import ElasticsearchOptions, index_name
from visualsearch.stores.ties import NEAR, Candidate, near_ties, undecided
from visualsearch.stores.waiting import Voice

anything = st.text(st.characters(min_codepoint=0, max_codepoint=0x10FFFF), max_size=8)  # lone surrogates, NUL
long = st.builds(lambda text, times: text * times, st.text("aé\0\udce9", min_size=1, max_size=3), st.just(LONGEST))
texts = anything | long
boxes = st.none() | st.tuples(*[st.integers(0, 9_999)] * 4)
sources = st.builds(Source, texts, anything, anything)
items = st.builds(
    Item,
    id=texts,
    path=texts,
    columns=st.dictionaries(texts, texts, max_size=3),
    buckets=st.lists(texts, max_size=3).map(tuple),
    source=sources,
    box=boxes,
)

# ------------------------------------------------------------------------------- documents


@given(items)
def test_any_item_comes_back_from_its_document(item: Item) -> None:
    """Through JSON in UTF-8, with names that are no valid Unicode and texts too long for the index."""
    action, body = writing(item, np.array([1, 0], np.float32)).lines.decode("utf-8").split("\n")
    made = json.loads(body)
    assert made.pop("vector") == [1, 0]
    assert item_of(made) == item
    assert json.loads(action) == {"index": {"_id": document_id(item.id)}}
    assert 0 < len(document_id(item.id).encode()) <= 512
    assert ("no_bucket" in made) == (item.buckets == ())


@given(st.lists(texts, unique=True, max_size=6))
def test_different_texts_have_different_tokens_that_the_index_can_hold(some: list[str]) -> None:
    tokens = [token(text) for text in some]
    assert len(set(tokens)) == len(some)
    assert all("\0" not in one and len(one.encode("utf-8")) <= 4 * LONGEST for one in tokens)


def test_a_document_can_be_read_by_a_person() -> None:
    source = Source("a1b2", "12-34", "ff00")
    item = Item("9-0", "mug/red 1.jpg", {"label": "mug"}, ("mug",), source, (1, 2, 30, 40))
    assert document(item) == {
        "id": "9-0",
        "path": "mug/red 1.jpg",
        "columns": {"label": "mug"},
        "buckets": ["mug"],
        "content": "a1b2",
        "stamp": "12-34",
        "look": "ff00",
        "box": {"left": 1, "top": 2, "right": 30, "bottom": 40},
    }


@given(arrays(np.float32, 7, elements=st.floats(-1, 1, width=32)))
def test_vectors_are_written_to_the_bit(vector: np.ndarray) -> None:
    read = np.array(json.loads(vector_text(vector)), np.float64)
    np.testing.assert_array_equal(read.astype(np.float32), vector)


def test_only_vectors_that_the_server_would_refuse_are_changed() -> None:
    rows = np.random.default_rng(0).standard_normal((50, 64)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    rows[7] *= 1.003  # as after half precision
    made = unit_enough(rows)
    assert np.flatnonzero((made != rows).any(axis=1)).tolist() == [7]
    assert abs(float(np.square(made[7], dtype=np.float64).sum()) - 1) < 1e-6


@given(st.floats(-1, 1))
def test_a_score_is_turned_back_into_the_cosine(value: float) -> None:
    assert math.isclose(cosine((1 + value) / 2), value, abs_tol=1e-15)


def test_the_mapping_is_pinned() -> None:
    body = index_body(256, "flat", 3, {"fingerprint": "f"})
    mapping = body["mappings"]
    assert mapping["dynamic"] is False
    assert mapping["_source"] == {"excludes": ["vector"]}
    assert mapping["_meta"] == {"format": 1, "dim": 256, "type": "flat", "fingerprint": "f"}
    assert mapping["properties"]["vector"] == {
        "type": "dense_vector",
        "dims": 256,
        "index": True,
        "similarity": "dot_product",
        "index_options": {"type": "flat"},
    }
    assert body["settings"] == {"number_of_shards": 3, "sort.field": "buckets", "sort.order": "asc"}


def test_settings_for_loading_and_for_searching_change_the_same_things() -> None:
    assert loading(0) == {"refresh_interval": "-1", "auto_expand_replicas": "false", "number_of_replicas": 0}
    assert searching(None, 1.0) == {"refresh_interval": "1000ms", "auto_expand_replicas": "0-1"}
    assert searching(2, 0.5)["number_of_replicas"] == 2


# ------------------------------------------------------------------------------- searching


def test_items_in_no_bucket_pass_every_filter_of_buckets() -> None:
    assert condition(None, {}) == []
    (only,) = condition(frozenset({"mug", "key"}), {})
    no_bucket = {"term": {"no_bucket": {"value": True}}}
    assert only == {"bool": {"should": [{"terms": {"buckets": ["key", "mug"]}}, no_bucket]}}
    assert condition(frozenset(), {"a.b": "x"}) == [
        {"term": {"columns.a.b": {"value": "x"}}},
        {"bool": {"should": [no_bucket]}},
    ]
    (many,) = condition(frozenset(map(str, range(100_000))), {})
    assert [len(part["terms"]["buckets"]) for part in many["bool"]["should"][:-1]] == [60_000, 40_000]


def candidates(*scores: float) -> list[Candidate]:
    return [Candidate(score, Item(str(n), "", {}, (), Source("", ""))) for n, score in enumerate(scores)]


def test_near_ties_are_found_as_far_as_the_first_k_depend_on_them() -> None:
    tie = NEAR / 2
    some = candidates(0.9, 0.8, 0.8 - tie, 0.7, 0.7 - tie, 0.7 - 2 * tie, 0.1, 0.1)
    assert near_ties(some, 1) == []
    assert near_ties(some, 2) == [1, 2]
    assert near_ties(some, 4) == [1, 2, 3, 4, 5]
    assert near_ties(some, 8) == [1, 2, 3, 4, 5, 6, 7]
    assert near_ties([], 3) == near_ties(candidates(0.5), 3) == []


def test_more_is_asked_for_while_the_last_ties_with_the_kth() -> None:
    assert undecided(candidates(0.9, 0.5, 0.5, 0.5), k=2, size=4, most=10_000)
    assert not undecided(candidates(0.9, 0.5, 0.5, 0.4), k=2, size=4, most=10_000)
    assert not undecided(candidates(0.9, 0.5, 0.5, 0.5), k=2, size=9, most=10_000)  # there are no more


def test_counts_that_a_write_overtook_are_not_remembered() -> None:
    """Another thread of the same store writes while the answer is on its way."""
    items = 1

    def ask(**asked: Any) -> dict[str, Any]:
        nonlocal items
        answer = {"hits": {"total": {"value": items}}, "aggregations": {"buckets": {"buckets": []}}}
        if items < 3:
            items += 1
            counter.forget()
        return answer

    counter = Counter(ask, seconds=600)
    assert [counter.counts().total for _ in range(5)] == [1, 2, 3, 3, 3]


# ------------------------------------------------------------------------------- writing


@given(st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=4), max_size=12), st.integers(1, 60))
def test_requests_are_bounded_and_tear_no_picture_apart(groups: list[list[int]], limit: int) -> None:
    made = [[Operation(f"{g}-{n}", b"x" * size) for n, size in enumerate(group)] for g, group in enumerate(groups)]
    sent = list(requests(iter(made), limit))
    assert [one for request in sent for one in request] == [one for group in made for one in group]
    for request in sent:
        pictures = {one.item.split("-")[0] for one in request}
        assert sum(len(one.lines) for one in request) <= limit or len(pictures) == 1
        assert len(request) == sum(len(groups[int(picture)]) for picture in pictures)
    for request, after in zip(sent, sent[1:], strict=False):  # none is smaller than it must be
        first = after[0].item.split("-")[0]
        following = sum(len(one.lines) for one in after if one.item.split("-")[0] == first)
        assert sum(len(one.lines) for one in request) + following > limit


# ------------------------------------------------------------------------------- options


def options(text: str, monkeypatch: pytest.MonkeyPatch, **environment: str) -> ElasticsearchOptions:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    made = parse(f"gallery: {{folder: g}}\nstore: {{name: elasticsearch, {text}}}", Path("/somewhere")).store
    assert isinstance(made, ElasticsearchOptions)
    return made


def test_secrets_come_from_the_environment_and_are_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    written = 'hosts: ["https://a:9200"], user: "${ES_USER}", password: "${ES_PASSWORD}", ca: "file:ca.pem"'
    made = options(written, monkeypatch, ES_USER="someone-7c1", ES_PASSWORD="s3cret-91ab")
    assert (made.user, made.password, made.ca) == ("someone-7c1", "s3cret-91ab", "file:/somewhere/ca.pem")
    shown = f"{made!r} {made.model_dump()} {made.model_dump_json()}"
    assert "s3cret-91ab" not in shown and "someone-7c1" not in shown and "${ES_PASSWORD}" in shown
    error = EngineError("the password s3cret-91ab is wrong", slug="x")
    assert "s3cret-91ab" not in str(error)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("password: hunter2-0815, user: someone-0815", "from the environment"),
        ("api_key: c2VjcmV0LTA4MTU=", "from the environment"),
        ("hosts: ['https://someone-0815:hunter2-0815@a:9200']", "without user and password"),
        ("hosts: ['a:9200']", "scheme, name and port, such as https://search-1:9200; received 'a:9200'"),
        ("hosts: []", "store.hosts: expected 1 or more in [ ]; received []"),
        ("index: Shop", "small letters"),
        ("index: shop-v2", "small letters"),
        ("type: bbq_hnsw", "'flat'"),
        ("fingerprint: abc", "64 hexadecimal digits"),
        ("ca: ca.pem", "file:PATH"),
        ("ca: 'file:ca.pem'", "https://"),
    ],
)
def test_a_mistake_is_one_sentence_without_the_secret(text: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError) as caught:
        options(text, monkeypatch)
    message = str(caught.value)
    assert said in message and "\n" not in message and ("(and " in message) == text.startswith("password")
    assert "hunter2" not in message and "c2VjcmV0" not in message and "someone-0815" not in message


def test_names_in_the_cluster_come_from_the_model_unless_one_is_chosen() -> None:
    assert index_name("shop", "whatever") == "visualsearch-shop"
    assert index_name(None, "Meine Fotos!") == "visualsearch-meine-fotos"
    assert index_name(None, "_") == "visualsearch-gallery"
    assert index_name(None, "shop-v2") == "visualsearch-shop-v2-gallery"  # -v2 would be a version of `shop`


def test_names_in_another_script_are_told_apart_however_they_are_composed() -> None:
    models = ["Ж", "Щ", "写真", "Ж1", "Щ1", "Müller", "Möller", "Щ-v3"]
    names = [index_name(None, model) for model in models]
    assert len(set(names)) == len(models)
    for model, name in zip(models, names, strict=True):
        index = name.removeprefix("visualsearch-")
        assert ElasticsearchOptions(index=index).index == index, "it is a name that the YAML may give"
        assert index_name(None, unicodedata.normalize("NFD", model)) == name
        assert index_name(None, model.lower()) == name, "as two folders of one name on a disk that knows no capitals"
    assert index_name("shop", "Ж") == "visualsearch-shop"


# ------------------------------------------------------------------------------- servers that are refused


@contextmanager
def stand_in(version: str, product: str | None, status: int = 200) -> Iterator[str]:
    """Serve what some other server would answer to the question for its version."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body: dict[str, Any] = {"nodes": {"n": {"version": version}}}
            if status != 200:
                body = {"error": {"type": "security_exception", "reason": "no"}, "status": status}
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            if product:
                self.send_header("X-Elastic-Product", product)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server, serving(server):
        yield f"http://127.0.0.1:{server.server_address[1]}"


@pytest.mark.parametrize(
    ("version", "product", "status", "slug", "said"),
    [
        ("7.17.29", "Elasticsearch", 200, "store-version", "received 7.17.29"),
        ("8.4.3", "Elasticsearch", 200, "store-version", "expected version 8.19 or later, or 9"),
        ("10.0.0", "Elasticsearch", 200, "store-version", "received 10.0.0"),
        ("2.19.1", None, 200, "store-product", "another product answers there"),
        ("", "Elasticsearch", 401, "store-credentials", "check store.user"),
        ("", "Elasticsearch", 403, "store-permission", "the right to it"),
    ],
)
def test_another_server_is_refused_in_one_sentence(
    version: str, product: str | None, status: int, slug: str, said: str
) -> None:
    with stand_in(version, product, status) as address:
        shelf = ElasticsearchShelf(ElasticsearchOptions(hosts=(address,)), Path("/nowhere/model/index"))
        with pytest.raises(EngineError) as caught:
            shelf.live()
    assert caught.value.slug == slug
    assert said in str(caught.value) and address in str(caught.value)
    assert str(caught.value).count("\n") == 0


def test_both_majors_are_taken() -> None:
    for version in ("8.19.0", "9.2.1"):
        with stand_in(version, "Elasticsearch") as address:
            Connection(ElasticsearchOptions(hosts=(address,))).close()


def test_a_server_that_is_away_is_waited_for_as_long_as_patience_lasts() -> None:
    with stand_in("8.19.0", "Elasticsearch") as address:
        pass
    with pytest.raises(EngineError, match="expected an answer within 0.3 s") as caught:
        Connection(ElasticsearchOptions(hosts=(address,), patience_s=0.3))
    assert caught.value.slug == "store-unreachable"


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have waiting told after a fifth of a second, and every half."""
    monkeypatch.setattr(waiting, "SILENT_S", 0.2)
    monkeypatch.setattr(waiting, "AGAIN_S", 0.5)


@pytest.mark.parametrize("silent", [False, True], ids=["nobody listens", "nobody answers"])
def test_who_waits_is_told_so_now_and_then(hasty: None, caplog: pytest.LogCaptureFixture, silent: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        if not silent:
            server.close()
        options = ElasticsearchOptions(hosts=(f"http://127.0.0.1:{port}",), patience_s=1.6, timeout_s=1)
        with pytest.raises(EngineError):
            Connection(options)
    said = [record.getMessage() for record in caplog.records if record.name == "visualsearch.stores.waiting"]
    assert 1 <= len(said) <= 4
    assert said[0] == f"waiting for Elasticsearch at http://127.0.0.1:{port} (0 s of 1.6 s)"


def test_who_is_answered_at_once_is_told_nothing_later(hasty: None, caplog: pytest.LogCaptureFixture) -> None:
    with stand_in("8.19.0", "Elasticsearch") as address:
        connection = Connection(ElasticsearchOptions(hosts=(address,)))
        time.sleep(0.3)
        connection.close()
    assert caplog.records == []


def test_several_threads_wait_with_one_voice(hasty: None, caplog: pytest.LogCaptureFixture) -> None:
    voice = Voice("it", 60)
    for _ in range(4):
        voice.tell(time.monotonic() - 23)
    voice.tell(time.monotonic())
    assert [record.getMessage() for record in caplog.records] == ["waiting for it (23 s of 60 s)"]


@pytest.mark.parametrize(("options", "told"), [([], True), (["-q"], False), (["--json"], False)])
def test_a_command_says_that_it_waits_unless_it_is_to_be_quiet(
    hasty: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], told: bool
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
    paint_gallery(tmp_path / "gallery", each=1)
    (tmp_path / "a.yaml").write_text(
        'gallery: {folder: gallery}\nextractor: {name: "fakes:Grid"}\n'
        f"store: {{name: elasticsearch, hosts: ['{address}'], patience_s: 0.7}}"
    )
    assert main(["-yml", str(tmp_path / "a.yaml"), *options, "index"]) == 4
    note = f"note: waiting for Elasticsearch at {address} (0 s of 0.7 s)\n"
    assert (note in capsys.readouterr().err) == told


def test_a_ca_that_is_missing_is_named(tmp_path: Path) -> None:
    missing = f"file:{tmp_path / 'ca.pem'}"
    with pytest.raises(EngineError) as caught:
        Connection(ElasticsearchOptions(hosts=("https://127.0.0.1:1",), ca=missing))
    assert caught.value.slug == "store-certificate"
