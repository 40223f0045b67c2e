"""A block of a network drawn as boxes and arrows, as in papers, but read from the module itself."""

from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Patch
from matplotlib.path import Path
from torch import nn

from convnets.plots.block_graph import Box, read_block
from convnets.plots.block_layout import LINE, RADIUS, Spot, lay_out
from convnets.plots.style import PALETTE, CourseFigure, figure, styled

Point = tuple[float, float]

FACES = {
    "conv": PALETTE[4],
    "pool": PALETTE[5],
    "act": "#EEEEEE",
    "sign": "white",
    "join": PALETTE[3],
    "move": "#66C2A5",
    "end": "white",
}
SPOKEN = {"+": "add", "×": "multiply"}


@styled
def block_diagram(block: nn.Module, shape: tuple[int, int, int]) -> CourseFigure:
    """Draw the layers of a block from input to output, with arrows between them.

    Everything is read from the module. Batch norm and activation are written in the box of the
    layer before them. The shape channels x height x width is written beside an arrow. Modules that
    do nothing in evaluation mode, such as dropout, are left out.

    Args:
        block: a module that takes one batch (N, C, H, W).
        shape: shape (C, H, W) of one input of the block.

    Returns:
        A figure whose size depends on the block.

    Raises:
        ValueError: the module cannot be traced by `torch.fx`, or does not take inputs of this
            shape.

    Example:
        >>> from convnets.models.resnet import BasicBlock
        >>> "64x56x56" in block_diagram(BasicBlock(64, 64), (64, 56, 56)).alternative
        True
    """
    spots, lanes = lay_out(read_block(block, shape))
    edges = [x for s in spots for x in (s.left, s.right)] + [lane.x for lane in lanes]
    left, right, bottom = min(edges) - 0.1, max(edges) + 0.1, spots[-1].bottom + 0.1
    fig = figure(width=right - left, height=bottom + 0.1)
    fig.set_layout_engine("none")
    ax = fig.axes[0]
    ax.set_position((0, 0, 1, 1))
    ax.set(xlim=(left, right), ylim=(bottom, -0.1))
    ax.axis("off")
    for number, spot in enumerate(spots):
        _draw_spot(ax, spot, _describe(spot.box, number))
    past = {(lane.source, target) for lane in lanes for target in lane.targets}
    for j, target in enumerate(spots):
        for i, shape_text in target.box.reads.items():
            if (i, j) in past:
                continue
            way = _way(spots[i], target)
            _draw_line(ax, way)
            if "end" not in (spots[i].box.kind, target.box.kind) and way[0][1] == spots[i].bottom:
                _write(ax, way[0][0] + 0.07, spots[i].bottom + 0.12, shape_text, 9, ha="left")
    for number, lane in enumerate(lanes):
        for j in lane.targets:
            entering = [each.source for each in lanes if j in each.targets]
            share = (entering.index(lane.source) + 1) / (len(entering) + 1)
            way = _way_past(spots[lane.source], lane.x, spots[j], share)
            _draw_line(ax, way, PALETTE[number % 3] if len(lanes) > 2 else "black")
    return fig


def _way(source: Spot, target: Spot) -> list[Point]:
    """Corners of the line from one box down to another, with a bend if their columns differ."""
    for x in (target.x, source.x):
        if source.left <= x <= source.right and target.left <= x <= target.right:
            return [(x, source.bottom), (x, target.top)]
    if target.box.kind == "sign":
        side = target.right if source.x > target.x else target.left
        return [(source.x, source.bottom), (source.x, target.middle), (side, target.middle)]
    side = source.right if target.x > source.x else source.left
    return [(side, source.middle), (target.x, source.middle), (target.x, target.top)]


def _way_past(source: Spot, x: float, target: Spot, share: float) -> list[Point]:
    """Corners of the line from a side of one box along a lane at `x` to a side of another.

    The line ends at the given share of the target's height, counted from its top.
    """
    y = target.top + share * target.height
    start, end = (spot.right if x > spot.x else spot.left for spot in (source, target))
    return [(start, source.middle), (x, source.middle), (x, y), (end, y)]


def _draw_spot(ax: Axes, spot: Spot, words: str) -> None:
    kind, width = spot.box.kind, spot.right - spot.left
    patch: Patch
    if kind == "sign":
        patch = Circle((spot.x, spot.middle), RADIUS)
    else:
        corner = 0.14 if kind == "end" else 0.05
        patch = FancyBboxPatch(
            (spot.left, spot.top), width, spot.height, f"round,pad=0,rounding_size={corner}"
        )
    patch.set(facecolor=FACES[kind], edgecolor="black", gid=kind, zorder=3)
    ax.add_patch(patch)
    for row, line in enumerate(spot.lines):
        y = spot.middle + LINE * (row - (len(spot.lines) - 1) / 2)
        size = 14 if kind == "sign" else 9 if row else 10
        _write(ax, spot.left + width / 2, y, line, size, words=" " if row else words)


def _describe(box: Box, number: int) -> str:
    """Describe a box in words, with the numbers of the boxes that it reads."""
    words = ", ".join([SPOKEN.get(box.title, box.title), *box.settings, *box.followed_by])
    sources = " and ".join(str(i) if i else "the input" for i in sorted(box.reads))
    if box.kind == "end":
        return f"{words}, from {sources}" if sources else words
    return f"{number}: {words}, reads {sources}, outputs {box.shape}"


def _write(
    ax: Axes, x: float, y: float, text: str, size: float, words: str = " ", ha: str = "center"
) -> None:
    """Write a text that the figure's text alternative replaces by `words`."""
    va = "center" if size < 12 else "center_baseline"
    ax.text(x, y, text, ha=ha, va=va, fontsize=size, zorder=4, label=words)


def _draw_line(ax: Axes, points: list[Point], color: str = "black") -> None:
    """Draw a line with round corners and an arrowhead at its end."""
    vertices, codes = [points[0]], [Path.MOVETO]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        vertices += [_towards(corner, before), corner, _towards(corner, after)]
        codes += [Path.LINETO, Path.CURVE3, Path.CURVE3]
    path = Path([*vertices, points[-1]], [*codes, Path.LINETO])
    arrow = FancyArrowPatch(path=path, arrowstyle="-|>", mutation_scale=9, linewidth=1.3)
    arrow.set(color=color)
    ax.add_patch(arrow)


def _towards(start: Point, end: Point, step: float = 0.08) -> Point:
    (x, y), (u, v) = start, end
    share = min(step / max(abs(u - x), abs(v - y)), 0.5)
    return x + share * (u - x), y + share * (v - y)
