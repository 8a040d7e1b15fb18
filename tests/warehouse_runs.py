"""Runs of the local warehouse for tests, and what a warehouse then holds."""

import datetime as dt
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
from table_rows import DAY, table_rows

from pipelines.warehouse import LocalWarehouse, write_rows
from schemas.tables import CONVERSIONS, TABLES

NEXT = DAY + dt.timedelta(days=1)


def call(call_id: str, account: str = "shop", day: dt.date = DAY, **more: Any) -> dict[str, Any]:
    return {"call_id": call_id, "account": account, "call_date": day, **more}


def backfill(
    folder: Path,
    rows: dict[str, pl.DataFrame],
    replaced: pl.DataFrame | None = None,
    report: dict[str, Any] | None = None,
) -> None:
    """One run that stages rows by table name and replaces their days, or what is given."""
    with LocalWarehouse(folder).open_run() as run:
        for name, part in rows.items():
            write_rows(run.staging, TABLES[name], part, "part")
        run.commit(staged_keys(rows) if replaced is None else replaced, report or {})


def covered(table: str, account: str, *days: dt.date) -> pl.DataFrame:
    return pl.DataFrame([{"table": table, "account": account, "day": day} for day in days])


def calls_in(folder: Path) -> list[tuple[str, str, dt.date]]:
    """(account, call_id, day) of each conversion, as the view shows them."""
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(
            "SELECT account, call_id, call_date FROM conversions ORDER BY ALL"
        ).fetchall()


def conversions(*rows: dict[str, Any]) -> dict[str, pl.DataFrame]:
    return {"conversions": table_rows(CONVERSIONS, *rows)}


def staged_keys(rows: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """What a run that stages these rows (by table name) replaces: table, account, day."""
    keys = [
        part.select(
            pl.lit(name).alias("table"), "account", pl.col(TABLES[name].partition).alias("day")
        )
        for name, part in rows.items()
    ]
    return pl.concat(keys).unique(maintain_order=True)


def warehouse_files(folder: Path) -> list[str]:
    """Every file below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
