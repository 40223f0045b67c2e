"""The common style of all figures: colour-blind-safe, on an opaque background for dark pages.

A figure made by `figure` is not registered with pyplot. A notebook therefore shows it once, where
it is the value of a cell.
"""

from collections.abc import Callable
from functools import wraps
from io import BytesIO
from typing import Any, ParamSpec, TypeVar

import matplotlib
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler

from convnets.plots.alternative import alternative

P = ParamSpec("P")
R = TypeVar("R")

# Okabe & Ito, "Color universal design", 2008, without the yellow, which is too faint on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
LINE_STYLES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
PIXELS_PER_INCH = 144

STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#444444",
    "axes.grid": True,
    "axes.labelsize": 11,
    "axes.prop_cycle": cycler(color=PALETTE, linestyle=LINE_STYLES),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "figure.facecolor": "white",
    "font.size": 11,
    "grid.color": "#DDDDDD",
    "legend.framealpha": 0.9,
    "legend.fontsize": 10,
    "lines.linewidth": 2.0,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
}


class CourseFigure(Figure):
    """A matplotlib figure that a notebook shows as a PNG with a text alternative.

    Example:
        >>> from convnets.plots import figure
        >>> type(figure()).__name__
        'CourseFigure'
    """

    def png(self) -> bytes:
        """Return the figure as PNG bytes, cropped to its content."""
        buffer = BytesIO()
        self.savefig(buffer, format="png", dpi=PIXELS_PER_INCH, bbox_inches="tight")
        return buffer.getvalue()

    @property
    def alternative(self) -> str:
        """Description of the figure in words and numbers, read from its axes."""
        return alternative(self)

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        text = self.alternative
        return {"image/png": self.png(), "text/plain": text}, {"image/png": {"alt": text}}


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Make a drawing function use the course's style, regardless of the user's rcParams.

    Args:
        draw: any function that draws with matplotlib.

    Returns:
        The same function, which leaves the global rcParams unchanged.

    Example:
        >>> from matplotlib import rcParams
        >>> @styled
        ... def size():
        ...     return rcParams["font.size"]
        >>> size() == rcParams["font.size"]
        False
    """

    @wraps(draw)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        with matplotlib.rc_context(STYLE):  # type: ignore[arg-type]
            return draw(*args, **kwargs)

    return wrapper


@styled
def figure(
    rows: int = 1, columns: int = 1, width: float = 7.5, height: float = 3.6
) -> CourseFigure:
    """Create a figure with a grid of axes, which `figure(...).axes` lists row by row.

    Args:
        rows: number of rows of axes.
        columns: number of columns of axes.
        width: width of the whole figure in inches.
        height: height of the whole figure in inches.

    Example:
        >>> len(figure(1, 2).axes)
        2
    """
    fig = CourseFigure(figsize=(width, height), layout="constrained")
    fig.subplots(rows, columns)
    return fig
