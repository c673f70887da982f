"""The systems of the tables: which file each is, what it claimed, and which published weights it had."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CONFIGS = Path(__file__).resolve().parents[2] / "resources" / "configs"

OURS = ("lfw", "caltech101")
"""The rows that the others are compared with."""


@dataclass(frozen=True, slots=True)
class System:
    """A row: ``data`` is the table that it stands in, lfw or caltech; ``had`` names weights that were published."""

    id: str
    data: str
    title: str
    file: Path
    claim: str = "–"
    had: str | None = None


def _baseline(system: str, data: str, title: str, claim: str, had: str) -> System:
    return System(system, data, title, CONFIGS / "baselines" / f"{system}.yaml", claim, had)


SYSTEMS = (
    _baseline("s1a", "lfw", "S1a, S3a: ResNet50 → nearest neighbours", "S1a: accuracy 9 %", "ImageNet"),
    _baseline("s1b", "lfw", "S1b: MTCNN → ResNet50 → nearest neighbours", "accuracy 12 %", "ImageNet"),
    _baseline(
        *("s1c", "lfw", "S1c: MTCNN → FaceNet → Milvus IVF_FLAT"),
        *("accuracy 62 %; all pictures of one person found", "FaceNet"),
    ),
    _baseline(
        *("s2a", "lfw", "S2a: VGG16 → nearest neighbours"),
        *("k=1 99.98 %, k=2 49.88 %, k=3 32.5 %, the query in the gallery", "ImageNet"),
    ),
    _baseline("s2b", "lfw", "S2b: DeepFace's Facenet → Elasticsearch", "a picture", "FaceNet"),
    System("lfw", "lfw", "ours: MTCNN → dlib, hits re-ranked", CONFIGS / "lfw.yaml"),
    _baseline("s4", "caltech", "S4: classifier → ResNet50 → Elasticsearch", "pictures", "ImageNet"),
    System("caltech101", "caltech", "ours: classifier → ResNet50, routed", CONFIGS / "caltech101.yaml"),
)

LEFT_OPEN = (
    {
        "id": "s3b",
        "data": "lfw",
        "system": "S3b: MTCNN → InceptionResNet trained with a decoder → nearest neighbours",
        "claim": '"salient"',
        "note": "not measured: the training that it needs is not there yet",
    },
)
"""Rows that nothing runs."""


def also(file: Path, data: str) -> System:
    """Return a further configuration as a row."""
    return System(file.stem, data, file.stem, file.absolute())
