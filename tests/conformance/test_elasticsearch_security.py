"""Passwords, API keys, certificates and privileges, before real servers and a TLS proxy of the tests' own.

The proxy stands for the security that the servers here lack: see ``tls_proxy``. And which other
servers are refused: stand-ins answer as Elasticsearch 7 and OpenSearch do, for neither can be had.
"""

from __future__ import annotations

import base64
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import elastic_transport
import pytest
from elasticsearch import Elasticsearch
from fakes import paint, paint_gallery
from servers import Cluster
from serving import serving
from tls_proxy import ALL, PAST, RULES, Authority, Gate, Rights, proxy

from visualsearch import EngineError
from visualsearch.cli import main
from visualsearch.stores import elasticsearch_erasure
from visualsearch.stores.elasticsearch_client import Connection
from visualsearch.stores.elasticsearch_options import ElasticsearchOptions
from visualsearch.stores.elasticsearch_trust import authority as trusting

ROOT = Path(__file__).parents[2]

USER, PASSWORD = "someone-7c1", 'käse "7c1f\\ 91ab: 4'
KEY = base64.b64encode(b"key-id-5d:s3cret-2b9e-c0de").decode()
NO_INDEX = "http://127.0.0.1:9"
"""Where nobody answers: of a proxy that must let nothing through."""

YAML = """
name: shop
out: {out}
gallery: {{folder: gallery}}
extractor: {{name: "fakes:Grid"}}
classifier: {{name: extractor}}
store: {store}
"""
BY_PASSWORD = 'user: "${ES_USER}", password: "${ES_PASSWORD}"'
BY_KEY = 'api_key: "${ES_KEY}"'


# ------------------------------------------------------------------------------- certificates and shops


@dataclass(frozen=True)
class Certificates:
    """Two authorities, and what they signed for the proxies."""

    ours: Authority
    theirs: Authority
    served: dict[str, Path]
    """PEM files by what is peculiar to them."""

    @property
    def ca(self) -> str:
        """Return what the YAML says to trust ours."""
        return f'ca: "file:{self.ours.certificate}"'


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Make them, once."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl, the program, is not there to make certificates: install it")
    folder = tmp_path_factory.mktemp("certificates")
    ours, theirs = Authority(folder / "ours"), Authority(folder / "theirs")
    return Certificates(
        ours,
        theirs,
        {
            "good": ours.issue("node-1"),
            "second": ours.issue("node-2"),
            "expired": ours.issue("expired", dates=PAST),
            "elsewhere": ours.issue("elsewhere", names="DNS:search.example"),
            "foreign": theirs.issue("foreign"),
            # signed by the other one, shown beside the certificate of ours, which is no secret
            "forged": theirs.issue("forged", show=ours.certificate),
        },
    )


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """Yield a folder with a gallery to be indexed; credentials are in the environment."""
    paint_gallery(tmp_path / "gallery", each=3)
    for name, value in {"ES_USER": USER, "ES_PASSWORD": PASSWORD, "ES_KEY": KEY}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    made = Shop(tmp_path, f"tls-{secrets.token_hex(4)}")
    yield made
    for upstream in made.used:
        with Elasticsearch(upstream) as client:
            for name in client.indices.get(index=f"visualsearch-{made.index}*"):
                client.indices.delete(index=name)


class Shop:
    """A gallery, its YAML files, and an index of its own in a cluster."""

    def __init__(self, folder: Path, index: str) -> None:
        """Work in ``folder``."""
        self.folder = folder
        self.index = index
        self.used: set[str] = set()

    def yaml(self, hosts: str | list[str], *options: str, name: str = "shop") -> Path:
        """Write a YAML file, of the one model, whose store is in the cluster at ``hosts``."""
        addresses = json.dumps([hosts] if isinstance(hosts, str) else hosts)
        store = ", ".join(
            ["name: elasticsearch", f"index: {self.index}", f"hosts: {addresses}", *filter(None, options)]
        )
        file = self.folder / f"{name}.yaml"
        file.write_text(YAML.format(out="shop", store=f"{{{store}}}"), encoding="utf-8")
        return file

    def embedded(self) -> Path:
        """Write a YAML file whose store is the embedded one."""
        file = self.folder / "embedded.yaml"
        file.write_text(YAML.format(out="embedded", store="{name: embedded}"))
        return file


