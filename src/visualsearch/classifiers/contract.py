"""What a classifier promises, and what it is trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

from visualsearch.classifiers.spread import Spread
from visualsearch.datatypes import Crop, Matrix
from visualsearch.extractors.contract import Extractor
from visualsearch.plugins import Options
from visualsearch.progress import Progress, silent
from visualsearch.runtimes.contract import Batch, Runtime

if TYPE_CHECKING:
    import keras

NEVER = -1e4
"""A logit that gives no probability, and is a number in half precision too."""


class Classifier(Protocol):
    """Crop → probability of each bucket."""

    buckets: tuple[str, ...]
    fingerprint: str
    """Changes whenever the same crop would be given other probabilities."""

    def predict(self, crops: Sequence[Crop]) -> Matrix:
        """Return (n, buckets) float32 whose rows sum to 1, in the order of ``buckets``."""
        ...


@runtime_checkable
class VectorClassifier(Classifier, Protocol):
    """A classifier of the extractor's own embeddings: it needs no pass of its own."""

    def classify(self, vectors: Matrix) -> Matrix:
        """Return (n, buckets) probabilities of (n, dim) embeddings."""
        ...


@runtime_checkable
class TrunkClassifier(Classifier, Protocol):
    """A classifier that continues from inside a network which may be the extractor's."""

    trunk: Trunk

    @property
    def joint_key(self) -> str | None:
        """Return what identifies the joint graph; None where the classifier shares no layer with its trunk."""
        ...

    def joint(self) -> keras.Model:
        """Return the graph preprocessed pictures → (pooled features, probabilities), the shared layers once."""
        ...


@runtime_checkable
class Trunk(Extractor, Protocol):
    """An extractor that is a Keras network: what a classifier can share with it."""

    side: int
    preprocessing: str
    projection: Matrix | None
    """(features, dim): the linear map behind the pooled features, where the weights have one."""
    graph_key: str
    """Identifies network, weights and input size."""

    def graph(self) -> keras.Model:
        """Return the network: (n, side, side, 3), preprocessed → (n, features), pooled."""
        ...

    def batch(self, crops: Sequence[Crop]) -> Batch:
        """Return the crops as the network's input."""
        ...

    def finish(self, pooled: Matrix) -> Matrix:
        """Return the embeddings of pooled features."""
        ...


@dataclass(frozen=True, slots=True)
class Example:
    """A labelled crop; pictures of one ``group`` are never torn apart in a split."""

    id: str
    bucket: str
    group: str


@dataclass(frozen=True, slots=True)
class Job:
    """What a classifier is trained with; ``folder`` is the model folder.

    Where buckets are clusters, ``spread`` says what is learned instead of the examples' buckets: how the
    neighbours of each are spread. Its rows are the examples, in their order.
    """

    extractor: Extractor
    runtime: Runtime
    examples: Sequence[Example]
    crop_of: Callable[[Example], Crop]
    folder: Path
    seed: int = 0
    progress: Progress = silent
    spread: Spread | None = None


@runtime_checkable
class GraphClassifier(Protocol):
    """A classifier that has graphs of its own compiled."""

    @property
    def graph_keys(self) -> frozenset[str]:
        """Return the keys under which a runtime may keep them."""
        ...


@dataclass(frozen=True, slots=True)
class Curve:
    """One epoch; None where nothing was held out.

    Losses are mean cross-entropies in nats, each picture counted by its bucket's weight.
    """

    epoch: int
    loss: float
    val_loss: float | None = None
    val_top1: float | None = None


@dataclass(frozen=True, slots=True)
class Training:
    """What a training came to.

    ``top1`` holds the share of held-out pictures whose most probable bucket is right, for the
    classifier that was ``chosen`` and for a mere ``head`` on the same frozen features, and how
    many were ``right`` out of ``of``; ``known`` is the chosen one's share on further views of groups
    that it had learned, as queries are, None where there are none. The classifier that is kept
    has learned from all those pictures afterwards. ``passes`` counts the networks that one query then costs,
    ``multiply_adds`` the multiply-accumulates of the ``classifier`` and, where the extractor's
    network is its trunk, of the ``embedding``: then the classifier's come on top of them.
    """

    buckets: tuple[str, ...]
    pictures: int
    groups: int
    held_out: Mapping[str, int]
    top1: Mapping[str, float | None]
    right: Mapping[str, int]
    curves: tuple[Curve, ...]
    seconds: float
    passes: int
    multiply_adds: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the same as plain lists, dicts and numbers, ready for JSON."""
        plain = asdict(self)
        return {**plain, **{key: list(plain[key]) for key in ("buckets", "curves", "notes")}}


class ClassifierPlugin(Classifier, Protocol):
    """A plug-in class of the table; it has its ``Options`` nested as every plug-in."""

    @classmethod
    def train(cls, options: Options, job: Job) -> Training:
        """Train on the job's examples and write the result into ``job.folder / "classifier"`` in one step."""
        ...

    @classmethod
    def load(cls, options: Options, folder: Path, extractor: Extractor, runtime: Runtime) -> Self:
        """Read what ``train`` wrote.

        Raises:
            EngineError: it is missing, damaged, or was trained on another extractor.
        """
        ...
