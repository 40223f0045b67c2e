import pytest
import torch
from torch import nn

import convnets
from convnets.analysis import grad_cam
from convnets.layers import ImageClassifier


def counting_net() -> ImageClassifier:
    """The score of class 0 is the amount of red in the image, that of class 1 of green."""
    pool = nn.AvgPool2d(4)
    fc = nn.Linear(2, 2, bias=False)
    fc.weight.data = torch.eye(2)
    head = nn.Sequential(nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), fc)
    return ImageClassifier(pool, head, num_classes=2, in_channels=2)


def red_at_the_top_green_at_the_bottom() -> torch.Tensor:
    image = torch.zeros(1, 2, 16, 24)
    image[0, 0, 0:4, 0:4] = 2
    image[0, 1, 12:16, 20:24] = 1
    return image


def test_the_decisive_place_of_each_class_is_found():
    image = red_at_the_top_green_at_the_bottom()
    maps = grad_cam(counting_net(), image.expand(2, -1, -1, -1), torch.tensor([0, 1]))
    assert maps.shape == (2, 16, 24)
    assert maps[0, 1, 1].item() == pytest.approx(1)
    assert maps[1, 14, 22].item() == pytest.approx(1)
    assert maps[0, 8:].max() == maps[0, :, 8:].max() == 0
    assert maps[1, :8].max() == maps[1, :, :16].max() == 0


def test_the_predicted_class_is_explained_by_default():
    image = red_at_the_top_green_at_the_bottom()
    net = counting_net()
    assert torch.equal(grad_cam(net, image), grad_cam(net, image, torch.tensor([0])))


def test_the_weights_are_the_mean_gradients_of_the_score():
    net = convnets.create_model("resnet20").eval()
    image = torch.randn(1, 3, 32, 32)
    maps = net.features(image)  # followed by a mean and a linear layer
    evidence = (net.classifier.fc.weight[3].view(1, -1, 1, 1) * maps).sum(1, keepdim=True).relu()
    expected = nn.functional.interpolate(evidence, (32, 32), mode="bilinear")[:, 0]
    found = grad_cam(net, image, torch.tensor([3]))
    assert torch.allclose(found, expected / expected.max(), atol=1e-5)


@pytest.mark.parametrize("name", ["alexnet", "googlenet", "densenet40_12", "se_resnet18"])
def test_a_map_has_the_size_of_the_image_and_values_from_0_to_1(name):
    net = convnets.create_model(name, num_classes=10)
    size = convnets.card(name).smallest_input + 64
    images = torch.randn(2, 3, size, size + 3)
    maps = grad_cam(net, images, torch.tensor([1, 9]))
    assert maps.shape == (2, size, size + 3)
    assert maps.min() >= 0
    assert all(image.max() == pytest.approx(1) or image.max() == 0 for image in maps)


def test_it_works_with_frozen_weights_under_no_grad():
    net = counting_net().requires_grad_(False)
    image = red_at_the_top_green_at_the_bottom()
    with torch.no_grad():
        assert grad_cam(net, image).max() == 1


def test_the_map_is_0_if_nothing_speaks_for_the_class():
    net = counting_net()
    net.classifier[3].weight.data = -torch.eye(2)
    assert grad_cam(net, red_at_the_top_green_at_the_bottom()).abs().max() == 0


def test_unsuitable_networks_images_and_classes_are_refused():
    image = red_at_the_top_green_at_the_bottom()
    with pytest.raises(ValueError, match="features and classifier, got a Flatten"):
        grad_cam(nn.Flatten(), image)
    with pytest.raises(ValueError, match="no places"):
        grad_cam(convnets.create_model("lenet5"), torch.randn(1, 1, 32, 32))
    with pytest.raises(ValueError, match="from 0 to 1, got 2 to 2"):
        grad_cam(counting_net(), image, torch.tensor([2]))
    with pytest.raises(ValueError, match="channels"):
        grad_cam(counting_net(), image[:, :1])
    with pytest.raises(ValueError, match="1 images but labels"):
        grad_cam(counting_net(), image, torch.tensor([0, 1]))
