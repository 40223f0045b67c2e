"""Run a network once, observe its layers on the way, and leave the network unchanged.

Every analysis that runs a network does it through `observe`.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils.parametrize import is_parametrized
from torch.utils._pytree import tree_leaves

PARAMETRIZATIONS = "parametrizations"
"""Where `torch.nn.utils.parametrize` puts the modules that compute a weight."""


def observe(
    net: nn.Module,
    images: Tensor,
    layers: Mapping[str, nn.Module] | None = None,
    leave: Callable[[str, Any], None] = lambda name, output: None,
    enter: Callable[[str], None] = lambda name: None,
    *,
    weights: Mapping[str, Tensor] | None = None,
    evaluate: bool = False,
    gradients: bool = False,
    tensors_only: bool = True,
) -> Any:
    """Run `net` once and call `leave(name, output)` for each layer as soon as it has its output.

    An in-place layer may overwrite an output later, so `leave` must copy what it wants to keep. The
    parameters, the running statistics of batch norm, the state of the random number generators and
    the mode and the attributes of every module are the same afterwards.

    Args:
        net: any network.
        images: a batch (N, C, H, W).
        layers: the modules of `net` to observe, by name.
        leave: called after each run of a layer with its name and its output, (N, ...).
        enter: called before each run of a layer with its name.
        weights: tensors that take the place of parameters or buffers of the same name.
        evaluate: run in evaluation mode; otherwise each module stays in its own mode.
        gradients: record the run for autograd.
        tensors_only: refuse layers that return something other than a tensor.

    Returns:
        The output of the network.

    Raises:
        ValueError: the batch is empty, or a layer returns something other than a tensor.
    """
    check_batch(images)

    def after(module: nn.Module, inputs: Any, output: Any, name: str) -> None:
        if tensors_only and not isinstance(output, Tensor):
            raise ValueError(
                f"layer {name!r} returns a {type(output).__name__}, not a tensor; "
                "choose layers that return one tensor"
            )
        leave(name, output)

    def before(module: nn.Module, inputs: Any, name: str) -> None:
        enter(name)

    hooks = []
    for name, module in (layers or {}).items():
        hooks.append(module.register_forward_pre_hook(partial(before, name=name)))
        hooks.append(module.register_forward_hook(partial(after, name=name)))
    with recording():
        state = {name: b.clone() for name, b in net.named_buffers()}
        state |= {name: p.clone() for name, p in net.named_parameters() if p.is_inference()}
    state |= weights or {}
    devices = [images.device] if images.is_cuda else []
    mode = in_mode(net, training=False) if evaluate else nullcontext()
    try:
        with (
            recording(),
            torch.set_grad_enabled(gradients),
            torch.random.fork_rng(devices),
            mode,
            attributes_kept(net),
        ):
            places = _everywhere(net, state)
            return functional_call(net, places, (outside_inference(images),), tie_weights=False)
    finally:
        for hook in hooks:
            hook.remove()


def _everywhere(net: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`state` for all parameters and buffers that are the same tensor, but once for each module.

    PyTorch does not put the tensors back into a module that a network holds under two names.
    """
    named = chain(
        net.named_parameters(remove_duplicate=False), net.named_buffers(remove_duplicate=False)
    )
    values = {id(tensor): state[name] for name, tensor in named if name in state}
    return {
        ".".join(filter(None, (name, key))): values[id(tensor)]
        for name, module in net.named_modules()
        for key, tensor in (*module._parameters.items(), *module._buffers.items())
        if id(tensor) in values
    }


@contextmanager
def recording() -> Iterator[None]:
    """Autograd records inside the block, also within `torch.no_grad` or `torch.inference_mode`."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


def outside_inference(tensor: Tensor) -> Tensor:
    """The tensor, or a copy if it was made in inference mode, which autograd does not take."""
    with recording():
        return tensor.clone() if tensor.is_inference() else tensor


@contextmanager
def attributes_kept(net: nn.Module) -> Iterator[None]:
    """The attributes of all modules may change inside the block; afterwards they are as before."""
    modules = [m for m in net.modules() if not isinstance(m, torch.jit.ScriptModule)]
    kept = [(held, dict(held)) for m in modules for held in (vars(m), m._buffers)]
    try:
        yield
    finally:
        for attributes, values in kept:
            attributes.clear()
            attributes.update(values)


@contextmanager
def in_mode(net: nn.Module, *, training: bool) -> Iterator[None]:
    """One mode for all modules inside the block; afterwards every module has its own again."""
    modes = {module: module.training for module in net.modules()}
    net.train(training)
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def first_tensor(output: Any) -> Tensor | None:
    """The first tensor in what a layer returns: a tensor, or lists and dictionaries of them."""
    return next((leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)), None)


def leaf_modules(net: nn.Module) -> dict[str, nn.Module]:
    """The modules of `net` without children, by name: what most analyses call its layers.

    What computes a weight, as weight normalisation does, is a part of the layer with this weight.
    """
    return {name: module for name, module in _modules(net) if not _has_children(module)}


def layer_modules(net: nn.Module) -> dict[str, nn.Module]:
    """`leaf_modules`, and those modules inside `net` that have children and own parameters."""
    return {
        name: module
        for name, module in _modules(net)
        if not _has_children(module) or (name and _owns_parameters(module))
    }


def _modules(net: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for name, module in net.named_modules():
        if PARAMETRIZATIONS not in name.split("."):
            yield name, module


def _has_children(module: nn.Module) -> bool:
    return any(name != PARAMETRIZATIONS for name, _ in module.named_children())


def _owns_parameters(module: nn.Module) -> bool:
    return is_parametrized(module) or any(True for _ in module.parameters(recurse=False))


def check_batch(images: Tensor, labels: Tensor | None = None) -> None:
    """Refuse an empty batch, and labels that do not fit the images.

    Args:
        images: (N, C, H, W).
        labels: one class number for each image, (N,).

    Raises:
        ValueError: N is 0, or the labels have another shape.
    """
    if len(images) == 0:
        raise ValueError("there are no images in this batch; give at least one")
    if labels is not None and labels.shape != images.shape[:1]:
        raise ValueError(
            f"there are {len(images)} images but labels of shape {tuple(labels.shape)}; "
            "give one class number for each image"
        )
