"""VisualSearch: index, train, search. The story on one page."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from visualsearch.classifiers.training import Training
from visualsearch.config import Application, load_settings, settings_from_folder
from visualsearch.datatypes import Answer
from visualsearch.errors import PictureError, UsageError
from visualsearch.evaluation.suspects import Suspect
from visualsearch.images import Picturelike
from visualsearch.progress import Progress, silent
from visualsearch.stages import copying, explaining, forgetting, indexing, measuring, suspecting, sweeping, teaching
from visualsearch.stages.ahead import batches
from visualsearch.stages.assembly import Parts
from visualsearch.stages.checking import findings
from visualsearch.stages.findings import Finding
from visualsearch.stages.forgetting import Forgotten
from visualsearch.stages.leases import Lease
from visualsearch.stages.measuring import Evaluation
from visualsearch.stages.searching import Request, Searcher, largest
from visualsearch.stages.writing import IndexSummary

QUERY_BATCH = 32


class VisualSearch:
    """A gallery that can be searched by picture.

    Use it as a context manager or call ``close``. Searches may run in several threads at once;
    ``index``, ``train`` and ``forget`` take turns.

    Raises:
        VisualSearchError: every error of this class; see ``visualsearch.errors``.
    """

    def __init__(self, settings: Application, progress: Progress = silent) -> None:
        """Take settings; nothing is read, made or loaded before it is needed.

        Raises:
            UsageError: ``settings`` are none: a path goes to ``from_yaml`` or ``from_folder``.
        """
        if not isinstance(settings, Application):
            message = (
                f"VisualSearch: expected settings; received {settings!r}. Use VisualSearch.from_yaml or from_folder."
            )
            raise UsageError(message, slug="no-settings")
        self.settings = settings
        self.progress = progress
        self._parts = Parts(settings, progress)
        self._lease: Lease[Searcher] | None = None
        self._lock = threading.RLock()

    @classmethod
    def from_yaml(cls, path: str | Path, overrides: Sequence[str] = (), progress: Progress = silent) -> Self:
        """Read a YAML file; ``overrides`` are ``key=value`` as behind ``--set``."""
        return cls(load_settings(Path(path), overrides), progress)

    @classmethod
    def from_folder(cls, folder: str | Path, progress: Progress = silent) -> Self:
        """Search a folder of pictures as it is; the model goes to ``models/<its name>``."""
        return cls(settings_from_folder(Path(folder)), progress)

    def index(self, *, rebuild: bool = False, prune: bool = False) -> IndexSummary:
        """Make the index match the gallery; only what is new or has other content is embedded.

        Args:
            rebuild: embed everything again, beside the index that searches go on using.
            prune: accept that more than half of the indexed pictures are gone.
        """
        with self._lock:
            summary = indexing.index(self._parts, rebuild, prune, self.progress)
            self._forget_parts()
            return summary

    def train(self) -> Training:
        """Train the classifier on the indexed gallery; nothing is embedded again."""
        with self._lock:
            training = teaching.train(self._parts, self.progress)
            self._forget_parts()
            return training

    def search(
        self,
        image: Picturelike,
        k: int | None = None,
        *,
        where: Mapping[str, str] | None = None,
        buckets: Collection[str] | None = None,
        exhaustive: bool = False,
    ) -> Answer:
        """Return the pictures most like ``image``: a path, bytes, a PIL image or an array (h, w, 3).

        Args:
            image: the query; of several crops (faces) the largest is searched.
            k: number of hits; ``search.k`` of the YAML if None.
            where: only items whose columns have these values.
            buckets: probe these instead of what the classifier predicts.
            exhaustive: compare with every item.

        Raises:
            PictureError: the query cannot be read, or has no crop (``no-crop``: no face, say).
        """
        request = self._request(k, where, buckets, exhaustive)
        with self._searcher().use() as searcher:
            explaining.check_buckets(searcher, request)
            prepared = largest(searcher.prepare(image))
            if prepared.error is not None:
                place = "" if prepared.query.path is None else f"{prepared.query.path}: "
                raise PictureError(f"{place}{prepared.error}", slug=prepared.error.slug)
            return searcher.answer([prepared], request)[0]

    def search_each(
        self,
        images: Iterable[Picturelike],
        k: int | None = None,
        *,
        where: Mapping[str, str] | None = None,
        buckets: Collection[str] | None = None,
        exhaustive: bool = False,
    ) -> Iterator[Answer]:
        """Yield an answer for every crop of every image, lazily and in batches.

        An image that cannot be read, or that has no crop, is answered with its reason in ``error``.
        """
        request = self._request(k, where, buckets, exhaustive)
        with self._searcher().use() as searcher:
            explaining.check_buckets(searcher, request)
            for batch in batches(searcher.prepare_each(images), QUERY_BATCH):
                yield from searcher.answer([one for prepared in batch for one in prepared], request)

    def evaluate(self) -> Evaluation:
        """Search the YAML's queries, routed and exhaustively, and measure both."""
        with self._searcher().use() as searcher:
            return measuring.evaluate(self._parts, searcher, self.progress)

    def sweep(self) -> dict[str, Any]:
        """Return what every level of ``routing.keep`` would keep and cost on the queries, and which one to take."""
        with self._searcher().use() as searcher:
            return sweeping.sweep(self._parts, searcher, self.progress)

    def mislabelled(self) -> list[Suspect]:
        """Return the pictures of the gallery whose neighbours contradict their label most."""
        with self._searcher().use() as searcher:
            return suspecting.mislabelled(self._parts, searcher, self.progress)

    def forget(self, paths: Collection[str] = (), *, where: Mapping[str, str] | None = None) -> Forgotten:
        """Erase pictures from all that was made of them and return their paths; no later ``index`` brings them back.

        The list also says what was ``erased`` and what is ``left`` to you. The class of a person
        whose last picture goes is ``forgotten-1`` until the next ``train``.
        """
        with self._lock:
            try:
                return forgetting.forget(self._parts, paths, where)
            finally:
                self._forget_parts()

    def why_not(
        self,
        image: Picturelike,
        path: str,
        k: int | None = None,
        *,
        where: Mapping[str, str] | None = None,
        buckets: Collection[str] | None = None,
        exhaustive: bool = False,
    ) -> str:
        """Say in a sentence why the picture ``path`` is, or is not, among the hits of that ``search``."""
        request = self._request(k, where, buckets, exhaustive)
        with self._searcher().use() as searcher:
            explaining.check_buckets(searcher, request)
            return explaining.why_not(self._parts, searcher, image, path, request)

    def check(self, *, deep: bool = False) -> list[Finding]:
        """Return what is well and what is missing in YAML, machine, model and index."""
        return findings(self._parts, deep)

    def copy_to(self, other: VisualSearch) -> int:
        """Copy the index to ``other``'s store without embedding anything; return the number of items."""
        with self._lock:
            return copying.copy(self._parts, other._parts, self.progress)

    @property
    def verdict_rules(self) -> dict[str, Any] | None:
        """Return from which score on a hit is a match and how strangers are told; None where nothing is calibrated."""
        matcher = self._parts.matcher
        return None if matcher is None else matcher.as_dict()

    @property
    def trained(self) -> bool:
        """Return whether there is a classifier for the gallery's buckets, and calibrated."""
        return self._parts.evidence is not None

    def count(self) -> int:
        """Return how many items the index has."""
        with self._searcher().use() as searcher:
            return searcher.store.count()

    def card(self) -> dict[str, Any]:
        """Return the model's card: what was indexed and trained, with which figures."""
        return self._parts.model.card()

    def close(self) -> None:
        """Close the store; a later call opens it again."""
        with self._lock:
            self._forget_parts()

    def __enter__(self) -> Self:
        """Return self."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def _request(
        self, k: int | None, where: Mapping[str, str] | None, buckets: Collection[str] | None, exhaustive: bool
    ) -> Request:
        return explaining.checked_request(
            self._parts, self.settings.search.k if k is None else k, where or {}, buckets, exhaustive
        )

    def _searcher(self) -> Lease[Searcher]:
        lease = self._lease
        if lease is None:
            with self._lock:
                if self._lease is None:
                    searcher = self._parts.searcher()
                    self._lease = Lease(searcher, searcher.store.close)
                lease = self._lease
        return lease

    def _forget_parts(self) -> None:
        """Let the next call see what index and train made; searches in flight keep what they hold."""
        lease, self._lease = self._lease, None
        self._parts = Parts(self.settings, self.progress, self._parts.shelf)
        if lease is not None:
            lease.retire()
