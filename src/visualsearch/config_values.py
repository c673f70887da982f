"""What values of the YAML are made of: paths, templates, shares."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from visualsearch.columns import compile_template
from visualsearch.errors import ConfigError
from visualsearch.files import located


def _resolve(path: Path, info: ValidationInfo) -> Path:
    """Return an absolute path: relative ones are meant from the YAML's folder."""
    base: Path = (info.context or {}).get("base", Path.cwd())
    return located(path, base)


def no_empty_path(value: Any) -> Any:
    """Refuse text that names nothing."""
    if isinstance(value, str) and (not value.strip() or "\0" in value):
        raise ValueError(f"expected a path; received {value!r}")
    return value


def no_other_word(value: Any) -> Any:
    """Refuse ``{nmae}``; the words that there are were put in before."""
    if isinstance(value, str) and "{" in value:
        raise ValueError(f"expected no word in braces but {{name}}; received {value!r}")
    return value


def a_file_name(name: str) -> str:
    """Refuse what a folder had better not be called."""
    if not re.fullmatch(r"\w[\w .-]*", name):
        raise ValueError(f"expected letters, digits, '.', '_' and '-', for it names a folder; received {name!r}")
    return name


def _a_template(template: str) -> str:
    try:
        compile_template(template)
    except ConfigError as error:
        raise PydanticCustomError("path-template", "{error}", {"error": str(error)}) from None
    return template


Template = Annotated[str, AfterValidator(_a_template)]
Place = Annotated[Path, BeforeValidator(no_empty_path), AfterValidator(_resolve)]
Share = Annotated[float, Field(gt=0, le=1)]
Rate = Annotated[float, Field(gt=0, lt=1)]
