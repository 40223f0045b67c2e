import pytest
import torch

import convnets
from convnets.analysis import feature_reuse


@pytest.fixture(scope="module")
def densenet():
    return convnets.create_model("densenet40_12")


def test_an_entry_is_the_mean_absolute_weight_between_two_layers(densenet):
    reuse = feature_reuse(densenet, 1, relative=False)
    assert reuse.shape == (13, 13)
    third = densenet.features.block1.layer3.conv1.weight  # reads 16 + 12 + 12 maps
    assert reuse[0, 2] == pytest.approx(third[:, :16].abs().mean().item())
    assert reuse[1, 2] == pytest.approx(third[:, 16:28].abs().mean().item())
    assert reuse[2, 2] == pytest.approx(third[:, 28:].abs().mean().item())


def test_a_layer_reads_only_the_layers_before_it(densenet):
    reuse = feature_reuse(densenet, 2)
    assert torch.equal(reuse.isnan(), torch.ones(13, 13, dtype=torch.bool).tril(-1))


@pytest.mark.parametrize(
    ("block", "after"), [(1, "features.transition1.conv"), (3, "classifier.fc")]
)
def test_the_last_column_is_what_follows_the_block(densenet, block, after):
    weight = densenet.get_submodule(after).weight
    reuse = feature_reuse(densenet, block, relative=False)
    assert reuse[12, 12] == pytest.approx(weight[:, -12:].abs().mean().item())


def test_the_largest_source_of_each_target_is_1(densenet):
    reuse = feature_reuse(densenet, 1)
    assert torch.equal(reuse.nan_to_num(0).amax(dim=0), torch.ones(13))
    means = feature_reuse(densenet, 1, relative=False)
    assert torch.allclose(reuse[:, 5] / reuse[0, 5], means[:, 5] / means[0, 5], equal_nan=True)


def test_a_layer_whose_output_is_not_read_has_the_value_0():
    net = convnets.create_model("densenet_bc100_12")
    with torch.no_grad():
        net.features.block2.layer9.conv1.weight[:, 108:120] = (
            0  # the block has 108 input maps; those of layer1 follow
        )
    reuse = feature_reuse(net, 2)
    assert reuse[1, 8] == 0
    assert (reuse.nan_to_num(1) == 0).sum() == 1


def test_other_networks_and_missing_blocks_are_refused(densenet):
    with pytest.raises(ValueError, match="got a ResNet"):
        feature_reuse(convnets.create_model("resnet20"), 1)
    for block in (0, 4):
        with pytest.raises(ValueError, match=f"1 to 3, got {block}"):
            feature_reuse(densenet, block)


def test_a_target_with_zero_weights_is_refused_unless_relative_is_false():
    net = convnets.create_model("densenet40_12")
    torch.nn.init.zeros_(net.features.block1.layer1.conv1.weight)
    with pytest.raises(ValueError, match="relative=False"):
        feature_reuse(net, 1)
    assert feature_reuse(net, 1, relative=False)[0, 0] == 0
