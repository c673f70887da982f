"""Values as a YAML file has them."""

from __future__ import annotations

from typing import Any

import yaml


def as_yaml(value: Any) -> str:
    """Return plain data in one line of YAML.

    >>> as_yaml(None), as_yaml(True), as_yaml(0.9), as_yaml("photos"), as_yaml("yes")
    ('null', 'true', '0.9', 'photos', "'yes'")
    >>> as_yaml(["more", "all"]), as_yaml({"name": "onnx", "rgb": False}), as_yaml([])
    ('[more, all]', '{name: onnx, rgb: false}', '[]')
    """
    written = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, sort_keys=False, width=float("inf"))
    return str(written).removesuffix("\n").removesuffix("\n...")
