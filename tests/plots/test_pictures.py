"""What the figures show, read back from the axes."""

import pytest
import torch
from torch import nn

from convnets.experiments import recorded
from convnets.plots import (
    activation_curves,
    experiment_runs,
    field_pyramid,
    figure,
    gradient_by_layer,
    image_grid,
    kernel_grid,
    layer_bars,
    loss_curves,
    results_by_group,
    shapes,
    sliding_window,
    value_and_slope,
)


@pytest.fixture
def ax():
    return figure().axes[0]


def texts(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_bars_have_the_values_with_the_first_layer_at_the_top(ax):
    layer_bars(ax, ["a", "b"], [3, 5], "parameters")
    assert [bar.get_width() for bar in ax.patches] == [3, 5]
    assert ax.yaxis_inverted()
    assert ax.get_xlabel() == "parameters"


def test_boxes_are_labelled_with_name_and_shape(ax):
    shapes(ax, ["conv1", "pool1"], [(96, 55, 55), (96, 27, 27)])
    assert {"conv1", "pool1", "55x55\nx96", "27x27\nx96"} == set(texts(ax))
    assert [patch.get_height() for patch in ax.patches] == [55, 27]


@pytest.mark.parametrize(
    ("size", "kernel_size", "stride", "padding", "outputs"),
    [(9, 3, 2, 0, 4), (9, 3, 1, 1, 9), (7, 3, 3, 0, 2), (3, 5, 1, 0, 0)],
)
def test_the_window_has_as_many_positions_as_the_formula_says(
    ax, size, kernel_size, stride, padding, outputs
):
    sliding_window(ax, size, kernel_size, stride, padding)
    assert sum(text.startswith("output") for text in texts(ax)) == outputs


def test_the_pyramid_is_labelled_with_the_width_of_each_level(ax):
    field_pyramid(ax, kernel_size=3, depth=2)
    assert texts(ax) == ["output: 1", "layer 1: 3", "input: 5"]


def test_every_run_is_a_dot_and_every_group_has_its_mean(ax):
    results_by_group(ax, {"a": [1.0, 3.0], "b": [2.0]}, "accuracy (%)")
    dots, mean_of_a = ax.lines[0], ax.lines[1]
    assert list(dots.get_xdata()) == [1.0, 3.0]
    assert list(mean_of_a.get_xdata()) == [2.0, 2.0]


def test_groups_differ_in_marker_as_well_as_in_colour(ax):
    results_by_group(ax, {"a": [1.0], "b": [2.0]}, "accuracy (%)")
    assert ax.lines[0].get_marker() != ax.lines[2].get_marker()


def test_losses_are_running_means_with_one_legend_entry_for_each_group(ax):
    loss_curves(ax, {"a": [[1.0, 2.0, 3.0]] * 2, "b": [[0.0, 0.0, 0.0]]}, window=2)
    assert list(ax.lines[0].get_ydata()) == [1.5, 2.5]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]


def test_value_and_slope_are_those_of_the_activation():
    values, slopes = value_and_slope(nn.LeakyReLU(0.1), torch.tensor([-2.0, 3.0]))
    assert values.tolist() == pytest.approx([-0.2, 3.0])
    assert slopes.tolist() == pytest.approx([0.1, 1.0])


@pytest.mark.parametrize(
    ("derivative", "label", "ends"), [(False, "output", [0, 4]), (True, "derivative", [0, 1])]
)
def test_activation_curves_go_from_minus_4_to_4(ax, derivative, label, ends):
    activation_curves(ax, {"ReLU": nn.ReLU(), "tanh": nn.Tanh()}, derivative)
    assert ax.get_ylabel() == label
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["ReLU", "tanh"]
    relu, _ = ax.lines
    assert [float(relu.get_xdata()[i]) for i in (0, -1)] == [-4, 4]
    assert [float(relu.get_ydata()[i]) for i in (0, -1)] == ends


def test_gradients_are_on_a_logarithmic_scale(ax):
    gradient_by_layer(ax, {"a": [1e-8, 1.0]})
    assert ax.get_yscale() == "log"
    assert list(ax.lines[0].get_xdata()) == [1, 2]


def test_each_image_is_drawn_under_its_title():
    images = torch.arange(3.0).reshape(3, 1, 1, 1).expand(3, 1, 4, 4)
    fig = image_grid(images, ["a", "b", "c"], columns=2)
    assert [ax.get_title() for ax in fig.axes] == ["a", "b", "c", ""]
    assert [ax.images[0].get_array()[0, 0] for ax in fig.axes[:3]] == [0, 1, 2]
    assert not fig.axes[3].images


def test_a_kernel_is_drawn_in_the_row_of_its_output_and_the_column_of_its_input(ax):
    layer = nn.Conv2d(3, 2, kernel_size=(2, 1), bias=False)
    nn.init.zeros_(layer.weight)
    layer.weight.data[1, 2] = torch.tensor([[-4.0], [3.0]])
    drawn = kernel_grid(ax, layer).images[0].get_array()
    assert drawn.tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 4], [0, 0, 3]]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["1", "2"]


def test_pairs_of_maps_in_different_groups_are_marked(ax):
    layer = nn.Conv2d(4, 6, kernel_size=1, groups=2, bias=False)
    drawn = torch.tensor(kernel_grid(ax, layer).images[0].get_array().tolist())
    x = torch.zeros(1, 4, 1, 1, requires_grad=True)
    for row in range(6):
        (reads,) = torch.autograd.grad(layer(x)[0, row].sum(), x)
        assert torch.equal(drawn[row] >= 0, reads.flatten() != 0)


def test_the_number_of_drawn_maps_can_be_limited(ax):
    drawn = kernel_grid(ax, nn.Conv2d(8, 9, kernel_size=3), maps=5).images[0].get_array()
    assert drawn.shape == (15, 15)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "3", "5"]


def test_every_run_of_an_experiment_is_a_dot_in_its_unit(ax):
    result = recorded("squeeze-excite")
    experiment_runs(ax, result)
    drawn = sorted(
        x for line in ax.lines if line.get_linestyle() == "None" for x in line.get_xdata()
    )
    assert drawn == pytest.approx(sorted(100 * run.test_accuracy for run in result.runs))
    assert ax.get_xlabel() == "test accuracy (%)"
