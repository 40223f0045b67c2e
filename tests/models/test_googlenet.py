import pytest
import torch
import torchvision.models
from torch import nn
from torch.nn.functional import cross_entropy

import convnets
from convnets.models import checkpoints
from convnets.models.googlenet import InceptionModule, InceptionWidths, NaiveInception
from convnets.models.googlenet_auxiliary import (
    AUXILIARY_WEIGHT,
    WithAuxiliaries,
    auxiliary_head,
    auxiliary_head_bn,
    loss_with_auxiliaries,
)
from tests.conftest import on_meta, traced

# Table 1, columns "output size" and "params", the latter in units of 1024 weights without biases.
OUTPUTS = {
    "conv1": (64, 112, 112),
    "pool1": (64, 56, 56),
    "conv2": (192, 56, 56),
    "pool2": (192, 28, 28),
    "inception3a": (256, 28, 28),
    "inception3b": (480, 28, 28),
    "pool3": (480, 14, 14),
    "inception4a": (512, 14, 14),
    "inception4b": (512, 14, 14),
    "inception4c": (512, 14, 14),
    "inception4d": (528, 14, 14),
    "inception4e": (832, 14, 14),
    "pool4": (832, 7, 7),
    "inception5a": (832, 7, 7),
    "inception5b": (1024, 7, 7),
}
PRINTED = {
    **{"3a": 159, "3b": 380, "4a": 364, "4b": 437, "4c": 463, "4d": 580, "4e": 840},
    **{"5a": 1072, "5b": 1388},
}


def weights(*modules: nn.Module) -> int:
    return sum(
        parameter.numel()
        for module in modules
        for key, parameter in module.named_parameters()
        if key.endswith("weight") and parameter.ndim > 1
    )


def test_responses_are_normalised_after_the_first_pool_and_before_the_second():
    """Figure 3 of the paper."""
    parts = [type(part).__name__ for part in on_meta("googlenet").features.stem]
    pools = [i for i, part in enumerate(parts) if part == "MaxPool2d"]
    norms = [i for i, part in enumerate(parts) if part == "LocalResponseNorm"]
    assert norms == [pools[0] + 1, pools[1] - 1]


@pytest.mark.parametrize("name", ["googlenet", "googlenet_bn"])
def test_feature_maps_have_the_sizes_of_table_1(name):
    net, sizes = on_meta(name), {}
    parts = [*net.features.stem.named_children(), *net.features.named_children()]
    for key, module in parts:
        module.register_forward_hook(
            lambda _, __, output, key=key: sizes.update({key: tuple(output.shape[1:])})
        )
    net(torch.empty(1, 3, 224, 224, device="meta"))
    assert {key: sizes[key] for key in OUTPUTS} == OUTPUTS


def test_modules_have_the_printed_parameters_except_in_four_rows_that_contradict_their_widths():
    features = on_meta("googlenet").features
    assert round(weights(features.stem.reduce2, features.stem.conv2) / 1024) == 112
    off = {
        name
        for name, printed in PRINTED.items()
        if abs(weights(features.get_submodule(f"inception{name}")) / 1024 / printed - 1) > 0.01
    }
    assert off == {"4c", "4d", "5a", "5b"}


def test_the_number_of_parameters_is_that_of_caffes_googlenet():
    net = on_meta("googlenet")
    assert sum(p.numel() for p in net.parameters()) == 6_998_552
    with torch.device("meta"):
        training = WithAuxiliaries(net)
    assert sum(p.numel() for p in training.parameters()) == 13_378_280


def test_it_takes_about_one_and_a_half_billion_macs():
    assert traced("googlenet").macs == pytest.approx(1.5e9, rel=0.06)


def convolutions(module: nn.Module) -> int:
    return sum(isinstance(layer, nn.Conv2d) for layer in module.modules())


def test_it_is_22_layers_deep():
    depth = 1  # the fully connected layer
    for part in on_meta("googlenet").features:
        branches = part.children() if isinstance(part, InceptionModule) else [part]
        depth += max(convolutions(branch) for branch in branches)
    assert depth == 22


def test_the_naive_module_has_the_output_channels_and_weights_of_the_slide():
    module = NaiveInception(256, 128, 192, 96)
    assert module(torch.randn(1, 256, 28, 28)).shape == (1, 672, 28, 28)
    assert weights(module) == 1_089_536  # the slide prints 108k


def test_reductions_save_two_thirds_of_the_weights_as_on_the_slide():
    module = InceptionModule(256, InceptionWidths(128, 64, 192, 64, 96, 64))
    assert module(torch.randn(1, 256, 28, 28)).shape == (1, 480, 28, 28)
    assert weights(module) == 346_112  # the slide prints 33k


