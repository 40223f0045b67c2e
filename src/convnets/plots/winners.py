"""The ImageNet challenge (ILSVRC) by year, as on the slides titled "ILSVRC Winners"."""

from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.patches import Patch

from convnets.plots.style import PALETTE, styled


@dataclass(frozen=True)
class ChallengeEntry:
    """An entry of the challenge's classification task."""

    year: int
    name: str
    top5_error: float
    """Percentage of the test images whose class is not among the five best guesses."""
    layers: int | None
    """Number of layers with weights of the deepest network; `None` for a shallow classifier, or if
    the source does not state it."""
    note: str
    """What the name on the slide leaves out."""
    source: str
    """Key in `references.bib`, and the place in that source."""


# Errors are those of entries that used no other training data.
WINNERS = (
    ChallengeEntry(2010, "NEC-UIUC", 28.2, None, "shallow", "russakovsky2015imagenet, section 5"),
    ChallengeEntry(2011, "XRCE", 25.8, None, "shallow", "russakovsky2015imagenet, section 5"),
    ChallengeEntry(2012, "AlexNet", 16.4, 8, "", "russakovsky2015imagenet, section 5"),
    ChallengeEntry(
        2013,
        "ZFNet",
        11.7,
        8,
        "entered as Clarifai, by its first author",
        "russakovsky2015imagenet, section 5",
    ),
    ChallengeEntry(2014, "VGG", 7.3, 19, "second", "simonyan2015very, table 7"),
    ChallengeEntry(2014, "GoogLeNet", 6.7, 22, "", "russakovsky2015imagenet, section 5"),
    ChallengeEntry(2015, "ResNet", 3.57, 152, "", "he2016deep, table 5"),
    ChallengeEntry(2016, "Shao et al.", 2.99, None, "ensemble", "hu2018squeeze, section 1"),
    ChallengeEntry(2017, "SENet", 2.25, None, "ensemble", "hu2018squeeze, section 1"),
)
HUMAN_ERROR = 5.1
"""Top-5 error in percent of one trained person on 1500 images (russakovsky2015imagenet, section
6.4)."""

# Label, colour and hatching of each kind of bar.
KINDS = {
    "shallow": ("#999999", "//"),
    "convolutional": (PALETTE[0], None),
    "convolutional, second": (PALETTE[4], ".."),
    "a trained person": (PALETTE[5], "xx"),
}


@styled
def ilsvrc_winners(ax: Axes) -> Axes:
    """Draw the top-5 error of the winners from 2010 to 2017, of VGG in 2014, and of a person.

    The sources are in `WINNERS`; see slides 3, 13, 16, 22 and 37.

    Args:
        ax: axes to draw on.

    Example:
        >>> from convnets.plots import figure
        >>> ax = ilsvrc_winners(figure().axes[0])
    """
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


def _depth(entry: ChallengeEntry) -> str:
    return entry.note if entry.layers is None else f"{entry.layers} layers"


def _kind(entry: ChallengeEntry) -> str:
    if entry.note == "shallow":
        return "shallow"
    return "convolutional, second" if entry.note == "second" else "convolutional"
