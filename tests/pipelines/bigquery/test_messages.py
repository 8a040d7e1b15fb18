"""Rows as protocol buffers, against the protobuf library."""

import datetime as dt
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from proto_rows import message_class
from table_rows import DAY, NOON, table_rows
from warehouse_runs import call

from pipelines.bigquery.messages import RowEncoder
from schemas.columns import Column, Table
from schemas.tables import CONVERSIONS, TABLES

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "STRING": st.text(max_size=200),
    "BYTES": st.binary(max_size=200),
    "INT64": st.integers(-(2**63), 2**63 - 1),
    "FLOAT64": st.floats(allow_nan=False),
    "BOOL": st.booleans(),
    "DATE": st.dates(),
    "TIMESTAMP": st.datetimes(timezones=st.just(dt.UTC)),
}
KINDS = [Column(kind.lower(), kind, "Of a kind.") for kind in VALUES]
TABLE = Table(
    "every_kind",
    "Columns of every kind and mode.",
    "date",
    (),
    (
        *KINDS,
        Column("texts", "STRING", "Repeated.", "REPEATED"),
        *(
            Column(f"more_{number}", "INT64", "So that numbers of fields take two bytes.")
            for number in range(10)
        ),
        Column("records", "RECORD", "Repeated.", "REPEATED", tuple(KINDS)),
    ),
)


def value_of(column: Column) -> st.SearchStrategy[Any]:
    """A value that a column may have."""
    if column.fields:
        one: st.SearchStrategy[Any] = st.fixed_dictionaries(
            {field.name: value_of(field) for field in column.fields}
        )
    else:
        one = VALUES[column.type]
    return st.lists(one, max_size=3) if column.mode == "REPEATED" else st.none() | one


def as_sent(column: Column, value: Any) -> Any:
    """A value as the service wants it: times and days as numbers, null left out."""
    if isinstance(value, list):
        return [as_sent(Column(column.name, column.type, "", "", column.fields), v) for v in value]
    if isinstance(value, dict):
        return {field.name: as_sent(field, value[field.name]) for field in column.fields}
    if isinstance(value, dt.datetime):
        return (value - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
    return (value - dt.date(1970, 1, 1)).days if isinstance(value, dt.date) else value


ROW = st.fixed_dictionaries({column.name: value_of(column) for column in TABLE.columns})


@given(st.lists(ROW, max_size=5))
def test_messages_are_those_of_the_library(rows: list[dict[str, Any]]) -> None:
    """Byte for byte, whatever values rows have."""
    encoder = RowEncoder(TABLE)
    kind = message_class(encoder.descriptor)
    expected = [
        kind(**{c.name: as_sent(c, row[c.name]) for c in TABLE.columns}).SerializeToString()
        for row in rows
    ]
    schema = pl.DataFrame(TABLE.arrow_schema().empty_table()).schema
    assert encoder.encode(pl.DataFrame(rows, schema=schema)) == expected


@pytest.mark.parametrize("name", TABLES)
def test_no_rows_are_no_messages(name: str) -> None:
    """Of every table, also as the emulator wants it."""
    assert RowEncoder(TABLES[name], nested_text=True).encode(table_rows(TABLES[name])) == []


def test_a_row_keeps_its_values() -> None:
    """Times are microseconds, days are days since 1970, nulls are absent."""
    encoder = RowEncoder(CONVERSIONS)
    rows = table_rows(CONVERSIONS, call("1", probability=0.1, mos=None, outcome_tags=["a", "b"]))
    message = message_class(encoder.descriptor).FromString(encoder.encode(rows)[0])
    assert message.call_start == int(NOON.timestamp() * 1e6)
    assert message.call_date == (DAY - dt.date(1970, 1, 1)).days
    assert (message.probability, [*message.outcome_tags]) == (0.1, ["a", "b"])
    assert not message.HasField("mos")
