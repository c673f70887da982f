"""How well the classifier of a gallery does, and what it costs, by how much of its network is trained."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visualsearch import VisualSearch
from visualsearch.config import Application, BucketsSettings, load_settings
from visualsearch.evaluation.metrics import hit_at, recall_at
from visualsearch.evaluation.runs import RunRow
from visualsearch.extractors import weights as extractor_weights

from .tuned import Tuned

TOOLS = Path(__file__).parents[1]

YAML = """
name: tails
out: model
gallery: {{folder: {gallery}, path: "{{label}}/{{instance}}-{{view}}", group: instance}}
queries:
  folder: {queries}
  path: "{{label}}/{{instance}}-{{view}}"
  strangers: {strangers}
  relevant: instance
buckets: {{column: label}}
classifier: {{name: resnet50, train: {tail}}}
extractor: {{name: resnet50, weights: {weights}, discriminant: {discriminant}}}
"""


def compare(data: Path, weights: str, tail: str, folder: Path, discriminant: int | None = None) -> dict[str, Any]:
    """Index, train and evaluate a gallery; tell of each query how it went, and what the training cost.

    Args:
        data: a folder with ``gallery`` and ``queries`` (family/instance-view.jpg), perhaps ``strangers``.
        weights: ``starter``, ``random``, ``file:PATH``, or a folder with a starter's weights and card.
        tail: how much is trained: ``head``, ``last_block`` or ``all``.
        folder: for index and classifier; another one for each tail and weights.
        discriminant: so many dimensions of the embedding are fitted on the gallery's groups.

    Returns:
        Lists with an entry for each query: ``query``, ``instance``, ``label``, ``classifier_right``, and
        of exhaustive search ``instance_hit`` (at 1), ``recall`` (at 20), ``category_hit`` (at 1) and
        ``score`` (cosine of the best hit); ``tuned_...`` is the same with the classifier's own pooled
        features as the embedding. None stands for what the gallery has nothing right for. Further
        ``stranger`` and ``stranger_score``; of the training ``seconds``, ``peak_mib`` and ``notes``; of
        a query ``gmac`` and ``passes``.

    Raises:
        SystemExit: the training fails.
    """
    settings, starter = _settings(data.absolute(), weights, tail, folder.absolute(), discriminant)
    with starter_at(starter):
        _indexed(settings)
        training = _trained(settings.out)
        tuned = _tuned(settings)
        _indexed(tuned)
        rows, blocks = _judged(settings), _judged(tuned)
    real, strange = ([row for row in rows.instance if row.stranger is kind] for kind in (False, True))
    return {
        "tail": tail,
        "weights": weights,
        "query": [row.query for row in real],
        "instance": [row.group for row in real],
        "label": [row.right_bucket for row in real],
        "classifier_right": [row.predicted_bucket == row.right_bucket for row in real],
        "score": [row.best_score for row in real],
        **rows.hits(),
        **{f"tuned_{name}": values for name, values in blocks.hits().items()},
        "stranger": [row.query for row in strange],
        "stranger_score": [row.best_score for row in strange],
        **training,
    }


@contextmanager
def starter_at(folder: Path | None) -> Iterator[None]:
    """Let ``weights: starter`` mean those in ``folder`` within the block; None leaves it as it is."""
    before = extractor_weights.STARTER_FOLDERS
    extractor_weights.STARTER_FOLDERS = before if folder is None else (folder,)
    try:
        yield
    finally:
        extractor_weights.STARTER_FOLDERS = before


@dataclass(frozen=True)
class _Judged:
    """The same searches judged by instance and by category."""

    instance: Sequence[RunRow]
    label: Sequence[RunRow]

    def hits(self) -> dict[str, list[Any]]:
        """Return what exhaustive search found for each query that is no stranger; None where nothing is right."""
        one, kind = ([row for row in rows if not row.stranger] for rows in (self.instance, self.label))
        return {
            "instance_hit": [bool(hit_at(1, row.exhaustive_right)) if row.right_items else None for row in one],
            "recall": [recall_at(20, row.exhaustive_right, n) if (n := row.right_items) else None for row in one],
            "category_hit": [bool(hit_at(1, row.exhaustive_right)) if row.right_items else None for row in kind],
        }


def _settings(
    data: Path, weights: str, tail: str, folder: Path, discriminant: int | None
) -> tuple[Application, Path | None]:
    """Write the YAML beside the model; return what it says, and the folder that ``starter`` must mean."""
    folder.mkdir(parents=True, exist_ok=True)
    source, starter = "starter", None if weights == "starter" else Path(weights).absolute()
    if weights.startswith("file:"):
        source, starter = f"file:{Path(weights.removeprefix('file:')).expanduser().absolute()}", None
    elif weights == "random":
        starter = folder / "random"
        write_random(starter)
    strangers = data / "strangers"
    places = {
        "gallery": str(data / "gallery"),
        "queries": str(data / "queries"),
        "strangers": str(strangers) if strangers.is_dir() else None,
        "weights": source,
        "discriminant": discriminant,
    }
    written = {name: json.dumps(place, ensure_ascii=False) for name, place in places.items()}  # YAML reads JSON
    (folder / "compare.yaml").write_text(YAML.format(tail=tail, **written), encoding="utf-8")
    return load_settings(folder / "compare.yaml"), starter


def write_random(folder: Path) -> None:
    """Write an untrained ResNet50 for the side and preprocessing of the starter."""
    from .weights import plain_backbone, write

    like = extractor_weights.find_weights("resnet50", "starter")
    arrays = {variable.path: variable.numpy() for variable in plain_backbone().variables}
    write(folder, arrays, {"name": "random", "side": like.side, "preprocessing": like.preprocessing})


def _indexed(settings: Application) -> None:
    with VisualSearch(settings) as search:
        search.index()


def _tuned(settings: Application) -> Application:
    """Return settings of a search by the trained classifier's features, without buckets."""
    options = Tuned.Options(
        name=f"{Tuned.__module__}:Tuned",
        weights=settings.extractor.weights,
        model=settings.out,
        train=settings.classifier.train,
    )
    changed = {"out": settings.out.with_name("tuned"), "extractor": options, "buckets": BucketsSettings(none=True)}
    return settings.model_copy(update=changed)


def _judged(settings: Application) -> _Judged:
    rows = []
    for relevant in ("instance", "label"):
        queries = settings.queries.model_copy(update={"relevant": relevant})
        with VisualSearch(settings.model_copy(update={"queries": queries})) as search:
            rows.append(search.evaluate().rows)
    return _Judged(*rows)


def _trained(model: Path) -> dict[str, Any]:
    """Train in a process of its own, so that its memory is the training's alone; return what it tells."""
    starters = [str(folder) for folder in extractor_weights.STARTER_FOLDERS]
    command = [sys.executable, "-m", "starter.tails", str(model.with_name("compare.yaml")), *starters]
    path = os.pathsep.join([str(TOOLS), *filter(None, sys.path)])
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or "no word").splitlines()[-1]
        raise SystemExit(f"{model}: expected a trained classifier; the training ended with {done.returncode}: {last}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def _train(yaml: Path) -> dict[str, Any]:
    """Train here; return what it cost."""
    with VisualSearch.from_yaml(yaml) as search:
        training = search.train()
    return {
        "seconds": training.seconds,
        "peak_mib": peak_mib(),
        "gmac": sum(training.multiply_adds.values()) / 1e9,
        "passes": training.passes,
        "notes": list(training.notes),
    }


def peak_mib() -> float:
    """Return the most memory that this process has had since it was started, in MiB.

    Linux tells it of the program; elsewhere, as getrusage everywhere, it includes what a
    process had before it became this program.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    import resource

    unit_bytes = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit_bytes / 2**20


if __name__ == "__main__":
    extractor_weights.STARTER_FOLDERS = tuple(map(Path, sys.argv[2:]))
    print(json.dumps(_train(Path(sys.argv[1]))))
