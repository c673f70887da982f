"""Find a Java that is new enough, and Maven."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDERS = (
    "/usr/lib/jvm/*",
    "/usr/java/*",
    "/opt/*",
    "/Library/Java/JavaVirtualMachines/*/Contents/Home",
    "/opt/homebrew/opt/openjdk*",
    "/usr/local/opt/openjdk*",
    "~/.sdkman/candidates/java/*",
    "~/.jdks/*",
)
"""Where packages, archives and version managers put a Java, beside JAVA_HOME and the PATH."""


class Missing(Exception):
    """Something that this machine lacks; the message is one sentence that says what to install."""


@dataclass(frozen=True)
class Java:
    """A Java runtime: its folder and its major version."""

    home: Path
    major: int

    def tool(self, name: str) -> Path:
        """Return the path of one of its commands, which may not be there."""
        return self.home / "bin" / name


def java(least: int, purpose: str, *, compiler: bool = False) -> Java:
    """Return the first Java of major version ``least`` or later, with its compiler if asked for.

    Raises:
        Missing: there is none; the sentence begins with ``purpose``.
    """
    found = []
    for one in installed():
        if one.major >= least and (one.tool("javac").is_file() or not compiler):
            return one
        found.append(f"Java {one.major} in {one.home}")
    kind = f"Java {least} or later with its compiler (a JDK)" if compiler else f"Java {least} or later"
    came = ", ".join(found) or "no Java"
    raise Missing(
        f"{purpose} needs {kind}; JAVA_HOME, the PATH and the usual folders have {came}: install one, "
        f"for example the package openjdk-{least}-jdk or Eclipse Temurin, or set JAVA_HOME to it."
    )


def maven() -> Path:
    """Return the path of Maven.

    Raises:
        Missing: it is not in the PATH.
    """
    path = shutil.which("mvn")
    if path is None:
        raise Missing(
            "Fetching Elasticsearch's jars needs Maven; there is no mvn in the PATH: install the package maven."
        )
    return Path(path)


def installed() -> Iterator[Java]:
    """Yield the Javas of this machine, each once: JAVA_HOME's, the PATH's, those of the usual folders."""
    seen = set()
    for command in _commands():
        resolved = command.resolve()
        if resolved not in seen and os.access(resolved, os.X_OK):
            seen.add(resolved)
            told = _ask(command)
            if told is not None and told.home not in seen:
                seen.add(told.home)
                yield told


def _commands() -> Iterator[Path]:
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home) / "bin" / "java"
    if path := shutil.which("java"):
        yield Path(path)
    for pattern in FOLDERS:
        folder = Path(pattern).expanduser()
        yield from sorted(Path(folder.anchor).glob(f"{folder.relative_to(folder.anchor)}/bin/java"))


def _ask(command: Path) -> Java | None:
    """Return what a ``java`` command is; None where it does not run (macOS has one that only tells what to install)."""
    settings = [str(command), "-XshowSettings:properties", "-version"]
    try:
        told = subprocess.run(settings, capture_output=True, text=True, timeout=60, check=True).stderr
    except (OSError, subprocess.SubprocessError):
        return None
    home = re.search(r"java\.home = (.+)", told)
    version = re.search(r"java\.specification\.version = (?:1\.)?(\d+)", told)
    return Java(Path(home[1].strip()), int(version[1])) if home and version else None
