"""Networks made for ImageNet, on images of 28 to 32 pixels."""

import pytest
import torch
from torch.nn.functional import cross_entropy

import convnets

# One network for each kind of stem: large kernels, pools, branches, depthwise convolutions.
DIFFERENT = (
    *("alexnet", "alexnet_one_tower", "zfnet", "vgg11_bn", "googlenet", "googlenet_bn"),
    *("inception_v4", "resnet18", "se_resnet18", "densenet121", "mobilenet_v1"),
    *("mobilenet_v2", "shufflenet_v1_g3", "shufflenet_v2_x0_5", "efficientnet_b0"),
)


@pytest.mark.slow
@pytest.mark.parametrize("side", [28, pytest.param(32, marks=pytest.mark.sweep)])
@pytest.mark.parametrize("name", DIFFERENT)
def test_a_network_for_imagenet_trains_on_small_images(name, side):
    net = convnets.create_model(name, 10, 1, small_input=True).train()
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3)
    loss = cross_entropy(net(torch.randn(4, 1, side, side)), torch.arange(4))
    loss.backward()
    optimizer.step()
    assert loss.isfinite()
    assert all(parameter.isfinite().all() for parameter in net.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("name", DIFFERENT)
def test_the_last_feature_maps_are_about_8_times_smaller_than_the_image(name):
    with torch.device("meta"):
        small = convnets.create_model(name, 10, 1, small_input=True)
        maps = small.features(torch.empty(2, 1, 256, 256))
    assert 256 / 8 - 8 <= maps.shape[-1] <= 256 / 8 + 1
    assert small.smallest_input <= 28
    assert small.input_size == 32


@pytest.mark.parametrize("name", ["alexnet", "vgg11", "inception_v4", "densenet121"])
def test_one_pixel_less_than_the_smallest_image_is_refused(name):
    with torch.device("meta"):
        net = convnets.create_model(name, 10, 1, small_input=True)
        side = net.smallest_input
        assert net(torch.empty(2, 1, side, side)).shape == (2, 10)
        less = torch.empty(2, 1, side - 1, side - 1)
        with pytest.raises(ValueError, match=f"smallest that works is {side}x{side}"):
            net(less)
        net.smallest_input = 1
        with pytest.raises(RuntimeError):  # of a layer, so that the limit is not too high
            net(less)


@pytest.mark.parametrize("name", ["googlenet_bn", "resnet18"])
def test_the_weights_keep_their_shapes(name):
    large, small = convnets.create_model(name), convnets.create_model(name, small_input=True)
    small.load_state_dict(large.state_dict())
    assert not torch.equal(
        *(net.eval()(torch.ones(1, 3, 64, 64)) for net in (large, small))
    )  # only the strides differ


def test_a_pool_of_2x2_without_its_stride_is_the_identity():
    net = convnets.create_model("vgg11", 10, 1, small_input=True)
    maps = torch.randn(1, 4, 6, 6)
    assert torch.equal(net.features.pool1(maps), maps)


def test_a_network_for_small_images_does_not_change():
    plain, small = (
        convnets.create_model("resnet20", 10, 1, small_input=flag) for flag in (False, True)
    )
    assert str(plain) == str(small)
    assert plain.smallest_input == small.smallest_input
