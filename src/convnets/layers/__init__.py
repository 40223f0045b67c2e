"""Layers that several architectures share."""

from convnets.layers.activations import ACTIVATIONS
from convnets.layers.classifier import ImageClassifier
from convnets.layers.convolution import conv_norm_relu
from convnets.layers.initialization import init_he_normal_, init_normal_
from convnets.layers.normalization import LocalResponseNorm

__all__ = [
    "ACTIVATIONS",
    "ImageClassifier",
    "LocalResponseNorm",
    "conv_norm_relu",
    "init_he_normal_",
    "init_normal_",
]
