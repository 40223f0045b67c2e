"""Channel shuffle: pass information between the groups of grouped convolutions."""

from torch import Tensor, nn


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Reorder channels: the first of every group, then the second of every group, and so on.

    (N, C, H, W) -> (N, C, H, W). Zhang et al. (2018, section 3.1, figure 1): write the channels as
    a matrix with a row for each group, and read it column by column. A second shuffle with
    C // groups groups restores the order.

    Raises:
        ValueError: if C is not a multiple of `groups`.

    Example:
        >>> import torch
        >>> x = torch.arange(6).reshape(1, 6, 1, 1)
        >>> channel_shuffle(x, groups=2).flatten().tolist()
        [0, 3, 1, 4, 2, 5]
    """
    check_groups(x.shape[1], groups)
    return _read_by_columns(x, groups)


def check_groups(channels: int, groups: int) -> None:
    """Check that `channels` can be divided into `groups` groups of equal size.

    Raises:
        ValueError: if they cannot.

    Example:
        >>> check_groups(24, 3)
        >>> check_groups(24, 5)
        Traceback (most recent call last):
        ...
        ValueError: 24 channels do not form 5 groups of equal size; ...
    """
    if groups < 1 or channels % groups:
        raise ValueError(
            f"{channels} channels do not form {groups} groups of equal size; "
            f"choose a number of groups that divides {channels}"
        )


def _read_by_columns(x: Tensor, groups: int) -> Tensor:
    n, _, height, width = x.shape
    return x.reshape(n, groups, -1, height, width).transpose(1, 2).reshape(x.shape)


class ChannelShuffle(nn.Module):
    """`channel_shuffle` as a layer: (N, channels, H, W) -> (N, channels, H, W).

    Args:
        channels: number of channels.
        groups: number of groups of the preceding convolution.

    Raises:
        ValueError: if `channels` is not a multiple of `groups`.

    Example:
        >>> ChannelShuffle(240, groups=3)
        ChannelShuffle(groups=3)
    """

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        check_groups(channels, groups)
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        return _read_by_columns(x, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"
