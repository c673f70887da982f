"""One address of a cluster: answers that are whole, or none."""

from __future__ import annotations

from typing import Any

import elastic_transport

from visualsearch.stores.elasticsearch_trust import TrustingNode


class Node(TrustingNode):
    """A node that takes no answer for whole whose head broke off, as Python's HTTP client does."""

    def perform_request(self, *args: Any, **kwargs: Any) -> Any:
        """Return an answer.

        Raises:
            ConnectionError: the connection ended in the middle of the head; see also the client's own.
        """
        answer = super().perform_request(*args, **kwargs)
        head = answer.meta.headers
        ends = head.get("content-length") or (head.get("transfer-encoding") or "").endswith("chunked")
        if not answer.body and not ends:
            raise elastic_transport.ConnectionError("the connection ended in the middle of an answer")
        return answer
