"""What to do when a batch does not fit into memory."""

from collections.abc import Callable

import torch
from accelerate.utils import find_executable_batch_size


def out_of_memory(
    attempt: Callable[[int], object],
    images: int,
    accumulation_steps: int,
    processes: int,
    device: torch.device,
) -> MemoryError:
    """The error for images that do not fit into memory; its message names a number that does.

    Args:
        attempt: forward and backward pass of a given number of images.
        images: the number for which memory ran out, on one process.
        accumulation_steps: parts of a batch on each process.
        processes: how many share a batch.
        device: where memory ran out.
    """
    size = images

    def halve() -> int:
        nonlocal size
        size //= 2
        if size == 0:
            raise MemoryError(
                f"not even one image fits into the memory of {device}; choose a smaller network"
            )
        return size

    try:
        find_executable_batch_size(attempt, halve(), halve)()
    except MemoryError as error:
        return error
    parts = next(n for n in range(2, images + 1) if images % n == 0 and images // n <= size)
    return MemoryError(
        f"{images} images at once do not fit into the memory of {device}; {size} do: choose "
        f"batch_size={size * accumulation_steps * processes} (--batch-size), or the same batch "
        f"with accumulation_steps={parts * accumulation_steps} (--accumulation-steps)"
    )
