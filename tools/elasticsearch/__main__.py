"""Start, stop and look at Elasticsearch servers on this machine, to try things out: without security, on 127.0.0.1.

    python tools/elasticsearch start                        one node, until Ctrl-C
    python tools/elasticsearch start --nodes 3 --detach     three, in the background
    python tools/elasticsearch status
    python tools/elasticsearch stop

`start` fetches the server's jars with Maven the first time (40 MB, into ~/.cache/visualsearch/elasticsearch or
$VISUALSEARCH_ELASTICSEARCH), prints the address when the cluster answers, and stays: when it ends, by Ctrl-C, a signal
or a kill, the servers end. With --detach it goes on in the background, until `stop`. `status` and `stop` know what
`start` has started, in the background or not. Exit codes: 0 done; 1 `status`: none runs; 2 usage; 4 it failed.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tools.elasticsearch import running  # noqa: E402  (the root must be on the path first)
from tools.elasticsearch.cluster import VERSIONS, Cluster, Failed, Missing  # noqa: E402
from tools.elasticsearch.node import ask  # noqa: E402

FAILED = 4


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    given = parser().parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    try:
        return int(given.command(given))
    except KeyboardInterrupt:
        return 0
    except (Missing, Failed) as error:
        print(error, file=sys.stderr)
        return FAILED


def parser() -> argparse.ArgumentParser:
    """Return the parser of the three commands."""
    top = argparse.ArgumentParser(
        prog="tools/elasticsearch", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(required=True, metavar="start | stop | status")
    starting = commands.add_parser("start", help="start a cluster and stay until it is ended")
    starting.set_defaults(command=start)
    starting.add_argument("--version", choices=VERSIONS, default=VERSIONS[0], help="default: %(default)s")
    starting.add_argument("--nodes", type=int, choices=(1, 3), default=1, help="default: %(default)s")
    starting.add_argument("--port", type=port, default=0, help="of the first node, the next follow; default: free ones")
    starting.add_argument(
        "--data", type=Path, metavar="FOLDER", help="kept; default: a temporary one, removed at the end"
    )
    starting.add_argument("--heap", type=int, metavar="MIB", help="of each node; default: 1024, of three nodes 512")
    starting.add_argument("--detach", action="store_true", help="return when it answers and leave it running")
    starting.add_argument("--detached", action="store_true", help=argparse.SUPPRESS)
    stopping = commands.add_parser("stop", help="end a cluster that start has started")
    stopping.set_defaults(command=stop)
    stopping.add_argument("--data", type=Path, metavar="FOLDER", help="which one, if there are several")
    commands.add_parser("status", help="say which ones run").set_defaults(command=status)
    return top


def port(text: str) -> int:
    """Return a port number."""
    number = int(text)
    if not 0 <= number < 2**16:
        raise argparse.ArgumentTypeError(f"expected a port from 1 to 65535, or 0 for a free one; got {text}")
    return number


def start(given: argparse.Namespace) -> int:
    """Start a cluster, and stay or leave it in the background."""
    if given.detach:
        return _detach(given)
    with Cluster(given.version, given.nodes, port=given.port, folder=given.data, heap_mib=given.heap) as cluster:
        processes = [process.pid for process in cluster.processes]
        record = running.Record(os.getpid(), cluster.version, cluster.addresses, processes, str(cluster.folder))
        with running.recorded(record), closing(cluster):  # `stop` waits for the record to go: the servers go first
            print(f"Elasticsearch {cluster.version} answers at {' '.join(cluster.addresses)}", flush=True)
            print(f"data and logs: {cluster.folder}", flush=True)
            if given.detached:
                _leave_the_terminal()
            else:
                print("Ctrl-C ends it.", flush=True)
            while any(process.poll() is None for process in cluster.processes):
                time.sleep(0.5)  # one that is killed to see what happens does not end the others
        raise Failed(f"Elasticsearch {cluster.version} has ended by itself.")


def stop(given: argparse.Namespace) -> int:
    """End the one cluster that runs, or the one of a folder."""
    found = running.records()
    if given.data is not None:
        found = [record for record in found if Path(record.folder) == given.data.expanduser().resolve()]
    if not found:
        raise Failed("No cluster runs that start has started" + (f" in {given.data}." if given.data else "."))
    if len(found) > 1:
        folders = ", ".join(record.folder for record in found)
        raise Failed(f"Several clusters run, expected one: say which with --data, one of {folders}.")
    if not running.stop(found[0]):
        raise Failed(f"Process {found[0].pid} was told to end and is still there; look into {found[0].folder}.")
    print(f"Elasticsearch {found[0].version} at {found[0].addresses[0]} has ended.")
    return 0


def status(given: argparse.Namespace) -> int:
    """Print a line for each cluster that runs; 1 if there is none."""
    found = running.records()
    for record in found:
        print(f"Elasticsearch {record.version}, data and logs: {record.folder}")
        for address, pid in zip(record.addresses, record.processes, strict=True):
            print(f"  {address}  process {pid}  {_health(address)}")
    if not found:
        print("No cluster runs that start has started.")
    return 0 if found else 1


def _detach(given: argparse.Namespace) -> int:
    options = {
        "version": given.version,
        "nodes": given.nodes,
        "port": given.port,
        "data": given.data,
        "heap": given.heap,
    }
    told = [f"--{name}={value}" for name, value in options.items() if value is not None]
    command = [sys.executable, __file__, "start", "--detached", *told]
    left = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True, text=True
    )
    try:
        for line in left.stdout or ():
            print(line, end="", flush=True)
    except KeyboardInterrupt:
        left.terminate()
        left.wait()
        raise
    return 0 if running.exists(left.pid) else left.wait()


def _health(address: str) -> str:
    try:
        health = ask(address, "_cluster/health?local=true")
    except OSError:
        return "does not answer"
    return f"{health['status']}, sees {health['number_of_nodes']} node(s)"


def _leave_the_terminal() -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nothing, stream.fileno())
    os.close(nothing)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
