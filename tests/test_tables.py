import pytest
from rich.console import Console
from rich.table import Column

from convnets.tables import FittingTable, short, short_macs

COLUMNS = (Column("name"), Column("count", justify="right"), Column("note", min_width=12))
ROWS = [("alexnet", "8", "the winner of ILSVRC in 2012"), ("vgg16", "16", "")]


def printed(table: FittingTable, width: int) -> list[str]:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(table)
    return capture.get().splitlines()


def test_a_wide_console_shows_all_columns_on_one_line_each():
    lines = printed(FittingTable(COLUMNS, ROWS, ["note"]), 80)
    assert lines[0].split() == ["name", "count", "note"]
    assert lines[2:] == [
        "alexnet      8  the winner of ILSVRC in 2012",
        "vgg16       16                              ",
    ]


@pytest.mark.parametrize("width", range(28, 44))
def test_text_wraps_before_a_column_is_left_out(width):
    lines = printed(FittingTable(COLUMNS, ROWS, ["note"]), width)
    assert lines[0].split() == ["name", "count", "note"]
    assert max(map(len, lines)) <= width
    assert len(lines) > 4


def test_columns_are_left_out_in_the_given_order_and_named():
    table = FittingTable(COLUMNS, ROWS, ["note", "count"])
    assert printed(table, 27)[0].split() == ["name", "count"]
    lines = printed(table, 10)
    assert lines[0].split() == ["name"]
    assert " ".join(lines).replace("  ", " ").find("Left out: note, count.") > 0


def test_square_brackets_are_not_read_as_markup():
    assert "[bold]" in printed(FittingTable([Column("name")], [["[bold]"]]), 80)[2]


def test_footers_and_the_title_are_printed():
    columns = [Column("layer", "total"), Column("MACs", "3")]
    lines = printed(FittingTable(columns, [("conv", "3")], title="A network"), 80)
    assert lines[0].strip() == "A network"
    assert lines[-1].split() == ["total", "3"]


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0"), (999, "999"), (60_850, "60.9k"), (60_965_224, "61.0M"), (1_300_000_000, "1.3G")],
)
def test_counts_are_given_in_thousands_millions_or_billions(count, text):
    assert short(count) == text


@pytest.mark.parametrize(
    ("macs", "text"),
    [
        (724_406_816, "0.72G"),
        (15_470_264_320, "15.47G"),
        (40_813_184, "40.8M"),
        (326_520, "326.5k"),
    ],
)
def test_macs_are_given_in_billions_from_a_tenth_of_one(macs, text):
    assert short_macs(macs) == text
