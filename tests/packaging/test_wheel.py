"""The wheel, built and installed into a clean environment, works there by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command without this checkout's environment and return what it prints."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, cwd=ROOT)
    [made] = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a new environment with the wheel; its other packages are looked up in this one.

    A line of a ``.pth`` file adds a folder of packages, but not what that folder's own ``.pth``
    files add: an editable installation of this checkout stays out of sight.
    """
    folder = tmp_path_factory.mktemp("clean") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    python = folder / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=folder)
    packages = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


def test_it_holds_what_the_source_tree_holds(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    source = ROOT / "src"
    files = {path.relative_to(source).as_posix() for path in (source / "visualsearch").rglob("*") if path.is_file()}
    expected = {name for name in files if "__pycache__" not in name}
    expected |= {f"visualsearch/starter/{path.name}" for path in (ROOT / "models" / "starter").iterdir()}
    assert {name for name in inside if name.startswith("visualsearch/")} == expected
    assert "visualsearch/starter/card.json" in expected
    assert "visualsearch/py.typed" in expected


def test_its_licence_and_command_are_named(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    [about] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    metadata = archive.read(about).decode()
    assert "License-Expression: MIT" in metadata
    assert any(name.endswith("licenses/LICENSE") for name in archive.namelist())
    [commands] = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
    assert "visualsearch = visualsearch.cli:main" in archive.read(commands).decode()


def test_it_is_what_the_clean_environment_imports(clean: Path, tmp_path: Path) -> None:
    file = run(clean / "bin" / "python", "-c", "import visualsearch; print(visualsearch.__file__)", cwd=tmp_path)
    assert Path(file.strip()).is_relative_to(clean)


def test_its_command_says_what_it_does(clean: Path, tmp_path: Path) -> None:
    said = run(clean / "bin" / "visualsearch", "--help", cwd=tmp_path)
    assert "classifies before it retrieves" in said
    assert "-yml" in said


def test_its_starter_indexes_and_searches_without_the_checkout(clean: Path, tmp_path: Path) -> None:
    pictures = sorted((ROOT / "data" / "sample" / "gallery").rglob("*.jpg"))[:6]
    (tmp_path / "photos").mkdir()
    for picture in pictures:
        (tmp_path / "photos" / picture.name).write_bytes(picture.read_bytes())
    (tmp_path / "application.yaml").write_text("gallery: {folder: photos/}\n")
    run(clean / "bin" / "visualsearch", "index", cwd=tmp_path)
    said = run(clean / "bin" / "visualsearch", "search", "--json", f"photos/{pictures[0].name}", cwd=tmp_path)
    assert json.loads(said)[0]["hits"][0]["path"] == pictures[0].name
