"""Requests to a cluster: tried again while it is busy or away, errors in one sentence of ours."""

from __future__ import annotations

import base64
import logging
import re
import ssl
from collections.abc import Callable
from typing import Any, TypeVar

import elastic_transport
import elasticsearch

from visualsearch.errors import EngineError
from visualsearch.stores.elasticsearch_node import Node
from visualsearch.stores.elasticsearch_options import ElasticsearchOptions
from visualsearch.stores.elasticsearch_trust import Pinned, authority, mistrust
from visualsearch.stores.waiting import Patience, Voice

T = TypeVar("T")

AGAIN = frozenset({429, 502, 503, 504})
"""What a server says that is busy or has lost a node: the same request may succeed a little later."""

_LOST_NODE = re.compile(
    "node_(disconnected|not_connected|closed)|connect_transport|no_shard_available|unavailable_shards"
    "|shard_not_|no_longer_primary|retry_on_primary|index_shard_(closed|not_)|already_closed"
)
"""Types of errors that come, whatever their status, while a node is going or coming, or a shard moves."""

_LOST_SHARD = re.compile("no_shard_available|unavailable_shards")
"""Of these, the types of those that say that no node has a shard, or its only copy is on one that is away."""

OLDEST = (8, 19)
NEWEST_MAJOR = 9
SERVED = f"{'.'.join(map(str, OLDEST))} or later, or {NEWEST_MAJOR}"

_ADVICE = {
    "store-unreachable": "see whether it runs, and whether store.hosts names its addresses, https:// where it wants TLS",
    "store-certificate": "name its authority in store.ca, or its SHA-256 in store.fingerprint",
    "store-credentials": "check store.user and store.password, or store.api_key",
    "store-permission": "give the user or API key the right to it",
    "store-read-only": "free disk space where it is full, take the block off, and run again: nothing is lost",
    "store-replaced": "a newer index was published or the index was removed: open it again",
    "store-shards": "bring the node back that has it, or make the index anew with `visualsearch index --rebuild`",
    "store-too-large": "lower store.bulk_mib",
    "store-busy": "let it recover, or raise store.patience_s, and run again: nothing is lost",
    "store-failed": "see the server's log",
}


class Busy(Exception):
    """An answer that says, for a part of what was asked: try again."""

    def __init__(self, status: int, reason: str, progress: bool = False) -> None:
        """Keep the reason; with ``progress`` the waiting time begins anew."""
        super().__init__(reason)
        self.status = status
        self.progress = progress


