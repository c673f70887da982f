"""The tool that starts Elasticsearch servers, and what the tests count on: they answer, they end, nothing stays."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
import servers
from elasticsearch import Elasticsearch

from tools.elasticsearch import home, java
from tools.elasticsearch.cluster import PREFIX, Cluster, Failed, Missing
from tools.elasticsearch.node import ask

ROOT = Path(__file__).parents[2]
TOOL = [sys.executable, str(ROOT / "tools" / "elasticsearch")]
FIRST = servers.VERSIONS[0]
SECONDS_TO_END = 60


def tool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command of the tool to its end."""
    return subprocess.run([*TOOL, *map(str, arguments)], capture_output=True, text=True, timeout=250)


def put(address: str, path: str, document: dict[str, int]) -> None:
    """Write a document so that searches find it."""
    body, kind = json.dumps(document).encode(), {"Content-Type": "application/json"}
    urlopen(Request(f"{address}/{path}?refresh=true", body, kind, method="PUT")).close()


def gone(pid: int) -> bool:
    """Say whether a process of somebody else's children is gone; init may not have fetched it yet."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z"


def soon(condition: Callable[[], bool]) -> bool:
    """Say whether something comes true while a server has time to end."""
    end = time.monotonic() + SECONDS_TO_END
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


def pretend(folder: Path, name: str, prints: str, code: int = 0) -> Path:
    """Write a command into ``folder/bin`` that prints to both outputs and exits."""
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    command = folder / "bin" / name
    said = f"printf '%s\\n' '{prints}'"  # a word of the shell itself: the PATH may be empty
    command.write_text(f"#!/bin/sh\n{said}\n{said} >&2\nexit {code}\n")
    command.chmod(0o755)
    return command


def pretend_java(folder: Path, version: str) -> Path:
    """Write a Java that only says what it is."""
    return pretend(folder, "java", f"    java.home = {folder}\n    java.specification.version = {version}")


def process_of(address: str) -> int:
    """Return what ``status`` says of the process of a node that answers."""
    [pid] = re.findall(rf"{address}  process (\d+)  (?:green|yellow), sees 1 node", tool("status").stdout)
    return int(pid)


def hear_ctrl_c() -> None:
    """Undo that whoever runs in the background, and all that it starts, is deaf to Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def foreground(*arguments: str | Path) -> Iterator[tuple[subprocess.Popen[str], str, Path]]:
    """Yield a ``start`` that stays, its address and its data folder, as it prints them."""
    command = [*TOOL, "start", "--heap=512", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=hear_ctrl_c) as running:
        assert running.stdout is not None
        try:
            [address] = re.findall(r"http://\S+", running.stdout.readline())
            yield running, address, Path(running.stdout.readline().removeprefix("data and logs: ").strip())
        finally:
            running.terminate()


# ------------------------------------------------------------------------------- a server


def test_a_server_answers_the_client_and_listens_here_alone(elasticsearch: Cluster) -> None:
    [address] = elasticsearch.addresses
    with Elasticsearch(address) as client:
        [node] = client.nodes.info(node_id="_local", metric=["http", "transport"])["nodes"].values()
    assert node["version"] == elasticsearch.version
    bound = [*node["http"]["bound_address"], *node["transport"]["bound_address"]]
    assert bound and all(one.startswith("127.0.0.1:") for one in bound)
    assert node["http"]["bound_address"] == [address.removeprefix("http://")]


def test_a_killed_server_comes_back_with_its_data_at_the_same_address(tmp_path: Path) -> None:
    with servers.cluster(FIRST, folder=tmp_path / "data") as cluster:
        addresses, process = cluster.addresses, cluster.processes[0]
        put(addresses[0], "things/_doc/1", {"seven": 7})
        cluster.kill(0)
        assert process.returncode == -signal.SIGKILL
        with pytest.raises(OSError):
            cluster.get("/", node=0)
        cluster.restart(0)
        assert cluster.addresses == addresses
        assert cluster.get("things/_doc/1")["_source"] == {"seven": 7}
    assert cluster.processes[0].poll() is not None
    with pytest.raises(Failed, match=rf"it holds {FIRST} with 1: start that, or name another folder\.$"):
        Cluster(FIRST, 3, folder=tmp_path / "data").start()


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    sentence = (
        rf"^Elasticsearch {FIRST}: node-1 was to start and ended with exit code 1: .*unknown setting \[no\.such\]"
    )
    with pytest.raises(Failed, match=sentence), servers.cluster(FIRST, folder=tmp_path, settings={"no.such": "1"}):
        pass


def test_a_port_in_use_is_told_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with (
            pytest.raises(Failed, match=f"^Port {port} of 127.0.0.1 is in use"),
            servers.cluster(FIRST, port=port, folder=tmp_path / "data"),
        ):
            pass
    assert not (tmp_path / "data").exists()


# ------------------------------------------------------------------------------- the command


def test_the_servers_end_when_the_command_is_killed(elasticsearch_server: Callable[[str], Cluster]) -> None:
    elasticsearch_server(FIRST)  # skips where a server cannot be had
    with foreground() as (running, address, data):
        assert data.name.startswith(PREFIX) and (data / "node-1" / "logs" / "server.log").stat().st_size > 0
        pid = process_of(address)
        running.kill()
        running.wait()
        assert soon(lambda: gone(pid))
        assert str(data) not in tool("status").stdout
        assert not data.exists()


