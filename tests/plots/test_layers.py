import pytest
import torch

from convnets.plots import figure, reached_maps


@pytest.fixture
def ax():
    return figure().axes[0]


def test_a_square_is_dark_where_a_map_reaches_another(ax):
    reached_maps(ax, torch.tensor([[0.0, -2.0, 0.5], [0.0, 0.0, 0.0]]), "with a shuffle")
    [image] = ax.images
    assert image.get_array().tolist() == [[False, True, True], [False, False, False]]
    assert ax.get_title() == "with a shuffle"


def test_a_vector_is_refused(ax):
    with pytest.raises(ValueError, match="must be a matrix"):
        reached_maps(ax, torch.zeros(3))
