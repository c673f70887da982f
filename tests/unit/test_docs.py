"""README.md, CONTRIBUTING.md and docs/weights.md do what they say: their blocks run, in order, on a small gallery.

A ``python`` or ``yaml`` block whose first line is a comment with a file name is written to that
file; other Python blocks are programs. Of a ``console`` block every line behind ``$`` is run. The
folder they run in has the sample's files in small, pictures under ``photos`` and a ``query.jpg``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "CONTRIBUTING.md", "docs/weights.md")
RUN_BY_CI = ("make demo", "make test", "make check", "make soak")

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (?:file: )?([\w/]+\.(?:py|yaml|csv))\n")
_LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    text: str
    line: int

    @property
    def file(self) -> str | None:
        """Return the name of the file that the block is, or None."""
        match = _FILE.match(self.text)
        return match[1] if match else None

    @property
    def commands(self) -> list[str]:
        """Return the command lines of a console block that are not left to CI."""
        lines = [line[2:] for line in self.text.splitlines() if line.startswith("$ ")]
        return [line for line in lines if not line.startswith(RUN_BY_CI)]


def blocks(page: str) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    text = (ROOT / page).read_text()
    return [Block(found[1], found[2], text.count("\n", 0, found.start()) + 1) for found in _FENCE.finditer(text)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder like a checkout, with three categories of the sample."""
    for name in ("VisualSearch.py", "src", "resources", "models/starter"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "application.yaml", tmp_path)
    sample = ROOT / "data" / "sample"
    labels = sorted(path.name for path in (sample / "gallery").iterdir() if path.is_dir())[:3]
    for part, each in (("gallery", 16), ("queries", 4)):
        for label in labels:
            copy(sorted((sample / part / label).glob("*.jpg"))[:each], tmp_path / "data/sample" / part / label)
    copy(sorted((sample / "strangers").rglob("*.jpg"))[:4], tmp_path / "data/sample/strangers")
    shutil.copytree(tmp_path / "data/sample/gallery", tmp_path / "photos")
    shutil.copy(next((tmp_path / "data/sample/queries" / labels[0]).iterdir()), tmp_path / "query.jpg")
    return tmp_path


def copy(pictures: list[Path], to: Path) -> None:
    """Copy pictures into a folder, which is made."""
    assert pictures
    to.mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        shutil.copy(picture, to)


def environment(folder: Path) -> dict[str, str]:
    """Return an environment in which ``visualsearch`` and ``python`` are those of this checkout."""
    programs = folder / ".bin"
    programs.mkdir()
    for name, call in (("python", ""), ("visualsearch", " -m visualsearch")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{call} "$@"\n')
        (programs / name).chmod(0o755)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{folder}"}


def run(command: list[str], folder: Path, env: dict[str, str], where: str) -> None:
    """Run a command; its output is the message if it fails."""
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{where}: exit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-5000:]}"


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("page", PAGES)
def test_blocks_run(page: str, folder: Path) -> None:
    env = environment(folder)
    for block in blocks(page):
        where = f"{page}, line {block.line}"
        if block.file is not None:
            (folder / block.file).write_text(block.text)
        elif block.language == "python":
            run([sys.executable, "-c", block.text], folder, env, where)
        elif block.language == "console":
            for command in block.commands:
                run(["bash", "-euo", "pipefail", "-c", command], folder, env, f"{where}: {command}")


@pytest.mark.parametrize("page", PAGES)
def test_blocks_have_a_known_language(page: str) -> None:
    assert {block.language for block in blocks(page)} <= {"python", "yaml", "console", "text"}
    for block in blocks(page):
        if block.language == "console":
            assert block.text.startswith("$ "), f"{page}, line {block.line}: a console block begins with `$ `"


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    missing = [link for link in _LINK.findall((ROOT / page).read_text()) if not ((ROOT / page).parent / link).exists()]
    assert missing == []