class Connection:
    """A client of one cluster; may be used by several threads."""

    def __init__(self, options: ElasticsearchOptions) -> None:
        """Prepare to ask; the first request is that for the version.

        Raises:
            EngineError: from this and every method: ``store-product``, ``store-version``,
                ``store-closed``, or one of ``_ADVICE``.
        """
        self.options = options
        self.where = f"Elasticsearch at {', '.join(options.hosts)}"
        self._client: Any = None
        self._voice = Voice(self.where, options.patience_s)
        # It warns of every node that is away for a moment; what matters is told when patience ends.
        logging.getLogger("elastic_transport.node_pool").setLevel(logging.ERROR)
        arguments: dict[str, Any] = {"max_retries": 0, "retry_on_timeout": False, "node_class": Node}
        if options.api_key is not None:
            arguments["api_key"] = options.api_key
        if options.user is not None:
            # as UTF-8, which the server expects; the client itself takes ASCII only
            together = f"{options.user}:{options.password}".encode("utf-8", "surrogateescape")
            arguments["basic_auth"] = base64.b64encode(together).decode()
        if options.ca is not None:
            arguments["ssl_context"] = self._trusting(options.ca.removeprefix("file:"))
        if options.fingerprint is not None:
            arguments["ssl_context"] = Pinned(options.fingerprint)
        self._client = elasticsearch.Elasticsearch(list(options.hosts), **arguments)
        try:
            with self._voice.over():
                self._refuse_strangers()
        except EngineError:
            self.close()
            raise

    def ask(self, call: Callable[[Any], T]) -> T:
        """Return what ``call`` returns, given a client; it may be called again until patience ends.

        What it asks for must be harmless to do twice: an answer that was lost may have been a yes.
        """
        patience = Patience(self.options.patience_s, self._voice)
        said: Exception | None = None
        while True:
            if self._client is None:
                raise self.error("store-closed", "the index is closed", "open it again")
            timeout = max(1.0, min(self.options.timeout_s, patience.left_s))
            try:
                return call(self._client.options(request_timeout=timeout))
            except (Busy, elastic_transport.TransportError, elasticsearch.ApiError) as error:
                if isinstance(error, Busy) and error.progress:
                    patience.renew()
                if isinstance(error, Busy | elasticsearch.ApiError):
                    said = error  # it tells more than that another node is silent
                if not _passing(error):
                    raise self._translated(error) from error
                if patience.ends:
                    raise self._translated(said or error) from (said or error)
            patience.pause()

    def error(self, slug: str, reason: str, advice: str | None = None) -> EngineError:
        """Return an error of one sentence."""
        told = " ".join(reason.split()).rstrip(".:;")
        shown = told if len(told) <= 300 else told[:299] + "…"
        return EngineError(f"{self.where}: {shown}: {advice or _ADVICE[slug]}.", slug=slug)

    def close(self) -> None:
        """Close the connections; closing twice is harmless."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _trusting(self, ca: str) -> ssl.SSLContext:
        try:
            return authority(ca)
        except OSError as error:  # no such file, or none in PEM
            reason = f"{ca}: expected an authority's certificate in PEM; received {error.strerror or error}"
            raise self.error("store-certificate", reason) from error

    def _refuse_strangers(self) -> None:
        """Refuse other products and versions. `GET /` is not answered by every server; this is."""
        filtered = {"node_id": "_local", "metric": "os", "filter_path": "nodes.*.version"}
        try:
            nodes = self.ask(lambda client: client.nodes.info(**filtered)).get("nodes", {})
        except EngineError as error:
            raise (self._strange() if _of_no_elasticsearch(error.__cause__) else error) from error.__cause__
        version = next((str(node.get("version")) for node in nodes.values()), "none")
        numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
        if numbers < OLDEST or numbers[0] > NEWEST_MAJOR:
            raise self._of_another_major(version)

    def _translated(self, error: Exception) -> EngineError:
        if isinstance(error, elasticsearch.UnsupportedProductError | elastic_transport.SerializationError):
            return self._strange()
        if isinstance(error, Busy):
            return self.error(slug_of(error.status, str(error)), str(error))
        if isinstance(error, elasticsearch.ApiError):
            kind, reason = _told(error.body)
            if kind == "media_type_header_exception":
                return self._of_another_major(f"one that does not take this client ({reason})")
            return self.error(slug_of(error.status_code, kind), f"{reason} ({error.status_code} {kind})")
        if isinstance(error, elastic_transport.TlsError) and not _passing(error):
            return self.error(*mistrust(error.message))
        limit = f"expected an answer within {self.options.patience_s:g} s"
        return self.error("store-unreachable", f"{limit}; received none ({_cause(error)})")

    def _strange(self) -> EngineError:
        reason = f"expected Elasticsearch {SERVED}; another product answers there, or an older server"
        return self.error("store-product", reason, "name an Elasticsearch server in store.hosts")

    def _of_another_major(self, received: str) -> EngineError:
        reason = f"expected version {SERVED}; received {received}"
        return self.error("store-version", reason, "update the server, or name another in store.hosts")


def passes(status: int, kind: str) -> bool:
    """Return whether the same request may succeed a little later.

    >>> passes(429, "es_rejected_execution_exception"), passes(400, "mapper_parsing_exception")
    (True, False)
    """
    return status in AGAIN or bool(_LOST_NODE.search(kind))


def slug_of(status: int, kind: str) -> str:
    """Return the slug of what a server refuses with a status and a type of error.

    >>> slug_of(403, "cluster_block_exception"), slug_of(403, "security_exception")
    ('store-read-only', 'store-permission')
    >>> slug_of(503, "cluster_block_exception: no master")
    'store-busy'
    """
    if "cluster_block" in kind and status != 503:
        return "store-read-only"
    if _LOST_SHARD.search(kind):
        return "store-shards"
    if "index_not_found" in kind or "aliases_not_found" in kind:
        return "store-replaced"
    by_status = {401: "store-credentials", 403: "store-permission", 413: "store-too-large"}
    return by_status.get(status, "store-busy" if passes(status, kind) else "store-failed")


def _passing(error: Exception) -> bool:
    """Return whether the same request may succeed a little later."""
    if isinstance(error, Busy):
        return True
    if isinstance(error, elasticsearch.ApiError):
        return passes(error.status_code, _told(error.body)[0])
    if isinstance(error, elastic_transport.TlsError):
        return "EOF" in error.message  # it went away in the middle; anything else will be the same again
    return not isinstance(error, elastic_transport.SerializationError)


def _of_no_elasticsearch(error: BaseException | None) -> bool:
    """Return whether something refused the question for the version that is neither Elasticsearch nor a guard of it."""
    if not isinstance(error, elasticsearch.ApiError) or error.status_code in (401, 403) or error.status_code >= 429:
        return False
    return "x-elastic-product" not in error.meta.headers


def _cause(error: Exception) -> str:
    """Return the last words of what the client says of a connection, without its objects.

    >>> _cause(elastic_transport.ConnectionError("Pool(port=1): Failed: [Errno 111] Connection refused"))
    '[Errno 111] Connection refused'
    >>> _cause(elastic_transport.ConnectionError("('Connection aborted.', ResetError(104, 'Connection reset by peer'))"))
    'Connection reset by peer'
    """
    told = str(getattr(error, "message", error))
    quoted = re.findall(r"'([^']+)'", told) if told.startswith("(") else []
    return quoted[-1] if quoted else told.rpartition(": ")[2]


def _told(body: Any) -> tuple[str, str]:
    """Return type and reason of an error; a proxy may answer with something else."""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return "error", str(error or body or "no reason given")
    cause = error.get("root_cause") or [error]
    inner = cause[0] if isinstance(cause[0], dict) else error
    return str(inner.get("type", "error")), str(inner.get("reason") or error.get("reason"))
