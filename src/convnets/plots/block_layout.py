"""Positions of the boxes of a block, and of the lines that pass them, in inches."""

from dataclasses import dataclass
from itertools import pairwise

from matplotlib.textpath import TextPath

from convnets.plots.block_graph import Box

# Minimum width of a box, vertical and horizontal gap between boxes, height of a line of text,
# radius of a circle.
WIDTH, BELOW, BESIDE, LINE, RADIUS = 1.5, 0.3, 0.2, 0.165, 0.14


@dataclass
class Spot:
    """The position of a box, from the top; arrows enter and leave it at `x`."""

    box: Box
    lines: list[str]
    height: float
    top: float = 0.0
    x: float = 0.0
    left: float = 0.0
    right: float = 0.0

    @property
    def middle(self) -> float:
        return self.top + self.height / 2

    @property
    def bottom(self) -> float:
        return self.top + self.height

    def move(self, x: float, width: float) -> None:
        half = RADIUS if self.box.kind == "sign" else width / 2
        self.x, self.left, self.right = x, x - half, x + half


@dataclass
class Lane:
    """A vertical line at `x`, along which a box is read past other boxes."""

    source: int
    targets: list[int]
    x: float = 0.0


def lay_out(boxes: list[Box]) -> tuple[list[Spot], list[Lane]]:
    """Lay out the boxes of a block: one column for each branch, lanes for the other connections.

    A box is placed vertically by its longest path from the input.

    Args:
        boxes: boxes in the order in which they run, as `read_block` returns them.
    """
    spots = [_spot(box) for box in boxes]
    readers = [[j for j, box in enumerate(boxes) if i in box.reads] for i in range(len(boxes))]
    _stack(spots, readers)
    branches = _branches(spots)
    _spread(spots, readers, branches)
    return spots, _lanes(spots, readers, branches)


def _spot(box: Box) -> Spot:
    if box.kind == "sign":
        return Spot(box, [box.title], 2 * RADIUS)
    title = [box.title]
    if box.kind == "act":
        parts = [title + box.followed_by]
    else:
        parts = [title, box.settings, box.followed_by]
    lines = [", ".join(part) for part in parts if part]
    least = 2 if box.kind in ("conv", "pool") else 1
    return Spot(box, lines, 0.12 + LINE * max(len(lines), least))


def _stack(spots: list[Spot], readers: list[list[int]]) -> None:
    """Put each box below all that it reads, in the middle of the space that is free for it."""
    for spot in spots:
        spot.top = max((spots[i].bottom + BELOW for i in spot.box.reads), default=0.0)
    lowest = [spot.top for spot in spots]
    for i in reversed(range(len(spots) - 1)):
        lowest[i] = min(lowest[j] for j in readers[i]) - BELOW - spots[i].height
    for spot, low in zip(spots, lowest, strict=True):
        spot.top = (spot.top + low) / 2


def _branches(spots: list[Spot]) -> list[list[int]]:
    """Divide the boxes into chains: the longest one first, then the longest of the rest."""

    def length(chain: list[int]) -> float:
        return sum(spots[i].height + BELOW for i in chain)

    left, branches = set(range(len(spots))), []
    while left:
        chains: dict[int, list[int]] = {}
        for i in sorted(left):
            before = [chains[j] for j in spots[i].box.reads if j in left]
            chains[i] = [*max(before, key=length, default=[]), i]
        branches.append(max(chains.values(), key=length))
        left -= set(branches[-1])
    return branches


def _ends(spots: list[Spot], readers: list[list[int]], branch: list[int]) -> tuple[int, int]:
    """The box at which a branch forks off, and the one at which it joins again."""
    return min(spots[branch[0]].box.reads), max(readers[branch[-1]])


def _spread(spots: list[Spot], readers: list[list[int]], branches: list[list[int]]) -> None:
    """Give each branch a column, in the order in which the branches run.

    Input, output and joins are as wide as all branches that leave or enter them.
    """
    home = {i: branch for branch in branches for i in branch}
    ends = {branch[0]: _ends(spots, readers, branch) for branch in branches[1:]}

    def columns(branch: list[int]) -> list[list[int]]:
        before: list[list[int]] = []
        after: list[list[int]] = []
        for other in sorted(branches[1:]):
            fork, _ = ends[other[0]]
            if home[fork] is branch:
                earlier = other[0] < min(branch[branch.index(fork) + 1 :], default=0)
                (before if earlier else after).extend(columns(other))
        return [*before, branch, *after]

    widest = max((line for spot in spots for line in spot.lines), key=_extent)
    width = max(WIDTH, _extent(widest) + 0.2)
    for number, branch in enumerate(columns(branches[0])):
        for i in branch:
            spots[i].move(number * (width + BESIDE), width)
    for first, both in ends.items():
        for spot in (spots[i] for i in both if spots[i].box.kind in ("join", "end")):
            spot.left = min(spot.left, spots[first].left)
            spot.right = max(spot.right, spots[first].right)
    last = max((join for _, join in ends.values()), default=0)
    if spots[last].box.kind == "join":
        for i in branches[0][branches[0].index(last) + 1 :]:
            spots[i].move((spots[last].left + spots[last].right) / 2, width)


def _lanes(spots: list[Spot], readers: list[list[int]], branches: list[list[int]]) -> list[Lane]:
    """Lanes for what is read past other boxes: short ones near the boxes, long ones outside."""
    near = {pair for branch in branches for pair in pairwise(branch)}
    for branch in branches[1:]:
        fork, join = _ends(spots, readers, branch)
        near |= {(fork, branch[0]), (branch[-1], join)}
    past = [[j for j in ends if (i, j) not in near] for i, ends in enumerate(readers)]
    lanes = [Lane(i, targets) for i, targets in enumerate(past) if targets]
    lanes.sort(key=lambda lane: spots[lane.targets[-1]].top - spots[lane.source].top)
    placed: list[tuple[float, float, float]] = []
    for lane in lanes:
        start, end = spots[lane.source], spots[lane.targets[-1]]
        beside = [s for s in spots if s.bottom >= start.top and s.top <= end.bottom]
        taken = [x for x, top, bottom in placed if bottom >= start.top and top <= end.bottom]
        left_is_free = not any(s.x < start.x for s in beside)
        if left_is_free and any(s.x > start.x for s in beside):
            lane.x = min([s.left for s in beside] + taken) - BESIDE
        else:
            lane.x = max([s.right for s in beside] + taken) + BESIDE
        placed.append((lane.x, start.top, end.bottom))
    return lanes


def _extent(line: str) -> float:
    return TextPath((0, 0), line, size=10).get_extents().width / 72 if line else 0.0
