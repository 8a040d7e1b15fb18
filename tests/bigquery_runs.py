"""Runs into BigQuery for tests, and what it then holds."""

import datetime as dt
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
from google.cloud import bigquery
from table_rows import NOON, table_rows
from warehouse_runs import NEXT, call, conversions, staged_keys

from pipelines.bigquery.names import Target
from pipelines.bigquery.service import Service
from pipelines.bigquery.warehouse import BigQueryWarehouse
from pipelines.parquet import write_rows
from schemas.config import parse_config
from schemas.tables import DEAD_LETTERS, TABLES

Row = dict[str, Any]


SOURCE = {"source": "google", "medium": "cpc", "campaign": "spring ☀", "channel": "Paid Search"}
CANDIDATES = [
    SOURCE
    | {
        "session_id": f"s{number}",
        "visitor_id": "v",
        "probability": probability,
        "first_display": NOON - dt.timedelta(microseconds=123_457),
        "last_display": NOON,
        "displays": number,
    }
    for number, probability in enumerate((0.1 + 0.2, 1e-300, None))
]
TOUCHES = [SOURCE | {"session_id": "s", "session_start": NOON}, {"session_id": "t", "source": None}]
RICH = call(
    "rich",
    candidates=CANDIDATES,
    touchpoints=TOUCHES,
    variants=[{"name": "b", "value": "1"}, {"name": "a", "value": None}],
    outcome_tags=["x", "", "ø\n\"'\\"],
    is_qualified=True,
    probability=2 / 3,
    call_ring=NOON + dt.timedelta(microseconds=1),
    earlier_calls=2**53 + 1,
    **SOURCE,
)
LETTER = {"dead_letter_id": "1", "payload": bytes(range(256)), "line": 7}


def everything() -> dict[str, pl.DataFrame]:
    """Rows of every table, with all that a value can be, of two accounts and of none."""
    rows = {
        name: table_rows(table, {}, {"account": "bank"})
        for name, table in TABLES.items()
        if name not in ("conversions", "dead_letters")
    }
    letters = [LETTER, LETTER | {"dead_letter_id": "2", "account": None}]
    return rows | {
        **conversions(RICH, call("plain"), call("plain", "bank", NEXT)),
        "dead_letters": table_rows(DEAD_LETTERS, *letters),
    }


def warehouse_of(service: Service, region: str | None = None, **settings: Any) -> BigQueryWarehouse:
    """The service's project as a warehouse with this configuration."""
    return BigQueryWarehouse(service, Target(service.project, "EU"), parse_config(settings), region)


def backfill(
    warehouse: BigQueryWarehouse,
    rows: dict[str, pl.DataFrame],
    replaced: pl.DataFrame | None = None,
) -> dict[str, Any]:
    """One run that stages rows by table name and replaces their days, or what is given."""
    report: dict[str, Any] = {}
    with warehouse.open_run() as run:
        for name, part in rows.items():
            write_rows(run.staging, TABLES[name], part, "part")
        run.commit(staged_keys(rows) if replaced is None else replaced, report)
    return report


def query(service: Service, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in service.query(sql, "EU")]


def rows_in(service: Service, dataset: str, table: str) -> list[Row]:
    """All rows of a table or view in the order of their text.

    Times within records are asked for as numbers: the client cannot read the emulator's.
    """
    columns = service.client.get_table(f"{service.project}.{dataset}.{table}").schema
    apart = ", ".join(_asked(column) for column in columns)
    rows = service.query(f"SELECT {apart} FROM {dataset}.{table} AS rows_of_it", "EU")
    return ordered({c.name: _read(row[c.name], c) for c in columns} for row in rows)


def _asked(column: bigquery.SchemaField) -> str:
    if column.field_type != "RECORD":
        return column.name
    fields = (
        f"UNIX_MICROS(item.{field.name}) AS {field.name}_us"
        if field.field_type == "TIMESTAMP"
        else f"item.{field.name} AS {field.name}"
        for field in column.fields
    )
    return (
        f"ARRAY(SELECT AS STRUCT {', '.join(fields)} FROM UNNEST({column.name}) AS item "
        f"WITH OFFSET AS place ORDER BY place) AS {column.name}"
    )


def _read(value: Any, column: bigquery.SchemaField) -> Any:
    if column.field_type != "RECORD":
        return value
    return [
        {
            name.removesuffix("_us"): _moment(v) if name.endswith("_us") else v
            for name, v in record.items()
        }
        for record in value
    ]


def _moment(microseconds: int | None) -> dt.datetime | None:
    if microseconds is None:
        return None
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=microseconds)


def local_rows(folder: Path, table: str, account: str | None) -> list[Row]:
    """The same rows of a local warehouse."""
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        sql = f"SELECT * FROM {table} WHERE account IS NOT DISTINCT FROM ?"
        found = pl.DataFrame(connection.sql(sql, params=[account]).to_arrow_table())
    return ordered(found.iter_rows(named=True))


def ordered(rows: Any) -> list[Row]:
    return sorted((_plain(row) for row in rows), key=repr)


def _plain(value: Any) -> Any:
    """Sums of shares differ in their last digits by the order in which they are added."""
    if isinstance(value, float):
        return round(value, 9)
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value


class FailingClient(bigquery.Client):
    """The official client, which fails as a dying process does at a statement that has a text."""

    def fail_at(self, text: str, error: BaseException) -> None:
        self._text, self._error = text, error

    def query(self, query: str, **options: Any) -> Any:
        if self._text in query:
            raise self._error
        return super().query(query, **options)
