"""Writing: requests bounded in bytes, several on their way, refused items tried again and named."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from visualsearch.datatypes import Item, Vector
from visualsearch.errors import EngineError, RefusedItems
from visualsearch.stores.elasticsearch_client import Busy, Connection, passes, slug_of
from visualsearch.stores.elasticsearch_mapping import document, document_id, dumped, vector_text
from visualsearch.stores.portions import portions

WAITS_FOR_A_SHARD = "500ms"
"""How long the server holds a request for a shard that is away. It is less than any request's own time, so that the
answer says what is missing; asking again is ours to do."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One line or two of a bulk request, and the item that they are about."""

    item: str
    lines: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the server refused an item for good."""

    status: int
    kind: str
    reason: str


@dataclass(slots=True)
class Outcome:
    """What became of many operations: refusals by item, and what ended the work early, with the items of then."""

    refused: dict[str, Refusal] = field(default_factory=dict)
    unanswered: set[str] = field(default_factory=set)
    """Of the requests that were sent: the items that nobody acknowledged or refused until patience ended."""
    error: EngineError | None = None


def writing(item: Item, vector: Vector) -> Operation:
    """Return the operation that writes an item whole, replacing the one that has its id."""
    body = f'{dumped(document(item))[:-1]},"vector":{vector_text(vector)}}}'
    return Operation(item.id, f'{{"index":{{"_id":{dumped(document_id(item.id))}}}}}\n{body}'.encode())


def putting(key: str, made: dict[str, Any]) -> Operation:
    """Return the operation that writes a document under ``key``."""
    return Operation(key, f'{{"index":{{"_id":{dumped(key)}}}}}\n{dumped(made)}'.encode())


def deleting(key: str, item: str) -> Operation:
    """Return the operation that removes the document ``key`` of an item."""
    return Operation(item, f'{{"delete":{{"_id":{dumped(key)}}}}}'.encode())


def requests(groups: Iterable[Sequence[Operation]], limit: int) -> Iterator[list[Operation]]:
    """Gather groups into requests of at most ``limit`` bytes; a group is never torn apart.

    >>> a, b = Operation("a", b"12345"), Operation("b", b"12345")
    >>> [[one.item for one in request] for request in requests([[a], [b], [a, b]], 10)]
    [['a', 'b'], ['a', 'b']]
    """
    return portions(groups, limit, lambda one: len(one.lines))


class Bulk:
    """Sends operations to one index, which must exist: no request makes one."""

    def __init__(self, connection: Connection, target: str, alias: bool = True, refresh: bool = False) -> None:
        """Write to ``target``, an alias or an index; ``refresh`` makes each request visible at once."""
        self._connection = connection
        self._arguments = {"index": target, "require_alias": alias, "refresh": refresh, "timeout": WAITS_FOR_A_SHARD}

    def send(self, groups: Iterable[Sequence[Operation]]) -> Outcome:
        """Send everything, unless the cluster is lost on the way."""
        options, outcome = self._connection.options, Outcome()
        running: deque[Future[Outcome]] = deque()
        with ThreadPoolExecutor(options.in_flight) as pool:
            for request in requests(groups, options.bulk_mib << 20):
                if len(running) == options.in_flight:
                    _gather(running.popleft(), outcome)
                if outcome.error is not None:
                    break
                running.append(pool.submit(self._request, request))
            for one in running:
                _gather(one, outcome)
        return outcome

    def all_or_error(self, operations: Iterable[Operation]) -> None:
        """Send operations that are nobody's group.

        Raises:
            RefusedItems: some were refused for good; the others are done.
            EngineError: the cluster is lost.
        """
        self.raise_for(self.send([operation] for operation in operations))

    def raise_for(self, outcome: Outcome, paths: Mapping[str, str] | None = None) -> None:
        """Raise what an outcome says, if it says anything; ``paths`` of items are for people to read."""
        if outcome.error is not None:
            raise outcome.error
        if not outcome.refused:
            return
        slugs = {item: slug_of(one.status, one.kind) for item, one in outcome.refused.items()}
        # What is the matter with the index comes before what is the matter with an item.
        item = next((item for item, slug in slugs.items() if slug != "store-failed"), next(iter(slugs)))
        path = (paths or {}).get(item)
        name = repr(item) if path is None else f"{item!r} of {path}"
        more = f" (and {len(slugs) - 1} more)" if len(slugs) > 1 else ""
        reason = f"refused the item {name}{more}: {outcome.refused[item].reason}"
        if slugs[item] != "store-failed":
            raise self._connection.error(slugs[item], reason)
        told = self._connection.error("store-refused", reason, "mend it or leave it out, and run again")
        reasons = {item: one.reason for item, one in outcome.refused.items()}
        raise RefusedItems(str(told), slug=told.slug, reasons=reasons)

    def _request(self, request: Sequence[Operation]) -> Outcome:
        """Send one request until each of its operations is done or refused for good, or patience ends."""
        pending, made = list(request), Outcome()

        def once(client: Any) -> None:
            nonlocal pending
            answer = client.bulk(operations=[one.lines for one in pending], **self._arguments)
            again, busy = [], None
            for one, result in zip(pending, answer["items"], strict=True):
                refusal = _refusal(next(iter(result.values())))
                if refusal is not None and passes(refusal.status, refusal.kind):
                    again.append(one)
                    busy = refusal
                elif refusal is not None:
                    made.refused[one.item] = refusal
            progress, pending = len(again) < len(pending), again
            if busy is not None:
                raise Busy(busy.status, f"{busy.kind}: {busy.reason}", progress)

        try:
            self._connection.ask(once)
        except EngineError as error:
            made.error, made.unanswered = error, {one.item for one in pending}
        return made


def _gather(future: Future[Outcome], outcome: Outcome) -> None:
    made = future.result()
    outcome.refused.update(made.refused)
    outcome.unanswered |= made.unanswered
    outcome.error = outcome.error or made.error


def _refusal(result: dict[str, Any]) -> Refusal | None:
    """Return why an operation was refused; a document that was not there to be deleted is no refusal."""
    error = result.get("error")
    if error is None:
        return None
    cause = error.get("caused_by") or {}
    reason = ": ".join(str(part["reason"]) for part in (error, cause) if part.get("reason"))
    return Refusal(int(result["status"]), str(error.get("type")), reason)
