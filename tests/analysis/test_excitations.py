import pytest
import torch
from torch import nn

import convnets
from convnets.analysis import excitations
from convnets.layers import SqueezeExcite


def test_a_row_is_the_mean_gate_of_the_images_of_its_class():
    layer, images = SqueezeExcite(4, 2), torch.randn(5, 4, 3, 3)
    (means,) = excitations(nn.Sequential(layer), images, torch.tensor([7, 2, 7, 2, 2])).values()
    gates = (layer(images) / images)[:, :, 0, 0]
    assert means.shape == (2, 4)
    assert torch.allclose(means[0], gates[[1, 3, 4]].mean(dim=0), atol=1e-5)
    assert torch.allclose(means[1], gates[[0, 2]].mean(dim=0), atol=1e-5)


@pytest.mark.parametrize(("name", "layers"), [("se_resnet18", 8), ("efficientnet_b0", 16)])
def test_every_gate_is_found_and_named_after_its_stage(name, layers):
    net = convnets.create_model(name, num_classes=10)
    found = excitations(net, torch.randn(4, 3, 32, 32), torch.tensor([0, 0, 1, 2]))
    assert len(found) == layers
    assert all("stage" in place for place in found)
    for means in found.values():
        assert means.shape[0] == 3
        assert ((means > 0) & (means < 1)).all()


def test_the_gates_of_an_image_do_not_depend_on_the_rest_of_the_batch():
    net = convnets.create_model("se_resnet18", num_classes=10).train()
    images, labels = torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 1, 1])
    together = excitations(net, images, labels)
    alone = excitations(net, images[:1], labels[:1])
    for name in alone:
        assert torch.allclose(together[name][0], alone[name][0], atol=1e-5)


def test_networks_without_gates_and_labels_of_another_length_are_refused():
    with pytest.raises(ValueError, match="no squeeze-and-excitation"):
        excitations(nn.Flatten(), torch.randn(2, 1, 2, 2), torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="one class number"):
        excitations(SqueezeExcite(1, 1), torch.randn(2, 1, 2, 2), torch.tensor([0]))
