"""Requests to Milvus, a file or a server: its errors in one sentence of ours, its noise left away."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from visualsearch.errors import EngineError
from visualsearch.stores.milvus_counts import Memory
from visualsearch.stores.milvus_lite_file import LiteFile, borrow, give_back
from visualsearch.stores.milvus_options import MilvusOptions

MOST_ROWS = 16_384
"""The server returns no more of one search or query."""

LOADING_S = 600.0
"""Seconds within which a server must have an index in memory."""

PAUSE_S = 0.2
"""Seconds between two tries to connect."""

_NOISY = ("pymilvus", "pymilvus.milvus_client", "pymilvus.bulk_writer", "milvus_lite")

_ADVICE = {
    "store-unreachable": "see whether it runs, and whether store.uri names its address, https:// where it wants TLS",
    "store-credentials": "check store.token",
    "store-permission": "give the user or API key the right to it",
    "store-replaced": "a newer index was published or the index was removed: open it again",
    "store-busy": "let it recover, or raise store.patience_s, and run again: nothing is lost",
    "store-disk-full": "free some space, and run again: nothing is lost",
    "store-corrupt": "if it says so again, delete the file and index again",
    "store-failed": "see the server's log",
}

_SIGNS = (
    ("store-credentials", ("UNAUTHENTICATED", "auth check failure", "code=1800")),
    ("store-permission", ("PERMISSION_DENIED", "permission deny", "privilege")),
    ("store-disk-full", ("No space left", "disk quota", "quota exceeded")),
    ("store-replaced", ("collection not found", "can't find collection", "alias not found", "does not exist")),
    ("store-busy", ("DEADLINE_EXCEEDED", "Retry timeout", "rate limit")),
    ("store-unreachable", ("UNAVAILABLE", "Fail connecting", "server unavailable", "failed to connect")),
)
"""What in Milvus' words shows which slug it is, the first that fits; codes differ between file and server."""


