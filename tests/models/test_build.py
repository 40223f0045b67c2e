"""Every registered network has the same interface and agrees with its card."""

import inspect

import pytest
import torch
from torch import nn

import convnets
from tests.conftest import on_meta, traced

NAMES = convnets.list_models()
SMALL = [name for name in NAMES if convnets.card(name).is_small_image]
# Plain networks of more than 20 layers are hard to train, as the lecture shows.
TRAINABLE = [name for name in SMALL if name not in ("plain32", "plain44", "plain56")]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_features_and_classifier_compose_to_class_scores(name):
    with torch.device("meta"):
        net = convnets.create_model(name, num_classes=7, in_channels=1)
        image = torch.empty(2, 1, convnets.card(name).input_size, convnets.card(name).input_size)
    maps: list[torch.Tensor] = []
    net.features.register_forward_hook(lambda module, inputs, output: maps.append(output))
    scores = net(image)
    assert maps[0].ndim == 4
    assert net.classifier(maps[0]).shape == scores.shape == (2, 7)
    assert (net.num_classes, net.in_channels) == (7, 1)


@pytest.mark.parametrize("name", NAMES)
def test_the_number_of_parameters_is_that_on_the_card(name):
    parameters = sum(parameter.numel() for parameter in on_meta(name).parameters())
    assert parameters == convnets.card(name).parameters


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_macs_of_the_trace_are_those_on_the_card(name):
    card, measured = convnets.card(name), traced(name)
    assert (measured.parameters, measured.macs) == (card.parameters, card.macs)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_smallest_input_is_the_cards_and_one_pixel_less_is_refused(name):
    net, card = on_meta(name), convnets.card(name)
    smallest = card.smallest_input
    assert net.smallest_input == smallest
    image = torch.empty(2, card.in_channels, smallest, smallest, device="meta")
    assert net.eval()(image).shape == (2, card.num_classes)
    if smallest > 1:
        with pytest.raises(ValueError, match=f"smallest that works is {smallest}x{smallest}"):
            net(image[..., 1:])


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_stated_smallest_input_is_not_larger_than_needed(name):
    net, card = on_meta(name), convnets.card(name)
    net.smallest_input = 1
    less = card.smallest_input - 1
    if less:
        image = torch.empty(2, card.in_channels, less, less, device="meta")
        with pytest.raises(RuntimeError):
            net(image)


@pytest.mark.parametrize("name", SMALL)
def test_every_parameter_of_a_small_network_gets_a_finite_gradient(name):
    net = convnets.create_model(name, num_classes=10, in_channels=1)
    loss = nn.functional.cross_entropy(net(torch.randn(4, 1, 32, 32)), torch.arange(4))
    loss.backward()
    for key, parameter in net.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        assert parameter.grad.abs().sum() > 0, key


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINABLE)
def test_a_small_network_overfits_one_batch(name):
    net = convnets.create_model(name, num_classes=4, in_channels=1)
    images, labels = torch.randn(8, 1, 32, 32), torch.arange(8) % 4
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _ in range(100):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(images), labels)
        loss.backward()
        optimizer.step()
        if loss.item() < 0.1:
            break
    assert loss.item() < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_builder_takes_classes_channels_and_input_size_from_the_card(name):
    card, build = convnets.card(name), getattr(convnets.models, name)
    defaults = {key: p.default for key, p in inspect.signature(build).parameters.items()}
    assert defaults == {"num_classes": card.num_classes, "in_channels": card.in_channels}
    with torch.device("meta"):
        for net in (build(), convnets.create_model(name)):
            assert (net.num_classes, net.in_channels) == (card.num_classes, card.in_channels)
            assert net.input_size == card.input_size


def test_a_single_image_without_batch_dimension_is_explained():
    with pytest.raises(ValueError, match="unsqueeze"):
        convnets.create_model("resnet20")(torch.randn(3, 32, 32))


def test_a_wrong_number_of_channels_is_explained():
    with pytest.raises(ValueError, match=r"takes images of 3 channels, got 1.*in_channels=1"):
        convnets.create_model("resnet20")(torch.randn(1, 1, 32, 32))


@pytest.mark.parametrize(("classes", "channels"), [(0, 3), (10, 0)])
def test_fewer_than_one_class_or_channel_are_refused(classes, channels):
    with pytest.raises(ValueError, match="at least 1"):
        convnets.create_model("resnet20", classes, channels)
