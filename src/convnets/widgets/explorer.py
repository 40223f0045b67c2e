"""A figure with controls, in two forms from one drawing function.

In a live notebook, ipywidgets call the function again for every setting. On a static page, where no
Python runs, a short script steps through figures that were drawn when the page was built.
"""

import base64
import html
import itertools
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from io import BytesIO
from string import Template
from typing import Any

import ipywidgets
from PIL import Image

from convnets.plots import CourseFigure

MAX_FRAMES = 64
WIDGET_MIME = "application/vnd.jupyter.widget-view+json"


class Explorer:
    """A figure that changes with one or more controls.

    Args:
        title: what the explorer shows; screen readers announce it.
        draw: function that takes one value for each control and returns the figure.
        describe: function that takes the same arguments as `draw` and returns one or two sentences
            about the figure. They are shown below it and are its text alternative.
        controls: maps each argument of `draw` to its possible values, in order. There may be at
            most 64 combinations.
        start: initial values of some controls; the others start at their first value.

    Raises:
        ValueError: there are too many combinations for a page, or `start` names a value or a
            control that `controls` does not have.

    Example:
        >>> from convnets.plots import figure
        >>> def draw(side):
        ...     fig = figure()
        ...     fig.axes[0].plot([0, side])
        ...     return fig
        >>> Explorer("Side", draw, "a line to {}".format, {"side": [1, 2, 3]}).title
        'Side'
    """

    def __init__(
        self,
        title: str,
        draw: Callable[..., CourseFigure],
        describe: Callable[..., str],
        controls: Mapping[str, Sequence[Any]],
        start: Mapping[str, Any] | None = None,
    ) -> None:
        self.title = title
        self.draw = draw
        self.describe = describe
        self.controls = {name: list(values) for name, values in controls.items()}
        self.start = {name: values[0] for name, values in self.controls.items()} | dict(start or {})
        for name, value in self.start.items():
            if value not in self.controls.get(name, []):
                raise ValueError(
                    f"start has {name}={value!r}, which is not among the controls' values"
                )
        frames = len(list(itertools.product(*self.controls.values())))
        if frames > MAX_FRAMES:
            raise ValueError(
                f"{frames} combinations are too many for a static page; at most {MAX_FRAMES} fit"
            )

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, Any]:
        live = self.widget()._repr_mimebundle_(**kwargs)
        return {WIDGET_MIME: live[WIDGET_MIME], "text/html": self.html(), "text/plain": self.title}

    def widget(self) -> ipywidgets.Widget:
        """Return the live form: a slider for each control, the figure and its description."""
        sliders = {
            name: ipywidgets.SelectionSlider(
                options=values,
                value=self.start[name],
                description=_label(name),
                continuous_update=False,
                style={"description_width": "initial"},
            )
            for name, values in self.controls.items()
        }
        picture = ipywidgets.Image(format="png")
        text = ipywidgets.HTML()

        def update(_: Any = None) -> None:
            values = {name: slider.value for name, slider in sliders.items()}
            picture.value = self.draw(**values).png()
            text.value = html.escape(self.describe(**values))

        for slider in sliders.values():
            slider.observe(update, names="value")
        update()
        return ipywidgets.VBox([*sliders.values(), picture, text])

    def html(self) -> str:
        """Return the static form: an HTML figure element that loads nothing from elsewhere."""
        frames = {}
        for index in itertools.product(*(range(len(v)) for v in self.controls.values())):
            chosen = zip(self.controls.items(), index, strict=True)
            values = {name: options[i] for (name, options), i in chosen}
            frames[",".join(map(str, index))] = {
                "src": _data_uri(self.draw(**values)),
                "text": self.describe(**values),
            }
        first = ",".join(
            str(options.index(self.start[name])) for name, options in self.controls.items()
        )
        identifier = f"explorer-{uuid.uuid5(uuid.NAMESPACE_URL, self.title).hex[:12]}"
        controls = "".join(
            _slider(f"{identifier}-{name}", name, options, self.start[name])
            for name, options in self.controls.items()
        )
        template = Template(
            resources.files(__package__).joinpath("explorer.html").read_text("utf-8")
        )
        return template.substitute(
            id=identifier,
            title=html.escape(self.title, quote=True),
            controls=controls,
            src=frames[first]["src"],
            text=html.escape(frames[first]["text"], quote=True),
            frames=json.dumps(frames).replace("</", "<\\/"),
        )


def _slider(identifier: str, name: str, options: list[Any], value: Any) -> str:
    texts = html.escape(json.dumps([str(option) for option in options]), quote=True)
    return (
        f'<p><label for="{identifier}">{html.escape(_label(name))}</label> '
        f'<input type="range" id="{identifier}" min="0" max="{len(options) - 1}" step="1" '
        f'value="{options.index(value)}" aria-valuetext="{html.escape(str(value))}" '
        f'data-values="{texts}"> <output for="{identifier}">{html.escape(str(value))}</output></p>'
    )


def _label(name: str) -> str:
    return name.replace("_", " ")


def _data_uri(picture: CourseFigure) -> str:
    buffer = BytesIO()
    image = Image.open(BytesIO(picture.png())).convert("RGB").quantize(48)
    image.convert("RGB").save(buffer, format="WEBP", lossless=True, method=4)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
