"""Tables that travel between stages; a moment is a number of microseconds (SPEC section 2)."""

from collections.abc import Sequence
from typing import Any

import polars as pl
import pyarrow as pa

from schemas.columns import Column
from schemas.tables import SESSION_COLUMNS, SESSION_ID, SESSION_START, TOUCHPOINTS, VISITOR_ID


def _core_schema(columns: Sequence[Column]) -> dict[str, Any]:
    """The columns' types inside the core, where a moment is a number of microseconds."""
    schema = pa.schema([column.arrow_field() for column in columns])
    types = dict(pl.DataFrame(schema.empty_table()).schema)
    return {name: _core_type(kind) for name, kind in types.items()}


def _core_type(kind: Any) -> Any:
    if isinstance(kind, pl.Datetime):
        return pl.Int64()
    if isinstance(kind, pl.List):
        return pl.List(_core_type(kind.inner))
    if isinstance(kind, pl.Struct):
        return pl.Struct({f.name: _core_type(f.dtype) for f in kind.fields})
    return kind


# What is known of a session, wherever the session goes.
FACTS_SCHEMA = _core_schema((VISITOR_ID, SESSION_ID, SESSION_START, *SESSION_COLUMNS, TOUCHPOINTS))
SHOWINGS = {
    "tracking_number": pl.String,
    "display_times": pl.List(pl.Int64),
    "first_display": pl.Int64,
    "last_display": pl.Int64,
    "engaged_times": pl.List(pl.Int64),
    "last_contact": pl.Int64,
    "slice": pl.Int64,
    "account": pl.String,
} | FACTS_SCHEMA
ENTRIES = {
    "account": pl.String,
    "caller_key": pl.String,
    "time": pl.Int64,
    "event_id": pl.String,
    "hash": pl.UInt64,
} | FACTS_SCHEMA
SETTLED = {"account": pl.String, "call_id": pl.String} | FACTS_SCHEMA
CANDIDATES = {
    "account": pl.String,
    "call_id": pl.String,
    "last_contact": pl.Int64,
    "first_display": pl.Int64,
    "last_display": pl.Int64,
    "displays": pl.Int64,
    **FACTS_SCHEMA,
    "caller_key": pl.String,
}
