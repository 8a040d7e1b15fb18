"""attribeam expire: takes days whose time is over out of a local warehouse (SPEC section 11).

BigQuery does it by itself; here it is a command, to be run once a day.
"""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from pipelines import journal
from pipelines.journal import Move
from pipelines.output import OutputError
from pipelines.parquet import day_folder, read_file, write_file
from pipelines.views import DATABASE
from pipelines.warehouse import LocalWarehouse, Run
from schemas.config import Config
from schemas.tables import TABLES
from transforms.days import Days

KEYS = ["table", "account", "day"]


@dataclass(frozen=True)
class Expired:
    """What went: table, account (null: of no known account), day, rows."""

    rows: pl.DataFrame

    def json(self) -> dict[str, Any]:
        """For scripts."""
        days = [row | {"day": str(row["day"])} for row in self.rows.iter_rows(named=True)]
        return {"rows": self.rows["rows"].sum(), "days": days}

    def text(self) -> str:
        """A line for each table and account."""
        if self.rows.is_empty():
            return "nothing has expired"
        parts = self.rows.group_by("table", "account", maintain_order=True).agg(
            pl.min("day").alias("first"),
            pl.max("day").alias("last"),
            pl.n_unique("day").alias("days"),
            pl.sum("rows"),
        )
        return "\n".join(
            f"{row['table']}, {row['account'] or 'no account'}: {row['rows']:,} rows of "
            f"{row['days']} days, {row['first']} to {row['last']}"
            for row in parts.iter_rows(named=True)
        )


def expire(folder: Path, config: Config, now: int) -> Expired:
    """Removes the days that have expired at a moment (us), all or none, and says which.

    A day of an account expires `retention_days` after it began. A killed run changes nothing, or
    whoever comes next finishes it. Raises OutputError where there is no warehouse, another run is
    writing, or the folder cannot be written.
    """
    if not (folder / DATABASE).exists():
        raise OutputError(
            f"{folder}: no warehouse there ({DATABASE} is missing); --output must name one that "
            "attribeam backfill or stream has written"
        )
    with LocalWarehouse(folder).open_run() as run:
        gone = find_expired(run.existing(), config, now)
        moves = [
            _remove(run, table, day, set(part["account"]))
            for (table, day), part in gone.group_by("table", "day", maintain_order=True)
        ]
        if moves:
            journal.write_journal(folder, run.name, moves)
            journal.finish(folder)
    return Expired(gone)


def find_expired(existing: pl.DataFrame, config: Config, now: int) -> pl.DataFrame:
    """The rows of `existing` (table, account, day, rows) whose day has expired."""
    # Rows of no known account are kept as long as the top level says, like those of any other name.
    named = existing.with_columns(pl.col("account").fill_null(""))
    expired = Days(config, now).expired(named, pl.col("day"))
    return existing.filter(expired).sort(*KEYS, nulls_last=False)


def _remove(run: Run, table_name: Any, day: Any, accounts: set[str | None]) -> Move:
    """Stages what stays of a day, and says what to move."""
    table = TABLES[str(table_name)]
    assert isinstance(day, dt.date)
    staged = day_folder(run.staging, table, day)
    going = pa.array(sorted(account for account in accounts if account is not None), pa.string())
    files = sorted(day_folder(run.folder, table, day).glob("*.parquet"))
    for number, file in enumerate(files):
        rows = read_file(file, table)
        goes = pc.is_in(rows["account"], value_set=going)
        if None in accounts:
            goes = pc.or_(goes, pc.is_null(rows["account"]))
        kept = rows.filter(pc.invert(goes))
        if kept.num_rows:
            write_file(staged / f"kept-{run.name}-{number}.parquet", table, kept)
    return Move(str(staged.relative_to(run.staging)), fresh=staged.exists())
