"""Normalisation across channels, from the time before batch norm."""

from torch import nn


class LocalResponseNorm(nn.LocalResponseNorm):
    """Local response normalisation with the constants of Krizhevsky et al. (2012, section 3.3).

    (N, C, H, W) -> (N, C, H, W). Each value is divided by (k + alpha * S) ** beta, where S is the
    sum of the squares of the values at the same pixel in `size` neighbouring channels. PyTorch's
    layer divides `alpha` by `size`; this one does not, so `alpha` has the paper's meaning.

    Args:
        size: number of neighbouring channels, the paper's n.
        alpha: factor of the sum of squares.
        beta: exponent of the divisor.
        k: constant of the divisor.

    Example:
        >>> import torch
        >>> LocalResponseNorm(alpha=1.0, beta=1.0, k=0.0)(torch.ones(1, 5, 1, 1)).flatten()
        tensor([0.3333, 0.2500, 0.2000, 0.2500, 0.3333])
    """

    def __init__(
        self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0
    ) -> None:
        super().__init__(size, alpha=alpha * size, beta=beta, k=k)
