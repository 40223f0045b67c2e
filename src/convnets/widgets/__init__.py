"""Explorers: pictures with controls, live in a notebook and stepping on a static page."""

from convnets.widgets.explorer import Explorer
from convnets.widgets.explorers import (
    activation_function,
    convolution_arithmetic,
    receptive_field_growth,
)

__all__ = ["Explorer", "activation_function", "convolution_arithmetic", "receptive_field_growth"]