@contextmanager
def guarded(shop: Shop, upstream: str, certificate: Path | None, **more: Any) -> Iterator[Gate]:
    """Run a proxy that knows the shop's user and key."""
    rights = {KEY: ALL, USER: ALL, **more.pop("rights", {})}
    gate = Gate(upstream, passwords={USER: PASSWORD}, rights=rights, **more)
    if upstream != NO_INDEX:
        shop.used.add(upstream)
    with proxy(gate, certificate):
        yield gate


# ------------------------------------------------------------------------------- what is printed


def forms(*values: str) -> set[bytes]:
    """Return how a secret may be written: as it is, quoted, in JSON, as a header carries it."""
    header = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    told = {header[:40], *values}
    for value in values:
        told |= {repr(value)[1:-1], json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    return {form.encode() for form in told}


SECRETS = forms(PASSWORD, KEY, "s3cret-2b9e-c0de")


def without_secrets(printed: bytes) -> None:
    """Look for secrets in what was printed or written."""
    assert [form for form in SECRETS if form in printed] == []


def spoken(capfd: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run a command in this process; return its code, stdout and stderr."""
    capfd.readouterr()
    code = main(list(arguments))
    out, err = capfd.readouterr()
    without_secrets((out + err).encode("utf-8", "surrogateescape"))
    assert "Traceback" not in out + err and USER not in out + err
    return code, out, err


def refused(capfd: pytest.CaptureFixture[str], yml: Path, slug: str, *said: str, code: int = 4) -> None:
    """See `index`, `search` and `check` refused with one and the same sentence."""
    sentences = set()
    for command in (["index"], ["search", "gallery/red/red00.png"], ["forget", "red/red00.png"]):
        ended, out, err = spoken(capfd, "-yml", str(yml), "--json", *command)
        assert (ended, out) == (code, "")
        error = json.loads(err)["error"]
        assert error["slug"] == slug
        sentences.add(error["message"])
    if code == 4:
        ended, out, err = spoken(capfd, "-yml", str(yml), "--json", "check")
        (problem,) = [one for one in json.loads(out) if one["level"] == "problem"]
        assert (ended, problem["what"], err) == (4, "index", "")
        sentences.add(problem["says"])
    (sentence,) = sentences
    assert all(part in sentence for part in said), sentence
    assert "\n" not in sentence and sentence.endswith(".") and len(sentence) < 600


def command(*arguments: str, debug: bool = False) -> subprocess.CompletedProcess[bytes]:
    """Run `python VisualSearch.py` as a user does; with ``debug`` every logger says everything."""
    program = [str(ROOT / "VisualSearch.py")]
    if debug:
        loud = "import logging, runpy, sys; logging.basicConfig(level=logging.DEBUG)"
        all_of_it = "import elastic_transport; elastic_transport.debug_logging()"
        program = [
            "-c",
            f"{loud}; {all_of_it}; sys.argv[0] = {program[0]!r}; runpy.run_path(sys.argv[0], run_name='__main__')",
        ]
    path = os.pathsep.join([str(ROOT / "tests"), str(ROOT / "src")])
    environment = {**os.environ, "PYTHONPATH": path, "VISUALSEARCH_DEBUG": "1" if debug else "", "PYTHONUTF8": "1"}
    done = subprocess.run([sys.executable, *program, *arguments], env=environment, capture_output=True, timeout=200)
    without_secrets(done.stdout + done.stderr)
    return done


# ------------------------------------------------------------------------------- who is let in


def hits(capfd: pytest.CaptureFixture[str], yml: Path) -> list[Any]:
    code, out, err = spoken(capfd, "-yml", str(yml), "--json", "search", "gallery/red/red00.png", "-k", "5")
    assert (code, err) == (0, "")
    return [(hit["id"], pytest.approx(hit["score"], abs=1e-5)) for hit in json.loads(out)[0]["hits"]]


@pytest.mark.parametrize(
    ("who", "host", "trust"),
    [
        (BY_PASSWORD, "127.0.0.1", "ca"),
        (BY_KEY, "localhost", "ca"),
        (BY_PASSWORD, "localhost", "authority's fingerprint"),
        (BY_KEY, "127.0.0.1", "certificate's fingerprint"),
    ],
)
def test_the_right_credentials_and_certificates_are_let_in(
    who: str,
    host: str,
    trust: str,
    shop: Shop,
    certificates: Certificates,
    elasticsearch_server: Callable[[str], Cluster],
    capfd: pytest.CaptureFixture[str],
) -> None:
    ours, good = certificates.ours, certificates.served["good"]
    trusted = {
        "ca": certificates.ca,
        "authority's fingerprint": f'fingerprint: "{ours.fingerprint}"',
        "certificate's fingerprint": f"fingerprint: {ours.fingerprint_of(ours.folder / 'node-1.crt').replace(':', '')}",
    }[trust]
    with guarded(shop, elasticsearch_server("8.19.0").addresses[0], good) as gate:
        yml = shop.yaml(gate.address.replace("127.0.0.1", host), who, trusted)
        code, out, _ = spoken(capfd, "-yml", str(yml), "--json", "index")
        assert (code, json.loads(out)["added"]) == (0, 9)
        assert spoken(capfd, "-yml", str(shop.embedded()), "-q", "index")[0] == 0
        found = hits(capfd, yml)
        assert len(found) == 5
        assert found == hits(capfd, shop.embedded())
        assert {asker for asker, _ in gate.asked} == {USER if who == BY_PASSWORD else KEY}


def test_a_whole_run_with_every_logger_at_debug_shows_no_secret_and_writes_none(
    shop: Shop, certificates: Certificates, elasticsearch_server: Callable[[str], Cluster]
) -> None:
    (shop.folder / "gallery/red/torn.png").write_text("no picture")
    upstream = elasticsearch_server("8.19.0").addresses[0]
    with guarded(shop, upstream, certificates.served["good"]) as gate:
        done = command("-yml", str(shop.yaml(gate.address, BY_PASSWORD, certificates.ca)), debug=True)
        assert done.returncode == 0, done.stderr[-2_000:].decode()
    assert b"Authorization: Basic <hidden>" in done.stderr, "the loggers were to speak"
    written = [file for file in shop.folder.rglob("*") if file.is_file()]
    assert {"card.json", "report.html", "run.jsonl"} <= {file.name for file in written}
    for file in written:
        without_secrets(file.read_bytes())
    with Elasticsearch(upstream) as client:
        name = f"visualsearch-{shop.index}*"
        kept = [client.indices.get(index=name).body, client.search(index=name, size=100).body]
        assert kept[1]["hits"]["total"]["value"] == 10  # nine items and one failure
        without_secrets(json.dumps(kept, ensure_ascii=False).encode())


# ------------------------------------------------------------------------------- who is not


def test_a_wrong_password_is_one_sentence_of_the_real_command(
    shop: Shop, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    with guarded(shop, NO_INDEX, certificates.served["good"]) as gate:
        monkeypatch.setenv("ES_PASSWORD", PASSWORD + "!")
        yml = str(shop.yaml(gate.address, BY_PASSWORD, certificates.ca))
        index, check = command("-yml", yml, "index"), command("-yml", yml, "check")
        loud = command("-yml", yml, "search", "gallery/red/red00.png", debug=True)
        sentence = (
            f"error: Elasticsearch at {gate.address}: unable to authenticate user [${{ES_USER}}] for REST request "
            "[/_nodes/_local/os?filter_path=nodes.*.version] (401 security_exception): check store.user and "
            "store.password, or store.api_key. [store-credentials]\n"
        )
        assert (index.returncode, index.stdout, index.stderr.decode()) == (4, b"", sentence)
        assert (check.returncode, check.stderr) == (4, b"")
        assert "check store.user and store.password" in " ".join(check.stdout.decode().split())
        assert (loud.returncode, loud.stdout) == (4, b"")
        assert loud.stderr.decode().endswith(sentence)
        assert not (shop.folder / "shop/card.json").exists()


@pytest.mark.parametrize(
    ("served", "options", "slug", "said"),
    [
        ("good", (BY_PASSWORD, "ca", "ES_PASSWORD=wrong-0815"), "store-credentials", "check store.user"),
        ("good", (BY_KEY, "ca", "ES_KEY=d3Jvbmc6MDgxNQ=="), "store-credentials", "or store.api_key"),
        ("good", ("ca",), "store-credentials", "missing authentication credentials"),
        ("good", (BY_PASSWORD,), "store-certificate", "name its authority in store.ca"),
        (
            "foreign",
            (BY_PASSWORD, "ca"),
            "store-certificate",
            "its certificate is not trusted (self-signed certificate",
        ),
        ("foreign", (BY_KEY, "fingerprint"), "store-certificate", "it shows certificates with other fingerprints: "),
        ("forged", (BY_PASSWORD, "ca"), "store-certificate", "not trusted (certificate signature failure)"),
        ("forged", (BY_PASSWORD, "fingerprint"), "store-certificate", "not trusted (certificate signature failure)"),
        (
            "elsewhere",
            (BY_PASSWORD, "ca"),
            "store-certificate",
            "not valid for '127.0.0.1': write in store.hosts a name",
        ),
        ("expired", (BY_PASSWORD, "ca"), "store-certificate", "certificate has expired: have its certificate renewed"),
        (
            "expired",
            (BY_KEY, "fingerprint"),
            "store-certificate",
            "certificate has expired: have its certificate renew",
        ),
        ("plain", (BY_PASSWORD, "ca"), "store-unreachable", "speaks without: write http:// in store.hosts"),
        ("plain", (BY_PASSWORD, "fingerprint"), "store-unreachable", "speaks without: write http:// in store.hosts"),
        ("good", (BY_PASSWORD, "http", "patience_s: 1"), "store-unreachable", "https:// where it wants TLS"),
    ],
)
def test_credentials_and_certificates_that_are_not_right_are_refused_in_one_sentence(
    served: str,
    options: tuple[str, ...],
    slug: str,
    said: str,
    shop: Shop,
    certificates: Certificates,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    trust = {"ca": certificates.ca, "fingerprint": f'fingerprint: "{certificates.ours.fingerprint}"', "http": ""}
    for name, value in (one.split("=", 1) for one in options if one.startswith("ES_")):
        monkeypatch.setenv(name, value)
    with guarded(shop, NO_INDEX, certificates.served.get(served)) as gate:
        address = re.sub("^https?", "http" if "http" in options else "https", gate.address)
        yml = shop.yaml(address, *(trust.get(one, one) for one in options if not one.startswith("ES_")))
        refused(capfd, yml, slug, f"Elasticsearch at {address}: ", said)
        if slug != "store-credentials":
            assert gate.asked == [], "credentials were sent to somebody who is not trusted"


@pytest.mark.parametrize(
    ("options", "environment", "slug", "said"),
    [
        ((BY_PASSWORD,), {"ES_PASSWORD": None}, "env-missing", "the environment variable ES_PASSWORD; it is not set"),
        (('user: "${ES_USER}"',), {}, "bad-value", "expected user and password together"),
        ((BY_PASSWORD, BY_KEY), {}, "bad-value", "expected an API key, or user and password; received both"),
        ((BY_KEY,), {"ES_KEY": KEY + "\n"}, "bad-value", "such as a line break"),
        ((BY_KEY,), {"ES_KEY": "schlüssel-0815"}, "bad-value", "letters, digits and + / = _ -"),
    ],
)
def test_credentials_that_cannot_be_are_refused_before_anything_is_asked(
    options: tuple[str, ...],
    environment: dict[str, str | None],
    slug: str,
    said: str,
    shop: Shop,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value) if value is not None else monkeypatch.delenv(name)
    refused(capfd, shop.yaml("https://127.0.0.1:9", *options), slug, said, code=2)


def test_public_authorities_are_not_trusted_beside_the_one_that_is_named(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client adds a bundle of public authorities by itself; here the other authority is one of them."""
    bundle = str(certificates.theirs.certificate)
    monkeypatch.setattr("elastic_transport._node._http_urllib3.DEFAULT_CA_CERTS", bundle)
    gate = Gate(NO_INDEX)
    with proxy(gate, certificates.served["foreign"]):
        for trust in ({"ca": f"file:{certificates.ours.certificate}"}, {"fingerprint": certificates.ours.fingerprint}):
            with pytest.raises(EngineError) as caught:
                Connection(ElasticsearchOptions(hosts=(gate.address,), **trust))
            assert caught.value.slug == "store-certificate"
        assert gate.asked == []
        with pytest.raises(EngineError) as caught:  # without either, it is trusted: so the bundle counts
            Connection(ElasticsearchOptions(hosts=(gate.address,)))
        assert caught.value.slug == "store-credentials"


def test_authorities_that_the_servers_own_tools_made_are_trusted_by_every_python(certificates: Certificates) -> None:
    """Those say nothing of key usage, which Python 3.13 asks for unless told otherwise."""
    flags = trusting(str(certificates.ours.certificate)).verify_flags
    gate = Gate(NO_INDEX)
    with proxy(gate, certificates.served["good"]):
        for strict in (False, True):
            context = trusting(str(certificates.ours.certificate))
            context.verify_flags = flags | (0x20 if strict else 0)  # X509_V_FLAG_X509_STRICT
            asked = {"ssl_context": context, "max_retries": 0}
            with Elasticsearch(gate.address, **asked) as client, pytest.raises(Exception) as caught:
                client.info()
            assert isinstance(caught.value, elastic_transport.TlsError) == strict


# ------------------------------------------------------------------------------- privileges


@pytest.mark.parametrize(
    ("command", "rights", "said"),
    [
        (["index"], Rights(cluster=frozenset()), "granted by the cluster privileges [manage,monitor,all]"),
        (
            ["index"],
            Rights(index=frozenset({"read"})),
            "granted by the index privileges [manage,view_index_metadata,all]",
        ),
        (["index"], Rights(index=frozenset({"view_index_metadata", "read"})), "action [indices:admin/create]"),
        (["index"], Rights(index=frozenset({"manage", "read"})), "refused the item "),
        (["index", "--rebuild"], Rights(index=frozenset({"manage", "read"})), "granted by the index privileges [write"),
        (["search", "gallery/red/red00.png"], Rights(index=frozenset({"manage"})), "index privileges [read,all]"),
        (
            ["forget", "red/red00.png"],
            Rights(index=frozenset({"view_index_metadata", "read"})),
            "action [indices:data/write",
        ),
    ],
)
def test_a_missing_privilege_is_one_sentence(
    command: list[str],
    rights: Rights,
    said: str,
    shop: Shop,
    elasticsearch_server: Callable[[str], Cluster],
    capfd: pytest.CaptureFixture[str],
) -> None:
    shop.index = f"no-block-{shop.index}"  # a name is no reason
    upstream = elasticsearch_server("8.19.0").addresses[0]
    with guarded(shop, upstream, None) as gate:
        yml = shop.yaml(gate.address, BY_KEY)
        if command != ["index"]:
            assert spoken(capfd, "-yml", str(yml), "-q", "index")[0] == 0
    with guarded(shop, upstream, None, rights={KEY: rights}) as gate:
        yml = shop.yaml(gate.address, BY_KEY)
        code, out, err = spoken(capfd, "-yml", str(yml), "--json", *command)
        error = json.loads(err)["error"]
        assert (code, out, error["slug"]) == (4, "", "store-permission")
        assert said in error["message"] and error["message"].endswith(": give the user or API key the right to it.")


INDEXING = frozenset({"manage", "read", "write"})
SEARCHING = frozenset({"read", "view_index_metadata"})
SELDOM = {"HEAD /INDEX/_alias/ALIAS"}
"""Asked only where the answer was lost that an index was made."""


def test_what_is_asked_needs_no_more_privileges_than_the_documentation_says(
    shop: Shop,
    certificates: Certificates,
    elasticsearch_server: Callable[[str], Cluster],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Everything that our commands do, with the two keys of docs/elasticsearch.md, and what was asked meanwhile."""
    searching = base64.b64encode(b"other-id-77:s3arching-only").decode()
    rights = {KEY: Rights(index=INDEXING), searching: Rights(index=SEARCHING)}
    gallery = shop.folder / "gallery"
    (gallery / "red/torn.png").write_text("no picture")
    monkeypatch.setenv("ES_SEARCHING", searching)
    monkeypatch.setattr(elasticsearch_erasure, "_left", told_once(elasticsearch_erasure._left))
    with guarded(shop, elasticsearch_server("8.19.0").addresses[0], certificates.served["good"], rights=rights) as gate:

        def ended(yml: Path, *arguments: str) -> int:
            code, _, err = spoken(capfd, "-yml", str(yml), "-q", *arguments)
            assert code == 0 or "is unauthorized for API key" in err and yml == reader, err
            return code

        writer = shop.yaml(gate.address, BY_KEY, certificates.ca)
        reader = shop.yaml(gate.address, 'api_key: "${ES_SEARCHING}"', certificates.ca, name="reader")
        again = ["index", "--rebuild"]
        assert [ended(writer, *run) for run in (["index"], again, again)] == [0] * 3
        paint(gallery / "red/new.png", seed=77)
        (gallery / "blue/blue00.png").unlink()
        assert [ended(writer, *run) for run in (["forget", "red/red00.png"], ["index"])] == [0] * 2
        query = ["search", "gallery/red/new.png"]
        searches = (query, [*query, "--exhaustive", "--where", "label=red"], [*query, "--why-not", "red/red01.png"])
        assert [ended(reader, *run) for run in (["train"], *searches, ["check", "--deep"], ["evaluate"])] == [0] * 6
        assert ended(reader, "copy", "--to", str(shop.embedded())) == 0
        both = gate.requests(searching)
        paint(gallery / "red/newer.png", seed=78)
        assert [ended(reader, *run) for run in (["index"], again, ["forget", "red/new.png"])] == [4] * 3
    documented = documented_requests()
    assert gate.requests(KEY) | both | SELDOM == {rule.request for rule in RULES} == set(documented)
    for rule in RULES:
        privilege, who = documented[rule.request]
        assert privilege in rule.cluster | rule.index
        assert who == ("both" if rule.request in both else "indexing"), rule.request


def told_once(left: Callable[..., tuple[int, bool]]) -> Callable[..., tuple[int, bool]]:
    """Return a look at what is left on the disk that is asked for in earnest, and finds one document, and then none."""
    found = iter([1])

    def look(*arguments: Any) -> tuple[int, bool]:
        left(*arguments)
        return next(found, 0), False

    return look


def documented_requests() -> dict[str, tuple[str, str]]:
    """Return of each request in docs/elasticsearch.md the privilege and the key that needs it."""
    text = (ROOT / "docs/elasticsearch.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([A-Z]+ /[^`]*)` \| [^|]* \| `(\w+)` \| (\w+) \|$", text, re.MULTILINE)
    return {request: (privilege, who) for request, privilege, who in rows}


# ------------------------------------------------------------------------------- several addresses, bad connections


@pytest.mark.parametrize("trust", ["ca", "fingerprint"])
def test_of_several_addresses_one_that_is_dead_is_passed_over(
    trust: str,
    shop: Shop,
    certificates: Certificates,
    elasticsearch_server: Callable[[str], Cluster],
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The living two have certificates of their own, of one authority; of one the first connections are cut."""
    trusted = certificates.ca if trust == "ca" else f'fingerprint: "{certificates.ours.fingerprint}"'
    with socket.create_server(("127.0.0.1", 0)) as gone:
        dead = f"https://127.0.0.1:{gone.getsockname()[1]}"
    upstream = elasticsearch_server("8.19.0").addresses[0]
    with ExitStack() as running:
        one = running.enter_context(guarded(shop, upstream, certificates.served["good"], cut=2))
        two = running.enter_context(guarded(shop, upstream, certificates.served["second"]))
        assert spoken(capfd, "-yml", str(shop.embedded()), "-q", "index")[0] == 0
        expected = hits(capfd, shop.embedded())
        for number, hosts in enumerate(([dead, one.address], [two.address, dead, one.address])):
            yml = shop.yaml(hosts, BY_PASSWORD, trusted)
            code, out, _ = spoken(capfd, "-yml", str(yml), "--json", "index", *(["--rebuild"] if number else []))
            assert (code, json.loads(out)["failed"]) == (0, [])
            assert hits(capfd, yml) == expected
        assert one.cut == 0 and two.asked


def test_a_server_that_never_answers_is_given_up_in_one_sentence(shop: Shop) -> None:
    """It takes connections, and says nothing: neither to HTTP nor to TLS."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        for scheme in ("http", "https"):
            yml = shop.yaml(f"{scheme}://{place}", "timeout_s: 1", "patience_s: 2")
            done = command("-yml", str(yml), "index")
            assert (done.returncode, done.stdout) == (4, b"")
            *notes, line = done.stderr.decode().splitlines()
            assert notes == [f"note: waiting for Elasticsearch at {scheme}://{place} (2 s of 2 s)"] * len(notes)
            assert line.startswith(
                f"error: Elasticsearch at {scheme}://{place}: expected an answer within 2 s; received"
            )
            assert line.endswith("[store-unreachable]")


# ------------------------------------------------------------------------------- other servers


def elasticsearch_7(path: str) -> tuple[int, dict[str, str], str]:
    """Answer as Elasticsearch 7.17 does: `compatible-with` is not looked at."""
    version = {"number": "7.17.29", "build_flavor": "default", "lucene_version": "8.11.3"}
    root = {"name": "node-1", "cluster_name": "docker", "version": version, "tagline": "You Know, for Search"}
    body = root if path == "/" else {"nodes": {"Xb7": {"version": "7.17.29"}}}
    return 200, {"X-elastic-product": "Elasticsearch", "Content-Type": "application/json"}, json.dumps(body)


def elasticsearch_7_without_its_name(path: str) -> tuple[int, dict[str, str], str]:
    """Answer as Elasticsearch before 7.14 does."""
    status, headers, body = elasticsearch_7(path)
    return status, {name: value for name, value in headers.items() if name != "X-elastic-product"}, body


def elasticsearch_10(path: str) -> tuple[int, dict[str, str], str]:
    """Answer as a server does that is two majors newer than the client."""
    reason = "Invalid media-type value on headers [Accept]"
    error = {"type": "media_type_header_exception", "reason": reason}
    body = json.dumps({"error": {"root_cause": [error], **error}, "status": 400})
    return 400, {"X-elastic-product": "Elasticsearch", "Content-Type": "application/json"}, body


def opensearch(path: str) -> tuple[int, dict[str, str], str]:
    """Answer as OpenSearch 2 does."""
    version = {"distribution": "opensearch", "number": "2.19.1", "minimum_wire_compatibility_version": "7.10.0"}
    root = {"name": "node-1", "version": version, "tagline": "The OpenSearch Project: https://opensearch.org/"}
    body = root if path == "/" else {"nodes": {"Xb7": {"version": "2.19.1"}}}
    return 200, {"Content-Type": "application/json; charset=UTF-8"}, json.dumps(body)


def web_server(path: str) -> tuple[int, dict[str, str], str]:
    """Answer as any web server does to a path that it does not know."""
    page = "<html>\n<head><title>404 Not Found</title></head>\n<body><h1>404 Not Found</h1></body>\n</html>\n"
    return 404, {"Content-Type": "text/html"}, page


def files(path: str) -> tuple[int, dict[str, str], str]:
    """Answer anything with something that is no JSON."""
    return 200, {"Content-Type": "application/octet-stream"}, "\0\1\2"


@contextmanager
def stand_in(answer: Callable[[str], tuple[int, dict[str, str], str]]) -> Iterator[str]:
    """Run a server that answers every path as ``answer`` says."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = answer(self.path)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server, serving(server):
        yield f"http://127.0.0.1:{server.server_address[1]}"


@pytest.mark.parametrize(
    ("answer", "slug", "said"),
    [
        (elasticsearch_7, "store-version", "expected version 8.19 or later, or 9; received 7.17.29: update the server"),
        (elasticsearch_7_without_its_name, "store-product", "another product answers there, or an older server"),
        (elasticsearch_10, "store-version", "received one that does not take this client (Invalid media-type"),
        (opensearch, "store-product", "expected Elasticsearch 8.19 or later, or 9; another product answers"),
        (web_server, "store-product", "name an Elasticsearch server in store.hosts"),
        (files, "store-product", "name an Elasticsearch server in store.hosts"),
    ],
)
def test_another_server_is_refused_in_one_sentence(
    answer: Callable[[str], tuple[int, dict[str, str], str]],
    slug: str,
    said: str,
    shop: Shop,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with stand_in(answer) as address:
        refused(capfd, shop.yaml(address, BY_KEY, "patience_s: 1"), slug, f"Elasticsearch at {address}: ", said)
