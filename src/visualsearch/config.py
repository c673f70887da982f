"""One YAML file → frozen, typo-proof settings; no dict travels further."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SerializeAsAny,
    ValidationError,
    model_validator,
)

from visualsearch.config_errors import first_of, mistakes
from visualsearch.config_values import Place, Rate, Share, Template, a_file_name, no_empty_path, no_other_word
from visualsearch.config_yaml import Document, override, parse_document, read_document
from visualsearch.errors import ConfigError
from visualsearch.files import located
from visualsearch.kinds import DEFAULTS, plugin_options
from visualsearch.plugins import Options, Settings
from visualsearch.reranking import Expansion
from visualsearch.secrets import hidden_in


class GallerySettings(Settings):
    """The images that can be found."""

    folder: Place
    """The folder of the pictures; it is read and never written."""
    path: Template | None = None
    """What folders and file names mean, such as `{label}/{instance}-{view}`: each {word} becomes a column.
    null: the first sub-folder is the column `label`."""
    table: Place | None = None
    """A CSV or JSONL file with a `path` column; it adds columns and wins over `path`."""
    group: str | None = None
    """The column whose pictures are never torn apart in a split. null: `instance` where there is one."""


class QueriesSettings(Settings):
    """What the one-click run searches and `evaluate` measures."""

    folder: Place | None = None
    """A folder of query pictures. null: the gallery itself, one picture left out at a time."""
    split: Rate | None = None
    """The share of the gallery's groups that `train` does not learn from, and whose pictures are the queries, one left
    out at a time; drawn by `runtime.seed`. null: all pictures of the gallery."""
    path: Template | None = None
    """What the queries' paths mean; as `gallery.path`."""
    strangers: Place | None = None
    """A folder of pictures that show what the gallery lacks."""
    relevant: str | None = None
    """A hit is right if this column equals the query's. null: `instance` where there is one, else `label`."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.folder is not None and self.split is not None:
            raise ValueError("expected either a folder or a split; received both")
        return self


class BucketsSettings(Settings):
    """The coarse partition that the classifier predicts."""

    column: str | None = None
    """The column whose values are the buckets. null: `label` where there is one."""
    clusters: Literal["auto"] | Annotated[int, Field(ge=2, le=10_000)] | None = None
    """How many buckets `train` shall make from the embeddings, where labels are missing or too fine; `auto`: so many as
    suit the gallery's size. Best with `classifier: {name: extractor}`."""
    none: bool = False
    """true: no buckets, every search is exhaustive."""

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if sum([self.column is not None, self.clusters is not None, self.none]) > 1:
            raise ValueError("expected one of column, clusters and none: true; received several")
        return self


class RoutingSettings(Settings):
    """How a query is routed to buckets."""

    keep: Share = 0.90
    """How often the route must hold the right bucket (buckets from a column), or which share of the hits of an exhaustive
    search (buckets from clusters): kept before any widening, on average over queries that are like the gallery, if
    enough of it was left to calibrate on; else everything is searched. 1 is exhaustive. Changing it needs no training."""
    per_bucket: bool = False
    """true: keep the promise for the pictures of each bucket by themselves, which needs more groups in each."""
    widen: tuple[Literal["more", "all"], ...] = ("more", "all")
    """What to do when fewer than k hits came, or the query would be called a stranger: `more` buckets, then `all`.
    `more` also where none is a match and most queries have one. []: never widen."""
    at_most: Share = 1.0
    """Largest share of the gallery that one routed search may compare; the most probable bucket, and those that were added
    since the training, are searched even where they are larger."""

    @model_validator(mode="after")
    def _a_ladder(self) -> Self:
        if self.widen not in ((), ("more",), ("all",), ("more", "all")):
            raise ValueError("widen: expected [], [more], [all] or [more, all]; received another order")
        return self


class MatchSettings(Settings):
    """When a hit is called a match, and a query a stranger: docs/verdicts.md. Changing it needs no index and no training."""

    false_rate: Rate = 0.01
    """Of strangers that are to the gallery as its own are to each other, at most this share may be told "match": calibrated
    on the gallery's pictures, searched with all left out that shares their `queries.relevant`. 0.01 takes 99 values."""
    stranger_rate: Rate = 0.05
    """Of queries that are like the gallery, at most this share may be told "stranger": where nothing is near, and no
    bucket fits. 0.05 takes 19 groups."""


