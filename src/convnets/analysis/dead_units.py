"""Which activations are silent: dead for every image, or for most."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

_ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SELU, nn.Sigmoid, nn.Tanh)


@dataclass(frozen=True)
class UnitRow:
    """The inputs of one activation layer over a batch of images."""

    name: str
    dead: float
    """Share of the maps whose input is not positive at any place of any image."""
    inactive: float
    """Share of all values that are not positive."""


def dead_units(net: nn.Module, images: Tensor) -> list[UnitRow]:
    """For each activation layer the share of dead maps and of inactive values.

    A unit is a map (C in (N, C, H, W)) or a feature (C in (N, C)). What counts is the input of the
    activation, so that ReLU and its variants compare: a ReLU whose input is never positive is
    always zero and gets no gradient, an ELU there still gets one.

    Args:
        net: any network with modules for its activations; it is left as it is.
        images: a batch (N, C, H, W).

    Raises:
        ValueError: the network has no activation module, so its activations cannot be seen.
    """
    rows: list[UnitRow] = []
    hooks = []

    def watch(name: str) -> None:
        def look(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            silent = inputs[0].detach() <= 0
            units = silent.transpose(0, 1).flatten(1)  # (C, N * H * W)
            rows.append(
                UnitRow(name, units.all(dim=1).float().mean().item(), silent.float().mean().item())
            )

        hooks.append(modules[name].register_forward_pre_hook(look))

    modules = {n: m for n, m in net.named_modules() if isinstance(m, _ACTIVATIONS)}
    if not modules:
        raise ValueError("this network has no activation modules; write nn.ReLU(), not F.relu")
    for name in modules:
        watch(name)
    statistics = {name: buffer.clone() for name, buffer in net.named_buffers()}
    try:
        with torch.no_grad(), torch.random.fork_rng():
            functional_call(net, statistics, (images,))
    finally:
        for hook in hooks:
            hook.remove()
    return rows
