import pytest
import torch

from convnets.layers import ChannelShuffle, channel_shuffle


def numbered(channels: int) -> torch.Tensor:
    return torch.arange(channels).view(1, channels, 1, 1).expand(2, channels, 3, 4)


def test_channels_are_in_the_papers_order():
    shuffled = channel_shuffle(numbered(6), groups=3)
    assert shuffled[0, :, 0, 0].tolist() == [0, 2, 4, 1, 3, 5]


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 8, 24])
def test_a_shuffle_is_undone_by_one_with_as_many_groups_as_a_group_has_channels(groups):
    x = torch.randn(2, 24, 5, 3)
    assert torch.equal(channel_shuffle(channel_shuffle(x, groups), 24 // groups), x)


@pytest.mark.parametrize("groups", [1, 2, 3, 4])
def test_the_layer_and_pytorchs_layer_do_the_same(groups):
    x = torch.randn(2, 24, 5, 3)
    assert torch.equal(ChannelShuffle(24, groups)(x), channel_shuffle(x, groups))
    assert torch.equal(torch.nn.ChannelShuffle(groups)(x), channel_shuffle(x, groups))


@pytest.mark.parametrize("groups", [0, 5])
@pytest.mark.parametrize(
    "shuffle",
    [channel_shuffle, lambda x, groups: ChannelShuffle(x.shape[1], groups)],
    ids=["function", "layer"],
)
def test_groups_that_do_not_divide_the_channels_are_refused(shuffle, groups):
    with pytest.raises(ValueError, match=f"24 channels do not form {groups} groups.*divides 24"):
        shuffle(torch.randn(1, 24, 2, 2), groups)
