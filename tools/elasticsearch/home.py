"""Fetch a server's jars once and lay them out as the home folder that Elasticsearch expects."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.elasticsearch.java import Java, Missing, java, maven

HERE = Path(__file__).parent
PARTS = ("pom.xml", "Server.java", "log4j2.properties", "home.py")
"""What a home folder is made from: a change of any makes it anew."""

COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
TRANSPORT = "transport-netty4"


@dataclass(frozen=True)
class Release:
    """A version that can be had from Maven Central, which lacks ``transport-netty4`` for most others."""

    version: str
    java: int
    """The oldest that it runs on."""

    flags: tuple[str, ...]
    """What its Java is told beside the usual."""


RELEASES = {
    release.version: release
    for release in (
        Release("8.19.0", 17, ()),
        Release(
            "9.0.4",
            21,
            (
                "--add-modules=jdk.incubator.vector",
                "--enable-native-access=ALL-UNNAMED",
                # Lucene 10.1 computes without vector instructions on a Java newer than those it was tested with
                "-Dorg.apache.lucene.vectorization.upperJavaFeatureVersion=25",
            ),
        ),
    )
}


def cache() -> Path:
    """Return the folder for the jars: VISUALSEARCH_ELASTICSEARCH, or one in the user's cache."""
    given = os.environ.get("VISUALSEARCH_ELASTICSEARCH")
    return Path(given).expanduser() if given else Path.home() / ".cache" / "visualsearch" / "elasticsearch"


def home(release: Release) -> tuple[Path, Java]:
    """Return the release's home folder, made first where it is missing, and a Java to run it.

    Raises:
        Missing: Java, its compiler, Maven or the network.
    """
    runs = java(release.java, f"Elasticsearch {release.version}")
    folder = cache() / release.version
    made_from = hashlib.sha256(b"".join((HERE / part).read_bytes() for part in PARTS)).hexdigest()
    with _alone(cache()):
        stamp = folder / "made-from"
        if not stamp.is_file() or stamp.read_text() != made_from:
            new = cache() / f"{release.version}-new"
            shutil.rmtree(new, ignore_errors=True)  # of one that was interrupted
            _make(new, release)
            (new / stamp.name).write_text(made_from)
            shutil.rmtree(folder, ignore_errors=True)
            new.rename(folder)
    return folder, runs


def classpath(folder: Path) -> str:
    """Return the class path of a home folder."""
    return f"{folder / 'classes'}{os.pathsep}{folder / 'lib'}/*"


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold a lock, so that two processes do not make the same home at once."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make(folder: Path, release: Release) -> None:
    compiler = java(release.java, f"Compiling the launcher of Elasticsearch {release.version}", compiler=True)
    transport = folder / "modules" / TRANSPORT
    for empty in (folder / "config", folder / "plugins", folder / "lib", transport):
        empty.mkdir(parents=True)
    _fetch(folder / "lib", release, compiler)
    for jar in (*folder.glob("lib/netty-*.jar"), *folder.glob(f"lib/{TRANSPORT}-*.jar")):
        jar.rename(transport / jar.name)
    _describe(transport, release)
    (folder / "config" / "elasticsearch.yml").touch()
    shutil.copy(HERE / "log4j2.properties", folder / "config")
    source = HERE / "Server.java"
    subprocess.run(
        [
            *(compiler.tool("javac"), "--release", str(release.java), "-encoding", "UTF-8", "-proc:none"),
            *("-d", folder / "classes", "-classpath", classpath(folder), source),
        ],
        check=True,
    )


def _fetch(folder: Path, release: Release, runs: Java) -> None:
    command: list[str | Path] = [
        *(maven(), "--quiet", "--batch-mode", "--file", HERE / "pom.xml", f"-Delasticsearch.version={release.version}"),
        *(COPY, "-DincludeScope=runtime", f"-DoutputDirectory={folder}"),
    ]
    environment = {**os.environ, "JAVA_HOME": str(runs.home)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        reasons = re.findall(r"^\[ERROR\] (.+)$", done.stdout, re.MULTILINE) or [done.stderr.strip()[-300:]]
        raise Missing(
            f"The jars of Elasticsearch {release.version} could not be fetched with Maven ({reasons[0].strip()}); "
            "they come from Maven Central once and are kept: try again with a network."
        )


def _describe(folder: Path, release: Release) -> None:
    """Write the plug-in descriptor, which the distribution has and not every version's jar brings."""
    lines = {
        "name": TRANSPORT,
        "description": "what nodes and clients talk through",
        "version": release.version,
        "elasticsearch.version": release.version,
        "java.version": release.java,
        "classname": "org.elasticsearch.transport.netty4.Netty4Plugin",
        "extended.plugins": "",
        "has.native.controller": "false",
    }
    text = "".join(f"{key}={value}\n" for key, value in lines.items())
    (folder / "plugin-descriptor.properties").write_text(text)
