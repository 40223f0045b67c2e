import json
import re

import ipywidgets
import pytest

from convnets.plots import CourseFigure, figure
from convnets.widgets import Explorer


def draw(kernel_size: int, stride: int = 1) -> CourseFigure:
    fig = figure(width=2, height=1)
    fig.axes[0].plot([0, kernel_size], [0, stride])
    return fig


def describe(kernel_size: int, stride: int = 1) -> str:
    return f"A kernel of {kernel_size} <with> stride {stride}."


@pytest.fixture
def explorer() -> Explorer:
    return Explorer(
        "Kernels & strides",
        draw,
        describe,
        {"kernel_size": [1, 3, 5], "stride": [1, 2]},
        start={"kernel_size": 3},
    )


def test_the_bundle_has_a_widget_for_a_notebook_and_html_for_a_page(explorer):
    bundle = explorer._repr_mimebundle_()
    assert set(bundle) == {"application/vnd.jupyter.widget-view+json", "text/html", "text/plain"}


def test_moving_a_slider_updates_figure_and_description(explorer):
    box = explorer.widget()
    kernel_slider, _, picture, text = box.children
    before = picture.value
    kernel_slider.value = 5
    assert picture.value != before
    assert bytes(picture.value).startswith(b"\x89PNG")
    assert "kernel of 5" in text.value
    assert isinstance(box, ipywidgets.VBox)


def test_the_page_has_a_frame_for_every_combination(explorer):
    frames = json.loads(re.search(r'application/json">(.*?)</script>', explorer.html(), re.S)[1])
    assert len(frames) == 3 * 2
    assert frames["2,1"]["text"] == describe(5, 2)
    assert all(frame["src"].startswith("data:image/webp;base64,") for frame in frames.values())


def test_the_page_shows_the_start_values_and_is_labelled(explorer):
    page = explorer.html()
    assert 'alt="A kernel of 3 &lt;with&gt; stride 1."' in page
    assert 'aria-label="Kernels &amp; strides"' in page
    assert re.search(r'<label for="(\S+)">kernel size</label> <input type="range" id="\1"', page)
    assert 'value="1" aria-valuetext="3"' in page


def test_the_page_refers_to_no_other_host(explorer):
    assert "http" not in explorer.html().replace("http://www.w3.org", "")


def test_the_same_explorer_gives_the_same_page(explorer):
    assert explorer.html() == explorer.html()


def test_too_many_combinations_are_refused():
    with pytest.raises(ValueError, match="100 combinations are too many"):
        Explorer("x", draw, describe, {"kernel_size": range(10), "stride": range(10)})


def test_a_start_value_that_a_control_does_not_have_is_refused():
    with pytest.raises(ValueError, match="kernel_size=4"):
        Explorer("x", draw, describe, {"kernel_size": [1, 3]}, start={"kernel_size": 4})
