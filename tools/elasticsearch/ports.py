"""Find ports that nobody listens at."""

from __future__ import annotations

import random
import socket

from tools.elasticsearch.node import Failed

OUR_PORTS = range(20_000, 32_000)
"""Below those that systems give to outgoing connections, which could take the port of a server that is down."""


def free_ports(nodes: int, first: int) -> list[tuple[int, int]]:
    """Return two free ports for each node: ``first`` and those after it for clients, any for the nodes; 0: any for both.

    Raises:
        Failed: one of the given ones is in use.
    """
    given = range(first, first + nodes) if first else range(0)
    held: list[socket.socket] = []
    try:
        for port in given:
            if not _hold(port, held):
                raise Failed(
                    f"Port {port} of 127.0.0.1 is in use, and a node was to listen there: "
                    "end what does, name another port, or none for a free one."
                )
        begin = random.SystemRandom().choice(OUR_PORTS)
        for port in (*range(begin, OUR_PORTS.stop), *range(OUR_PORTS.start, begin)):
            if len(held) == 2 * nodes:
                break
            if port not in given:
                _hold(port, held)
        taken = [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()
    return list(zip(taken[:nodes], taken[nodes:], strict=True))


def _hold(port: int, held: list[socket.socket]) -> bool:
    """Bind a port and keep it with the others; say whether it was free."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        one.bind(("127.0.0.1", port))
    except OSError:
        one.close()
        return False
    held.append(one)
    return True
