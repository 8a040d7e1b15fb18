"""Which days a run writes: those asked for that have not expired (SPEC sections 12, 13)."""

import datetime as dt
from dataclasses import dataclass

import polars as pl

from schemas.config import Config
from schemas.tables import TABLES
from transforms.settings import DAY, with_settings
from transforms.steps import count_rows


@dataclass(frozen=True)
class Days:
    """The days a run may write, from (inclusive) to (exclusive) where given; now: us."""

    config: Config
    now: int
    first: dt.date | None = None
    end: dt.date | None = None
    keep_expired: bool = False

    def keep(self, table: str, rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """(rows to write, counts of rows written, expired and outside, by table)."""
        day = pl.col(TABLES[table].partition)
        inside = rows.filter(self._asked(day))
        kept = self._alive(inside, day)
        counts = count_rows(
            table,
            written=kept.height,
            expired=inside.height - kept.height,
            outside=rows.height - inside.height,
        )
        return kept, counts.filter(pl.col("count") > 0)

    def written(self, days: pl.DataFrame) -> pl.DataFrame:
        """Of days (account, day, …) those that the run may write."""
        return self._alive(days.filter(self._asked(pl.col("day"))), pl.col("day"))

    def _asked(self, day: pl.Expr) -> pl.Expr:
        after = pl.lit(True) if self.first is None else day >= self.first
        return after if self.end is None else after & (day < self.end)

    def _alive(self, rows: pl.DataFrame, day: pl.Expr) -> pl.DataFrame:
        return rows if self.keep_expired else rows.filter(~self.expired(rows, day))

    def expired(self, rows: pl.DataFrame, day: pl.Expr) -> pl.Series:
        """Whether each row's day partition has expired: `retention_days` after the day began."""
        known = with_settings(
            rows.with_columns(day.alias("_day")),
            self.config,
            retention=lambda account: account.retention_days,
        )
        expires = (pl.col("_day").cast(pl.Int64) + pl.col("retention")) * DAY
        return known.select(expired=expires <= self.now)["expired"]


@dataclass
class KeepDays:
    """`Days.keep` of one table, as a rule for transforms.stages.KeepRows."""

    days: Days
    table: str

    def __call__(self, rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        return self.days.keep(self.table, rows)
