"""Every runtime on the same small graph, against Keras and a matrix product by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from visualsearch.errors import ConfigError, EngineError
from visualsearch.runtimes import RUNTIMES, create_runtime
from visualsearch.runtimes.contract import Runtime
from visualsearch.runtimes.frameworks import import_keras
from visualsearch.runtimes.openvino import KEPT

SIDE = 24


def graph_of(seed: int) -> Any:
    """Convolution, batch normalisation and three outputs of different widths, in no alphabetical order."""
    keras = import_keras()
    keras.utils.set_random_seed(seed)
    pictures = keras.Input((SIDE, SIDE, 3))
    features = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(pictures)
    features = keras.layers.BatchNormalization()(features)
    pooled = keras.layers.GlobalAveragePooling2D(name="z_pooled")(features)
    largest = keras.layers.GlobalMaxPooling2D(name="m_largest")(features)
    buckets = keras.layers.Dense(5, activation="softmax", name="a_buckets")(pooled)
    return keras.Model(pictures, [pooled, buckets, largest])


def pictures(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 50, (n, SIDE, SIDE, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def graph() -> Any:
    return graph_of(1)


@pytest.fixture(params=sorted(RUNTIMES))
def runtime(request: pytest.FixtureRequest, tmp_path: Path) -> Runtime:
    try:
        return create_runtime(request.param, folder=tmp_path / "runtime")
    except EngineError as error:
        pytest.skip(str(error))


@pytest.fixture
def openvino(tmp_path: Path) -> Callable[[], Runtime]:
    pytest.importorskip("openvino", reason="pip install openvino")
    return lambda: create_runtime("openvino", folder=tmp_path / "runtime")


def refuse() -> Any:
    raise AssertionError("a kept graph must not be built again")


def test_auto_is_openvino_where_it_is_installed() -> None:
    pytest.importorskip("openvino", reason="pip install openvino")
    assert create_runtime("auto").name == "openvino"


def test_an_unknown_engine_or_precision_is_one_sentence() -> None:
    with pytest.raises(ConfigError, match="expected one of onnxruntime, openvino, tensorflow.*Did you mean 'openvino'"):
        create_runtime("openvin")
    with pytest.raises(ConfigError, match="runtime.precision: expected float32; received 'float16'"):
        create_runtime("auto", "float16")


@pytest.mark.parametrize("n", [1, 3, 7])
def test_every_runtime_computes_what_keras_computes(n: int, runtime: Runtime, graph: Any) -> None:
    batch = pictures(n)
    expected = [np.asarray(output) for output in graph(batch, training=False)]
    outputs = runtime.compile(lambda: graph, "key")(batch)
    assert [output.shape for output in outputs] == [(n, 8), (n, 5), (n, 8)]
    for mine, theirs in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-4 * np.abs(theirs).max())


def test_one_output_is_a_list_of_one(runtime: Runtime) -> None:
    """Checked by hand: the mean over each channel, times the weights."""
    keras = import_keras()
    kernel = np.arange(12, dtype=np.float32).reshape(3, 4)
    inside = keras.Input((SIDE, SIDE, 3))
    dense = keras.layers.Dense(4, use_bias=False)
    graph = keras.Model(inside, dense(keras.layers.GlobalAveragePooling2D()(inside)))
    dense.set_weights([kernel])
    batch = pictures(2)
    (output,) = runtime.compile(lambda: graph, "linear")(batch)
    np.testing.assert_allclose(output, batch.mean(axis=(1, 2)) @ kernel, atol=1e-3)


def test_many_threads_get_their_own_answers(runtime: Runtime, graph: Any) -> None:
    forward = runtime.compile(lambda: graph, "key")
    batches = [pictures(1 + seed % 3, seed) for seed in range(12)]
    expected = [forward(batch) for batch in batches]
    wrong: list[int] = []

    def work(seed: int) -> None:
        for _ in range(5):
            pairs = zip(forward(batches[seed]), expected[seed], strict=True)
            if not all(np.allclose(mine, theirs, atol=1e-4) for mine, theirs in pairs):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_answers_stay_when_the_next_batch_comes(runtime: Runtime, graph: Any) -> None:
    forward = runtime.compile(lambda: graph, "key")
    first = forward(pictures(2, 1))
    copies = [output.copy() for output in first]
    forward(pictures(2, 2))
    for output, copy in zip(first, copies, strict=True):
        np.testing.assert_array_equal(output, copy)


def test_a_kept_graph_is_used_without_building(openvino: Callable[[], Runtime], graph: Any, tmp_path: Path) -> None:
    expected = openvino().compile(lambda: graph, "key")(pictures(2))
    assert sorted(path.name for path in (tmp_path / "runtime").iterdir()) == ["key"]
    for mine, theirs in zip(openvino().compile(refuse, "key")(pictures(2)), expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("file", ["graph.bin", "graph.xml", "card.json"])
@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_a_damaged_graph_is_built_again(
    damage: str, file: str, openvino: Callable[[], Runtime], graph: Any, tmp_path: Path
) -> None:
    expected = openvino().compile(lambda: graph, "key")(pictures(2))
    path = tmp_path / "runtime" / "key" / file
    content = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    else:
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(content)
    built = []
    again = openvino().compile(lambda: built.append(1) or graph, "key")(pictures(2))
    assert built == [1]
    np.testing.assert_allclose(again[1], expected[1], atol=1e-5)
    openvino().compile(refuse, "key")


def test_a_hash_that_fits_a_broken_graph_does_not_stop_it(
    openvino: Callable[[], Runtime], graph: Any, tmp_path: Path
) -> None:
    """As a newer OpenVINO might leave one: whole, and yet unreadable."""
    from visualsearch.files import sha256

    openvino().compile(lambda: graph, "key")
    kept = tmp_path / "runtime" / "key"
    (kept / "graph.xml").write_text("<net version='99'/>")
    (kept / "card.json").write_text(json.dumps({n: sha256(kept / n) for n in ("graph.xml", "graph.bin")}))
    openvino().compile(lambda: graph, "key")
    openvino().compile(refuse, "key")


def test_where_nothing_can_be_kept_it_runs_all_the_same(
    graph: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("openvino", reason="pip install openvino")
    (tmp_path / "runtime").write_text("a file where the folder should be")
    outputs = create_runtime("openvino", folder=tmp_path / "runtime").compile(lambda: graph, "key")(pictures(2))
    assert [output.shape for output in outputs] == [(2, 8), (2, 5), (2, 8)]
    assert "cannot be kept here" in caplog.text


def test_old_graphs_make_room(openvino: Callable[[], Runtime], graph: Any, tmp_path: Path) -> None:
    runtime = openvino()
    (left_behind := tmp_path / "runtime" / ".part-of-yesterday").mkdir(parents=True)
    os.utime(left_behind, (0, 0))
    (at_work := tmp_path / "runtime" / ".part-of-another-process").mkdir()
    for number in range(KEPT + 2):
        runtime.compile(lambda: graph, f"key{number}")
        os.utime(tmp_path / "runtime" / f"key{number}" / "card.json", (number, number))
    left = {path.name for path in (tmp_path / "runtime").iterdir()}
    assert at_work.name in left and left_behind.name not in left
    assert len(left) == KEPT + 1 and f"key{KEPT + 1}" in left


def test_only_what_is_used_is_kept_and_searches_in_flight_go_on(
    openvino: Callable[[], Runtime], graph: Any, tmp_path: Path
) -> None:
    runtime = openvino()
    forwards = [runtime.compile(lambda: graph, key) for key in ("old", "used", "older")]
    before = [forward(pictures(2)) for forward in forwards]
    (at_work := tmp_path / "runtime" / ".part-of-another-process").mkdir()
    (at_work / "card.json").write_text("{}")
    openvino().keep_only({"used", "not made yet"})
    assert {path.name for path in (tmp_path / "runtime").iterdir()} == {"used", at_work.name}
    for forward, outputs in zip(forwards, before, strict=True):
        for mine, theirs in zip(forward(pictures(2)), outputs, strict=True):
            np.testing.assert_array_equal(mine, theirs)
    openvino().compile(refuse, "used")


def test_a_graph_that_is_removed_while_it_is_read_is_built_again(
    openvino: Callable[[], Runtime], graph: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from visualsearch.runtimes import openvino as module

    openvino().compile(lambda: graph, "key")
    intact, remover = module._intact, openvino()

    def removed_behind_it(kept: Path) -> bool:
        found = intact(kept)
        monkeypatch.setattr(module, "_intact", intact)
        remover.keep_only(())
        return found

    monkeypatch.setattr(module, "_intact", removed_behind_it)
    built = []
    outputs = openvino().compile(lambda: built.append(1) or graph, "key")(pictures(2))
    assert (built, [output.shape for output in outputs]) == ([1], [(2, 8), (2, 5), (2, 8)])
    openvino().compile(refuse, "key")


SEARCH = """
import sys
from pathlib import Path
import numpy as np
from visualsearch.datatypes import Crop
from visualsearch.extractors import PretrainedFactory
from visualsearch.extractors.applications import ApplicationExtractor
from visualsearch.runtimes import create_runtime

