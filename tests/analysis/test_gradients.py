import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

from convnets.analysis import gradient_norms
from convnets.models.chain import Chain


def test_each_weighted_layer_has_the_root_mean_square_of_its_gradient():
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 3))
    images, labels = torch.randn(5, 1, 2, 2), torch.tensor([0, 1, 2, 0, 1])
    norms = gradient_norms(net, images, labels)
    nn.functional.cross_entropy(net(images), labels).backward()
    assert norms == {"1": pytest.approx(net[1].weight.grad.square().mean().sqrt().item())}


@pytest.mark.parametrize(
    "change",
    [
        *(parametrizations.weight_norm, parametrizations.spectral_norm),
        *(parametrizations.orthogonal, weight_norm, spectral_norm),
        lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
    ],
)
@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated")
def test_a_computed_weight_counts_as_the_layer_uses_it(change):
    changed = nn.Sequential(change(nn.Conv2d(1, 4, 2)), nn.Flatten(), nn.Linear(4, 3)).eval()
    plain = nn.Sequential(nn.Conv2d(1, 4, 2), nn.Flatten(), nn.Linear(4, 3))
    images, labels = torch.randn(5, 1, 2, 2), torch.tensor([0, 1, 2, 0, 1])
    changed(images)
    with torch.no_grad():
        for to, of in ((plain[0], changed[0]), (plain[2], changed[2])):
            to.weight.copy_(of.weight)
            to.bias.copy_(of.bias)
    before = changed[0].weight
    expected = pytest.approx(gradient_norms(plain, images, labels))
    assert gradient_norms(changed, images, labels) == expected
    assert torch.equal(changed[0].weight, before)


def test_a_layer_on_which_the_loss_does_not_depend_has_no_gradient():
    net = Chain("ReLU", depth=1, width=2)
    net.unused = nn.Linear(2, 2)
    norms = gradient_norms(net, torch.randn(2, 1, 8, 8), torch.tensor([0, 1]))
    assert norms["unused"] == 0 < norms["classifier.fc"]


def test_the_gradient_vanishes_with_sigmoid_and_not_with_relu():
    images, labels = torch.randn(8, 1, 28, 28), torch.arange(8)
    ratios = {}
    for name in ("sigmoid", "ReLU"):
        norms = list(gradient_norms(Chain(name, width=8), images, labels).values())
        ratios[name] = norms[0] / norms[-1]
    assert ratios["sigmoid"] < 1e-4
    assert ratios["ReLU"] > 1e-2


def test_the_gradients_of_the_parameters_are_not_touched():
    net = Chain("ReLU", depth=2, width=4).train()
    gradient_norms(net, torch.randn(2, 1, 8, 8), torch.tensor([0, 1]))
    assert all(parameter.grad is None for parameter in net.parameters())
    assert net.training


def test_a_network_without_weighted_layers_is_refused():
    with pytest.raises(ValueError, match="neither convolutions"):
        gradient_norms(nn.Flatten(), torch.randn(2, 1, 1, 2), torch.tensor([0, 1]))


def test_labels_of_another_length_are_refused():
    net = Chain("ReLU", depth=1, width=2)
    with pytest.raises(ValueError, match="one class number for each image"):
        gradient_norms(net, torch.randn(2, 1, 8, 8), torch.tensor([0]))
