"""Tables of the page: rows, what their columns mean, and how they are cut to the largest."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

Kind = Literal["count", "decimal", "share"]
Results = dict[str, pl.DataFrame]


@dataclass(frozen=True)
class Column:
    """A column of numbers: its key in the rows, title, kind, and the term that defines it."""

    key: str
    title: str
    kind: Kind = "count"
    term: str | None = None


CALLS = Column("calls", "Calls", term="calls")
SHARE = Column("share", "Share", "share")
EXPECTED = Column("expected_calls", "Expected", "decimal", "expected")


@dataclass(frozen=True)
class Table:
    """Rows of a label (with `note`, a smaller line below it) and numbers, and their total.

    `bar` names the column that the bar below the label shows.
    """

    key: str
    label: Column
    columns: Sequence[Column]
    rows: Sequence[dict[str, Any]]
    total: dict[str, Any] | None = None
    bar: str | None = None

    @property
    def longest_bar(self) -> float:
        """What a bar of full width stands for."""
        values = [row[self.bar] for row in self.rows] if self.bar else []
        return max(values, default=0) or 1


def label(title: str, term: str | None = None) -> Column:
    """The first column."""
    return Column("label", title, term=term)


def largest(
    rows: pl.DataFrame, columns: Sequence[str], limit: int, rest: str = "{} more"
) -> list[dict[str, Any]]:
    """The first rows as they come, and one that adds up the others, so that no call is lost.

    rows: label, the columns (to be added up), and maybe note.
    """
    shown = rows.head(limit).to_dicts()
    left = rows.slice(limit)
    if left.height:
        added = left.select(pl.col(columns).sum()).row(0, named=True)
        shown.append({"label": rest.format(f"{left.height:,}"), "is_rest": True, **added})
    return shown


def totals(rows: pl.DataFrame, columns: Sequence[str], name: str = "All") -> dict[str, Any]:
    """One row that adds the columns up."""
    return {"label": name, **rows.select(pl.col(columns).sum()).row(0, named=True)}


def share(part: float, whole: float | None) -> float | None:
    """part / whole; null where there is nothing to be a part of."""
    return part / whole if whole else None


def sum_of(rows: pl.DataFrame, column: str) -> int:
    """The sum of a column of counts; 0 without rows."""
    return int(rows[column].sum() or 0)


def hour_name() -> pl.Expr:
    """The column hour, 0 to 23, as a time of day."""
    return pl.format("{}:00", pl.col("hour").cast(pl.String).str.zfill(2))
