import copy

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import parametrizations, parametrize, spectral_norm

import convnets
from convnets.analysis import loss_along_direction, loss_surface
from convnets.models.chain import Chain

IMAGES, LABELS = (
    torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(0)),
    torch.arange(6),
)
STEPS = (-1.0, -0.5, 0.0, 0.5, 1.0)


def test_step_0_gives_the_loss_of_the_network_in_evaluation_mode():
    net = convnets.create_model("resnet20").train()
    images, labels = torch.randn(4, 3, 16, 16), torch.arange(4)
    losses = loss_along_direction(net, images, labels, steps=(0.0, 1.0))
    assert net.training
    assert losses[0].item() == pytest.approx(cross_entropy(net.eval()(images), labels).item())
    assert losses[1] != losses[0]


def test_each_filter_of_the_direction_has_the_norm_of_the_networks_filter():
    """With filters of one weight, at step -1 or 1 each is 0 or twice itself."""
    net = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.Flatten(), nn.Linear(1, 2))
    for parameter in net.parameters():
        nn.init.ones_(parameter)
    net[2].bias.data = torch.tensor([0.0, 3.0])
    images, labels = torch.ones(1, 1, 1, 1), torch.zeros(1, dtype=torch.long)
    losses = loss_along_direction(net, images, labels, steps=(-1.0, 1.0))
    possible = [
        cross_entropy(torch.tensor([[first * a, first * b + 3.0]]), labels).item()
        for first in (0.0, 2.0)
        for a in (0.0, 2.0)
        for b in (0.0, 2.0)
    ]
    for loss in losses.tolist():
        assert any(loss == pytest.approx(value) for value in possible)


def test_scaling_one_layer_up_and_the_next_down_gives_the_same_curve():
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(144, 6, bias=False)
    )
    scaled = copy.deepcopy(net)
    scaled[0].weight.data *= 10
    scaled[3].weight.data /= 10
    expected = loss_along_direction(net, IMAGES, LABELS, STEPS)
    assert torch.allclose(loss_along_direction(scaled, IMAGES, LABELS, STEPS), expected, atol=1e-5)


def test_biases_and_batch_norm_keep_their_values():
    net = Chain("ReLU", depth=2, width=4, batch_norm=True)
    for name, parameter in net.named_parameters():
        if "conv" in name and "weight" in name:
            nn.init.zeros_(parameter)
    nn.init.zeros_(net.classifier.fc.weight)
    losses = loss_along_direction(net, IMAGES, LABELS, STEPS)
    assert torch.equal(losses, losses[2].expand(5))


def test_the_direction_depends_on_the_seed_alone():
    net = Chain("ReLU", depth=2, width=4)
    one, same, two = (loss_along_direction(net, IMAGES, LABELS, STEPS, seed) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, two)


def test_the_surface_contains_the_curve_of_its_first_direction():
    net = Chain("ReLU", depth=2, width=4)
    surface = loss_surface(net, IMAGES, LABELS, STEPS)
    curve = loss_along_direction(net, IMAGES, LABELS, STEPS)
    assert surface.shape == (5, 5)
    assert torch.allclose(surface[:, 2], curve)
    assert not torch.allclose(surface[2], curve)


@pytest.mark.parametrize("look", [loss_along_direction, loss_surface])
def test_unsuitable_networks_labels_and_steps_are_refused(look):
    with pytest.raises(ValueError, match="neither convolutions"):
        look(nn.Flatten(), IMAGES, LABELS)
    net = Chain("ReLU", depth=1, width=2)
    with pytest.raises(ValueError, match="6 images but labels of shape"):
        look(net, IMAGES, LABELS[:2], STEPS)
    with pytest.raises(ValueError, match="steps is empty"):
        look(net, IMAGES, LABELS, ())


@pytest.mark.parametrize("norm", [parametrizations.weight_norm, spectral_norm])
def test_weights_that_are_computed_are_refused(norm):
    net = nn.Sequential(nn.Conv2d(1, 2, 3), norm(nn.Conv2d(2, 6, 3)), nn.Flatten())
    with pytest.raises(ValueError, match=r"layer '1' computes its weight"):
        loss_along_direction(net, torch.randn(6, 1, 5, 5), LABELS)


def test_a_weight_that_was_computed_can_be_moved():
    net = nn.Sequential(parametrizations.weight_norm(nn.Conv2d(1, 6, 5)), nn.Flatten())
    parametrize.remove_parametrizations(net[0], "weight")
    losses = loss_along_direction(net, torch.randn(6, 1, 5, 5), LABELS, STEPS)
    assert losses.unique().numel() == len(STEPS)
