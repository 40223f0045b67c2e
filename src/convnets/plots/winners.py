"""The ImageNet challenge (ILSVRC) by year, as on the lecture's "ILSVRC Winners" slides."""

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.patches import Patch

from convnets.plots.style import PALETTE, styled


@dataclass(frozen=True)
class Entry:
    """One entry of the classification task."""

    year: int
    name: str
    top5_error: float
    """Percent of the test images whose class is not among five guesses."""
    layers: int | None
    """Layers with weights of the deepest network; `None` if a shallow classifier or not stated."""
    note: str
    """What the lecture's name for it leaves out."""
    source: str
    """Key in `references.bib` and the place there."""


# The error of entries that used no other training data.
WINNERS = (
    Entry(2010, "NEC-UIUC", 28.2, None, "shallow", "russakovsky2015imagenet, section 5"),
    Entry(2011, "XRCE", 25.8, None, "shallow", "russakovsky2015imagenet, section 5"),
    Entry(2012, "AlexNet", 16.4, 8, "", "russakovsky2015imagenet, section 5"),
    Entry(
        2013,
        "ZFNet",
        11.7,
        8,
        "entered as Clarifai, by its first author",
        "russakovsky2015imagenet, section 5",
    ),
    Entry(2014, "VGG", 7.3, 19, "second", "simonyan2015very, table 7"),
    Entry(2014, "GoogLeNet", 6.7, 22, "", "russakovsky2015imagenet, section 5"),
    Entry(2015, "ResNet", 3.57, 152, "", "he2016deep, table 5"),
    Entry(2016, "Shao et al.", 2.99, None, "ensemble", "hu2018squeeze, section 1"),
    Entry(2017, "SENet", 2.25, None, "ensemble", "hu2018squeeze, section 1"),
)
# One trained person on 1500 images (russakovsky2015imagenet, section 6.4).
HUMAN_ERROR = 5.1


# Label, colour and hatching of each kind of bar.
KINDS = {
    "shallow": ("#999999", "//"),
    "convolutional": (PALETTE[0], None),
    "convolutional, second": (PALETTE[4], ".."),
    "a trained person": (PALETTE[5], "xx"),
}


@styled
def ilsvrc_winners(ax: Axes) -> Axes:
    """Top-5 error of the winners of 2010 to 2017, of the second of 2014 and of a person."""
    bars = [
        (f"{entry.year}\n{entry.name}", entry.top5_error, _depth(entry), _kind(entry))
        for entry in WINNERS
    ]
    bars.append(("\nperson", HUMAN_ERROR, "", "a trained person"))
    for row, (_, error, depth, kind) in enumerate(bars):
        color, hatch = KINDS[kind]
        ax.bar(row, error, width=0.7, color=color, hatch=hatch, edgecolor="black")
        text = f"{error:g}\n{depth}" if depth else f"{error:g}"
        ax.text(row, error + 0.5, text, ha="center", va="bottom", fontsize=9)
    ax.set_xticks(range(len(bars)), [name for name, *_ in bars], fontsize=9)
    ax.set_ylim(0, 33)
    ax.grid(axis="x", visible=False)
    ax.set_ylabel("top-5 error (%)")
    ax.legend(
        handles=[
            Patch(facecolor=color, hatch=hatch, edgecolor="black", label=kind)
            for kind, (color, hatch) in KINDS.items()
        ]
    )
    return ax


def _depth(entry: Entry) -> str:
    return entry.note if entry.layers is None else f"{entry.layers} layers"


def _kind(entry: Entry) -> str:
    if entry.note == "shallow":
        return "shallow"
    return "convolutional, second" if entry.note == "second" else "convolutional"
