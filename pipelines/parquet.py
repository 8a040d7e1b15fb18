"""Parquet files of the warehouse: how rows become files of a day, and what is cheap to read."""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.columns import Table
from schemas.tables import TABLES

# A dictionary of values that hardly repeat costs time and saves nothing.
IDENTIFIERS = frozenset(
    (
        "conversion_id",
        "call_id",
        "session_id",
        "visitor_id",
        "event_id",
        "dead_letter_id",
        "caller_key",
    )
)
COUNTED = {"table": pl.String, "account": pl.String, "day": pl.Date, "rows": pl.Int64}


def write_rows(folder: Path, table: Table, rows: pl.DataFrame, name: str) -> None:
    """Writes rows as `<folder>/<table>/<partition>=<day>/<name>.parquet`, one file a day.

    The rows need the table's columns (more are left out) and keep their order. Raises ValueError
    where a row has no day, and Arrow's errors where a value does not fit its column.
    """
    days = rows[table.partition]
    if days.null_count():
        raise ValueError(f"{table.name}: rows without {table.partition}")
    if not days.is_sorted():
        rows = rows.sort(table.partition, maintain_order=True)
    # One conversion and a slice for each day: half as dear as a conversion for each day.
    converted = rows.select(table.names).to_arrow().cast(table.arrow_schema())
    counts = rows.group_by(table.partition, maintain_order=True).len(name="rows")
    starts = counts["rows"].cum_sum() - counts["rows"]

    def write_day(day: date, start: int, count: int) -> None:
        path = day_folder(folder, table, day) / f"{name}.parquet"
        write_file(path, table, converted.slice(start, count))

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        list(threads.map(write_day, counts[table.partition], starts, counts["rows"]))


def write_file(path: Path, table: Table, rows: pa.Table) -> None:
    """Writes one file of rows that have the table's Arrow schema."""
    path.parent.mkdir(parents=True, exist_ok=True)
    repeating = [c.name for c in table.columns if c.type == "STRING" and c.name not in IDENTIFIERS]
    pq.write_table(rows, path, compression="zstd", compression_level=1, use_dictionary=repeating)


def read_file(path: Path, table: Table) -> pa.Table:
    """The rows of one file with the table's columns of today; null where the file lacks one."""
    rows = pa.concat_tables(
        [table.arrow_schema().empty_table(), pq.ParquetFile(path).read()], promote_options="default"
    )
    return rows.select(table.names).cast(table.arrow_schema())


def day_folder(folder: Path, table: Table, day: date) -> Path:
    """The folder of a table's day, as Hive names it."""
    return folder / table.name / f"{table.partition}={day}"


def table_files(folder: Path, table: Table) -> list[Path]:
    """All Parquet files of a table below a warehouse or staging folder, ordered by name."""
    return sorted(folder.glob(f"{table.name}/{table.partition}=*/*.parquet"))


def read_columns(files: Iterable[Path], columns: list[str]) -> pl.LazyFrame:
    """Some columns of Parquet files, whatever others they have."""
    schema = {name: _COLUMN_TYPES[name] for name in columns}
    paths = list(files)
    if not paths:
        return pl.LazyFrame(schema=schema)
    return pl.scan_parquet(
        paths, schema=schema, hive_partitioning=False, glob=False, extra_columns="ignore"
    )


def count_rows(folder: Path) -> pl.DataFrame:
    """Rows by table, account and day below a warehouse or staging folder."""
    return pl.concat([pl.DataFrame(schema=COUNTED), *_counts(folder)]).sort(
        "table", "day", "account", nulls_last=False
    )


def _counts(folder: Path) -> Iterator[pl.DataFrame]:
    for table in TABLES.values():
        rows = read_columns(table_files(folder, table), ["account", table.partition])
        yield (
            rows.group_by("account", pl.col(table.partition).alias("day"))
            .agg(rows=pl.len().cast(pl.Int64))
            .select(pl.lit(table.name).alias("table"), "account", "day", "rows")
            .collect()
        )


_COLUMN_TYPES: dict[str, pl.DataType | type[pl.DataType]] = {
    "account": pl.String,
    "dead_letter_id": pl.String,
    **{table.partition: pl.Date for table in TABLES.values()},
}
