import matplotlib
import matplotlib.pyplot as plt

from convnets.plots import PALETTE, figure, styled


def test_a_figure_has_its_axes_and_an_opaque_white_background():
    fig = figure(2, 3)
    assert len(fig.axes) == 6
    assert fig.get_facecolor() == (1, 1, 1, 1)


def test_the_figure_is_not_registered_with_pyplot_so_a_notebook_shows_it_once():
    figure()
    assert plt.get_fignums() == []


def test_a_notebook_shows_a_figure_as_png_with_its_text_alternative():
    data, metadata = figure()._repr_mimebundle_()
    assert data["image/png"].startswith(b"\x89PNG")
    assert metadata["image/png"]["alt"] == data["text/plain"]


def test_a_styled_function_leaves_the_rcparams_unchanged():
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
