import pytest

from convnets.plots import block_skyline, dense_connections, figure, stacked_bars


@pytest.fixture
def ax():
    return figure().axes[0]


def test_parts_are_stacked_and_their_sum_is_written_beside_them(ax):
    stacked_bars(ax, {"naive": {"3x3": 9.0, "5x5": 25.0}, "reduced": {"1x1": 1.0, "5x5": 4.0}}, "C")
    bars = {(bar.get_y() + 0.3, bar.get_x(), bar.get_width()) for bar in ax.patches}
    rounded = {tuple(round(float(value), 6) for value in bar) for bar in bars}
    assert {(0, 0, 9), (0, 9, 25), (1, 0, 1), (1, 1, 4)} <= rounded
    assert [text.get_text().strip() for text in ax.texts] == ["34", "5"]


def test_a_part_has_the_same_colour_in_all_bars(ax):
    stacked_bars(ax, {"a": {"x": 1.0, "y": 1.0}, "b": {"y": 1.0}}, "C")
    y = next(each for each in ax.containers if each.get_label() == "y")
    assert len({bar.get_facecolor() for bar in y}) == 1


@pytest.mark.parametrize(("layers", "connections"), [(1, 1), (4, 10), (6, 21)])
def test_a_dense_block_has_an_arc_for_each_connection(ax, layers, connections):
    dense_connections(ax, [12 * number for number in range(2, layers + 3)])
    arcs = [patch for patch in ax.patches if type(patch).__name__ == "Arc"]
    assert len(arcs) == connections


def test_a_dense_block_is_labelled_with_the_channels_that_each_layer_reads(ax):
    dense_connections(ax, [24, 36, 48])
    assert [text.get_text() for text in ax.texts] == [
        "input",
        "reads\n24",
        "reads\n36",
        "48 channels\nafter the block",
    ]


def test_the_height_of_a_block_is_its_number_of_channels(ax):
    block_skyline(ax, [(16, 112), (24, 56)])
    assert [bar.get_height() for bar in ax.patches] == [16, 24]
    assert "112 to 56 pixels" in ax.get_title()