def test_ctrl_c_ends_it_in_order_and_the_next_one_in_the_background_finds_the_data(
    tmp_path: Path, elasticsearch_server: Callable[[str], Cluster]
) -> None:
    elasticsearch_server(FIRST)
    with foreground("--data", tmp_path / "data") as (running, address, data):
        put(address, "things/_doc/1", {"seven": 7})
        pid = process_of(address)
        running.send_signal(signal.SIGINT)
        assert running.wait(SECONDS_TO_END) == 0
        assert gone(pid)

    begun = tool("start", "--detach", "--heap=512", "--data", data)
    try:
        assert begun.returncode == 0, begun.stderr
        [address] = re.findall(r"http://\S+", begun.stdout)
        assert ask(address, "things/_doc/1")["_source"] == {"seven": 7}
        pid = process_of(address)
    finally:
        ended = tool("stop", "--data", data)
    assert (ended.returncode, ended.stdout) == (0, f"Elasticsearch {FIRST} at {address} has ended.\n")
    assert gone(pid)
    assert str(data) not in tool("status").stdout


def test_there_is_nothing_to_stop(tmp_path: Path) -> None:
    ended = tool("stop", "--data", tmp_path)
    assert (ended.returncode, ended.stderr) == (4, f"No cluster runs that start has started in {tmp_path}.\n")


@pytest.mark.parametrize("wrong", [["--version", "7.17.0"], ["--nodes", "2"], ["--port", "65536"]])
def test_other_versions_nodes_and_ports_are_refused(wrong: list[str]) -> None:
    refused = tool("start", *wrong)
    assert refused.returncode == 2 and wrong[1] in refused.stderr


# ------------------------------------------------------------------------------- what it needs


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the only folder where a Java can be: ``JAVAS/*``; there is none, no Maven, and no jars are kept."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "path" / "bin"))
    monkeypatch.setenv("VISUALSEARCH_ELASTICSEARCH", str(tmp_path / "cache"))
    monkeypatch.setattr(java, "FOLDERS", (str(tmp_path / "javas" / "*"),))
    return tmp_path


def test_without_java_one_sentence(bare: Path) -> None:
    with pytest.raises(Missing) as caught:
        home.home(home.RELEASES[FIRST])
    assert str(caught.value) == (
        "Elasticsearch 8.19.0 needs Java 17 or later; JAVA_HOME, the PATH and the usual folders have no Java: "
        "install one, for example the package openjdk-17-jdk or Eclipse Temurin, or set JAVA_HOME to it."
    )


def test_a_java_that_is_too_old_is_named(bare: Path) -> None:
    pretend_java(bare / "javas" / "eight", "1.8")
    pretend_java(bare / "javas" / "seventeen", "17")
    with pytest.raises(Missing, match=f"needs Java 21 or later; .* have Java 8 in {bare}.*, Java 17 in {bare}"):
        home.home(home.RELEASES["9.0.4"])


def test_java_home_comes_before_the_path_and_the_path_before_folders(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("javas/folder", "path", "own"):
        pretend_java(bare / name, "21")
    assert java.java(17, "It").home == bare / "path"
    monkeypatch.setenv("JAVA_HOME", str(bare / "own"))
    assert [one.home for one in java.installed()] == [bare / "own", bare / "path", bare / "javas/folder"]
    pretend_java(bare / "own", "11")
    assert java.java(17, "It").home == bare / "path"


def test_a_java_that_does_not_run_is_passed_over(bare: Path) -> None:
    pretend(bare / "path", "java", "Unable to locate a Java Runtime.", code=1)
    pretend_java(bare / "javas" / "good", "17")
    assert java.java(17, "It") == java.Java(bare / "javas" / "good", 17)


def test_a_java_without_its_compiler_is_not_enough_to_begin(bare: Path) -> None:
    pretend_java(bare / "path", "17")
    with pytest.raises(Missing, match=r"^Compiling the launcher .* needs Java 17 or later with its compiler \(a JDK\)"):
        home.home(home.RELEASES[FIRST])


def test_without_maven_one_sentence(bare: Path) -> None:
    pretend_java(bare / "path", "17")
    pretend(bare / "path", "javac", "")
    with pytest.raises(Missing, match=r"needs Maven; there is no mvn in the PATH: install the package maven\.$"):
        home.home(home.RELEASES[FIRST])


def test_without_a_network_one_sentence_with_mavens_reason(bare: Path) -> None:
    pretend_java(bare / "path", "17")
    pretend(bare / "path", "javac", "")
    pretend(bare / "path", "mvn", "[ERROR] Unknown host\n[ERROR] and more", code=1)
    with pytest.raises(
        Missing, match=r"could not be fetched with Maven \(Unknown host\); .* try again with a network\.$"
    ):
        home.home(home.RELEASES[FIRST])


def test_the_second_time_nothing_is_fetched(elasticsearch: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = java.java(home.RELEASES[elasticsearch.version].java, "It")
    monkeypatch.setenv("JAVA_HOME", str(runs.home))
    monkeypatch.setenv("PATH", "")
    folder, found = home.home(home.RELEASES[elasticsearch.version])
    assert (folder, found) == (home.cache() / elasticsearch.version, runs)
