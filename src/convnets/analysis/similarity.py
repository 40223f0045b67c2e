"""Which layers see images alike: linear centered kernel alignment.

Simon Kornblith, Mohammad Norouzi, Honglak Lee, Geoffrey Hinton: "Similarity of neural network
representations revisited", 2019, sections 2 and 3.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from convnets.analysis.watching import watch


def linear_cka(x: Tensor, y: Tensor) -> float:
    """Linear CKA of two representations of the same images: 0 unlike, 1 alike.

    ||Y'X||^2 / (||X'X|| ||Y'Y||) in Frobenius norms, for features with mean 0 over the images
    (which are subtracted here). The same for X and X Q with Q orthogonal, and for X and c X; not
    for any linear map. With few images and many features even unrelated ones look alike: take more
    images than features where you can.

    Args:
        x: (N, ...), what one layer makes of N images; all but N is flattened.
        y: (N, ...), what another makes of the same.

    Raises:
        ValueError: the numbers of images differ or are below 3, or one is the same for all images.
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

    Maps (C, H, W) are flattened, so that a feature is a map at a place. Networks run in evaluation
    mode and are left as they were.

    Args:
        net: the network of the rows.
        images: a batch (N, C, H, W) of at least 3 images that both networks take.
        layers: names from `net.named_modules()`.
        other: the network of the columns; `net` itself if none is given.
        other_layers: its layers; `layers` if none are given.

    Returns:
        (layers, other layers), from 0 to 1.

    Raises:
        ValueError: a layer that does not exist or does not run exactly once, fewer than 3 images,
            or a layer that gives the same for all images.
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
    modules = dict(net.named_modules())
    unknown = [name for name in layers if name not in modules]
    if unknown or not layers:
        raise ValueError(
            f"no layers {', '.join(map(repr, unknown))} in this network; "
            "choose names from net.named_modules()"
        )
    grams: dict[str, Tensor] = {}

    def see(name: str, output: Tensor) -> None:
        if name in grams:
            raise ValueError(f"layer {name!r} runs more than once; choose one that runs once")
        grams[name] = _unit_gram(output, name).flatten()

    watch(net, images, {name: modules[name] for name in layers}, see, evaluate=True)
    if idle := [name for name in layers if name not in grams]:
        raise ValueError(f"the network does not run {idle[0]!r}; choose a layer that it calls")
    return torch.stack([grams[name] for name in layers])


def _unit_gram(x: Tensor, name: str) -> Tensor:
    """The Gram matrix of centered features, with Frobenius norm 1: (N, ...) -> (N, N)."""
    if len(x) < 3:
        raise ValueError(f"CKA needs at least 3 images, got {len(x)}: any two agree perfectly")
    features = x.detach().flatten(1).double()
    centered = features - features.mean(dim=0)
    gram = centered @ centered.T
    norm = gram.norm()
    if norm <= 1e-12 * features.square().sum():
        raise ValueError(f"{name!r} is the same for all images, so it is like nothing")
    return gram / norm
