"""Figures of activation functions and of their effect on gradients."""

from collections.abc import Mapping, Sequence

import torch
from matplotlib.axes import Axes
from torch import nn

from convnets.plots.layers import lines_by_layer
from convnets.plots.style import LINE_STYLES, PALETTE, styled


def value_and_slope(activation: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Evaluate an activation and its derivative.

    Args:
        activation: a module that acts on each value separately.
        x: points at which to evaluate it, (P,).

    Returns:
        The values (P,) and the derivatives (P,) at these points.

    Example:
        >>> from torch import nn
        >>> value_and_slope(nn.ReLU(), torch.tensor([-1.0, 2.0]))
        (tensor([0., 2.]), tensor([0., 1.]))
    """
    points = x.detach().clone().requires_grad_()
    values = activation(points)
    (slopes,) = torch.autograd.grad(values.sum(), points)
    return values.detach(), slopes


@styled
def activation_curves(
    ax: Axes, activations: Mapping[str, nn.Module], derivative: bool = False
) -> Axes:
    """Draw activations, or their derivatives, for inputs from -4 to 4.

    Args:
        ax: axes to draw on.
        activations: maps a name to a module that acts on each value separately.
        derivative: draw the derivatives instead of the values.

    Example:
        >>> from convnets.plots import figure
        >>> from torch import nn
        >>> ax = activation_curves(figure().axes[0], {"ReLU": nn.ReLU(), "tanh": nn.Tanh()})
        >>> len(ax.lines)
        2
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
    """Draw the size of the gradient in each layer on a logarithmic scale.

    Args:
        ax: axes to draw on.
        gradients: maps a network to the root mean square gradient of each layer's weights, from
            input to output, as `convnets.analysis.gradient_norms` returns it.

    Raises:
        ValueError: a value is negative.

    Example:
        >>> from convnets.plots import figure
        >>> ax = gradient_by_layer(figure().axes[0], {"plain": [1e-4, 1e-3, 1e-2]})
        >>> ax.get_yscale()
        'log'
    """
    return lines_by_layer(ax, gradients, "root mean square of\nthe weights' gradients", log=True)
