"""Receptive fields from derivatives: which pixels have an influence, and how much."""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from convnets.analysis.meta import image_for
from convnets.analysis.observing import observe
from convnets.analysis.receptive_field import field_of


def numerical_receptive_field(
    net: nn.Module,
    layer: str | None = None,
    input_size: int | None = None,
    in_channels: int | None = None,
) -> int:
    """The side of the field of the central output in pixels, found by differentiating.

    In a copy of the network all weights are positive, batch norms are the identity, and max pools
    become average pools, so that every path counts: the pixels with a gradient are the field.

    Args:
        net: any network that takes images (N, C, H, W).
        layer: as for `receptive_field`.
        input_size: side of the input in pixels, larger than the field; by default `net.input_size`,
            or else 224.
        in_channels: as for `receptive_field`.

    Raises:
        ValueError: there is no such layer, no pixel has a gradient, or the field reaches the
            border, so that it may be cut off.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 5))
        >>> numerical_receptive_field(net, input_size=15)
        7
    """
    twin = _every_path_counts(net)
    meta = image_for(net, input_size, in_channels)
    image = torch.ones_like(meta, device="cpu", dtype=torch.float64)
    name, _ = field_of(net, layer, input_size, in_channels)
    gradient = _central_gradient(twin, image, name)
    columns = gradient.sum(dim=(0, 1, 2)).nonzero().flatten()
    low, high, side = int(columns.min()), int(columns.max()), image.shape[-1]
    if low == 0 or high == side - 1:
        raise ValueError(f"the field reaches the border of {side} pixels; use a larger input")
    return high - low + 1


@dataclass(frozen=True)
class EffectiveReceptiveField:
    """How much each input pixel influences the central output."""

    energy: Tensor
    """(H, W), mean squared gradients divided by their sum, so that the sum is 1."""

    @property
    def size(self) -> int:
        """Side in pixels of the smallest square around the median that holds 95.45% of the energy.

        A normal distribution holds 95.45% within two standard deviations (Luo et al., section 4).
        """
        rows, columns = self.energy.shape
        row = int((self.energy.sum(1).cumsum(0) < 0.5).sum())
        column = int((self.energy.sum(0).cumsum(0) < 0.5).sum())
        for reach in range(max(rows, columns)):
            window = self.energy[
                max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1
            ]
            if window.sum() >= 0.9545:
                return min(2 * reach + 1, rows, columns)
        return max(rows, columns)


def effective_receptive_field(
    net: nn.Module,
    layer: str | None = None,
    input_size: int | None = None,
    images: Tensor | None = None,
    in_channels: int | None = None,
) -> EffectiveReceptiveField:
    """Gradient energy in the image for the central value of a layer's maps.

    Luo, Li, Urtasun, Zemel: "Understanding the effective receptive field in deep convolutional
    neural networks", 2016, section 3: the derivative of the central value, all channels weighted
    equally, with respect to each pixel; here squared and averaged over images and channels. The
    network runs in evaluation mode and is unchanged afterwards.

    Args:
        net: a network with random or trained weights.
        layer: as for `receptive_field`.
        input_size: side of the images in pixels; by default `net.input_size`, or else 224.
        images: a batch (N, C, H, W); by default eight images of Gaussian noise.
        in_channels: as for `receptive_field`; `images` have their own.

    Raises:
        ValueError: there is no such layer, the batch is empty, or no pixel has an influence.

    Example:
        >>> import convnets
        >>> net = convnets.create_model("resnet20")
        >>> effective_receptive_field(net, "features.stage1").energy.shape
        torch.Size([32, 32])
    """
    image = image_for(net, input_size, in_channels if images is None else images.shape[1])
    name, _ = field_of(net, layer, input_size, image.shape[1])
    if images is None:
        noise = torch.randn(8, *image.shape[1:], generator=torch.Generator().manual_seed(0))
        images = noise.to(image.dtype)
    gradient = _central_gradient(net, images, name)
    energy = gradient.double().square().mean(dim=(0, 1))
    return EffectiveReceptiveField(energy / energy.sum())


def _central_gradient(net: nn.Module, images: Tensor, layer: str) -> Tensor:
    """Derivative of the sum over channels of a layer's central values, shaped like `images`."""
    images = images.detach().clone().requires_grad_()
    outputs: list[Tensor] = []

    def leave(name: str, output: Tensor) -> None:
        outputs.append(output.clone())

    observe(net, images, {layer: net.get_submodule(layer)}, leave, evaluate=True, gradients=True)
    maps = outputs[-1]
    middle = maps[:, :, maps.shape[-2] // 2, maps.shape[-1] // 2]
    (gradient,) = torch.autograd.grad(middle.sum(), images)
    if not gradient.abs().sum() > 0:  # NaN is refused as well
        raise ValueError("no pixel has an influence on the central output; are all its units dead?")
    return gradient


def _every_path_counts(net: nn.Module) -> nn.Module:
    """A copy in double precision whose outputs grow with every pixel that they see."""
    twin = copy.deepcopy(net)
    if any(parameter.is_meta for parameter in twin.parameters()):
        twin.to_empty(device="cpu")
    twin.double()
    for module in list(twin.modules()):
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            module.reset_parameters()
        for name, child in list(module.named_children()):
            if isinstance(child, nn.MaxPool2d):
                pool = nn.AvgPool2d(child.kernel_size, child.stride, child.padding, child.ceil_mode)
                setattr(module, name, pool)
    return twin
