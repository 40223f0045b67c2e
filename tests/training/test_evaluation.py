from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

import convnets
from convnets.training import evaluate, load
from convnets.training.data import Dataset, Split
from convnets.training.evaluation import VIEWS


@pytest.fixture(scope="module")
def few() -> Dataset:
    full = load("fashion-mnist-small")
    return replace(full, test=Split(full.test.images[:60], full.test.labels[:60]))


class Fixed(nn.Module):
    """Gives every image the same scores (N, 10)."""

    def __init__(self, *scores: float) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.tensor(scores))

    def forward(self, x: Tensor) -> Tensor:
        return self.scores.expand(len(x), -1)


def always(label: int, confidence: float) -> Fixed:
    scores = [0.0] * 10
    scores[label] = confidence
    return Fixed(*scores)


def share(data: Dataset, label: int) -> float:
    return (data.test.labels == label).float().mean().item()


def test_the_accuracy_on_the_test_images_is_returned(few):
    assert evaluate(always(3, 1.0), few, "cpu") == pytest.approx(share(few, 3))


def test_an_ensemble_averages_probabilities_and_not_votes(few):
    nets = [always(1, 1.0), always(1, 1.0), always(2, 9.0)]
    assert evaluate(nets, few, "cpu") == pytest.approx(share(few, 2))


def test_views_have_the_sizes_of_their_papers(few):
    images = torch.randn(2, 1, 32, 32)
    numbers = {name: len(views(images)) for name, views in VIEWS.items()}
    assert numbers == {"single": 1, "10-crop": 10, "multi-scale": 6}
    assert all(view.shape == images.shape for view in VIEWS["10-crop"](images))
    assert [view.shape[-1] for view in VIEWS["multi-scale"](images)] == [28, 28, 32, 32, 36, 36]


def test_half_of_the_ten_crops_are_mirror_images():
    crops = VIEWS["10-crop"](torch.arange(32.0).expand(1, 1, 32, 32))
    rising = [bool(crop[0, 0, 0, -1] > crop[0, 0, 0, 0]) for crop in crops]
    assert rising == [True] * 5 + [False] * 5


@pytest.mark.parametrize("views", VIEWS)
def test_every_view_can_be_evaluated_and_leaves_the_networks_mode_unchanged(few, views):
    net = convnets.create_model("resnet20", 10, 1).train()
    assert 0 <= evaluate(net, few, "cpu", views) <= 1
    assert net.training


def test_impossible_evaluations_are_refused(few):
    with pytest.raises(ValueError, match="at least one network, got an empty list"):
        evaluate([], few, "cpu")
    with pytest.raises(ValueError, match="unknown views 'all'; choose one of single, 10-crop"):
        evaluate(always(1, 1.0), few, "cpu", "all")
