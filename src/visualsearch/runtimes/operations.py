"""What a forward pass costs, counted in operations: the same on every machine, idle or busy."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


def multiply_adds(graph: keras.Model) -> int:
    """Return the multiply-accumulates of the graph's convolutions and matrix products for one picture.

    A layer applies its kernels once at each position of its output, so it costs positions x
    entries of the kernels: H W x k k (Cin / groups) Cout for a convolution with an output of
    (H, W, Cout), H W x k k C for a depthwise one, the sum of both for a separable one, Cin
    Cout for a matrix product. Padding counts as picture; biases, normalisation, activations
    and pooling are left out, as is usual (He et al. 2015, table 1). A layer that the graph
    uses twice counts twice, and so does a graph within the graph.
    """
    uses = {layer["name"]: len(layer["inbound_nodes"]) for layer in graph.get_config()["layers"]}
    return sum(uses[layer.name] * _of_layer(layer) for layer in graph.layers)


def _of_layer(layer: keras.Layer) -> int:
    if hasattr(layer, "layers"):
        return multiply_adds(layer)
    kernels = [weight for weight in layer.weights if weight.name.endswith("kernel")]
    return prod(layer.output.shape[1:-1]) * sum(prod(kernel.shape) for kernel in kernels) if kernels else 0
