"""The loss around a network's weights, along directions in which networks compare.

Hao Li, Zheng Xu, Gavin Taylor, Christoph Studer, Tom Goldstein: "Visualizing the loss landscape of
neural nets", 2018, sections 3 and 4. A random direction alone says little: scaling one layer up and
the next one down gives the same network, but another step size. So each filter of the direction
gets the norm of the corresponding filter of the network.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from convnets.analysis.observing import check_batch, observe

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

    The direction is Gaussian, determined by `seed`, and normalised by filter (section 4): a filter
    is all weights that make one output map of a convolution or one unit of a fully connected layer.
    All other parameters (biases, batch norm) keep their values. The network runs in evaluation mode
    and is unchanged afterwards.

    Args:
        net: a classifier, (N, C, H, W) -> (N, classes).
        images: a batch (N, C, H, W).
        labels: its classes (N,), integers.
        steps: positions along the direction; 0 is the network itself, and at 1 the weights have
            moved by their own distance from zero.
        seed: of the direction.

    Returns:
        Losses (steps,), in nats.

    Raises:
        ValueError: the network has neither convolutions nor fully connected layers, one of them
            computes its weight (as with weight normalisation), there are no steps, the batch is
            empty, or images and labels do not fit.

    Example:
        >>> import convnets
        >>> net = convnets.create_model("lenet5")
        >>> images, labels = torch.rand(4, 1, 32, 32), torch.arange(4)
        >>> loss_along_direction(net, images, labels, steps=(-1.0, 0.0, 1.0)).shape
        torch.Size([3])
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
    """Mean cross-entropy at weights + a * first + b * second direction, for all steps a and b.

    The first direction is that of `loss_along_direction`. The second is drawn after it in the same
    way; in many dimensions the two are nearly orthogonal.

    Args:
        net: a classifier, (N, C, H, W) -> (N, classes).
        images: a batch (N, C, H, W).
        labels: its classes (N,), integers.
        steps: positions along both directions.
        seed: of the directions.

    Returns:
        Losses (steps, steps), in nats; rows are a, columns are b.

    Raises:
        ValueError: as for `loss_along_direction`.

    Example:
        >>> import convnets
        >>> net = convnets.create_model("lenet5")
        >>> images, labels = torch.rand(4, 1, 32, 32), torch.arange(4)
        >>> loss_surface(net, images, labels, steps=(-1.0, 0.0, 1.0)).shape
        torch.Size([3, 3])
    """
    random = torch.Generator().manual_seed(seed)
    first, second = _direction(net, random), _direction(net, random)
    points = (
        {name: a * first[name] + b * second[name] for name in first} for a in steps for b in steps
    )
    return _losses(net, images, labels, points).view(len(steps), len(steps))


def _direction(net: nn.Module, random: torch.Generator) -> Weights:
    """A Gaussian direction; each of its filters has the norm of the network's filter."""
    layers = {
        name: module
        for name, module in net.named_modules()
        if isinstance(module, (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear))
    }
    if not layers:
        raise ValueError("this network has neither convolutions nor fully connected layers")
    for name, module in layers.items():
        if not isinstance(module.weight, nn.Parameter):
            raise ValueError(
                f"layer {name!r} computes its weight from other parameters, so that it cannot be "
                "moved; make it a parameter first, in a copy of the network, as "
                "torch.nn.utils.parametrize.remove_parametrizations does"
            )
    moved = {id(module.weight) for module in layers.values()}
    direction = {}
    for name, weight in net.named_parameters():
        if id(weight) in moved:
            part = torch.randn(weight.shape, generator=random).to(weight)
            direction[name] = part * (_filter_norms(weight) / _filter_norms(part))
    return direction


def _filter_norms(weight: Tensor) -> Tensor:
    """The norm of each filter: (out, ...) -> (out, 1, ...)."""
    norms = weight.detach().flatten(1).norm(dim=1)
    return norms.view(-1, *[1] * (weight.ndim - 1))


def _losses(net: nn.Module, images: Tensor, labels: Tensor, points: Iterable[Weights]) -> Tensor:
    """The losses at weights + point; `points` is lazy, since each is as large as the network."""
    check_batch(images, labels)
    weights = {name: weight.detach() for name, weight in net.named_parameters()}
    losses = []
    for point in points:
        moved = {name: weights[name] + offset for name, offset in point.items()}
        scores = observe(net, images, weights=moved, evaluate=True)
        losses.append(cross_entropy(scores, labels))
    if not losses:
        raise ValueError("steps is empty; give at least one, such as 0.0 for the network itself")
    return torch.stack(losses)
