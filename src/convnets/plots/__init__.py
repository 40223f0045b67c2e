"""Figures of the course: functions that draw on given axes, in one style, without global state.

Each function draws on the matplotlib axes that it is given and returns them, except those that
return a whole `CourseFigure`.
"""

from convnets.plots.activations import activation_curves, gradient_by_layer, value_and_slope
from convnets.plots.block_diagram import block_diagram
from convnets.plots.bubbles import BUBBLES, accuracy_bubbles, one_crop
from convnets.plots.convolution import field_pyramid, sliding_window
from convnets.plots.features import feature_reuse, gate_bars, heatmap_on_image, mosaic
from convnets.plots.images import image_grid, kernel_grid
from convnets.plots.layers import layer_bars, lines_by_layer, reached_maps, shapes
from convnets.plots.network import block_skyline, dense_connections, stacked_bars
from convnets.plots.style import PALETTE, CourseFigure, figure, styled
from convnets.plots.training import experiment_runs, loss_curves, results_by_group
from convnets.plots.verdicts import verdict_stacks
from convnets.plots.winners import HUMAN_ERROR, WINNERS, ilsvrc_winners

__all__ = [
    "BUBBLES",
    "HUMAN_ERROR",
    "PALETTE",
    "WINNERS",
    "CourseFigure",
    "accuracy_bubbles",
    "activation_curves",
    "block_diagram",
    "block_skyline",
    "dense_connections",
    "experiment_runs",
    "feature_reuse",
    "field_pyramid",
    "figure",
    "gate_bars",
    "gradient_by_layer",
    "heatmap_on_image",
    "ilsvrc_winners",
    "image_grid",
    "kernel_grid",
    "layer_bars",
    "lines_by_layer",
    "loss_curves",
    "mosaic",
    "one_crop",
    "reached_maps",
    "results_by_group",
    "shapes",
    "sliding_window",
    "stacked_bars",
    "styled",
    "value_and_slope",
    "verdict_stacks",
]
