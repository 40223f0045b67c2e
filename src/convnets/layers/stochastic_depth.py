"""Stochastic depth: in training, leave out whole branches."""

import torch
from torch import Tensor, nn


class StochasticDepth(nn.Module):
    """Sets the branch of each image to zero with probability `p`, in training only.

    Huang et al. (2016). What stays is divided by 1 - p, so that evaluation needs no factor.
    (N, C, H, W) -> the same.

    Raises:
        ValueError: `p` is no probability below 1.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"p must be at least 0 and below 1, got {p}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        stays = torch.empty(x.shape[0], 1, 1, 1, dtype=x.dtype, device=x.device)
        return x * stays.bernoulli_(1 - self.p).div_(1 - self.p)

    def extra_repr(self) -> str:
        return f"p={self.p:.3g}"
