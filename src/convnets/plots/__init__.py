"""The course's pictures: functions that draw on axes, in one style, without global state."""

from convnets.plots.activations import activation_curves, gradient_by_layer, value_and_slope
from convnets.plots.convolution import field_pyramid, sliding_window
from convnets.plots.images import image_grid
from convnets.plots.layers import layer_bars, shapes
from convnets.plots.style import PALETTE, CourseFigure, figure, styled
from convnets.plots.training import loss_curves, results_by_group
from convnets.plots.verdicts import verdict_stacks

__all__ = [
    "PALETTE",
    "CourseFigure",
    "activation_curves",
    "field_pyramid",
    "figure",
    "gradient_by_layer",
    "image_grid",
    "layer_bars",
    "loss_curves",
    "results_by_group",
    "shapes",
    "sliding_window",
    "styled",
    "value_and_slope",
    "verdict_stacks",
]
