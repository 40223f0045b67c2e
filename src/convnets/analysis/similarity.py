"""Which layers represent images alike: linear centered kernel alignment (CKA).

Simon Kornblith, Mohammad Norouzi, Honglak Lee, Geoffrey Hinton: "Similarity of neural network
representations revisited", 2019, sections 2 and 3.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from convnets.analysis.observing import observe


def linear_cka(x: Tensor, y: Tensor) -> float:
    """Linear CKA of two representations of the same images: 0 unlike, 1 alike.

    ||Y'X||^2 / (||X'X|| ||Y'Y||) in Frobenius norms (section 3, table 1), for features with mean 0
    over the images; the means are subtracted here. Orthogonal transformations and isotropic scaling
    of the features leave it the same, other linear maps do not. With few images and many features
    even unrelated representations look alike: use more images than features where you can.

    Args:
        x: (N, ...), the outputs of one layer for N images; all dimensions but N are flattened.
        y: (N, ...), the outputs of another layer for the same images.

    Returns:
        From 0 to 1.

    Raises:
        ValueError: the numbers of images differ or are below 3, or a representation is the same for
            all images.

    Example:
        >>> x = torch.rand(20, 5)
        >>> round(linear_cka(x, 3 * x + 1), 4)
        1.0
    """
    if len(x) != len(y):
        raise ValueError(f"both must be of the same images, got {len(x)} and {len(y)}")
    return (_unit_gram(x, "x") * _unit_gram(y, "y")).sum().item()


def cka(
    net: nn.Module,
    images: Tensor,
    layers: Sequence[str],
    other: nn.Module | None = None,
    other_layers: Sequence[str] | None = None,
) -> Tensor:
    """Linear CKA between the outputs of layers, of one network or of two.

    Maps (N, C, H, W) are flattened to (N, C * H * W), so that a feature is one place of one map.
    Networks run in evaluation mode and are unchanged afterwards.

    Args:
        net: the network of the rows.
        images: a batch (N, C, H, W) of at least 3 images that both networks accept.
        layers: names from `net.named_modules()`.
        other: the network of the columns; by default `net` itself.
        other_layers: its layers; by default `layers`.

    Returns:
        (layers, other layers), from 0 to 1; see `linear_cka`.

    Raises:
        ValueError: a layer does not exist, does not run exactly once or returns the same for all
            images, or there are fewer than 3 images.

    Example:
        >>> import convnets
        >>> net = convnets.create_model("lenet5")
        >>> similarity = cka(net, torch.rand(8, 1, 32, 32), ["features.c1", "features.c3"])
        >>> similarity.shape
        torch.Size([2, 2])
    """
    rows = _grams(net, images, layers)
    columns = rows
    if other is not None or other_layers is not None:
        columns = _grams(
            net if other is None else other,
            images,
            layers if other_layers is None else other_layers,
        )
    return (rows @ columns.T).float()


def _grams(net: nn.Module, images: Tensor, layers: Sequence[str]) -> Tensor:
    """Each layer's Gram matrix as a vector of length 1: (layers, N * N)."""
    if not layers:
        raise ValueError("no layers are given; choose names from net.named_modules()")
    modules = dict(net.named_modules())
    if unknown := [name for name in layers if name not in modules]:
        raise ValueError(
            f"this network has no layer {', '.join(map(repr, unknown))}; "
            "choose names from net.named_modules()"
        )
    grams: dict[str, Tensor] = {}

    def leave(name: str, output: Tensor) -> None:
        if name in grams:
            raise ValueError(f"layer {name!r} runs more than once; choose one that runs once")
        grams[name] = _unit_gram(output, f"layer {name!r}").flatten()

    observe(net, images, {name: modules[name] for name in layers}, leave, evaluate=True)
    if idle := [name for name in layers if name not in grams]:
        raise ValueError(f"the network does not run {idle[0]!r}; choose a layer that it calls")
    return torch.stack([grams[name] for name in layers])


def _unit_gram(x: Tensor, name: str) -> Tensor:
    """The Gram matrix of centered features, with Frobenius norm 1: (N, ...) -> (N, N)."""
    if len(x) < 3:
        raise ValueError(
            f"CKA needs at least 3 images, got {len(x)}: any two representations of 2 images agree"
        )
    features = x.detach().flatten(1).double()
    centered = features - features.mean(dim=0)
    gram = centered @ centered.T
    norm = gram.norm()
    if norm <= 1e-12 * features.square().sum():
        raise ValueError(f"{name} is the same for all images, so it cannot be compared")
    return gram / norm
