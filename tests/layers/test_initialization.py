import pytest
from torch import nn

from convnets.layers import init_he_normal_


@pytest.mark.parametrize("groups", [1, 4, 256])
def test_the_fan_out_counts_the_outputs_of_one_group(groups):
    conv = nn.Conv2d(256, 256, kernel_size=3, groups=groups)
    init_he_normal_(conv)
    expected = (2 / (9 * 256 / groups)) ** 0.5
    assert conv.weight.std().item() == pytest.approx(expected, rel=0.05)
    assert not conv.bias.any()
