"""The networks of ``keras.applications``: facts in one table, and their preprocessing in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Batch = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Network:
    """One constructor of ``keras.applications``.

    ``side`` is the input in pixels that it was published with, ``dim`` the length of its
    pooled features, ``preprocessing`` a key of ``PREPROCESSING``.
    """

    module: str
    constructor: str
    side: int
    dim: int
    preprocessing: str


NETWORKS = {
    "resnet50": Network("resnet", "ResNet50", 224, 2048, "caffe"),
    "resnet101": Network("resnet", "ResNet101", 224, 2048, "caffe"),
    "resnet152": Network("resnet", "ResNet152", 224, 2048, "caffe"),
    "resnet50_v2": Network("resnet_v2", "ResNet50V2", 224, 2048, "tf"),
    "resnet101_v2": Network("resnet_v2", "ResNet101V2", 224, 2048, "tf"),
    "resnet152_v2": Network("resnet_v2", "ResNet152V2", 224, 2048, "tf"),
    "vgg16": Network("vgg16", "VGG16", 224, 512, "caffe"),
    "vgg19": Network("vgg19", "VGG19", 224, 512, "caffe"),
    "inception_v3": Network("inception_v3", "InceptionV3", 299, 2048, "tf"),
    "inception_resnet_v2": Network("inception_resnet_v2", "InceptionResNetV2", 299, 1536, "tf"),
    "xception": Network("xception", "Xception", 299, 2048, "tf"),
    "mobilenet": Network("mobilenet", "MobileNet", 224, 1024, "tf"),
    "mobilenet_v2": Network("mobilenet_v2", "MobileNetV2", 224, 1280, "tf"),
    "mobilenet_v3_small": Network("mobilenet_v3", "MobileNetV3Small", 224, 576, "none"),
    "mobilenet_v3_large": Network("mobilenet_v3", "MobileNetV3Large", 224, 960, "none"),
    "densenet121": Network("densenet", "DenseNet121", 224, 1024, "torch"),
    "densenet169": Network("densenet", "DenseNet169", 224, 1664, "torch"),
    "densenet201": Network("densenet", "DenseNet201", 224, 1920, "torch"),
    "nasnet_mobile": Network("nasnet", "NASNetMobile", 224, 1056, "tf"),
    "nasnet_large": Network("nasnet", "NASNetLarge", 331, 4032, "tf"),
    "efficientnet_b0": Network("efficientnet", "EfficientNetB0", 224, 1280, "none"),
    "efficientnet_b1": Network("efficientnet", "EfficientNetB1", 240, 1280, "none"),
    "efficientnet_b2": Network("efficientnet", "EfficientNetB2", 260, 1408, "none"),
    "efficientnet_b3": Network("efficientnet", "EfficientNetB3", 300, 1536, "none"),
    "efficientnet_b4": Network("efficientnet", "EfficientNetB4", 380, 1792, "none"),
    "efficientnet_b5": Network("efficientnet", "EfficientNetB5", 456, 2048, "none"),
    "efficientnet_b6": Network("efficientnet", "EfficientNetB6", 528, 2304, "none"),
    "efficientnet_b7": Network("efficientnet", "EfficientNetB7", 600, 2560, "none"),
    "efficientnet_v2_b0": Network("efficientnet_v2", "EfficientNetV2B0", 224, 1280, "none"),
    "efficientnet_v2_b1": Network("efficientnet_v2", "EfficientNetV2B1", 240, 1280, "none"),
    "efficientnet_v2_b2": Network("efficientnet_v2", "EfficientNetV2B2", 260, 1408, "none"),
    "efficientnet_v2_b3": Network("efficientnet_v2", "EfficientNetV2B3", 300, 1536, "none"),
    "efficientnet_v2_s": Network("efficientnet_v2", "EfficientNetV2S", 384, 1280, "none"),
    "efficientnet_v2_m": Network("efficientnet_v2", "EfficientNetV2M", 480, 1280, "none"),
    "efficientnet_v2_l": Network("efficientnet_v2", "EfficientNetV2L", 480, 1280, "none"),
    "convnext_tiny": Network("convnext", "ConvNeXtTiny", 224, 768, "none"),
    "convnext_small": Network("convnext", "ConvNeXtSmall", 224, 768, "none"),
    "convnext_base": Network("convnext", "ConvNeXtBase", 224, 1024, "none"),
    "convnext_large": Network("convnext", "ConvNeXtLarge", 224, 1536, "none"),
    "convnext_xlarge": Network("convnext", "ConvNeXtXLarge", 224, 2048, "none"),
}
"""The name in the YAML → the network. Those with ``none`` preprocess inside the graph."""


def _caffe(batch: Batch) -> Batch:
    """Turn RGB to BGR and subtract ImageNet's mean (He et al. 2015, Simonyan and Zisserman 2014)."""
    return batch[..., ::-1] - np.array([103.939, 116.779, 123.68], np.float32)


def _torch(batch: Batch) -> Batch:
    """Scale to 0..1, then to ImageNet's mean 0 and deviation 1 for each channel."""
    mean = np.array([0.485, 0.456, 0.406], np.float32)
    deviation = np.array([0.229, 0.224, 0.225], np.float32)
    return (batch / np.float32(255.0) - mean) / deviation


PREPROCESSING: dict[str, Callable[[Batch], Batch]] = {
    "caffe": _caffe,
    "tf": lambda batch: batch / np.float32(127.5) - np.float32(1.0),
    "torch": _torch,
    "none": lambda batch: batch,
}
"""How pixels (n, height, width, 3), RGB, 0..255, become what a network was trained on."""
