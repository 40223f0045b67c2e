"""Pictures of activation functions and of what they do to gradients."""

from collections.abc import Mapping, Sequence

import torch
from matplotlib.axes import Axes
from torch import nn

from convnets.plots.layers import lines_by_layer
from convnets.plots.style import LINE_STYLES, PALETTE, styled


def value_and_slope(activation: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The activation at the points x (P,) and its derivative there (P,)."""
    points = x.detach().clone().requires_grad_()
    values = activation(points)
    (slopes,) = torch.autograd.grad(values.sum(), points)
    return values.detach(), slopes


@styled
def activation_curves(
    ax: Axes, activations: Mapping[str, nn.Module], derivative: bool = False
) -> Axes:
    """Activations, or their derivatives, between -4 and 4.

    Args:
        ax: where to draw.
        activations: name -> module that works on each value alone.
        derivative: draw the slopes in place of the values.
    """
    x = torch.linspace(-4, 4, 401)
    for index, (name, activation) in enumerate(activations.items()):
        y = value_and_slope(activation, x)[int(derivative)]
        ax.plot(
            x,
            y,
            color=PALETTE[index % len(PALETTE)],
            linestyle=LINE_STYLES[index % len(LINE_STYLES)],
            label=name,
        )
    ax.set_xlabel("input")
    ax.set_ylabel("derivative" if derivative else "output")
    ax.legend()
    return ax


def gradient_by_layer(ax: Axes, gradients: Mapping[str, Sequence[float]]) -> Axes:
    """The size of the gradient in each layer, on a logarithmic scale.

    Args:
        ax: where to draw.
        gradients: network -> root mean square gradient of each layer, from input to output.
    """
    return lines_by_layer(ax, gradients, "root mean square of\nthe weights' gradients", log=True)
