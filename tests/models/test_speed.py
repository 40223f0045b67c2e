import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import convnets
from convnets.layers import ImageClassifier, pooled_head
from convnets.models import for_inference, for_training, speed

TOLERANCE = 10
"""Times the differences that rounding makes in the network itself, as the docstrings say."""


@pytest.fixture(params=["bfloat16", "float32"])
def number_format(request, monkeypatch) -> torch.dtype:
    """As on a machine with fast bfloat16, and as on one without; both can compute in it."""
    monkeypatch.setattr(speed, "has_fast_bfloat16", lambda device: request.param == "bfloat16")
    return getattr(torch, request.param)


def with_statistics(name: str) -> ImageClassifier:
    """The network with statistics as after training, and without chance in training."""
    net = convnets.create_model(name, num_classes=10, in_channels=3)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
        elif hasattr(module, "p"):
            module.p = 0.0
    return net.eval()


def images(net: ImageClassifier) -> Tensor:
    side = max(net.smallest_input, 48)
    return torch.randn(4, 3, side + 16, side)


def difference(scores: Tensor, expected: Tensor) -> float:
    """Root mean square of the differences by that of the expected scores."""
    assert scores.dtype == expected.dtype == torch.float32
    return ((scores - expected).norm() / expected.norm()).item()


def tolerance(net: nn.Module, batch: Tensor, number_format: torch.dtype) -> float:
    """The difference that the docstrings allow."""
    with torch.no_grad():
        scores = net(batch)
        if number_format == torch.float32:
            exact = copy.deepcopy(net).double()(batch.double())
            return TOLERANCE * difference(scores, exact.float())
        with torch.autocast("cpu", number_format):
            rounded = net(batch)
        return TOLERANCE * difference(rounded.float(), scores)


def classifier(features: nn.Module, channels: int = 8) -> ImageClassifier:
    return ImageClassifier(features, pooled_head(channels, 10), num_classes=10, in_channels=3)


def norms(net: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in net.modules())


@pytest.mark.slow
@pytest.mark.parametrize("name", convnets.list_models())
def test_both_keep_to_their_tolerance(name, number_format):
    net = with_statistics(name)
    batch = images(net)
    before = copy.deepcopy(net.state_dict())
    with torch.no_grad():
        expected, allowed = net(batch), tolerance(net, batch, number_format)
        assert difference(for_inference(net)(batch), expected) < allowed
        assert all(torch.equal(tensor, before[key]) for key, tensor in net.state_dict().items())
        assert difference(for_training(net)(batch), expected) < allowed


# `left` is the number of batch norms that come before a convolution, which cannot be folded.
@pytest.mark.parametrize(
    ("name", "left"),
    [
        *(("vgg11_bn", 0), ("resnet20", 0), ("resnet50", 0), ("googlenet_bn", 0)),
        *(("se_resnet18", 0), ("wide_resnet16_4", 6), ("preact_resnet18", 9)),
        *(("densenet_bc100_12", 51), ("mobilenet_v1", 0), ("mobilenet_v2", 0)),
        *(("shufflenet_v1_g3", 0), ("shufflenet_v2_x0_5", 0), ("efficientnet_b0", 0)),
    ],
)
def test_for_inference_folds_every_batch_norm_after_a_convolution(name, left):
    net = convnets.create_model(name).eval()
    before = norms(net)
    assert norms(for_inference(net)) == left < before == norms(net)


def test_gates_stay_in_float32_and_all_else_is_bfloat16(monkeypatch):
    monkeypatch.setattr(speed, "has_fast_bfloat16", lambda device: True)
    fast = for_inference(convnets.create_model("efficientnet_b0").eval())
    kept = {name for name, tensor in fast.named_parameters() if tensor.dtype != torch.bfloat16}
    assert len(kept) == 16 * 4
    assert {name.split(".")[-2] for name in kept} == {"reduce", "expand"}


def test_an_activation_overwrites_only_what_nothing_else_reads(number_format):
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.same = nn.Conv2d(3, 8, 3), nn.Identity()
            self.relu, self.silu, self.last = nn.ReLU(), nn.SiLU(), nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(x)
            return self.last(x + self.relu(x) - self.silu(self.same(x)))

    net = classifier(Twice()).eval()
    batch = torch.randn(2, 3, 16, 16)
    fast = for_inference(net)
    assert difference(fast(batch), net(batch)) < tolerance(net, batch, number_format)
    assert not fast.features.relu.inplace
    assert not fast.features.silu.inplace


