import pytest
import torch
from torch import nn

import convnets
from convnets.analysis import cka, linear_cka
from convnets.training import data

STAGES = ("features.stage1", "features.stage2", "features.stage3")


def test_a_representation_agrees_with_itself():
    x = torch.randn(20, 5)
    assert linear_cka(x, x) == pytest.approx(1)


def test_rotation_scale_and_shift_do_not_matter():
    x, y = torch.randn(20, 5).double(), torch.randn(20, 7).double()
    rotation, _ = torch.linalg.qr(torch.randn(5, 5).double())
    expected = linear_cka(x, y)
    assert linear_cka(x @ rotation, y) == pytest.approx(expected)
    assert linear_cka(3 * x, y) == pytest.approx(expected)
    assert linear_cka(x + 100, y) == pytest.approx(expected)
    assert linear_cka(y, x) == pytest.approx(expected)


def test_other_linear_maps_matter():
    x, y = torch.randn(20, 5), torch.randn(20, 7)
    assert linear_cka(x * torch.tensor([9.0, 1, 1, 1, 1]), y) != pytest.approx(linear_cka(x, y))


def test_it_is_the_papers_formula_on_features():
    x, y = torch.randn(20, 5).double(), torch.randn(20, 7).double()
    x, y = x - x.mean(0), y - y.mean(0)
    expected = (y.T @ x).norm() ** 2 / ((x.T @ x).norm() * (y.T @ y).norm())
    assert linear_cka(x, y) == pytest.approx(expected.item())


def test_unrelated_representations_of_many_images_differ():
    assert linear_cka(torch.randn(1000, 5), torch.randn(1000, 5)) < 0.05


def test_the_layers_of_a_network_are_compared_in_pairs():
    net = convnets.create_model("resnet20", num_classes=10, in_channels=1)
    images = data.load().test.images[:32] / 255
    similar = cka(net, images, STAGES)
    assert similar.shape == (3, 3)
    assert torch.allclose(similar.diagonal(), torch.ones(3))
    assert torch.allclose(similar, similar.T)
    assert 0 < similar[0, 2] < similar[1, 2] < 1
    maps = net.eval().features(images)
    first = net.features.stage1(net.features.stem(images))
    assert similar[0, 2].item() == pytest.approx(linear_cka(first, maps), abs=1e-4)


def test_two_networks_can_be_compared():
    resnet = convnets.create_model("resnet20")
    plain = convnets.create_model("plain20")
    images = torch.randn(8, 3, 16, 16)
    assert cka(resnet, images, STAGES, plain).shape == (3, 3)
    similar = cka(resnet, images, STAGES, plain, ["features.stem"])
    assert similar.shape == (3, 1)
    assert torch.allclose(similar, cka(plain, images, ["features.stem"], resnet, STAGES).T)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (("features.stage9",), "'features.stage9'"),
        ((), "choose names"),
        (("0",), "more than once"),
        (("1",), "does not run"),
        (("2",), "same for all images"),
    ],
)
def test_a_layer_that_cannot_be_compared_is_refused(layers, message):
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name, module in (("0", nn.ReLU()), ("1", nn.ReLU()), ("2", nn.Hardtanh(1, 1.1))):
                self.add_module(name, module)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            again = self.get_submodule("0")
            return self.get_submodule("2")(again(again(x)) - 9)

    with pytest.raises(ValueError, match=message):
        cka(Odd(), torch.rand(4, 1, 2, 2), layers)


def test_too_few_images_are_refused():
    with pytest.raises(ValueError, match="at least 3 images, got 2"):
        linear_cka(torch.randn(2, 4), torch.randn(2, 4))
    with pytest.raises(ValueError, match="same images, got 4 and 5"):
        linear_cka(torch.randn(4, 4), torch.randn(5, 4))
