"""Normalisation across channels, from the time before batch norm."""

from torch import nn


class LocalResponseNorm(nn.LocalResponseNorm):
    """Local response normalisation with the constants of Krizhevsky et al. (2012, section 3.3).

    Each value is divided by (k + alpha * sum of squares over `size` neighbouring channels) ** beta.
    PyTorch divides alpha by the window size first; this class multiplies it back, so that `alpha`
    means what it means in the paper. Shapes: (N, C, H, W) -> the same.
    """

    def __init__(
        self, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0
    ) -> None:
        super().__init__(size, alpha=alpha * size, beta=beta, k=k)
