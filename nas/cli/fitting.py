"""Tables for terminals of any width."""

from __future__ import annotations

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text


class FittingTable(Table):
    """A table, or where its longest words do not fit beside each other, a record per row: header, value."""

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> RenderResult:
        needed = self.__rich_measure__(console, options).minimum
        if needed <= options.max_width or not self.show_header:
            yield from super().__rich_console__(console, options)
            return
        if self.title:
            yield Text(str(self.title), style="italic")
        for cells in zip(*(column.cells for column in self.columns), strict=True):
            record = Table.grid(padding=(0, 2))
            record.add_column(style="dim", max_width=options.max_width // 3)
            record.add_column(overflow="fold")
            for column, cell in zip(self.columns, cells, strict=True):
                record.add_row(column.header, cell)
            yield record
            yield ""
