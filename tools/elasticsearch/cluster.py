"""Elasticsearch servers of one's own, for tests and for trying out: one node or several on this machine.

    with Cluster("8.19.0", nodes=3) as cluster:
        client = Elasticsearch(cluster.addresses)
        cluster.kill(1)
        cluster.restart(1)

The servers end with this process, in whatever way it ends.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tools.elasticsearch.home import RELEASES, classpath, home
from tools.elasticsearch.java import Missing
from tools.elasticsearch.node import Failed, Node, ask
from tools.elasticsearch.ports import free_ports

__all__ = ["PREFIX", "VERSIONS", "Cluster", "Failed", "Missing"]

VERSIONS = tuple(RELEASES)
PREFIX = "visualsearch-elasticsearch-"
"""How the name of a temporary data folder begins."""

STATUSES = ("red", "yellow", "green")


class Cluster:
    """One server or several that know each other, without security, on 127.0.0.1 alone."""

    def __init__(
        self,
        version: str = VERSIONS[0],
        nodes: int = 1,
        *,
        port: int = 0,
        folder: Path | None = None,
        heap_mib: int | None = None,
        settings: Mapping[str, str] | None = None,
        java_options: Sequence[str] = (),
    ) -> None:
        """Describe a cluster; nothing is started yet.

        Args:
            version: one of VERSIONS.
            nodes: how many servers.
            port: of the first node, the next ones follow; 0: free ones.
            folder: for data and logs, made if it is not there and kept; None: a temporary one.
            heap_mib: of each Java; by default 1 GiB for one node, half of it for several.
            settings: of Elasticsearch, for all nodes, for example ``{"thread_pool.write.queue_size": "1"}``.
            java_options: for each Java, beside those that are needed.
        """
        self.version = version
        self.folder = folder.expanduser().resolve() if folder else Path(tempfile.gettempdir())
        self._temporary = folder is None
        self._count, self._port = nodes, port
        self._heap_mib = heap_mib or (1024 if nodes == 1 else 512)
        self._given = dict(settings or {})
        self._java_options = tuple(java_options)
        self._nodes: list[Node] = []
        self._java: list[str | Path] = []
        self._settings: dict[str, str] = {}

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self.close()

    @property
    def addresses(self) -> list[str]:
        """Return the address of each node, also of one that is down."""
        return [node.address for node in self._nodes]

    @property
    def processes(self) -> list[subprocess.Popen[bytes]]:
        """Return the process of each node, the last one where a node is down."""
        return [node.process for node in self._nodes if node.process is not None]

    def start(self) -> Self:
        """Start all nodes and return when each sees all others.

        Raises:
            Missing: Java, Maven or the network to fetch the jars the first time.
            Failed: a port is taken, the folder holds another cluster, a server ended or does not answer.
        """
        folder, java = home(RELEASES[self.version])
        self._java = [
            *(java.tool("java"), f"-Xms{self._heap_mib}m", f"-Xmx{self._heap_mib}m", f"-Des.path.home={folder}"),
            *("-XX:+ExitOnOutOfMemoryError", "--add-opens=java.base/java.io=ALL-UNNAMED"),
            *(*RELEASES[self.version].flags, *self._java_options, "-classpath", classpath(folder), "Server"),
        ]
        ports = free_ports(self._count, self._port)
        if self._temporary:
            self.folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        try:
            self._note_what_it_holds()
            self._nodes = [self._node(number, *pair) for number, pair in enumerate(ports, 1)]
            self._settings = self._common([transport for _, transport in ports])
            for node in self._nodes:
                node.start(self._java, self._settings)
            self.wait()
        except BaseException:
            self.close()
            raise
        return self

    def wait(self, nodes: int | None = None, status: str = "yellow", seconds: float = 240) -> None:
        """Return when every running node sees ``nodes`` nodes (by default the running ones) and that status or better.

        Raises:
            Failed: a node ended meanwhile, or the time is over.
        """
        running = [node for node in self._nodes if node.running] or self._nodes
        expected = len(running) if nodes is None else nodes
        end = time.monotonic() + seconds
        while not all(_sees(node, expected, status) for node in running):
            for node in running:
                if not node.running and node.process is not None:
                    raise Failed(
                        f"Elasticsearch {self.version}: {node.name} was to start and ended "
                        f"with exit code {node.process.returncode}: {node.reason()}"
                    )
            if time.monotonic() > end:
                raise Failed(
                    f"Elasticsearch {self.version}: expected {expected} nodes and status {status} "
                    f"within {seconds:.0f} s; they are not there: {running[0].reason()}"
                )
            time.sleep(0.1)

    def get(self, path: str, node: int | None = None) -> Any:
        """Return the JSON of ``GET path`` from a node, by default the first that runs."""
        number = next(i for i, one in enumerate(self._nodes) if one.running) if node is None else node
        return ask(self._nodes[number].address, path)

    def kill(self, node: int) -> None:
        """Kill a node (SIGKILL), the first being 0, and return when the process is gone."""
        self._nodes[node].end(orderly=False)

    def stop(self, node: int) -> None:
        """Stop a node in order (SIGTERM) and return when the process is gone."""
        self._nodes[node].end(orderly=True)

    def restart(self, node: int) -> None:
        """Start a node that is down, with its data and its port, and return when it has joined the running ones."""
        self._nodes[node].start(self._java, self._settings)
        self.wait()

    def close(self) -> None:
        """End all servers; temporary data is removed."""
        for node in self._nodes:
            node.signal(orderly=not self._temporary)
        for node in self._nodes:
            node.end(orderly=not self._temporary)
        if self._temporary and self.folder.name.startswith(PREFIX):
            shutil.rmtree(self.folder, ignore_errors=True)

    def _node(self, number: int, port: int, transport: int) -> Node:
        name = f"node-{number}"
        return Node(name, self.folder / name, port, transport)

    def _common(self, transports: Sequence[int]) -> dict[str, str]:
        together = {
            "discovery.seed_hosts": ",".join(f"127.0.0.1:{port}" for port in transports),
            "cluster.initial_master_nodes": ",".join(node.name for node in self._nodes),
        }
        return {
            "cluster.name": "visualsearch",
            # a disk that is nearly full is no reason to refuse a test's few documents
            "cluster.routing.allocation.disk.threshold_enabled": "false",
            **(together if self._count > 1 else {"discovery.type": "single-node"}),
            **self._given,
        }

    def _note_what_it_holds(self) -> None:
        note = self.folder / "cluster.json"
        asked = {"version": self.version, "nodes": self._count}
        held = json.loads(note.read_text()) if note.is_file() else asked
        if held != asked:
            raise Failed(
                f"{self.folder}: expected data of Elasticsearch {self.version} with {self._count} node(s), it holds "
                f"{held['version']} with {held['nodes']}: start that, or name another folder."
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps(asked))


def _sees(node: Node, nodes: int, status: str) -> bool:
    try:
        health = ask(node.address, "_cluster/health?local=true")
    except OSError:
        return False
    return health["number_of_nodes"] == nodes and STATUSES.index(health["status"]) >= STATUSES.index(status)