class Connection:
    """A client of one file or server; may be used by several threads.

    ``lock`` is to be held while several questions must see one state: a file is nobody else's, a
    server cannot be held.
    """

    def __init__(self, options: MilvusOptions, path: Path) -> None:
        """Connect to the server of the options, or open ``path``.

        Raises:
            EngineError: from this and every method: ``missing-package``, ``store-closed``,
                ``store-locked``, or one of ``_ADVICE``.
        """
        client = _pymilvus().MilvusClient
        self.options = options
        self.where = str(path) if options.is_file else f"Milvus at {options.uri}"
        self.alone = options.is_file  # nobody else writes
        self._process = os.getpid()
        self._client: Any = None
        self._file: LiteFile | None = borrow(path) if options.is_file else None
        self.lock: AbstractContextManager[Any] = self._file.lock if self._file else nullcontext()
        self.memory = self._file.memory if self._file else Memory(options.counts_s)
        arguments: dict[str, Any] = {"token": options.token} if options.token else {}
        if options.ca:
            arguments["server_pem_path"] = options.ca.removeprefix("file:")
        address = self._file.address if self._file else str(options.uri)
        try:
            self._client = self._connected(client, uri=address, **arguments)
            self.is_lite = self._file is not None or "lite" in str(self.ask("get_server_version"))
        except BaseException:
            self.close()
            raise

    def ask(self, method: str, *what: Any, within_s: float | None = None, **how: Any) -> Any:
        """Return what a method of the client returns; tried again while a server is away, as long as patience lasts."""
        if self._client is None or self._process != os.getpid():
            reason = (
                "the index is closed" if self._client is None else "the index was opened before this process was forked"
            )
            raise self.error("store-closed", reason, "open it again")
        with self.lock:
            return self._translating(
                getattr(self._client, method), *what, timeout=within_s or self.options.patience_s, **how
            )

    def create(self, name: str, fields: Sequence[tuple[str, Mapping[str, Any]]], index: Mapping[str, Any]) -> None:
        """Make a collection with an index of its ``vector``, ready to be searched."""
        schema = _pymilvus().MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        for field, kind in fields:
            schema.add_field(field, **kind)
        self.ask("create_collection", name, schema=schema, consistency_level="Strong")
        self.index(name, "vector", **index)

    def index(self, name: str, field: str, **index: Any) -> None:
        """Make an index of a field; it grows with the collection, so there is nothing to wait for."""
        params = _pymilvus().MilvusClient.prepare_index_params()
        params.add_index(field, **index)
        self.ask("create_index", name, params, sync=False)

    def load(self, name: str) -> None:
        """Have a collection in memory, as every search wants it."""
        self.ask("load_collection", name, within_s=LOADING_S)

    def rows(self, name: str, fields: Sequence[str], condition: str = "", size: int = MOST_ROWS) -> Iterator[list[Any]]:
        """Yield rows in the order of their ``key``, at most ``size`` at a time; each page sees what is there by then."""
        last = ""
        while True:
            after = f'key > "{last}"' + (f" and {condition}" if condition else "")
            found = self.query(name, after, [*fields, "key"], limit=size, iterator="True", reduce_stop_for_best="True")
            page = sorted(found, key=lambda row: str(row["key"]))
            if page:
                yield page
            if len(page) < size:
                return
            last = page[-1]["key"]

    def query(self, name: str, condition: str, fields: Sequence[str], **more: Any) -> list[Mapping[str, Any]]:
        """Return the rows that satisfy a condition, as they are now."""
        strong = {"consistency_level": "Strong", **more}
        return list(self.ask("query", name, filter=condition, output_fields=list(fields), **strong))

    def error(self, slug: str, reason: str, advice: str | None = None) -> EngineError:
        """Return an error of one sentence."""
        told = " ".join(reason.split()).rstrip(".:;")
        shown = told if len(told) <= 300 else told[:299] + "…"
        return EngineError(f"{self.where}: {shown}: {advice or _ADVICE[slug]}.", slug=slug)

    def close(self) -> None:
        """Close the connection; closing twice is harmless."""
        client, self._client = self._client, None
        file, self._file = self._file, None
        if client is not None and self._process == os.getpid():
            client.close()
        if file is not None:
            give_back(file)

    def _connected(self, client: Any, **arguments: Any) -> Any:
        """Return a client; the library itself gives up at once where nobody answers."""
        deadline = time.monotonic() + self.options.patience_s
        while True:
            try:
                return self._translating(client, timeout=self.options.patience_s, **arguments)
            except EngineError as error:
                if error.slug != "store-unreachable" or time.monotonic() + PAUSE_S > deadline:
                    raise
            time.sleep(PAUSE_S)

    def _translating(self, call: Any, *what: Any, **how: Any) -> Any:
        import grpc
        from pymilvus.exceptions import MilvusException

        try:
            return call(*what, **how)
        except (MilvusException, grpc.RpcError, OSError) as error:
            told = _told(error)
            slug = slug_of(told)
            if slug == "store-failed" and self._file is not None:
                slug = "store-corrupt"
            raise self.error(slug, told.partition(" (code=")[0] if self._file else told) from error


def slug_of(told: str) -> str:
    """Return the slug of what Milvus says.

    >>> slug_of("collection not found[database=default][collection=a]"), slug_of("out of luck")
    ('store-replaced', 'store-failed')
    """
    return next((slug for slug, signs in _SIGNS if any(sign.lower() in told.lower() for sign in signs)), "store-failed")


def _told(error: Any) -> str:
    """Return what an error says, with its code where that is a word."""
    code = error.code() if callable(getattr(error, "code", None)) else getattr(error, "code", "")
    details = error.details() if callable(getattr(error, "details", None)) else getattr(error, "message", str(error))
    return f"{details or error} ({getattr(code, 'name', f'code={code}')})"


def _pymilvus() -> Any:
    """Import the client, and silence it: it logs every error that it raises, with a traceback."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        import milvus_lite.server_manager  # noqa: F401  (it sets its logger up)
        import pymilvus
    except ImportError as error:
        message = f"store milvus needs packages that are not installed ({error}): pip install 'visualsearch[milvus]'."
        raise EngineError(message, slug="missing-package") from error
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    return pymilvus
