from convnets.plots import figure, layer_bars, loss_curves, stacked_bars
from convnets.plots.alternative import MAX_TEXTS


def test_axes_are_named_with_unit_and_scale():
    ax = figure().axes[0]
    ax.set_xlabel("training step")
    ax.set_ylabel("loss\n(nats)")
    ax.set_yscale("log")
    alternative = ax.figure.alternative
    assert "horizontal: training step" in alternative
    assert "vertical: loss (nats), logarithmic" in alternative


def test_a_line_has_its_first_and_last_point_and_its_range():
    fig = figure()
    loss_curves(fig.axes[0], {"momentum": [[4.0, 1.0, 2.0]]}, window=1)
    assert "momentum from (1, 4) to (3, 2), minimum 1, maximum 4" in fig.alternative


def test_every_bar_has_its_value():
    fig = figure()
    layer_bars(fig.axes[0], ["conv1", "fc6"], [35, 37_748_736], "parameters")
    assert "conv1: 35; fc6: 37,748,736" in fig.alternative


def test_each_part_of_a_bar_has_its_value():
    fig = figure()
    stacked_bars(fig.axes[0], {"a": {"x": 1.0, "y": 2.0}}, "C")
    assert "a, x: 1" in fig.alternative
    assert "a, y: 2" in fig.alternative


def test_all_axes_are_described():
    fig = figure(1, 2)
    for ax, title in zip(fig.axes, ("before", "after"), strict=True):
        ax.set_title(title)
    assert "before" in fig.alternative
    assert "after" in fig.alternative


def test_the_label_of_a_text_replaces_it():
    ax = figure().axes[0]
    ax.text(0, 0, "+", label="add")
    ax.text(0, 1, "64x56x56", label=" ")
    ax.text(0, 2, "ReLU")
    assert ax.figure.alternative.endswith("add; ReLU.")


def test_labels_beyond_the_limit_are_only_counted():
    fig = figure()
    for number in range(MAX_TEXTS + 5):
        fig.axes[0].text(0, number, f"label {number}")
    assert "and 5 more labels" in fig.alternative
    assert "label 44" not in fig.alternative
