"""Tables for the terminal, and numbers in words."""

import os
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.jupyter import JupyterMixin
from rich.table import Column, Table
from rich.text import Text

WIDTH_IN_A_PIPE = 240
UNLIMITED = 10_000


class FittingTable(JupyterMixin):
    """A table that leaves out columns where the console is too narrow for all of them.

    Cells stay on one line, except in columns with a `min_width`: there, text wraps where the space
    is short, to no less than this width. A line below the table names the columns that were left
    out.

    Args:
        columns: headers, and how each column looks.
        rows: the texts of each row, one for each column.
        optional: headers of the columns that may be left out; the first is left out first.
        title: printed above the table.
        show_lines: draw a line between rows.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        rows: Iterable[Sequence[str]],
        optional: Sequence[str] = (),
        title: str | None = None,
        show_lines: bool = False,
    ) -> None:
        self.columns, self.rows = columns, [*rows]
        self.optional, self.title, self.show_lines = optional, title, show_lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        def width(table: Table) -> int:
            unlimited = options.update(max_width=UNLIMITED)
            return console.measure(table, options=unlimited).maximum

        left_out: list[str] = []
        while (narrowest := width(self._table(left_out, 1))) > options.max_width:
            if len(left_out) == len(self.optional):
                break
            left_out.append(self.optional[len(left_out)])
        table = self._table(left_out)
        text = sum(column.min_width or 0 for column in table.columns)
        if text and width(table) > options.max_width:
            table = self._table(left_out, 1 + (options.max_width - narrowest) / text)
        yield table
        if left_out:
            yield Text(
                f"Left out: {', '.join(left_out)}. A wider terminal or a pipe shows all columns.",
                style="dim",
            )

    def _table(self, left_out: Sequence[str], stretch: float | None = None) -> Table:
        """The other columns; those with a `min_width` are `stretch` times as wide as that."""
        table = Table(
            title=self.title,
            title_justify="left",
            box=box.SIMPLE_HEAD,
            show_edge=False,
            pad_edge=False,
            collapse_padding=True,
            show_lines=self.show_lines,
            show_footer=any(column.footer for column in self.columns),
        )
        shown = [column for column in self.columns if column.header not in left_out]
        for column in shown:
            table.add_column(
                column.header,
                column.footer,
                justify=column.justify,
                overflow="fold",
                no_wrap=column.min_width is None,
                min_width=column.min_width,
                width=int(column.min_width * stretch) if column.min_width and stretch else None,
            )
        for row in self.rows:
            cells = zip(self.columns, row, strict=True)
            table.add_row(*(Text(cell) for column, cell in cells if column in shown))
        return table


def make_console() -> Console:
    """A console as wide as the terminal or as the variable COLUMNS says; wide in a pipe."""
    console = Console()
    if console.is_terminal or "COLUMNS" in os.environ:
        return console
    return Console(width=WIDTH_IN_A_PIPE)


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """A count and its noun, which takes an s or the given form in the plural.

    >>> counted(1, "process", "processes"), counted(2, "class", "classes"), counted(0, "image")
    ('1 process', '2 classes', '0 images')
    """
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def short(count: int) -> str:
    """A count in thousands, millions or billions.

    >>> short(60_965_224)
    '61.0M'
    """
    for unit, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= unit:
            return f"{count / unit:.1f}{letter}"
    return str(count)


def short_macs(macs: int) -> str:
    """Multiply-accumulates in billions, as papers give them; in millions below a tenth of one.

    >>> short_macs(724_406_816)
    '0.72G'
    """
    return f"{macs / 10**9:.2f}G" if macs >= 10**8 else short(macs)
