"""Receptive fields from derivatives: which pixels have an influence, and how much."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv_transpose2d, pad
from torch.utils._python_dispatch import TorchDispatchMode

from convnets import transfer
from convnets.analysis.fields import Field, Unknown
from convnets.analysis.meta import image_for
from convnets.analysis.observing import (
    check_batch,
    first_tensor,
    observe,
    outside_inference,
    recording,
)
from convnets.analysis.receptive_field import field_of

aten = torch.ops.aten


def numerical_receptive_field(
    net: nn.Module,
    layer: str | None = None,
    input_size: int | None = None,
    in_channels: int | None = None,
) -> int:
    """The side of the field of the central output in pixels, found by differentiating.

    For this run all weights are random and positive, and batch norms have no statistics yet. In the
    backward pass activations let every derivative through, and max pools pass it on to all values
    of a window, so that every path counts: the pixels with a gradient are the field.

    Args:
        net: any network that takes images (N, C, H, W).
        layer: as for `receptive_field`.
        input_size: side of the input in pixels, larger than the field; by default `net.input_size`,
            or else 224.
        in_channels: as for `receptive_field`.

    Raises:
        ValueError: there is no such layer, no pixel has a gradient, the field reaches the border
            and may be cut off, or a buffer of the network is on the meta device.

    Example:
        >>> net = nn.Sequential(nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 5))
        >>> numerical_receptive_field(net, input_size=15)
        7
    """
    meta = image_for(net, input_size, in_channels)
    noise = torch.rand(meta.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    name, field = field_of(net, layer, input_size, in_channels)
    with recording():
        state = _positive_state(net)
    with _EveryPathCounts():  # type: ignore[no-untyped-call]
        gradient = _central_gradient(
            net,
            1e-5 * (1 + noise),  # small, so that nothing is clipped
            name,
            field,
            lambda values: torch.arange(1, values.numel() + 1).to(values).view_as(values),
            state,
        )
    columns = gradient.abs().sum(dim=(0, 1, 2)).nonzero().flatten()
    low, high, side = int(columns.min()), int(columns.max()), noise.shape[-1]
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
        """Side in pixels of the smallest square, wherever it lies, that holds 95.45% of the energy.

        A normal distribution holds 95.45% within two standard deviations (Luo et al., section 4).
        """
        energy = transfer.to_cpu(self.energy)
        longest = max(energy.shape)
        sums = pad(energy.double(), (1, 0, 1, 0)).cumsum(0).cumsum(1)
        for side in range(1, longest):
            rows, columns = (min(side, length) for length in energy.shape)
            squares = (
                sums[rows:, columns:]
                - sums[:-rows, columns:]
                - sums[rows:, :-columns]
                + sums[:-rows, :-columns]
            )
            if squares.max() >= 0.9545:
                return side
        return longest


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
    if images is None:
        image = image_for(net, input_size, in_channels)
        noise = torch.randn(8, *image.shape[1:], generator=torch.Generator().manual_seed(0))
        device = next(net.parameters(), noise).device
        images = transfer.to_device(noise.to(image.dtype), device)
    check_batch(images)
    _, channels, height, width = images.shape
    name, field = field_of(net, layer, (height, width), channels)
    gradient = _central_gradient(net, images, name, field)
    energy = gradient.double().square().mean(dim=(0, 1))
    return EffectiveReceptiveField(energy / energy.sum())


def _central_gradient(
    net: nn.Module,
    images: Tensor,
    layer: str,
    field: Field | Unknown,
    factors: Callable[[Tensor], Tensor] = torch.ones_like,
    weights: Mapping[str, Tensor] | None = None,
) -> Tensor:
    """Derivative of the sum over channels of a layer's central values, shaped like `images`.

    `factors` gives the factor of each value in the sum; `weights` as for `observe`.
    """
    outputs: list[Tensor] = []

    def leave(name: str, output: Any) -> None:
        tensor = first_tensor(output)
        outputs.extend([] if tensor is None else [tensor.clone()])

    with recording():
        images = images.detach().clone().requires_grad_()
        layers = {layer: net.get_submodule(layer)}
        observe(
            net,
            images,
            layers,
            leave,
            weights=weights,
            evaluate=True,
            gradients=True,
            tensors_only=False,
        )
        middle = _central_values(outputs[-1], field)
        (gradient,) = torch.autograd.grad(middle, images, factors(middle))
    if not transfer.to_cpu(gradient.abs().sum()) > 0:  # NaN is refused as well
        raise ValueError("no pixel has an influence on the central output; are all its units dead?")
    return gradient


def _central_values(values: Tensor, field: Field | Unknown) -> Tensor:
    """Those in the middle of the dimensions that follow height and width."""
    dims = [dim for span in field.spans for dim in span.dims] if isinstance(field, Field) else []
    if len(dims) != len(set(dims)) or (not dims and values.ndim == 4):
        dims = [2, 3]
    for dim in sorted(dims, reverse=True):
        values = values.select(dim, values.shape[dim] // 2)
    return values


def _positive_state(net: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers in double precision with which sums never cancel."""
    state = {}
    generator = torch.Generator().manual_seed(0)
    for name, parameter in net.named_parameters():
        values = torch.empty(parameter.shape, dtype=torch.float64)
        state[name] = values.uniform_(0.5, 1.5, generator=generator)
        if values.ndim > 1:
            values.div_(values[0].numel())
        elif name.endswith("bias"):
            values.zero_()
    for name, module in net.named_modules():
        for key, buffer in module.named_buffers(name, recurse=False):
            if isinstance(module, nn.modules.batchnorm._NormBase):
                fill = torch.ones if key.endswith("running_var") else torch.zeros
                state[key] = fill(buffer.shape, dtype=torch.float64)
            elif buffer.is_meta:
                raise ValueError(
                    f"buffer {key!r} has no values; create the network on a device other than meta"
                )
            else:
                numbers = outside_inference(buffer).cpu()
                state[key] = numbers.double() if buffer.is_floating_point() else numbers
    return state


class _EveryPathCounts(TorchDispatchMode):
    """Makes the backward pass hold nothing back."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.overloadpacket.__name__
        if func.overloadpacket is aten.max_pool2d_with_indices_backward:
            return _to_whole_windows(*args)
        if func.overloadpacket is aten.adaptive_max_pool2d_backward:
            return aten._adaptive_avg_pool2d_backward(*args[:2])
        if name.endswith("_backward"):
            forward = getattr(getattr(aten, name.removesuffix("_backward"), None), "default", None)
            if forward and torch.Tag.pointwise in forward.tags:
                return args[0]
        return func(*args, **(kwargs or {}))


def _to_whole_windows(
    gradient: Tensor,
    values: Tensor,
    kernel: list[int],
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    *_: Any,
) -> Tensor:
    """The gradient of a pool's output, added to all values (..., C, H, W) of its window."""
    one = gradient.flatten(0, -3).unsqueeze(1)
    kernel, padding = kernel * (3 - len(kernel)), padding * (3 - len(padding))
    weight = gradient.new_ones(1, 1, *kernel)
    spread = conv_transpose2d(one, weight, stride=stride or kernel, dilation=dilation)
    (height, width), (top, left) = values.shape[-2:], padding
    below, right = height + top - spread.shape[-2], width + left - spread.shape[-1]
    return pad(spread, (-left, right, -top, below)).view_as(values)
