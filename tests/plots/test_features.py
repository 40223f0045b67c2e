import numpy as np
import pytest
import torch

import convnets
from convnets.analysis import feature_reuse as measured_reuse
from convnets.plots import (
    feature_reuse,
    figure,
    gate_bars,
    heatmap_on_image,
    lines_by_layer,
    mosaic,
)


@pytest.fixture
def ax():
    return figure().axes[0]


def test_reuse_is_drawn_as_measured_and_unread_sources_are_blank(ax):
    net = convnets.create_model("densenet40_12")
    matrix = measured_reuse(net, block=1)
    feature_reuse(ax, matrix)
    drawn = np.ma.filled(ax.images[0].get_array(), np.nan)
    np.testing.assert_array_equal(drawn, matrix.numpy())
    assert np.isnan(drawn[5, 0])
    assert ax.get_yticklabels()[0].get_text() == "input"
    assert ax.get_xticklabels()[-1].get_text() == "next"


def test_a_matrix_that_is_not_square_is_refused(ax):
    with pytest.raises(ValueError, match="must be square"):
        feature_reuse(ax, torch.zeros(3, 2))


def test_heat_is_drawn_over_the_image_and_transparent_at_0(ax):
    heat = torch.tensor([[0.0, 1.0]])
    heatmap_on_image(ax, torch.tensor([[[0.0, 1.0]]]), heat, "Bag")
    over = ax.images[1]
    assert over.get_array().tolist() == heat.tolist()
    assert over.cmap(0.0)[3] == 0
    assert over.cmap(1.0)[3] > 0.5
    assert ax.get_title() == "Bag"


def test_heat_of_another_size_is_refused(ax):
    with pytest.raises(ValueError, match="same size"):
        heatmap_on_image(ax, torch.zeros(1, 4, 4), torch.zeros(2, 2))


def test_pictures_are_scaled_separately_with_gaps_between(ax):
    pictures = torch.tensor([-4.0, 0.0, 2.0]).reshape(3, 1, 1).expand(3, 2, 2)
    mosaic(ax, pictures, columns=2, title="three filters")
    drawn = np.ma.filled(ax.images[0].get_array(), np.nan)
    assert drawn[0, 0] == -1
    assert drawn[0, 3] == 0
    assert drawn[3, 0] == 1
    assert np.isnan(drawn[2, 0])
    assert np.isnan(drawn[3, 3])
    assert ax.images[0].get_clim() == (-1, 1)
    assert ax.get_title() == "three filters"


def test_pictures_with_a_channel_dimension_are_refused(ax):
    with pytest.raises(ValueError, match=r"must be \(N, H, W\)"):
        mosaic(ax, torch.zeros(6, 3, 5, 5), columns=2)


def test_gates_are_bars_and_their_mean_is_marked(ax):
    gate_bars(ax, torch.tensor([0.25, 0.5]), torch.tensor([0.5, 0.5]))
    assert [bar.get_height() for bar in ax.patches] == [0.25, 0.5]
    assert list(ax.lines[0].get_ydata()) == [0.5, 0.5]


@pytest.mark.parametrize(("log", "scale"), [(False, "linear"), (True, "log")])
def test_lines_have_a_point_for_each_layer_on_the_requested_scale(ax, log, scale):
    lines_by_layer(ax, {"a": [3.0, 2.0, 1.0], "b": [1.0]}, "MACs (millions)", log)
    assert [len(line.get_xdata()) for line in ax.lines] == [3, 1]
    assert (ax.get_yscale(), ax.get_ylabel()) == (scale, "MACs (millions)")


def test_negative_values_are_refused_on_a_logarithmic_scale(ax):
    with pytest.raises(ValueError, match="log=False"):
        lines_by_layer(ax, {"a": [1.0, -1.0]}, "mean", log=True)
