"""The memory that one image takes: what training keeps for the backward pass, what inference holds.

No numbers are computed. Tensors lie on the meta device, whose operations save what a processor's
save, with one exception: attention, which devices compute in one piece and meta does not. Networks
with attention run once more with PyTorch's fake tensors, which behave like those of a processor.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from convnets.analysis.meta import Pair, image_for, observe_on_meta
from convnets.analysis.observing import outside_inference, recording

BATCH_SIZE = 2
"""Batch norm cannot train on one value per channel, so training is measured with two images."""

T = TypeVar("T")


def saved_for_backward(
    net: nn.Module, input_size: int | Pair | None = None, in_channels: int | None = None
) -> int:
    """Bytes that autograd saves for the backward pass, per image.

    These are the memory blocks of all tensors that the forward pass of training saves
    (`torch.autograd.graph.saved_tensors_hooks`), each counted once however many operations save it,
    for a batch of two images, divided by two. Parameters, and what is computed from them alone, are
    left out: a larger batch does not need more of them.

    Args:
        net: any network that takes images (N, C, H, W). Parameters that do not require a gradient
            save memory here as they do in training.
        input_size: side of the square image in pixels, or (height, width); by default
            `net.input_size`, which registered networks have from their card, or else 224.
        in_channels: C; by default what the first convolution that runs needs.

    Raises:
        ValueError: the network cannot be trained on such images without looking at their values, or
            the number of channels is unknown.

    Example:
        >>> import convnets
        >>> net = convnets.create_model("densenet121")
        >>> f"{saved_for_backward(net) / 2**20:.0f} MiB"
        '124 MiB'
    """
    return sum(saved_in_layers(net, image_for(net, input_size, in_channels), {}).values())


def inference_peak(
    net: nn.Module, input_size: int | Pair | None = None, in_channels: int | None = None
) -> int:
    """The most bytes that inference holds at any time for one image.

    These are the image and all results of operations that the network still needs or returns, as
    PyTorch frees them when it runs layer by layer without autograd. Parameters and buffers are left
    out, and so is the workspace that an operation uses inside.

    Args:
        net: any network that takes images (N, C, H, W).
        input_size: as for `saved_for_backward`.
        in_channels: as for `saved_for_backward`.

    Raises:
        ValueError: the network cannot run on such an image without looking at its values, or the
            number of channels is unknown.

    Example:
        >>> import convnets
        >>> net = convnets.create_model("densenet121")
        >>> f"{inference_peak(net) / 2**20:.1f} MiB"
        '8.6 MiB'
    """
    return max(held_in_layers(net, image_for(net, input_size, in_channels), {}).values())


def saved_in_layers(
    net: nn.Module, image: Tensor, layers: Mapping[str, nn.Module]
) -> dict[str, int]:
    """`saved_for_backward`, by the layer that saves a memory block first.

    Args:
        net: as for `saved_for_backward`.
        image: what `image_for` returns.
        layers: modules of `net`, by name; what is saved outside them stands under "".
    """

    def measure(image: Tensor) -> dict[str, int]:
        images = image.new_empty(BATCH_SIZE, *image.shape[1:])
        running, saved = [""], Counter[str]()
        kept: dict[int, Tensor] = {}  # by memory block; a block in use has an address of its own

        def save(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage._cdata in blocks and storage._cdata not in kept:
                kept[storage._cdata] = tensor
                saved[running[-1]] += storage.nbytes()
            return tensor

        def leave(name: str, output: Any) -> None:
            running.pop()

        blocks = _FromImages(images)
        with blocks, saved_tensors_hooks(save, lambda tensor: tensor):
            observe_on_meta(net, images, layers, leave, running.append, training=True)
        return {name: size // BATCH_SIZE for name, size in saved.items()}

    return _with_attention_in_one_piece(measure, image)


def held_in_layers(
    net: nn.Module, image: Tensor, layers: Mapping[str, nn.Module]
) -> dict[str, int]:
    """The most bytes held while each layer runs; arguments as for `saved_in_layers`."""

    def measure(image: Tensor) -> dict[str, int]:
        running: list[str] = []
        peaks = Counter[str]()

        def note() -> None:
            if running:
                peaks[running[-1]] = max(peaks[running[-1]], held.bytes())

        def enter(name: str) -> None:
            if not running:  # empty parameters were made before
                held.only(image)
            running.append(name)

        def leave(name: str, output: Any) -> None:
            note()
            running.pop()

        held = _Held(note)
        with held:
            observe_on_meta(net, image, {"": net, **layers}, leave, enter)
        return dict(peaks)

    return _with_attention_in_one_piece(measure, image)


class _AttentionOnMeta(Exception):  # noqa: N818
    """Attention is about to be computed in parts."""


def _with_attention_in_one_piece(measure: Callable[[Tensor], T], image: Tensor) -> T:
    with recording():  # in inference mode, autograd would save nothing
        image = outside_inference(image)
        try:
            return measure(image)
        except _AttentionOnMeta:
            with FakeTensorMode(allow_non_fake_inputs=True):
                return measure(torch.empty_like(image, device="cpu"))


class _Watching(TorchDispatchMode):
    """Calls `after` with the tensors that each operation takes and returns."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        outputs = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        if func is torch.ops.aten._safe_softmax.default and outputs[0].is_meta:
            raise _AttentionOnMeta
        inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        self.after(inputs, outputs)
        return result

    def after(self, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        raise NotImplementedError


class _FromImages(_Watching):
    """The memory blocks whose contents depend on the images."""

    def __init__(self, images: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._alive = {_block(images): images}

    def __contains__(self, block: int) -> bool:
        return block in self._alive

    def after(self, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        if any(_block(tensor) in self._alive for tensor in inputs):
            self._alive.update((_block(tensor), tensor) for tensor in outputs)


class _Held(_Watching):
    """The memory blocks that operations made and that something still refers to."""

    def __init__(self, note: Callable[[], None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._note = note
        self._blocks: dict[int, tuple[StorageWeakRef, int]] = {}

    def only(self, tensor: Tensor) -> None:
        """Forget all blocks but that of `tensor`."""
        self._blocks = {}
        self._add(tensor)

    def bytes(self) -> int:
        """Their size together."""
        self._blocks = {b: held for b, held in self._blocks.items() if not held[0].expired()}
        return sum(size for _, size in self._blocks.values())

    def after(self, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        existing = {_block(tensor) for tensor in inputs}
        for tensor in outputs:
            if _block(tensor) not in existing:
                self._add(tensor)
        self._note()

    def _add(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        self._blocks[_block(tensor)] = StorageWeakRef(storage), storage.nbytes()


def _block(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata
