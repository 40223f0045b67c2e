"""Run a network and see what its layers put out, and leave the network as it was."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """Evaluation mode for the length of the block, then every module's own mode again."""
    modes = {module: module.training for module in net.modules()}
    net.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def watch(
    net: nn.Module,
    images: Tensor,
    layers: Mapping[str, nn.Module],
    see: Callable[[str, Tensor], None],
    evaluate: bool = False,
) -> None:
    """Run `net` once and call `see(name, output)` for each layer as soon as it has its output.

    An in-place layer may overwrite an output later, so `see` must take from it at once what it
    needs. No gradients are kept. Batch norm's running statistics and the random numbers are as
    before; so is the mode.

    Args:
        images: a batch (N, C, H, W).
        layers: name -> module of `net`.
        see: gets the output with N in front.
        evaluate: run in evaluation mode, not in the mode in which the network is.

    Raises:
        ValueError: there are no images, or a layer returns something else than a tensor.
    """
    check_batch(images)

    def leave(module: nn.Module, inputs: Any, output: Any, name: str) -> None:
        if not isinstance(output, Tensor):
            raise ValueError(
                f"layer {name!r} returns a {type(output).__name__}, not a tensor; "
                "only tensors can be looked at"
            )
        see(name, output)

    hooks = [
        module.register_forward_hook(partial(leave, name=name)) for name, module in layers.items()
    ]
    statistics = {name: buffer.clone() for name, buffer in net.named_buffers()}
    devices = [images.device] if images.is_cuda else []
    mode = evaluating(net) if evaluate else nullcontext()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices), mode:
            functional_call(net, statistics, (images,))
    finally:
        for hook in hooks:
            hook.remove()


def check_batch(images: Tensor, labels: Tensor | None = None) -> None:
    """Refuse an empty batch, and labels that do not belong to the images."""
    if len(images) == 0:
        raise ValueError("there are no images in this batch; give at least one")
    if labels is not None and labels.shape != images.shape[:1]:
        raise ValueError(
            f"there are {len(images)} images but labels of shape {tuple(labels.shape)}; "
            "give one class number for each image"
        )
