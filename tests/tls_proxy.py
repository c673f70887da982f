"""A TLS proxy of the tests' own that asks for credentials, to stand before a server that cannot.

The Elasticsearch that can be fetched for tests has no security module: it speaks no TLS and asks
nobody for a password. So this shows our client's side of TLS, passwords, API keys and privileges,
and nothing of Elasticsearch's. Answers have the shape of those of Elasticsearch 8, and RULES are
what its documentation says of the privileges that each request needs.
"""

from __future__ import annotations

import base64
import json
import re
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from serving import serving

PAST = ("20200101000000Z", "20200201000000Z")
NOW = ("20200101000000Z", "20991231000000Z")


@dataclass(frozen=True)
class Rule:
    """A request of our store, as docs/elasticsearch.md lists it, and the privileges of which one allows it."""

    request: str
    action: str
    cluster: frozenset[str] = frozenset()
    index: frozenset[str] = frozenset()

    def fits(self, request: str) -> bool:
        """Return whether a request's method and path are meant; INDEX and ALIAS stand for any name."""
        pattern = re.escape(self.request).replace("INDEX", "[^/_][^/]*").replace("ALIAS", "[^/_][^/]*")
        return re.fullmatch(pattern, request) is not None


def _of_index(request: str, action: str, *privileges: str) -> Rule:
    return Rule(request, action, index=frozenset(privileges))


def _of_cluster(request: str, action: str) -> Rule:
    return Rule(request, action, cluster=frozenset({"monitor", "manage"}))


RULES = (
    _of_cluster("GET /_nodes/_local/os", "cluster:monitor/nodes/info"),
    _of_cluster("GET /_cluster/health/INDEX", "cluster:monitor/health"),
    _of_index("GET /INDEX", "indices:admin/get", "view_index_metadata", "manage"),
    _of_index("HEAD /INDEX", "indices:admin/get", "view_index_metadata", "manage"),
    _of_index("HEAD /INDEX/_alias/ALIAS", "indices:admin/aliases/get", "view_index_metadata", "manage"),
    _of_index("PUT /INDEX", "indices:admin/create", "manage"),  # create_index alone may set no alias
    _of_index("PUT /INDEX/_settings", "indices:admin/settings/update", "manage"),
    _of_index("POST /_aliases", "indices:admin/aliases", "manage"),
    _of_index("DELETE /INDEX", "indices:admin/delete", "delete_index", "manage"),
    _of_index("POST /INDEX/_refresh", "indices:admin/refresh", "maintenance", "manage"),
    _of_index("POST /INDEX/_flush", "indices:admin/flush", "maintenance", "manage"),
    _of_index("POST /INDEX/_forcemerge", "indices:admin/forcemerge", "maintenance", "manage"),
    _of_index("GET /INDEX/_stats/docs,merge", "indices:monitor/stats", "monitor", "manage"),
    _of_index("PUT /INDEX/_bulk", "indices:data/write/bulk", "write"),
    _of_index("POST /INDEX/_search", "indices:data/read/search", "read"),
    _of_index("POST /_msearch", "indices:data/read/msearch", "read"),
)


@dataclass(frozen=True)
class Rights:
    """What a user or a key may do."""

    cluster: frozenset[str] = frozenset({"monitor"})
    index: frozenset[str] = frozenset({"manage", "read", "write"})

    def allow(self, rule: Rule) -> bool:
        """Return whether one of the privileges is there that ``rule`` asks for."""
        return bool(self.cluster & rule.cluster or self.index & rule.index)


ALL = Rights()


