"""The text alternative of a figure, computed from what is drawn so that it is always current."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text

MAX_TEXTS = 40


def alternative(fig: Figure) -> str:
    """Describe a figure in words and numbers, one axes after the other.

    The text names the axes and their units. It gives the first and last point and the range of each
    line in the legend, the length of each bar that has a tick label, the coordinates of each
    annotated point, and all other words in the figure.
    """
    return " ".join(text for ax in fig.axes if (text := _describe(ax)))


def _describe(ax: Axes) -> str:
    parts = [*_axes(ax), *_lines(ax), *_bars(ax)]
    if ax.images and not ax.get_ylabel():
        parts.append("image")
    words = [text for text in ax.texts if _spoken(text)]
    for text in words[:MAX_TEXTS]:
        position = f" at {_pair(*text.xy)}" if isinstance(text, Annotation) else ""
        parts.append(_spoken(text) + position)
    if len(words) > MAX_TEXTS:
        parts.append(f"and {len(words) - MAX_TEXTS} more labels")
    title = _flat(ax.get_title())
    return f"{title + ': ' if title else ''}{'; '.join(parts)}." if parts or title else ""


def _spoken(text: Text) -> str:
    """The label of a text artist if it has one, else its text; a label of one space is silent."""
    return _flat(str(text.get_label()) or text.get_text())


def _axes(ax: Axes) -> list[str]:
    if not ax.axison:
        return []
    named = (
        ("horizontal", ax.get_xlabel(), ax.get_xscale()),
        ("vertical", ax.get_ylabel(), ax.get_yscale()),
    )
    return [
        f"{direction}: {_flat(label)}{', logarithmic' if scale == 'log' else ''}"
        for direction, label, scale in named
        if label
    ]


def _lines(ax: Axes) -> list[str]:
    parts = []
    for line in ax.lines:
        name = str(line.get_label())
        x, y = (np.asarray(data, dtype=float).tolist() for data in line.get_data())
        if name.startswith("_") or not y:
            continue
        parts.append(
            f"{name} from {_pair(x[0], y[0])} to {_pair(x[-1], y[-1])}, "
            f"minimum {min(y):.3g}, maximum {max(y):.3g}"
        )
    return parts


def _bars(ax: Axes) -> list[str]:
    parts = []
    for container in ax.containers:
        if not isinstance(container, BarContainer):
            continue
        upright = container.orientation == "vertical"
        axis = ax.xaxis if upright else ax.yaxis
        names = [_flat(label.get_text()) for label in axis.get_ticklabels()]
        if len(names) != len(axis.get_ticklocs()) or not any(names):
            continue
        ticks = dict(zip(map(float, axis.get_ticklocs()), names, strict=True))
        group = str(container.get_label())
        for bar in container:
            middle = (
                bar.get_x() + bar.get_width() / 2 if upright else bar.get_y() + bar.get_height() / 2
            )
            length = bar.get_height() if upright else bar.get_width()
            name = ticks.get(round(float(middle), 6))
            if name is not None and length:
                kind = "" if group.startswith("_") else f", {group}"
                parts.append(f"{name}{kind}: {_number(float(length))}")
    return parts


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _pair(x: float, y: float) -> str:
    return f"({x:.3g}, {y:.3g})"


def _flat(text: str) -> str:
    return " ".join(text.split())
