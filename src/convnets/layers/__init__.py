"""Layers that several architectures share."""

from convnets.layers.activations import ACTIVATIONS
from convnets.layers.classifier import ImageClassifier, pooled_head
from convnets.layers.convolution import conv_norm_act, conv_norm_relu
from convnets.layers.initialization import init_he_normal_, init_normal_
from convnets.layers.normalization import LocalResponseNorm
from convnets.layers.shuffle import ChannelShuffle, channel_shuffle, check_groups
from convnets.layers.squeeze_excite import SqueezeExcite
from convnets.layers.stems import imagenet_stem, small_stem
from convnets.layers.stochastic_depth import StochasticDepth

__all__ = [
    "ACTIVATIONS",
    "ChannelShuffle",
    "ImageClassifier",
    "LocalResponseNorm",
    "SqueezeExcite",
    "StochasticDepth",
    "channel_shuffle",
    "check_groups",
    "conv_norm_act",
    "conv_norm_relu",
    "imagenet_stem",
    "init_he_normal_",
    "init_normal_",
    "pooled_head",
    "small_stem",
]