class Authority:
    """A certificate authority in a folder, made by the program `openssl`."""

    def __init__(self, folder: Path, name: str = "Elasticsearch security auto-configuration HTTP CA") -> None:
        """Make its key and its certificate, without key usage as Elasticsearch's own tools do."""
        self.folder = folder.resolve()
        folder.mkdir(parents=True)
        (folder / "index.txt").touch()
        (folder / "serial").write_text("01")
        (folder / "openssl.cnf").write_text(
            "[req]\ndistinguished_name=name\nx509_extensions=authority\n[name]\n"
            "[authority]\nbasicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash\n"
            "[ca]\ndefault_ca=own\n[own]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\n"
            "policy=any\nunique_subject=no\n[any]\ncommonName=supplied\n"
        )
        self._openssl("req", "-x509", *self._key("ca"), "-out", "ca.crt", "-days", "3650", "-subj", f"/CN={name}")
        self.certificate = self.folder / "ca.crt"

    @property
    def fingerprint(self) -> str:
        """Return what docs/elasticsearch.md says to ask `openssl` for."""
        return self.fingerprint_of(self.certificate)

    def fingerprint_of(self, certificate: Path) -> str:
        """Return the SHA-256 of the first certificate of a file."""
        told = self._openssl("x509", "-fingerprint", "-sha256", "-noout", "-in", str(certificate))
        return told.partition("=")[2].strip()

    def issue(
        self,
        name: str,
        names: str = "IP:127.0.0.1,DNS:localhost",
        dates: tuple[str, str] = NOW,
        show: Path | None = None,
    ) -> Path:
        """Return a PEM file: a server's key, its certificate, and this authority's or the one to show instead."""
        # a forger leaves out what would say whose key has signed
        whose = "authorityKeyIdentifier=none\n" if show else ""
        (self.folder / "names").write_text(f"subjectAltName={names}\nextendedKeyUsage=serverAuth\n{whose}")
        self._openssl("req", "-new", *self._key(name), "-out", f"{name}.csr", "-subj", f"/CN={name}")
        self._openssl(
            *("ca", "-batch", "-notext", "-cert", "ca.crt", "-keyfile", "ca.key", "-extfile", "names"),
            *("-in", f"{name}.csr", "-out", f"{name}.crt", "-startdate", dates[0], "-enddate", dates[1]),
            *("-config", "openssl.cnf"),
        )
        parts = [self.folder / f"{name}.key", self.folder / f"{name}.crt", show or self.certificate]
        made = self.folder / f"{name}.pem"
        made.write_text("".join(part.read_text() for part in parts))
        return made

    def _key(self, name: str) -> list[str]:
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        return [*curve, "-keyout", f"{name}.key", "-config", "openssl.cnf"]

    def _openssl(self, *arguments: str) -> str:
        done = subprocess.run(["openssl", *arguments], cwd=self.folder, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout


@dataclass
class Gate:
    """Who is let in, and what was asked."""

    upstream: str
    passwords: Mapping[str, str] = field(default_factory=dict)
    rights: Mapping[str, Rights] = field(default_factory=dict)
    """Of users, and of API keys by what is sent."""
    cut: int = 0
    """So many connections are cut in the middle of the handshake."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Who asked, and method and path of what."""
    address: str = ""

    def known(self, authorization: str | None) -> tuple[str, Rights] | None:
        """Return who sends a header, and what he may do; None for somebody unknown."""
        kind, _, value = (authorization or "").partition(" ")
        if kind == "ApiKey" and value in self.rights:
            return value, self.rights[value]
        if kind == "Basic":
            user, _, password = base64.b64decode(value).decode().partition(":")
            if self.passwords.get(user) == password:
                return user, self.rights.get(user, ALL)
        return None

    def requests(self, who: str) -> set[str]:
        """Return what somebody asked, in the words of RULES; what fits none as it came."""
        asked = {request for asker, request in self.asked if asker == who}
        return {next((rule.request for rule in RULES if rule.fits(one)), one) for one in asked}


class _Server(ThreadingHTTPServer):
    """Speaks TLS, or not where it has no certificate."""

    daemon_threads = True
    gate: Gate
    context: ssl.SSLContext | None

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.gate.cut > 0:
            self.gate.cut -= 1
            request.recv(1)  # of the client's hello
            return
        if self.context is not None:
            request.settimeout(30)
            try:
                request = self.context.wrap_socket(request, server_side=True)
            except OSError:  # plain text, or a client that trusts somebody else
                return
        super().finish_request(request, client_address)
        if self.context is not None:
            request.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that go away are what is tested."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        gate, path = self.server.gate, unquote(urlsplit(self.path).path)
        request = f"{self.command} {path}"
        who = gate.known(self.headers.get("Authorization"))
        gate.asked.append((who[0] if who else "nobody", request))
        if who is None:
            return self._refuse(401, self._unknown())
        rule = next((one for one in RULES if one.fits(request)), None)
        if rule is None:
            return self._refuse(403, f"{request} stands in no rule of the tests' proxy")
        if not who[1].allow(rule):
            return self._forbid(rule, path, who[0], body)
        self._pass_on(body)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = handle_any

    def _unknown(self) -> str:
        kind, _, value = (self.headers.get("Authorization") or "").partition(" ")
        if not kind:
            return f"missing authentication credentials for REST request [{self.path}]"
        if kind == "Basic":
            user = base64.b64decode(value).decode().partition(":")[0]
            return f"unable to authenticate user [{user}] for REST request [{self.path}]"
        return f"unable to authenticate with provided credentials for REST request [{self.path}]"

    def _forbid(self, rule: Rule, path: str, user: str, body: bytes) -> None:
        """Refuse as Elasticsearch does: the whole request, or each of the parts of one that has parts."""
        of = "cluster" if rule.cluster else "index"
        granted = ",".join(sorted(rule.cluster or rule.index))
        about = "" if rule.cluster else f" on indices [{path.split('/')[1]}]"
        reason = (
            f"action [{rule.action}] is unauthorized for {_called(user)}{about}, "
            f"this action is granted by the {of} privileges [{granted},all]"
        )
        error = {"type": "security_exception", "reason": reason}
        if path == "/_msearch":
            parts = len(body.splitlines()) // 2
            return self._send(200, {"took": 0, "responses": [{"error": error, "status": 403}] * parts})
        if path.endswith("/_bulk"):
            actions = [json.loads(line) for line in body.splitlines() if _is_action(line)]
            items = [{name: {**about, "status": 403, "error": error}} for one in actions for name, about in one.items()]
            return self._send(200, {"took": 0, "errors": True, "items": items})
        self._refuse(403, reason)

    def _refuse(self, status: int, reason: str) -> None:
        error = {"type": "security_exception", "reason": reason}
        self._send(status, {"error": {"root_cause": [error], **error}, "status": status})

    def _send(self, status: int, answer: Mapping[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("X-elastic-product", "Elasticsearch")
        self.send_header("Content-Type", "application/vnd.elasticsearch+json;compatible-with=8")
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="security", charset="UTF-8"')
        self._finish(b"" if self.command == "HEAD" else body)

    def _pass_on(self, body: bytes) -> None:
        wanted = ("accept", "content-type", "content-encoding")
        headers = {name: value for name, value in self.headers.items() if name.lower() in wanted}
        upstream = HTTPConnection(urlsplit(self.server.gate.upstream).netloc, timeout=60)
        try:
            upstream.request(self.command, self.path, body or None, headers)
            answer = upstream.getresponse()
            content = answer.read()
        finally:
            upstream.close()
        self.send_response(answer.status)
        for name in ("X-elastic-product", "Content-Type"):
            if value := answer.headers.get(name):
                self.send_header(name, value)
        self._finish(content)

    def _finish(self, body: bytes) -> None:
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def _called(who: str) -> str:
    key = base64.b64decode(who).decode() if who.endswith("=") else ""
    return (
        f"API key id [{key.partition(':')[0]}] of user [elastic]" if key else f"user [{who}] with effective roles [r]"
    )


def _is_action(line: bytes) -> bool:
    return line.startswith((b'{"index":', b'{"delete":'))


@contextmanager
def proxy(gate: Gate, certificate: Path | None) -> Iterator[Gate]:
    """Run a proxy on 127.0.0.1; ``certificate`` is a PEM with key and chain, None: no TLS."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.gate, server.context = gate, None
        if certificate is not None:
            server.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            server.context.load_cert_chain(certificate)
        gate.address = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_address[1]}"
        with serving(server):
            yield gate
