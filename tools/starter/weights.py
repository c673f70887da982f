"""The weights file in half precision, and the card that says what it is."""

from __future__ import annotations

import hashlib
import os
import platform
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from .cards import compact

Arrays = dict[str, NDArray[Any]]

PROJECTION = "projection/kernel"


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yield a path to write to; move it to ``target`` if the block succeeds."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".part-", suffix=target.suffix)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        part.chmod(0o644)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def save_arrays(target: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write named arrays as .npz, whole or not at all."""
    with replacing(target) as part, part.open("wb") as file:
        np.savez(file, **arrays)


def load_arrays(source: Path) -> Arrays:
    """Read the named arrays of an .npz."""
    with np.load(source, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def rounded(arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    """Return the arrays in half precision.

    Raises:
        SystemExit: a value is not finite, or too large for half precision.
    """
    with np.errstate(over="ignore"):  # what overflows is told below
        half = {name: np.asarray(array).astype(np.float16) for name, array in arrays.items()}
    if bad := [name for name, array in half.items() if not np.isfinite(array).all()]:
        raise SystemExit(f"{bad[0]}: expected finite values below 65,504; the training diverged. Lower --peak.")
    return half


def fill(variable: Any, arrays: Mapping[str, NDArray[Any]], path: str, expected: str, advice: str = "") -> None:
    """Give a variable the array of that path.

    Raises:
        SystemExit: ``expected``, but there is none, or one of another shape.
    """
    array = arrays.get(path)
    if array is None or array.shape != tuple(variable.shape):
        found = "none" if array is None else array.shape
        raise SystemExit(f"{expected} of {tuple(variable.shape)}; received {found}.{advice}")
    variable.assign(array.astype(np.float32))


def plain_backbone(arrays: Mapping[str, NDArray[Any]] | None = None, seed: int = 0) -> keras.Model:
    """Build keras.applications.ResNet50 without its top, pooled, in float32, for any side.

    ``arrays`` are its weights by path; without them they are random.

    Raises:
        SystemExit: an array is missing or has another shape.
    """
    keras.utils.set_random_seed(seed)
    model = keras.applications.ResNet50(weights=None, include_top=False, pooling="avg")
    for variable in model.variables if arrays is not None else ():
        fill(variable, arrays or {}, variable.path, f"{variable.path}: expected an array")
    return model


def hardware() -> str:
    """Return the processor's model, how many of its cores there were, and the GPUs."""
    import tensorflow as tf

    names = _cpuinfo("model name")
    gpus = len(tf.config.list_physical_devices("GPU"))
    told = "no GPU" if not gpus else f"{gpus} GPU"
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores, {told}"


def policy() -> str:
    """Return the precision to train in: bfloat16 where processor or GPU computes in it, else float32."""
    import tensorflow as tf

    flags = set(" ".join(_cpuinfo("flags")).split())
    fast = bool(flags & {"avx512_bf16", "amx_bf16"}) or bool(tf.config.list_physical_devices("GPU"))
    return "mixed_bfloat16" if fast else "float32"


def _cpuinfo(key: str) -> list[str]:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return [line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key]


def write(folder: Path, arrays: Mapping[str, NDArray[Any]], card: Mapping[str, Any]) -> None:
    """Write ``resnet50.npz`` in half precision and ``card.json`` with its SHA-256."""
    target = folder / "resnet50.npz"
    save_arrays(target, rounded(arrays))
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    with replacing(folder / "card.json") as part:
        part.write_text(compact({**card, "sha256": digest}) + "\n", encoding="utf-8")
