"""One server: a Java process with its folder, its two ports and its log."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, build_opener

SECONDS_TO_END = 40
ANSWER_WITHIN_S = 10


class Failed(Exception):
    """A server that does not start or answer; the message is one sentence."""


def ask(address: str, path: str) -> Any:
    """Return the JSON of ``GET path``, which may begin with a slash.

    Raises:
        OSError: it does not answer, or with a status of 400 or above.
    """
    opener = build_opener(ProxyHandler({}))  # a proxy of the environment is for other addresses
    with opener.open(f"{address}/{path.lstrip('/')}", timeout=ANSWER_WITHIN_S) as answer:
        return json.load(answer)


class Node:
    """A server on 127.0.0.1; the process is replaced when it is started again."""

    def __init__(self, name: str, folder: Path, port: int, transport: int) -> None:
        """Keep data and log in ``folder``; ``port`` is for clients, ``transport`` for the other nodes."""
        self.name = name
        self.folder = folder
        self.address = f"http://127.0.0.1:{port}"
        self.log = folder / "logs" / "server.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._settings = {
            "node.name": name,
            "network.host": "127.0.0.1",
            "http.port": str(port),
            "transport.port": str(transport),
            "path.data": str(folder / "data"),
            "path.logs": str(folder / "logs"),
        }

    def start(self, java: Sequence[str | Path], settings: Mapping[str, str]) -> None:
        """Start the process: ``java`` is its command up to the name of the class."""
        temporary = self.folder / "tmp"
        for needed in (temporary, self.log.parent):
            needed.mkdir(parents=True, exist_ok=True)
        options = (f"-Djava.io.tmpdir={temporary}", f"-XX:ErrorFile={self.log.parent / 'crash.log'}")
        given = [f"{key}={value}" for key, value in {**self._settings, **settings}.items()]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [java[0], *options, *java[1:], *given],
                stdin=subprocess.PIPE,  # it ends when this closes: with this process at the latest
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                start_new_session=True,  # a Ctrl-C is for whoever started it, who then ends it in order
            )

    @property
    def running(self) -> bool:
        """Say whether the process is there."""
        return self.process is not None and self.process.poll() is None

    def end(self, *, orderly: bool) -> None:
        """End the process, in order or by SIGKILL, and return when it is gone."""
        self.signal(orderly=orderly)
        if self.process is None:
            return
        try:
            self.process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()

    def signal(self, *, orderly: bool) -> None:
        """Tell the process to end, without waiting."""
        if self.process is not None and self.running:
            if orderly:
                self.process.terminate()
            else:
                self.process.kill()

    def reason(self) -> str:
        """Return the line of the log that says best why the process ended."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.is_file() else []
        errors = [line for line in lines if re.search(r"(Exception|Error)\b.*: |^Error|ERROR", line)]
        causes = [line for line in errors if "Caused by: " in line]
        telling = (causes[-1:] or errors[:1] or lines[-1:] or ["it wrote nothing"])[0]
        return re.sub(r"^\S+ +[A-Z]+ +\[[^]]*\]\s*", "", telling).strip()
