"""Receptive fields by differentiating: which pixels have an influence, and how much."""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from convnets.analysis.meta import image_for
from convnets.analysis.receptive_field import field_of
from convnets.analysis.watching import evaluating


def numerical_receptive_field(
    net: nn.Module, input_size: int = 224, layer: str | None = None
) -> int:
    """The side of the field of the central output, found by differentiating, in pixels.

    All weights of a copy are positive, batch norms do nothing, and max pools become average pools,
    so that every path counts: the pixels with a gradient are the field.

    Args:
        net: any network that takes images (N, C, H, W).
        input_size: side of the input in pixels, larger than the field.
        layer: as for `receptive_field`.

    Raises:
        ValueError: the field reaches the border, so that it may be cut off.
    """
    twin = _every_path_counts(net)
    image = torch.ones_like(image_for(net, input_size), device="cpu", dtype=torch.float64)
    gradient = _central_gradient(twin, image, field_of(net, layer, input_size)[0])
    columns = gradient.sum(dim=(0, 1, 2)).nonzero().flatten()
    low, high = int(columns.min()), int(columns.max())
    if low == 0 or high == input_size - 1:
        raise ValueError(f"the field reaches the border of {input_size} pixels; use a larger input")
    return high - low + 1


@dataclass(frozen=True)
class EffectiveReceptiveField:
    """How much each input pixel counts for the central output."""

    energy: Tensor
    """(H, W), squared gradients; their sum is 1."""

    @property
    def size(self) -> int:
        """Side of the smallest square around the strongest half that holds 95.45% of the energy.

        95.45% is what a normal distribution holds within two deviations (Luo et al., section 4).
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
    net: nn.Module, layer: str | None = None, input_size: int = 224, images: Tensor | None = None
) -> EffectiveReceptiveField:
    """Gradient energy in the image for the central value of a layer's maps.

    Luo, Li, Urtasun, Zemel: "Understanding the effective receptive field in deep convolutional
    neural networks", 2016, section 3: the derivative of the central value, all channels weighted
    alike, by each pixel; here squared and averaged over images and channels. In evaluation mode;
    the network is left as it is.

    Args:
        net: a network with random or trained weights.
        layer: as for `receptive_field`.
        input_size: side of the images in pixels.
        images: a batch (N, C, H, W); eight images of noise if `None`.

    Raises:
        ValueError: there is no such layer, or no pixel has an influence.
    """
    name, _ = field_of(net, layer, input_size)
    if images is None:
        shape = (8, *image_for(net, input_size).shape[1:])
        images = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    gradient = _central_gradient(net, images, name)
    energy = gradient.double().square().mean(dim=(0, 1))
    if not energy.sum() > 0:
        raise ValueError("no pixel has an influence on the central output; are all its units dead?")
    return EffectiveReceptiveField(energy / energy.sum())


def _central_gradient(net: nn.Module, images: Tensor, layer: str) -> Tensor:
    """Derivative of the sum over channels of a layer's central values, shaped like `images`."""
    images = images.detach().clone().requires_grad_()
    outputs: list[Tensor] = []
    hook = net.get_submodule(layer).register_forward_hook(lambda m, i, o: outputs.append(o.clone()))
    try:
        with evaluating(net):
            net(images)
    finally:
        hook.remove()
    maps = outputs[-1]
    middle = maps[:, :, maps.shape[-2] // 2, maps.shape[-1] // 2]
    return torch.autograd.grad(middle.sum(), images)[0]


def _every_path_counts(net: nn.Module) -> nn.Module:
    """A copy in double precision whose output grows with every pixel that it sees."""
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
