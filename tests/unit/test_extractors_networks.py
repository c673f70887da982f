"""Every row of the table against Keras itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from visualsearch.extractors.networks import NETWORKS, PREPROCESSING
from visualsearch.runtimes.frameworks import import_keras

QUICK = ("resnet50", "mobilenet", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large", "densenet121")


@pytest.fixture(scope="module")
def applications() -> Any:
    return import_keras().applications


def test_the_table_has_every_network_of_keras(applications: Any) -> None:
    theirs = {name for name, thing in vars(applications).items() if callable(thing) and name[0].isupper()}
    assert {row.constructor for row in NETWORKS.values()} == theirs


@pytest.mark.parametrize("name", NETWORKS)
def test_preprocessing_is_that_of_keras(name: str, applications: Any) -> None:
    row = NETWORKS[name]
    pixels = np.random.default_rng(7).integers(0, 256, (3, 5, 4, 3)).astype(np.float32)
    module = getattr(applications, row.module)
    assert hasattr(module, row.constructor) or hasattr(applications, row.constructor)
    expected = module.preprocess_input(pixels.copy())
    np.testing.assert_allclose(PREPROCESSING[row.preprocessing](pixels), expected, atol=2e-5)


def _pooled_dim(name: str, applications: Any) -> int:
    row = NETWORKS[name]
    shape = (row.side, row.side, 3)
    graph = getattr(applications, row.constructor)(weights=None, include_top=False, pooling="avg", input_shape=shape)
    return graph.output_shape[1]


def _default_side(name: str, applications: Any) -> int | None:
    """With its head a network has a fixed input; only MobileNetV3 leaves it open."""
    return getattr(applications, NETWORKS[name].constructor)(weights=None).input_shape[1]


@pytest.mark.parametrize("name", [*QUICK, "vgg16"])
def test_dim_is_that_of_the_built_network(name: str, applications: Any) -> None:
    assert _pooled_dim(name, applications) == NETWORKS[name].dim


@pytest.mark.parametrize("name", QUICK)
def test_side_is_that_of_the_built_network(name: str, applications: Any) -> None:
    assert _default_side(name, applications) in (NETWORKS[name].side, None)


class Asked(Exception):
    """Carries the side for which a constructor would build, before it builds anything."""


def _ask(input_shape: Any, default_size: int, *_: Any, **__: Any) -> None:
    raise Asked(default_size)


@pytest.mark.parametrize("name", [name for name, row in NETWORKS.items() if row.module != "mobilenet_v3"])
def test_side_is_that_for_which_keras_would_build(
    name: str, applications: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keras.src.applications.imagenet_utils.obtain_input_shape", _ask)
    with pytest.raises(Asked) as asked:
        getattr(applications, NETWORKS[name].constructor)(weights=None)
    assert asked.value.args == (NETWORKS[name].side,)


@pytest.mark.soak
@pytest.mark.parametrize("name", sorted(set(NETWORKS) - set(QUICK)))
def test_side_and_dim_of_the_larger_networks(name: str, applications: Any) -> None:
    assert _pooled_dim(name, applications) == NETWORKS[name].dim
    assert _default_side(name, applications) == NETWORKS[name].side
