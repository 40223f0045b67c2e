import matplotlib
import matplotlib.pyplot as plt

from convnets.plots import PALETTE, figure, styled


def test_a_figure_has_its_axes_and_an_opaque_white_ground():
    fig = figure(2, 3)
    assert len(fig.axes) == 6
    assert fig.get_facecolor() == (1, 1, 1, 1)


def test_pyplot_does_not_know_the_figure_so_a_notebook_shows_it_once():
    figure()
    assert plt.get_fignums() == []


def test_a_notebook_shows_it_as_png():
    data, metadata = figure()._repr_mimebundle_()
    assert data["image/png"].startswith(b"\x89PNG")
    assert metadata["image/png"]["alt"] == data["text/plain"]


def test_a_styled_function_leaves_the_readers_settings_alone():
    before = dict(matplotlib.rcParams)

    @styled
    def draw():
        return matplotlib.rcParams["axes.grid"]

    assert draw() is True
    assert dict(matplotlib.rcParams) == before


def test_lines_differ_in_style_as_well_as_in_colour():
    axes = figure().axes[0]

    @styled
    def draw(ax):
        ax.set_prop_cycle(None)
        return [ax.plot([0, 1])[0] for _ in PALETTE]

    lines = draw(axes)
    assert len({line.get_color() for line in lines}) == len(PALETTE)
    assert len({str(line.get_linestyle()) for line in lines}) > 3
