import torch

import convnets
from convnets.analysis import trace
from convnets.layers import LocalResponseNorm

LAYERS = ("conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool3")


def test_the_maps_have_the_lectures_sizes():
    rows = trace(convnets.build("alexnet"), 227)
    assert [rows[name].output[-1] for name in LAYERS] == [55, 27, 27, 13, 13, 13, 13, 6]


def test_conv1_has_34_848_weights_and_96_biases():
    row = trace(convnets.build("alexnet"), 227)["conv1"]
    assert (row.weights, row.biases, row.parameters) == (34_848, 96, 34_944)


def test_each_half_of_conv2_sees_only_the_maps_of_its_own_gpu():
    conv2 = convnets.build("alexnet").features.conv2
    image = torch.randn(1, 96, 27, 27)
    changed = image.clone()
    changed[:, 48:] += 1
    before, after = conv2(image), conv2(changed)
    assert torch.equal(before[:, :128], after[:, :128])
    assert not torch.equal(before[:, 128:], after[:, 128:])


def test_the_lectures_input_needs_no_average_pool():
    net = convnets.build("alexnet").eval()
    maps = torch.randn(1, 256, 6, 6)
    assert torch.equal(net.classifier.avgpool(maps), maps)


def test_response_normalisation_is_the_papers_formula():
    x = torch.randn(2, 8, 3, 3) * 20
    expected = torch.empty_like(x)
    for i in range(8):
        window = x[:, max(0, i - 2) : i + 3].square().sum(dim=1)
        expected[:, i] = x[:, i] / (2 + 1e-4 * window) ** 0.75
    torch.testing.assert_close(LocalResponseNorm()(x), expected)


def test_biases_are_one_where_the_paper_says_so():
    net = convnets.build("alexnet")
    ones = {
        name.rsplit(".", 2)[-2]
        for name, parameter in net.named_parameters()
        if name.endswith("bias") and bool((parameter == 1).all())
    }
    assert ones == {"conv2", "conv4", "conv5", "fc6", "fc7"}
