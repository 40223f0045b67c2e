import pytest

from convnets.plots import figure, verdict_stacks


@pytest.fixture
def marks():
    """Points of the marks by verdict."""
    ax = figure().axes[0]
    verdict_stacks(ax, [5, 5, 7, 5], ["exact", "differs", "differs", "exact"])
    return {line.get_label(): [tuple(map(int, p)) for p in line.get_xydata()] for line in ax.lines}


def test_each_claim_is_a_mark_above_its_slide(marks):
    assert marks["exact"] == [(5, 1), (5, 2)]
    assert marks["differs"] == [(5, 3), (7, 1)]


def test_every_verdict_is_in_the_legend(marks):
    assert [label.partition(":")[0] for label in marks] == ["exact", "rounded", "differs"]
