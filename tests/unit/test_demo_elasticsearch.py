"""What `make demo-elasticsearch` says is the same and what is not, and the YAML that it runs."""

from __future__ import annotations

import io
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from tools.agreement import Agreement, difference
from tools.demo_elasticsearch import main, report
from tools.elasticsearch import java
from visualsearch import Answer, Hit, Query, Route, VisualSearch
from visualsearch.config import load_settings
from visualsearch.stores.elasticsearch_options import ElasticsearchOptions

ROOT = Path(__file__).parents[2]
YAML = ROOT / "resources" / "configs" / "elasticsearch.yaml"


def hit(rank: int, name: str, score: float) -> Hit:
    return Hit(f"{name}-0", f"mug/{name}.jpg", {"label": "mug"}, ("mug",), score, rank)


def answer(query: str = "mug/q.jpg", *hits: Hit, compared: float = 0.125, search_ms: float = 2.0) -> Answer:
    return Answer(Query(query), hits, Route((), (), compared), timings_ms={"search": search_ms})


FIRST, SECOND = hit(1, "a", 0.9), hit(2, "b", 0.8)
ANSWER = answer("mug/q.jpg", FIRST, SECOND)

PLANTED: dict[str, tuple[Callable[[Answer], Answer], str]] = {
    "order": (
        lambda one: replace(one, hits=(replace(SECOND, rank=1), replace(FIRST, rank=2))),
        "mug/q.jpg: hit 1 is mug/a.jpg; mug/b.jpg",
    ),
    "missing": (lambda one: replace(one, hits=(FIRST,)), "mug/q.jpg: hit 2 is mug/b.jpg; none"),
    "more": (lambda one: replace(one, hits=(FIRST, SECOND, hit(3, "c", 0.7))), "mug/q.jpg: hit 3 is none; mug/c.jpg"),
    "score": (
        lambda one: replace(one, hits=(FIRST, replace(SECOND, score=0.80002))),
        "mug/q.jpg: hit 2, mug/b.jpg, scores 0.800000; 0.800020",
    ),
    "column": (
        lambda one: replace(one, hits=(replace(FIRST, columns={"label": "cup"}), SECOND)),
        "mug/q.jpg: hit 1 is mug/a.jpg; mug/a.jpg",
    ),
    "share": (lambda one: replace(one, route=Route((), (), 0.25)), "mug/q.jpg: compared 12.5 %; 25.0 %"),
    "error": (lambda one: replace(one, hits=(), route=None, error="no picture"), "mug/q.jpg: searched; no picture"),
}


def printed() -> Console:
    return Console(file=io.StringIO(), width=100, highlight=False)


def told(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_scores_that_differ_by_rounding_are_the_same_answer() -> None:
    other = replace(ANSWER, hits=(FIRST, replace(SECOND, score=0.8000004)), timings_ms={"search": 9.0})
    assert difference(ANSWER, other) is None


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_difference_is_told_and_fails(planted: str) -> None:
    change, sentence = PLANTED[planted]
    other = change(ANSWER)
    assert difference(ANSWER, other) == sentence
    console = printed()
    assert not report(console, {"routed": [(ANSWER, ANSWER), (ANSWER, other)], "exhaustive": [(ANSWER, ANSWER)]})
    assert f"routed, {sentence}" in told(console)
    assert "1 search differ" in told(console)


def test_equal_answers_pass() -> None:
    console = printed()
    assert report(console, {"routed": [(ANSWER, ANSWER)], "exhaustive": [(ANSWER, ANSWER)]})
    assert re.search(r"queries with the same answer +1 of 1 +1 of 1", told(console))


def test_what_two_stores_have_in_common_is_counted() -> None:
    slower = answer("mug/q.jpg", FIRST, replace(SECOND, score=0.8000002), compared=0.25, search_ms=4.0)
    other = answer("mug/r.jpg", hit(1, "c", 0.5), compared=0.375, search_ms=6.0)
    mine = answer("mug/r.jpg", hit(1, "d", 0.5), compared=0.375, search_ms=4.0)
    found = Agreement.of([(ANSWER, slower), (mine, other)])
    assert (found.queries, found.same, found.hits, found.same_hits) == (2, 0, 3, 2)
    assert found.largest == pytest.approx(2e-7)
    assert found.compared == pytest.approx((0.25, 0.3125))
    assert found.seconds == pytest.approx((0.003, 0.005))


def test_the_yaml_is_the_sample_with_another_store_and_a_model_of_its_own() -> None:
    embedded, other = load_settings(ROOT / "application.yaml"), load_settings(YAML)
    apart = {"name", "out", "store"}
    assert other.model_dump(exclude=apart) == embedded.model_dump(exclude=apart)
    assert other.name != embedded.name
    assert other.out == ROOT / "models" / other.name
    assert VisualSearch(other).settings.store.name == "elasticsearch"


def test_the_keys_in_its_comments_are_keys_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELASTICSEARCH_API_KEY", "b2YgYSBrZXk=")
    text = re.sub(r"^# (?=(api_key|ca): )", "  ", YAML.read_text(), flags=re.MULTILINE)
    (tmp_path / "secure.yaml").write_text(text.replace("http://127", "https://127"))
    store = load_settings(tmp_path / "secure.yaml").store
    assert isinstance(store, ElasticsearchOptions)
    assert (store.api_key, Path(store.ca or "").name) == ("b2YgYSBrZXk=", "http_ca.crt")


def test_the_line_of_the_readme_names_the_same_server() -> None:
    [line] = [one for one in (ROOT / "README.md").read_text().splitlines() if one.startswith("store: {name: elastic")]
    short, whole = (yaml.safe_load(text)["store"] for text in (line, YAML.read_text()))
    assert short.items() <= whole.items()


@pytest.fixture
def signals() -> Iterator[None]:
    """Leave the signals that the tool hears as they were."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, heard in before.items():
        signal.signal(number, heard)


@pytest.mark.usefixtures("signals")
def test_without_java_it_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(java, "FOLDERS", ())
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("VISUALSEARCH_ELASTICSEARCH", str(tmp_path / "cache"))
    assert main([]) == 4
    said = capsys.readouterr().err
    assert "needs Java 17 or later" in said
    assert said.count("\n") == 1