folder = Path(sys.argv[1])
runtime = create_runtime("openvino", folder=folder / "runtime")
options = ApplicationExtractor.Options(name="mobilenet", weights=f"file:{folder / 'weights.npz'}")
extractor = PretrainedFactory.create(options, runtime, folder)
pixels = np.random.default_rng(5).integers(0, 256, (50, 80, 3), np.uint8)
print(extractor.embed([Crop(pixels)])[0, :5].tolist())
print(sorted({"tensorflow", "keras", "sklearn"} & set(sys.modules)))
"""


def test_a_search_on_a_kept_graph_loads_no_tensorflow_and_says_nothing(tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="pip install openvino")
    keras = import_keras()
    keras.utils.set_random_seed(3)
    graph = keras.applications.MobileNet(weights=None, include_top=False, input_shape=(224, 224, 3))
    np.savez(tmp_path / "weights.npz", **{variable.path: np.asarray(variable) for variable in graph.variables})
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    runs = [
        subprocess.run(
            [sys.executable, "-c", SEARCH, str(tmp_path)], env=environment, capture_output=True, text=True, check=True
        )
        for _ in range(2)
    ]
    built, kept = (run.stdout.splitlines() for run in runs)
    assert json.loads(built[0]) == pytest.approx(json.loads(kept[0]), abs=1e-6)
    assert "tensorflow" in built[1]
    assert kept[1] == "[]"
    assert [run.stderr for run in runs] == ["", ""]
