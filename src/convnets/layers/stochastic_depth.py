"""Stochastic depth: leave out whole residual branches in training."""

import torch
from torch import Tensor, nn


class StochasticDepth(nn.Module):
    """Sets the residual branch of each image to zero with probability `p`, in training only.

    (N, C, H, W) -> (N, C, H, W). Huang et al.: "Deep networks with stochastic depth", 2016. In
    training, the branches that are kept are divided by 1 - p, so evaluation needs no factor.

    Args:
        p: probability of leaving out the branch, at least 0 and below 1.

    Raises:
        ValueError: if `p` is outside that range.

    Example:
        >>> import torch
        >>> drop = StochasticDepth(0.5)
        >>> kept = drop(torch.ones(1000, 1, 1, 1))
        >>> sorted(kept.unique().tolist())
        [0.0, 2.0]
        >>> torch.equal(drop.eval()(kept), kept)
        True
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"p must be at least 0 and below 1, got {p}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        kept = torch.empty(x.shape[0], 1, 1, 1, dtype=x.dtype, device=x.device)
        return x * kept.bernoulli_(1 - self.p).div_(1 - self.p)

    def extra_repr(self) -> str:
        return f"p={self.p:.3g}"
