import pytest
import torch
from pytorchcv.model_provider import get_model as get_pytorchcv_model
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import convnets
from convnets.layers import LocalResponseNorm
from tests.conftest import traced

LAYERS = ("conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool3")


def test_feature_maps_have_the_sizes_on_the_slides():
    rows = traced("alexnet")
    assert [rows[name].output[-1] for name in LAYERS] == [55, 27, 27, 13, 13, 13, 13, 6]


def test_conv1_has_34_848_weights_and_96_biases():
    row = traced("alexnet")["conv1"]
    assert (row.weights, row.biases, row.parameters) == (34_848, 96, 34_944)


def test_each_half_of_conv2_reads_only_the_feature_maps_on_its_gpu():
    conv2 = convnets.create_model("alexnet").features.conv2
    image = torch.randn(1, 96, 27, 27)
    changed = image.clone()
    changed[:, 48:] += 1
    before, after = conv2(image), conv2(changed)
    assert torch.equal(before[:, :128], after[:, :128])
    assert not torch.equal(before[:, 128:], after[:, 128:])


def test_the_average_pool_has_no_effect_at_227_pixels():
    net = convnets.create_model("alexnet").eval()
    maps = torch.randn(1, 256, 6, 6)
    assert torch.equal(net.classifier.avgpool(maps), maps)


def test_response_normalisation_follows_the_papers_formula():
    x = torch.randn(2, 8, 3, 3) * 20
    expected = torch.empty_like(x)
    for i in range(8):
        window = x[:, max(0, i - 2) : i + 3].square().sum(dim=1)
        expected[:, i] = x[:, i] / (2 + 1e-4 * window) ** 0.75
    torch.testing.assert_close(LocalResponseNorm()(x), expected)


def test_biases_are_one_in_the_layers_that_the_paper_names():
    net = convnets.create_model("alexnet")
    ones = {
        name.rsplit(".", 2)[-2]
        for name, parameter in net.named_parameters()
        if name.endswith("bias") and bool((parameter == 1).all())
    }
    assert ones == {"conv2", "conv4", "conv5", "fc6", "fc7"}


def dense(conv: nn.Conv2d) -> Tensor:
    """The weights of a grouped convolution as one without groups: zeros between the groups."""
    weight = conv.weight.new_zeros(conv.out_channels, conv.in_channels, *conv.kernel_size)
    blocks = (part.chunk(conv.groups, dim=1) for part in weight.chunk(conv.groups))
    for group, (row, part) in enumerate(zip(blocks, conv.weight.chunk(conv.groups), strict=True)):
        row[group].copy_(part.detach())
    return weight


def single_tower_with_the_weights_of(ours: nn.Module) -> nn.Module:
    """pytorchcv's AlexNet in one tower, with zeros between the two groups of `ours`.

    Its response normalisation is replaced by ours, which has the paper's alpha.
    """
    theirs = get_pytorchcv_model("alexnet")
    stages = [theirs.features.stage1, theirs.features.stage2, theirs.features.stage3]
    units = [unit for stage in stages for unit in stage if hasattr(unit, "conv")]
    for unit in units[:2]:
        unit.use_lrn = False
        unit.activ = nn.Sequential(unit.activ, LocalResponseNorm())
    convolutions = [module for module in ours.features if isinstance(module, nn.Conv2d)]
    for unit, convolution in zip(units, convolutions, strict=True):
        unit.conv.weight.data = dense(convolution)
        unit.conv.bias.data = convolution.bias.detach().clone()
    layers = (theirs.output.fc1.fc, theirs.output.fc2.fc, theirs.output.fc3)
    for theirs_fc, number in zip(layers, (6, 7, 8), strict=True):
        theirs_fc.load_state_dict(getattr(ours.classifier, f"fc{number}").state_dict())
    return theirs


@pytest.mark.slow
def test_two_groups_equal_pytorchcvs_tower_with_zeros_between_the_groups():
    ours = convnets.create_model("alexnet").eval()
    for parameter in ours.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter)
        else:
            nn.init.normal_(parameter, std=0.1)
    theirs = single_tower_with_the_weights_of(ours).eval()
    for size in ((227, 227), (229, 230)):
        images = torch.randn(2, 3, *size)
        with torch.no_grad():
            expected = theirs(images)
            scale = expected.abs().max()
            torch.testing.assert_close(ours(images) / scale, expected / scale, rtol=1e-5, atol=1e-5)
    losses = [cross_entropy(net(images), torch.tensor([3, 7])) for net in (ours, theirs)]
    for loss in losses:
        loss.backward()
    conv2, tower = ours.features.conv2, theirs.features.stage2.unit1.conv
    halves = torch.cat([tower.weight.grad[:128, :48], tower.weight.grad[128:, 48:]])
    scale = halves.abs().max()
    torch.testing.assert_close(conv2.weight.grad / scale, halves / scale, rtol=1e-5, atol=1e-5)
