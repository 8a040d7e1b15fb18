"""What a stream left in a local warehouse, beside what a backfill of the same events leaves."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl
import pyarrow as pa
from polars.testing import assert_frame_equal
from pure import IDENTITY
from streams import latest_rows

from pipelines.parquet import read_file, table_files
from schemas.columns import Table
from schemas.tables import TABLES
from transforms.steps import Tables


def warehouse_rows(output: Path) -> Tables:
    """All rows of conversions, sessions and displays."""
    return {name: _rows(output, TABLES[name]) for name in IDENTITY}


def _rows(output: Path, table: Table) -> pl.DataFrame:
    files = [read_file(path, table) for path in table_files(output, table)]
    return pl.DataFrame(pa.concat_tables([table.arrow_schema().empty_table(), *files]))


def latest(output: Path) -> Tables:
    """Of each id the row that counts, without what differs from a backfill's."""
    rows = warehouse_rows(output)
    return {name: comparable(name, latest_rows(name, part)) for name, part in rows.items()}


def comparable(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows without revision and emitted_at, in the order of their ids."""
    return rows.drop("revision", "emitted_at").sort(IDENTITY[table])


def assert_latest(output: Path, backfill: Mapping[str, pl.DataFrame]) -> None:
    """The latest rows are those of the backfill."""
    for name, rows in latest(output).items():
        assert_frame_equal(rows, comparable(name, backfill[name]), check_exact=True)


def assert_no_double(output: Path) -> None:
    """Revisions of one id run from 1 to n, each once."""
    for name, rows in warehouse_rows(output).items():
        numbers = rows.group_by(IDENTITY[name]).agg(pl.col("revision").sort())
        whole = numbers.filter(
            pl.col("revision") == pl.int_ranges(1, pl.col("revision").list.len() + 1)
        )
        doubtful = numbers.join(whole, on=IDENTITY[name], how="anti", nulls_equal=True)
        assert doubtful.is_empty(), f"{name}: {doubtful}"
