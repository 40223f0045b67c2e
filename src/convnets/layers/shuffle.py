"""Channel shuffle: let the groups of a grouped convolution hear of each other."""

from torch import Tensor, nn


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """The first channel of every group, then the second of every group, and so on.

    Zhang et al. (2018, section 3.1, figure 1): write the channels as a matrix with a row for each
    group, and read it by columns. (N, C, H, W) -> the same.

    Raises:
        ValueError: the groups do not divide the channels.
    """
    check_groups(x.shape[1], groups)
    return _read_by_columns(x, groups)


def channel_unshuffle(x: Tensor, groups: int) -> Tensor:
    """The inverse of `channel_shuffle` with the same groups. (N, C, H, W) -> the same.

    Raises:
        ValueError: the groups do not divide the channels.
    """
    check_groups(x.shape[1], groups)
    return _read_by_columns(x, x.shape[1] // groups)


def check_groups(channels: int, groups: int) -> None:
    """Refuse groups that do not divide the channels."""
    if groups < 1 or channels % groups:
        raise ValueError(
            f"{channels} channels do not form {groups} groups of equal size; "
            f"choose a number of groups that divides {channels}"
        )


def _read_by_columns(x: Tensor, groups: int) -> Tensor:
    n, _, height, width = x.shape
    return x.reshape(n, groups, -1, height, width).transpose(1, 2).reshape(x.shape)


class ChannelShuffle(nn.Module):
    """`channel_shuffle` as a layer; it refuses impossible groups when it is made.

    (N, channels, H, W) -> the same.
    """

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        check_groups(channels, groups)
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        return _read_by_columns(x, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"
