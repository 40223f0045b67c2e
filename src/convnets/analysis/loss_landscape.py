"""The loss around a network's weights, along directions in which networks compare.

Hao Li, Zheng Xu, Gavin Taylor, Christoph Studer, Tom Goldstein: "Visualizing the loss landscape of
neural nets", 2018, sections 3 and 4. A random direction says little by itself: who scales one layer
up and the next one down has the same network and another step size. So each filter of the direction
gets the norm of the network's own filter.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from convnets.analysis.watching import check_batch, evaluating

STEPS = tuple(step / 10 for step in range(-10, 11))

Weights = dict[str, Tensor]


def loss_along_direction(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    steps: Sequence[float] = STEPS,
    seed: int = 0,
) -> Tensor:
    """Mean cross-entropy at weights + step * direction, for each step.

    The direction is Gaussian, from `seed` alone, and normalised by filter: a filter is all weights
    that make one output map of a convolution or one unit of a fully connected layer. All other
    parameters (biases, batch norm) stay. Batch norm uses its running statistics, dropout is off:
    the network is in evaluation mode. It is left as it was.

    Args:
        net: a classifier (N, C, H, W) -> (N, classes).
        images: a batch (N, C, H, W).
        labels: its classes (N,).
        steps: positions on the direction; 0 is the network itself, 1 is as far as its weights are
            from zero.

    Returns:
        Losses (steps,), in nats.

    Raises:
        ValueError: the network has neither convolutions nor fully connected layers, there are no
            steps, or images and labels do not fit.
    """
    direction = _direction(net, torch.Generator().manual_seed(seed))
    points = ({name: step * part for name, part in direction.items()} for step in steps)
    return _losses(net, images, labels, points)


def loss_surface(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    steps: Sequence[float] = STEPS,
    seed: int = 0,
) -> Tensor:
    """Mean cross-entropy at weights + a * direction + b * another, for all steps a and b.

    Arguments and errors are those of `loss_along_direction`, and so is the first direction. The
    second is drawn after it in the same way; in many dimensions the two are nearly orthogonal.

    Returns:
        Losses (steps, steps), in nats; rows are a, columns b.
    """
    random = torch.Generator().manual_seed(seed)
    first, second = _direction(net, random), _direction(net, random)
    points = (
        {name: a * first[name] + b * second[name] for name in first} for a in steps for b in steps
    )
    return _losses(net, images, labels, points).view(len(steps), len(steps))


def _direction(net: nn.Module, random: torch.Generator) -> Weights:
    """A Gaussian direction; each of its filters is as long as the network's."""
    layers = {
        id(module.weight)
        for module in net.modules()
        if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear))
    }
    if not layers:
        raise ValueError("this network has no convolution and no fully connected layer to move")
    direction = {}
    for name, weight in net.named_parameters():
        if id(weight) in layers:
            part = torch.randn(weight.shape, generator=random).to(weight)
            direction[name] = part * (_filter_norms(weight) / _filter_norms(part))
    return direction


def _filter_norms(weight: Tensor) -> Tensor:
    """(out, ...) -> (out, 1, ...)"""
    norms = weight.detach().flatten(1).norm(dim=1)
    return norms.view(-1, *[1] * (weight.ndim - 1))


def _losses(net: nn.Module, images: Tensor, labels: Tensor, points: Iterable[Weights]) -> Tensor:
    """The losses at weights + point; points come one by one, for each is as large as the net."""
    check_batch(images, labels)
    weights = dict(net.named_parameters())
    losses = []
    with torch.no_grad(), evaluating(net):
        for point in points:
            moved = {name: weights[name] + offset for name, offset in point.items()}
            losses.append(cross_entropy(functional_call(net, moved, (images,)), labels))
    if not losses:
        raise ValueError("steps is empty; give at least one, such as 0.0 for the network itself")
    return torch.stack(losses)
