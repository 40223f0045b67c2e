"""Explorers of convolution arithmetic, receptive fields and activation functions."""

import torch

from convnets.layers import ACTIVATIONS
from convnets.plots import (
    CourseFigure,
    activation_curves,
    field_pyramid,
    figure,
    sliding_window,
    value_and_slope,
)
from convnets.widgets.explorer import Explorer

ROW = 9
SMALL_SLOPE = 0.01


def convolution_arithmetic() -> Explorer:
    """Explore the output size of a window that slides over nine pixels (slides 5 to 7).

    The controls are kernel size, stride and padding.

    Example:
        >>> list(convolution_arithmetic().controls)
        ['kernel_size', 'stride', 'padding']
    """

    def draw(kernel_size: int, stride: int, padding: int) -> CourseFigure:
        fig = figure(width=6.5, height=3)
        sliding_window(fig.axes[0], ROW, kernel_size, stride, padding)
        return fig

    def describe(kernel_size: int, stride: int, padding: int) -> str:
        span = ROW + 2 * padding - kernel_size
        rest = span % stride
        fit = "It fits exactly." if rest == 0 else f"{rest} pixel(s) at the end are never seen."
        return (
            f"{ROW} pixels, kernel {kernel_size}, stride {stride}, padding {padding}: "
            f"({ROW} + 2 x {padding} - {kernel_size}) / {stride} + 1 = {span / stride + 1:g}, "
            f"so {span // stride + 1} outputs. {fit}"
        )

    return Explorer(
        "Convolution arithmetic along one side",
        draw,
        describe,
        {"kernel_size": [1, 3, 5], "stride": [1, 2, 3], "padding": [0, 1]},
        start={"kernel_size": 3, "stride": 2},
    )


def receptive_field_growth() -> Explorer:
    """Explore how many input pixels one output of stacked layers sees (slide 18).

    The controls are the kernel size and the number of layers.

    Example:
        >>> list(receptive_field_growth().controls)
        ['kernel_size', 'depth']
    """

    def draw(kernel_size: int, depth: int) -> CourseFigure:
        fig = figure(width=6.5, height=1.0 + 0.45 * depth)
        field_pyramid(fig.axes[0], kernel_size, depth)
        return fig

    def describe(kernel_size: int, depth: int) -> str:
        field = 1 + depth * (kernel_size - 1)
        return (
            f"{depth} layer(s) of {kernel_size}x{kernel_size} at stride 1 see {field}x{field} "
            f"pixels with {depth * kernel_size**2} C^2 weights for C channels; "
            f"one {field}x{field} layer needs {field**2} C^2."
        )

    return Explorer(
        "Receptive field of stacked layers",
        draw,
        describe,
        {"kernel_size": [3, 5, 7], "depth": [1, 2, 3, 4]},
        start={"depth": 3},
    )


def activation_function() -> Explorer:
    """Explore the activation functions of the lecture and their derivatives (slides 9 to 12).

    Example:
        >>> list(activation_function().controls)
        ['activation']
    """

    def draw(activation: str) -> CourseFigure:
        fig = figure(1, 2, width=6.5, height=2.6)
        module = {activation: ACTIVATIONS[activation]()}
        activation_curves(fig.axes[0], module)
        activation_curves(fig.axes[1], module, derivative=True)
        fig.axes[1].set_ylim(-0.1, 1.9)
        return fig

    def describe(activation: str) -> str:
        x = torch.linspace(-4, 4, 801)
        slopes = value_and_slope(ACTIVATIONS[activation](), x)[1]
        share = (slopes.abs() < SMALL_SLOPE).float().mean().item()
        return (
            f"{activation}: its derivative is at most {slopes.max():.2f} and at least "
            f"{slopes.min():.3f}; it is below {SMALL_SLOPE} on {share:.0%} of the inputs "
            "between -4 and 4."
        )

    return Explorer(
        "Activation functions and their derivatives",
        draw,
        describe,
        {"activation": list(ACTIVATIONS)},
        start={"activation": "ReLU"},
    )