def test_the_module_with_identities_as_reductions_equals_the_naive_one():
    """Identity matrices as 1x1 reductions and as projection of the pool, on positive maps."""
    naive, module = (
        NaiveInception(4, 3, 5, 2),
        InceptionModule(4, InceptionWidths(3, 4, 5, 4, 2, 4)),
    )
    identities = (module.branch3x3.reduce, module.branch5x5.reduce, module.branch_pool.project)
    for layer in identities:
        nn.init.dirac_(layer.conv.weight)
        nn.init.zeros_(layer.conv.bias)
    module.branch1x1.load_state_dict(naive.conv1x1.state_dict())
    module.branch3x3.conv.load_state_dict(naive.conv3x3.state_dict())
    module.branch5x5.conv.load_state_dict(naive.conv5x5.state_dict())
    x = torch.rand(2, 4, 7, 9)
    torch.testing.assert_close(module(x), naive(x))


@pytest.mark.parametrize("name", ["googlenet", "googlenet_bn"])
def test_activations_neither_vanish_nor_explode_at_the_start(name):
    net = convnets.create_model(name)
    with torch.no_grad():
        maps = net.features(torch.randn(4, 3, 224, 224))
    assert 0.1 < maps.std().item() < 10


def test_auxiliary_pools_equal_the_papers_at_224_pixels():
    pool = auxiliary_head(8, 10).pool
    maps = torch.randn(1, 8, 14, 14)
    torch.testing.assert_close(pool(maps), nn.functional.avg_pool2d(maps, 5, stride=3))


def test_auxiliary_classifiers_do_not_change_the_networks_scores():
    net = convnets.create_model("googlenet", num_classes=5).eval()
    training = WithAuxiliaries(net).eval()
    x = torch.randn(2, 3, 97, 121)
    with torch.no_grad():
        scores, *auxiliary = training(x)
        torch.testing.assert_close(scores, net(x))
    assert [each.shape for each in auxiliary] == [(2, 5), (2, 5)]


def test_every_parameter_has_a_gradient_of_the_loss_with_auxiliaries():
    training = WithAuxiliaries(convnets.create_model("googlenet", num_classes=5))
    loss_with_auxiliaries(training(torch.randn(2, 3, 97, 97)), torch.tensor([0, 3])).backward()
    for key, parameter in training.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key


def test_an_auxiliary_loss_has_the_weight_three_tenths():
    scores = tuple(torch.randn(4, 6) for _ in range(3))
    labels = torch.tensor([0, 1, 2, 3])
    each = [cross_entropy(score, labels) for score in scores]
    expected = each[0] + 0.3 * each[1] + 0.3 * each[2]
    assert AUXILIARY_WEIGHT == 0.3
    torch.testing.assert_close(loss_with_auxiliaries(scores, labels), expected)


def test_images_that_the_network_refuses_are_refused_with_auxiliaries():
    with torch.device("meta"):
        training = WithAuxiliaries(convnets.create_model("googlenet"))
    with pytest.raises(ValueError, match="takes images of 3 channels, got 1"):
        training(torch.empty(2, 1, 224, 224, device="meta"))


@pytest.mark.slow
def test_auxiliary_losses_and_gradients_agree_with_torchvision():
    theirs = torchvision.models.googlenet(init_weights=False, aux_logits=True).double()
    net = convnets.create_model("googlenet_bn")
    net.load_state_dict(checkpoints.convert("googlenet_bn", theirs.state_dict()))
    ours = WithAuxiliaries(net, auxiliary_head_bn).double()
    heads = {"inception4a": theirs.aux1, "inception4d": theirs.aux2}
    for name, head in heads.items():
        renamed = {k.replace(".bn.", ".norm."): v for k, v in head.state_dict().items()}
        ours.heads[name].load_state_dict(renamed)
    for module in (*ours.modules(), *theirs.modules()):
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    images, labels = torch.randn(2, 3, 97, 121).double(), torch.tensor([3, 7])
    scores, second, first = theirs(images)
    loss = loss_with_auxiliaries((scores, first, second), labels)
    loss.backward()
    mine = loss_with_auxiliaries(ours(images), labels)
    mine.backward()
    torch.testing.assert_close(mine, loss, rtol=1e-9, atol=1e-9)
    gradients = {key: parameter.grad for key, parameter in theirs.named_parameters()}
    converted = checkpoints.convert("googlenet_bn", theirs.state_dict() | gradients)
    for key, parameter in net.named_parameters():
        torch.testing.assert_close(parameter.grad, converted[key], rtol=1e-7, atol=1e-9)
    for name, head in heads.items():
        for key, parameter in head.named_parameters():
            found = ours.heads[name].get_parameter(key.replace(".bn.", ".norm.")).grad
            torch.testing.assert_close(found, parameter.grad, rtol=1e-7, atol=1e-9)
