"""Random numbers that start from a seed for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def fixed_seed(seed: int) -> Iterator[None]:
    """Start PyTorch's random numbers from `seed` inside the block, on the CPU and on every GPU.

    Afterwards they go on as if nothing had been drawn.

    Args:
        seed: a whole number of 64 bits.

    Example:
        >>> with fixed_seed(0):
        ...     a = torch.rand(3)
        >>> with fixed_seed(0):
        ...     b = torch.rand(3)
        >>> torch.equal(a, b)
        True
    """
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield
