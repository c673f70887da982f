"""Inception-ResNet v1, the network of FaceNet: its layers, under the names that the published files give them.

The blocks are those of Szegedy et al. ("Inception-v4, Inception-ResNet and the Impact of Residual
Connections on Learning", 2016, figures 10 to 15), the embedding behind the pooled features is that
of Schroff et al. ("FaceNet", 2015).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from visualsearch.runtimes.frameworks import import_keras

if TYPE_CHECKING:
    import keras

SIDE = 160
POOLED = 1792

EPSILON = 1e-3
"""Of the batch normalisations."""

Convolution = tuple[str, int, tuple[int, int], int, str]
"""Name, filters, kernel, stride, padding."""

Branch = tuple[Convolution, ...]
"""The convolutions of a branch, from its input on."""


def _same(name: str, filters: int, height: int, width: int) -> Convolution:
    return name, filters, (height, width), 1, "same"


def _halving(filters: int) -> Convolution:
    return "1a_3x3", filters, (3, 3), 2, "valid"


STEM: Branch = (
    ("Conv2d_1a_3x3", 32, (3, 3), 2, "valid"),
    ("Conv2d_2a_3x3", 32, (3, 3), 1, "valid"),
    ("Conv2d_2b_3x3", 64, (3, 3), 1, "same"),
)
STEM_BEHIND_THE_POOL: Branch = (
    ("Conv2d_3b_1x1", 80, (1, 1), 1, "valid"),
    ("Conv2d_4a_3x3", 192, (3, 3), 1, "valid"),
    ("Conv2d_4b_3x3", 256, (3, 3), 2, "valid"),
)

RESIDUAL: dict[str, tuple[Branch, ...]] = {
    "Block35": (
        (_same("1x1", 32, 1, 1),),
        (_same("0a_1x1", 32, 1, 1), _same("0b_3x3", 32, 3, 3)),
        (_same("0a_1x1", 32, 1, 1), _same("0b_3x3", 32, 3, 3), _same("0c_3x3", 32, 3, 3)),
    ),
    "Block17": (
        (_same("1x1", 128, 1, 1),),
        (_same("0a_1x1", 128, 1, 1), _same("0b_1x7", 128, 1, 7), _same("0c_7x1", 128, 7, 1)),
    ),
    "Block8": (
        (_same("1x1", 192, 1, 1),),
        (_same("0a_1x1", 192, 1, 1), _same("0b_1x3", 192, 1, 3), _same("0c_3x1", 192, 3, 1)),
    ),
}
"""The branches of the blocks whose sum with their input goes on."""

REDUCTION: dict[str, tuple[Branch, ...]] = {
    "Mixed_6a": (
        (_halving(384),),
        (_same("0a_1x1", 192, 1, 1), _same("0b_3x3", 192, 3, 3), _halving(256)),
    ),
    "Mixed_7a": (
        (_same("0a_1x1", 256, 1, 1), _halving(384)),
        (_same("0a_1x1", 256, 1, 1), _halving(256)),
        (_same("0a_1x1", 256, 1, 1), _same("0b_3x3", 256, 3, 3), _halving(256)),
    ),
}
"""The branches, beside a pooling, of the blocks that halve height and width."""

SCALES = {"Block35": 0.17, "Block17": 0.10, "Block8": 0.20}
"""What the branches of a block count for beside its input."""

REPEATS = {"Block35": 5, "Block17": 10, "Block8": 5}


def build(dim: int | None) -> keras.Model:
    """Return the network with random weights: (n, 160, 160, 3) → (n, dim), or (n, 1792) pooled where ``dim`` is None."""
    layers = import_keras().layers
    pictures = layers.Input((SIDE, SIDE, 3))
    features = _branch(pictures, STEM)
    features = layers.MaxPooling2D(3, 2, name="MaxPool_3a_3x3")(features)
    features = _branch(features, STEM_BEHIND_THE_POOL)
    for kind, reduction in (("Block35", "Mixed_6a"), ("Block17", "Mixed_7a"), ("Block8", None)):
        for number in range(1, REPEATS[kind] + 1):
            features = _residual(features, kind, number, SCALES[kind])
        features = _reduced(features, reduction) if reduction else features
    features = _residual(features, "Block8", REPEATS["Block8"] + 1, scale=1.0, activated=False)
    features = layers.GlobalAveragePooling2D(name="AvgPool")(features)
    if dim is not None:
        features = layers.Dense(dim, use_bias=False, name="Bottleneck")(features)
        features = layers.BatchNormalization(epsilon=EPSILON, scale=False, name="Bottleneck_BatchNorm")(features)
    graph: keras.Model = import_keras().Model(pictures, features, name="facenet")
    return graph


def _branch(features: Any, path: Branch, prefix: str = "") -> Any:
    """Add convolutions, each with its normalisation and activation."""
    layers = import_keras().layers
    for own, filters, kernel, stride, padding in path:
        name = prefix + own
        features = layers.Conv2D(filters, kernel, stride, padding=padding, use_bias=False, name=name)(features)
        features = layers.BatchNormalization(epsilon=EPSILON, scale=False, name=f"{name}_BatchNorm")(features)
        features = layers.ReLU(name=f"{name}_Activation")(features)
    return features


def _residual(features: Any, kind: str, number: int, scale: float, activated: bool = True) -> Any:
    layers, block = import_keras().layers, f"{kind}_{number}"
    branches = []
    for branch, path in enumerate(RESIDUAL[kind]):
        # The published code numbers the second of two branches like its block, all but the last block's.
        told = number if activated and branch == 1 and kind != "Block35" else branch
        branches.append(_branch(features, path, f"{block}_Branch_{told}_Conv2d_"))
    mixed = layers.Concatenate(name=f"{block}_Concatenate")(branches)
    brought_up = layers.Conv2D(features.shape[-1], 1, name=f"{block}_Conv2d_1x1")(mixed)
    summed = layers.Add()([features, layers.Rescaling(scale)(brought_up)])
    return layers.ReLU(name=f"{block}_Activation")(summed) if activated else summed


def _reduced(features: Any, block: str) -> Any:
    layers = import_keras().layers
    branches = [_branch(features, path, f"{block}_Branch_{i}_Conv2d_") for i, path in enumerate(REDUCTION[block])]
    pooled = layers.MaxPooling2D(3, 2, name=f"{block}_Branch_{len(branches)}_MaxPool_1a_3x3")(features)
    return layers.Concatenate(name=block)([*branches, pooled])
