"""The claims of the slides, one module for each part of the lecture."""

from convnets.lecture.claims import (
    activations,
    alexnet,
    alexnet_table,
    closing,
    degradation,
    densenet,
    googlenet,
    inception,
    mobile,
    one_by_one,
    resnet,
    search,
    vgg,
    vgg_table,
    wide,
    winners,
    zfnet,
)

CLAIMS = (
    *alexnet.CLAIMS,
    *alexnet_table.CLAIMS,
    *activations.CLAIMS,
    *zfnet.CLAIMS,
    *vgg.CLAIMS,
    *vgg_table.CLAIMS,
    *inception.CLAIMS,
    *one_by_one.CLAIMS,
    *googlenet.CLAIMS,
    *degradation.CLAIMS,
    *resnet.CLAIMS,
    *winners.CLAIMS,
    *wide.CLAIMS,
    *densenet.CLAIMS,
    *mobile.CLAIMS,
    *search.CLAIMS,
    *closing.CLAIMS,
)
"""All claims, in the order of the slides."""