def test_an_activation_after_a_convolution_overwrites_its_output():
    relu = nn.ReLU()
    layers = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), relu, nn.Conv2d(8, 8, 3), relu]
    net = classifier(nn.Sequential(*layers)).eval()
    fast = for_inference(net)
    assert norms(fast) == 0
    assert fast.features.get_submodule("2").inplace
    assert not relu.inplace


def test_a_convolution_that_several_norms_share_is_not_folded(number_format):
    conv = nn.Conv2d(8, 8, 3, padding=1)
    layers = [nn.Conv2d(3, 8, 3), conv, nn.BatchNorm2d(8), conv, nn.BatchNorm2d(8)]
    net = classifier(nn.Sequential(*layers)).eval()
    layers[2].running_mean.fill_(1.0)
    batch = torch.randn(2, 3, 16, 16)
    fast = for_inference(net)
    assert difference(fast(batch), net(batch)) < tolerance(net, batch, number_format)


def test_a_network_in_training_mode_is_refused():
    with pytest.raises(ValueError, match=r"net\.eval\(\)"):
        for_inference(convnets.create_model("resnet20"))


def test_layers_that_depend_on_the_images_are_refused():
    class Depends(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x if x.sum() > 0 else -x)

    with pytest.raises(ValueError, match="Depends depend on the images"):
        for_inference(classifier(Depends(3, 8, 3)).eval())


def test_gradients_and_statistics_are_nearly_those_of_the_plain_network(number_format):
    net = with_statistics("resnet20")
    plain = copy.deepcopy(net)
    batch = torch.randn(16, 3, 32, 32)
    for each in (for_training(net), plain):
        cross_entropy(each.train()(batch), torch.arange(16) % 10).backward()
    ours, theirs = (
        torch.cat([p.grad.flatten() for p in each.parameters()]) for each in (net, plain)
    )
    assert difference(ours, theirs) < (0.2 if number_format == torch.bfloat16 else 0.02)
    for key, tensor in plain.named_buffers():
        torch.testing.assert_close(net.get_buffer(key), tensor, rtol=0.02, atol=0.02)


def test_for_training_trains_the_network_that_it_was_given(number_format):
    net = convnets.create_model("resnet20")
    before = copy.deepcopy(net.state_dict())
    kinds = [type(module) for module in net.modules()]
    fast = for_training(net)
    optimizer = torch.optim.SGD(fast.parameters(), lr=0.1)
    cross_entropy(fast(torch.randn(4, 3, 32, 32)), torch.arange(4)).backward()
    optimizer.step()
    assert all(not torch.equal(tensor, before[key]) for key, tensor in net.state_dict().items())
    assert [type(module) for module in net.modules()] == kinds
    assert set(map(id, fast.parameters())) == set(map(id, net.parameters()))


def test_a_copy_of_the_training_module_is_independent(number_format):
    fast = for_training(convnets.create_model("resnet20"))
    twin = copy.deepcopy(fast)
    with torch.no_grad():
        next(twin.parameters()).zero_()
    batch = torch.randn(2, 3, 32, 32)
    assert not torch.equal(fast.eval()(batch), twin.eval()(batch))


def test_layers_that_are_slow_in_bfloat16_train_in_float32(monkeypatch):
    monkeypatch.setattr(speed, "has_fast_bfloat16", lambda device: True)
    layers = {
        "dense": nn.Conv2d(3, 8, 3),
        "depthwise": nn.Conv2d(8, 8, 3, groups=8),
        "large": nn.Conv2d(8, 8, 5, groups=8),
        "strided": nn.Conv2d(8, 8, 3, stride=2, groups=8),
        "grouped": nn.Conv2d(8, 8, 3, groups=2, stride=2),
        "pool": nn.AdaptiveAvgPool2d(1),
        "gate": nn.Conv2d(8, 8, 1),
    }
    features = nn.Sequential()
    found = {}
    for name, layer in layers.items():
        layer.register_forward_hook(lambda layer, x, y, name=name: found.__setitem__(name, y.dtype))
        features.add_module(name, layer)
    fast = for_training(classifier(features))
    fast(torch.randn(2, 3, 64, 64))
    single = {name for name, dtype in found.items() if dtype == torch.float32}
    assert single == {"large", "strided", "gate"}
    assert {found[name] for name in found.keys() - single} == {torch.bfloat16}


def test_for_training_passes_on_several_scores(number_format):
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(48, 2)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            x = x.flatten(1)
            return self.fc(x), -self.fc(x)

    first, second = for_training(Two())(torch.randn(40, 3, 4, 4))
    assert torch.equal(first, -second)
    assert first.dtype == torch.float32
