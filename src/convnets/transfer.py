"""The only places where numbers pass between the CPU and the device that computes.

A GPU works through a queue of operations that the program fills in advance. A program that reads a
number, or copies a tensor from ordinary memory, waits until the queue is empty, and then the GPU
waits for the program. Therefore training steps and analyses copy nothing by other means.
"""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

Values = TypeVar("Values", bound=Tensor | nn.Module)


def to_device(values: Values, device: torch.device) -> Values:
    """The values on `device`; the program goes on while pinned memory is copied to a GPU.

    Args:
        values: a tensor of any shape, or a module, on the CPU or on `device`.
        device: where they are needed.
    """
    return values.to(device, non_blocking=True)  # type: ignore[return-value]


def make_uploader(device: torch.device) -> Callable[[Tensor], Tensor]:
    """A function like `to_device` that copies while a GPU computes what was queued before.

    The copies have a CUDA stream of their own, for which the computation that uses them waits.

    Args:
        device: where the tensors are needed.
    """
    if device.type != "cuda":
        return lambda tensor: to_device(tensor, device)
    copies = torch.cuda.Stream(device)

    def upload(tensor: Tensor) -> Tensor:
        with torch.cuda.stream(copies):
            copied = to_device(tensor, device)
        computation = torch.cuda.current_stream(device)
        computation.wait_stream(copies)
        copied.record_stream(computation)  # so that its memory is not used again too early
        return copied

    return upload


def to_cpu(tensor: Tensor) -> Tensor:
    """The tensor on the CPU, where its numbers can be read; waits for the device.

    Args:
        tensor: of any shape, on any device.
    """
    return tensor.detach().cpu()
