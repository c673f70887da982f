"""The public surface: exactly what is exported, importable without TensorFlow, imports one way."""

from __future__ import annotations

import ast
import os
import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import visualsearch

SOURCE = Path(visualsearch.__file__).parent

LAYERS = (
    ("secrets", "errors", "datatypes", "progress", "files", "arrays", "yaml_text"),
    ("plugins", "model", "ahead", "columns", "colours", "beginnings", "calibration"),
    ("clusters", "images", "gallery", "changes", "routing", "reranking"),
    ("crops", "runtimes", "extractors", "classifiers", "stores"),
    (
        *("embedder", "config_files", "config_yaml", "config_errors", "config_values", "kinds", "config"),
        *("config_schema", "evaluation"),
    ),
    ("stages",),
    ("pipeline", "presentation"),
    ("results",),
    ("opening", "commands", "cli", "__main__"),
)
"""From the ground up: a module imports from its own layer and from those before it."""


def test_public_names_are_exactly_those_exported() -> None:
    public = {name for name in vars(visualsearch) if not name.startswith("_")}
    submodules = {module.name for module in pkgutil.iter_modules(visualsearch.__path__)}
    assert public - submodules == set(visualsearch.__all__)


def test_the_version_is_that_of_the_package() -> None:
    written = tomllib.loads((SOURCE.parents[1] / "pyproject.toml").read_text())
    assert visualsearch.__version__ == written["project"]["version"]


def test_importing_the_package_imports_no_framework() -> None:
    heavy = ("tensorflow", "keras", "openvino", "sklearn", "pymilvus", "milvus_lite", "grpc")
    program = f"import sys, visualsearch, visualsearch.cli; print([m for m in {heavy} if m in sys.modules])"
    where = {**os.environ, "PYTHONPATH": str(SOURCE.parent)}
    done = subprocess.run([sys.executable, "-c", program], env=where, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def imported(file: Path) -> set[str]:
    """Return the top-level parts of this package that a module imports, anywhere in it."""
    parts: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "visualsearch":
            parts |= {alias.name for alias in node.names} - {"__version__"}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("visualsearch."):
            parts.add((node.module or "").split(".")[1])
    return parts


@pytest.mark.parametrize("file", sorted(SOURCE.rglob("*.py")), ids=lambda file: file.relative_to(SOURCE).as_posix())
def test_imports_point_one_way(file: Path) -> None:
    part = file.relative_to(SOURCE).parts[0].removesuffix(".py")
    if part == "__init__":
        return
    level = next((i for i, layer in enumerate(LAYERS) if part in layer), None)
    assert level is not None, f"{part} has no place in LAYERS"
    below = {name for layer in LAYERS[: level + 1] for name in layer}
    assert imported(file) <= below
