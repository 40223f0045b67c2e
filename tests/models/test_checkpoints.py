"""Our networks against torchvision's: same weights, same numbers."""

import pytest
import torch
import torchvision.models
from torch import nn

import convnets
from convnets.models import checkpoints
from convnets.models.checkpoints import torchvision as torchvision_rules


def randomise(net: nn.Module) -> None:
    """Random biases, and random batch-norm statistics and scales, so that each must be in place."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.0)
        if getattr(module, "bias", None) is not None:
            nn.init.normal_(module.bias, std=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("name", torchvision_rules.NETWORKS)
def test_outputs_agree_with_torchvision_at_two_sizes(name):
    reference = torchvision.models.get_model(checkpoints.public(name, "torchvision").name).eval()
    randomise(reference)
    net = convnets.build(name).eval()
    net.load_state_dict(checkpoints.convert(name, reference.state_dict()))
    with torch.inference_mode():
        for size in (224, 129):
            images = torch.randn(2, 3, size, size + 16)
            expected = reference(images)
            assert expected.std() > 0.01
            torch.testing.assert_close(net(images), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["alexnet_one_tower", "vgg11_bn", "resnet18", "resnet50"])
def test_training_losses_and_gradients_agree_with_torchvision(name):
    reference = torchvision.models.get_model(checkpoints.public(name, "torchvision").name).train()
    net = convnets.build(name).train()
    net.load_state_dict(checkpoints.convert(name, reference.state_dict()))
    images, labels = torch.randn(2, 3, 96, 96), torch.tensor([3, 7])
    losses = []
    for model in (net, reference):
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        model.double()
        losses.append(nn.functional.cross_entropy(model(images.double()), labels))
        losses[-1].backward()
    torch.testing.assert_close(*losses, rtol=1e-9, atol=1e-9)
    gradients = {key: parameter.grad for key, parameter in reference.named_parameters()}
    for key, gradient in checkpoints.convert(name, reference.state_dict() | gradients).items():
        if key in dict(net.named_parameters()):
            torch.testing.assert_close(net.get_parameter(key).grad, gradient, rtol=1e-7, atol=1e-9)


def test_a_network_that_torchvision_lacks_is_named():
    with pytest.raises(ValueError, match="torchvision has no network with the layers of 'alexnet'"):
        checkpoints.convert("alexnet", {})


def test_an_unknown_source_is_named():
    with pytest.raises(ValueError, match="'torchvision', got 'hub'"):
        convnets.build("resnet18", weights="hub")


def test_weights_of_another_network_are_refused():
    with torch.device("meta"):
        other = torchvision.models.resnet34().state_dict()
    with pytest.raises(ValueError, match="these are not torchvision's weights of 'resnet18'"):
        checkpoints.convert("resnet18", other)


def test_a_key_that_no_rule_knows_is_refused():
    with torch.device("meta"):
        state = torchvision.models.resnet18().state_dict()
    state["head.weight"] = torch.zeros(1)
    with pytest.raises(ValueError, match=r"head\.weight"):
        checkpoints.convert("resnet18", state)


def test_files_without_batch_counters_load():
    with torch.device("meta"):
        state = torchvision.models.resnet18().state_dict()
    old = {key: value for key, value in state.items() if "num_batches_tracked" not in key}
    assert (
        checkpoints.convert("resnet18", old).keys()
        == convnets.build("resnet18").state_dict().keys()
    )


def test_public_weights_are_for_their_own_sizes_only():
    with pytest.raises(ValueError, match="num_classes=1000 and in_channels=3"):
        convnets.build("resnet18", num_classes=10, weights="torchvision")
