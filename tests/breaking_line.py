"""A line to a server, between it and its clients, that breaks when it is told to."""

from __future__ import annotations

import select
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from serving import serving

Cut = Callable[[str], bool]
"""First line of a request → whether the line breaks in the middle of its answer; it is asked once for each."""


class Line(socketserver.ThreadingTCPServer):
    """Forwards connections to a server, and breaks them in the middle of chosen answers."""

    daemon_threads = True

    def __init__(self, server: str, cut: Cut) -> None:
        """Listen; ``serve_forever`` takes the connections."""
        super().__init__(("127.0.0.1", 0), Connection)
        target = urlsplit(server)
        self.forwards_to = (target.hostname, target.port)
        self.address = f"http://127.0.0.1:{self.server_address[1]}"
        self.broken: list[str] = []
        """The first lines of the requests whose answers were cut."""
        self._cut = cut
        self._lock = threading.Lock()

    def breaks(self, request: str) -> bool:
        """Say whether the line breaks in the answer to this request, and remember it."""
        with self._lock:
            if self._cut(request):
                self.broken.append(request)
                return True
            return False


class Connection(socketserver.BaseRequestHandler):
    """One connection of a line: requests and answers take turns."""

    server: Line

    def handle(self) -> None:
        """Forward until one side has left or the line breaks."""
        with suppress(OSError), socket.create_connection(self.server.forwards_to) as server:
            request, answered = "", True
            while True:
                for side in select.select([self.request, server], [], [])[0]:
                    data = side.recv(2**16)
                    if not data:
                        return
                    if side is self.request:
                        if answered:
                            request, answered = data.split(b"\r\n")[0].decode(), False
                        server.sendall(data)
                    elif not answered and self.server.breaks(request):
                        self.request.sendall(data[: len(data) // 2])
                        return
                    else:
                        answered = True
                        self.request.sendall(data)


@contextmanager
def line_to(server: str, cut: Cut) -> Iterator[Line]:
    """Yield a line to a server, closed afterwards."""
    with Line(server, cut) as made, serving(made):
        yield made
