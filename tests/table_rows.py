"""Rows of output tables for tests: what matters is written, the rest has harmless values."""

import datetime as dt
import os
from typing import Any

import polars as pl
from gcp_project import PROJECT

from schemas.columns import Table

# A real project removes what has expired, so there the rows are of last week.
DAY = dt.date.today() - dt.timedelta(days=7) if os.environ.get(PROJECT) else dt.date(2025, 3, 1)
NOON = dt.datetime.combine(DAY, dt.time(12), dt.UTC)
_ORDINARY: dict[str, Any] = {
    "account": "shop",
    "revision": 1,
    "is_superseded": False,
    "is_deleted": False,
    "final_at": NOON + dt.timedelta(days=3),
    "emitted_at": NOON,
    "call_start": NOON,
    "direction": "inbound",
    "status": "unattributed",
    "method": "none",
    "reason": "no_display_in_window",
    "received_at": NOON,
    "code": "not_json",
    "origin": "file",
    "tracking_number": "+4570000001",
    "session_start": NOON,
    "session_end": NOON,
}


def table_rows(table: Table, *rows: dict[str, Any]) -> pl.DataFrame:
    """Rows with all columns of a table; conversion_id follows call_id, the day defaults to DAY."""
    schema = pl.DataFrame(table.arrow_schema().empty_table()).schema
    repeated = {column.name: [] for column in table.columns if column.mode == "REPEATED"}
    usual = {key: value for key, value in _ORDINARY.items() if key in table.names}
    filled = []
    for row in rows:
        own = {"conversion_id": f"id of {row['call_id']}"} if "call_id" in row else {}
        filled.append({table.partition: DAY} | repeated | usual | own | row)
    return pl.DataFrame(filled, schema=schema, orient="row")
