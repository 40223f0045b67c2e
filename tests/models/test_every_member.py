"""Every network trains on odd sizes and one channel; each family compiles and exports."""

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD

import convnets
from convnets.layers import ImageClassifier
from tests.conftest import lightest_of_each_family

NAMES = convnets.list_models()


FAMILIES = lightest_of_each_family()
# What a compiler may stumble over: shuffles, concatenations, gates, branches.
COMPILED = {"shufflenet_v2_x0_5", "densenet40_12", "efficientnet_b0", "googlenet_bn"}


def images(name: str, channels: int) -> Tensor:
    """Three images with odd, different sides, slightly larger than the smallest input."""
    side = max(convnets.card(name).smallest_input, 31)
    return torch.randn(3, channels, side + side % 2 + 1, side + side % 2 + 7)


def step(net: ImageClassifier, batch: Tensor) -> Tensor:
    optimizer = SGD(net.parameters(), lr=1e-3)
    loss = nn.functional.cross_entropy(net(batch), torch.arange(len(batch)))
    loss.backward()
    optimizer.step()
    return loss.detach()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_one_step_of_training_changes_the_weights_and_keeps_them_finite(name):
    net = convnets.create_model(name, num_classes=5, in_channels=1).train()
    before = next(net.parameters()).detach().clone()
    loss = step(net, images(name, channels=1))
    assert loss.isfinite()
    assert not torch.equal(next(net.parameters()), before)
    assert all(parameter.isfinite().all() for parameter in net.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_one_step_in_bfloat16_autocast_gives_a_finite_loss(name):
    net = convnets.create_model(name, num_classes=5, in_channels=3).train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = net(images(name, channels=3))
        loss = nn.functional.cross_entropy(scores.float(), torch.arange(3))
    loss.backward()
    assert loss.isfinite()
    gradients = [p.grad for p in net.parameters() if p.grad is not None]
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_a_network_with_a_saved_state_dict_computes_the_same(name, tmp_path):
    first, second = (
        convnets.create_model(name, num_classes=5, in_channels=3).eval() for _ in range(2)
    )
    torch.save(first.state_dict(), tmp_path / "weights.pt")
    second.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    batch = images(name, channels=3)
    with torch.no_grad():
        assert torch.equal(first(batch), second(batch))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        name if name in COMPILED else pytest.param(name, marks=pytest.mark.sweep)
        for name in FAMILIES
    ],
)
def test_a_network_compiles_to_one_graph(name):
    torch.compiler.reset()  # the networks share forward() and thus the cache's limit
    net = convnets.create_model(name, num_classes=5, in_channels=3).eval()
    compiled = torch.compile(net, backend="eager", fullgraph=True)
    batch = images(name, channels=3)
    with torch.no_grad():
        torch.testing.assert_close(compiled(batch), net(batch))


@pytest.mark.sweep
@pytest.mark.parametrize("name", FAMILIES)
def test_an_exported_network_computes_the_same(name):
    net = convnets.create_model(name, num_classes=5, in_channels=3).eval()
    batch = images(name, channels=3)
    exported = torch.export.export(net, (batch,)).module()
    with torch.no_grad():
        torch.testing.assert_close(exported(batch), net(batch))