class SearchSettings(Settings):
    """What a search returns."""

    k: Annotated[int, Field(ge=1, le=10_000)] = 20
    """Number of hits."""
    rerank: Expansion | None = None
    """Put hits in order anew: see below. null: as the store found them."""


class RuntimeSettings(Settings):
    """What computes the networks."""

    engine: Literal["auto", "tensorflow", "openvino", "onnxruntime"] = "auto"
    """auto: openvino where it is installed, else tensorflow. Where the extractor is an ONNX file, tensorflow and
    onnxruntime both mean ONNX Runtime; onnxruntime has TensorFlow compute all other networks."""
    precision: Literal["float32"] = "float32"
    """In which the networks compute."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Of every random choice: splits, augmentation, initial weights."""


class Application(Settings):
    """Everything that one YAML file says, with its defaults filled in; paths are absolute."""

    name: Annotated[str, AfterValidator(a_file_name)]
    """Of the model; the gallery folder's name where the YAML says nothing."""
    out: Annotated[Path, BeforeValidator(no_empty_path), BeforeValidator(no_other_word)]
    """Where everything that is made goes: model, index, reports."""
    gallery: GallerySettings
    queries: QueriesSettings = QueriesSettings()
    crop: SerializeAsAny[Options]
    buckets: BucketsSettings = BucketsSettings()
    classifier: SerializeAsAny[Options]
    extractor: SerializeAsAny[Options]
    routing: RoutingSettings = RoutingSettings()
    match: MatchSettings = MatchSettings()
    search: SearchSettings = SearchSettings()
    store: SerializeAsAny[Options]
    runtime: RuntimeSettings = RuntimeSettings()

    def public_dict(self) -> dict[str, Any]:
        """Return the settings as plain data, secrets written as in the YAML."""
        shown: dict[str, Any] = hidden_in(self.model_dump(mode="json"))
        return shown


def load_settings(path: Path, overrides: Sequence[str] = (), option: str | None = None) -> Application:
    """Read a YAML file; ``overrides`` are ``key=value``, as behind ``--set``, and ``option`` is what named the file.

    Raises:
        ConfigError: one sentence with file, line, key, what was expected and what came.
    """
    return _application(read_document(path, option), path.absolute().parent, overrides)


def parse(text: str, base: Path, source: str = "YAML", overrides: Sequence[str] = ()) -> Application:
    """Read YAML text whose relative paths are meant from ``base``."""
    return _application(parse_document(text, source), base, overrides)


def settings_from_folder(folder: Path) -> Application:
    """Return the settings of ``gallery: {folder: …}`` alone; the model goes to ``models/`` where you stand."""
    document = Document(str(folder), {"gallery": {"folder": str(folder.expanduser().absolute())}})
    return _application(document, Path.cwd(), ())


def _application(document: Document, base: Path, overrides: Sequence[str]) -> Application:
    """Validate every section, so that of all mistakes the first is told."""
    override(document, overrides)
    # a section of which nothing is left but its name says nothing
    data = {key: value for key, value in document.data.items() if value is not None or key in ("name", "out")}
    found, made = [], None
    for kind, default in DEFAULTS.items():
        options = plugin_options(document, kind, base)
        found += options if isinstance(options, list) else []
        data[kind] = Options(name=default) if isinstance(options, list) else options
    data.setdefault("name", _name_of(data))
    data["out"] = _out(data, base)
    try:
        made = Application.model_validate(data, context={"base": base})
    except ValidationError as error:
        found += mistakes(error, document, Application)
    # raised out here, where no traceback leads back to pydantic's own words, which quote values
    if made is None or found:
        raise first_of(found)
    return made


def _name_of(data: dict[str, Any]) -> str:
    """Return the gallery folder's name as a file name."""
    gallery = data.get("gallery")
    folder = gallery.get("folder") if isinstance(gallery, dict) else None
    name = re.sub(r"[^\w.-]+", "-", Path(os.path.abspath(str(folder or "gallery"))).name).strip(".-")
    return name or "gallery"


def _out(data: dict[str, Any], base: Path) -> Any:
    """Return where the model goes, ``{name}`` put in; what is no text is left to be refused."""
    out = data.get("out", "models/{name}")
    if not isinstance(out, str):
        return out
    named = out.replace("{name}", str(data["name"]))
    return named if not named.strip() or "\0" in named or "{" in named else located(named, base)


__all__ = ["Application", "ConfigError", "load_settings", "parse", "settings_from_folder"]
