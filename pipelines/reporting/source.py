"""Where the report's figures come from: named queries over the tables and views of a warehouse."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import duckdb
import polars as pl

from pipelines.reporting.tables import Results
from pipelines.views import DATABASE

Parameters = dict[str, str | date | None]
MOMENT = pl.Datetime("us", "UTC")
# Of keys that are no text, and of sums that are no whole numbers.
TYPES: dict[str, pl.DataType] = {
    "day": pl.Date(),
    "first_call_day": pl.Date(),
    "last_call_day": pl.Date(),
    "first_session_day": pl.Date(),
    "last_session_day": pl.Date(),
    "written_at": MOMENT,
    "hour": pl.Int64(),
    "percent": pl.Int64(),
    "delay_seconds": pl.Int64(),
    "is_bot": pl.Boolean(),
    "doubt": pl.Float64(),
    "expected_calls": pl.Float64(),
}


@dataclass(frozen=True)
class Query:
    """What the rows of a file of the folder `queries` are by, and what of them adds up.

    is_ranked: the largest come first, by the first of the sums, then the next; else by the keys.
    """

    keys: tuple[str, ...]
    sums: tuple[str, ...] = ("calls",)
    is_ranked: bool = False

    @property
    def schema(self) -> dict[str, pl.DataType]:
        """Its columns."""
        keys = {name: TYPES.get(name, pl.String()) for name in self.keys}
        return keys | {name: TYPES.get(name, pl.Int64()) for name in self.sums}

    def add_up(self, parts: Iterable[pl.DataFrame]) -> pl.DataFrame:
        """The rows of several places as those of one, in order."""
        order = [*(self.sums if self.is_ranked else ()), *self.keys]
        schema = pl.Schema(self.schema)
        typed = [part.select(schema.names()).cast(schema) for part in parts]
        return (
            pl.concat([schema.to_frame(), *typed])
            .group_by(self.keys)
            .agg(pl.col(self.sums).sum())
            .sort(order, descending=[name in self.sums for name in order], nulls_last=True)
        )


PERIOD, DEAD_LETTERS = "period", "dead_letters"
_HELD = ("first_call_day", "last_call_day", "first_session_day", "last_session_day", "written_at")
QUERIES = {
    PERIOD: Query(("account", "rule_set", *_HELD), ("calls", "sessions")),
    "calls": Query(
        ("account", "day", "direction", "status", "method", "reason"),
        ("calls", "qualified_calls", "doubt", "open_calls", "revised_calls"),
    ),
    "callers": Query(("day", "caller")),
    "answers": Query(("hour", "call_status")),
    "sources": Query(
        ("source", "medium", "campaign", "channel"),
        ("calls", "expected_calls", "qualified_calls", "first_calls"),
        is_ranked=True,
    ),
    "keywords": Query(("keyword", "source", "medium"), ("calls", "expected_calls"), is_ranked=True),
    "delays": Query(("delay_seconds",)),
    "certainty": Query(("percent",)),
    "pool_hours": Query(("hour",), ("numbers", "visitors", "shared")),
    "pool_numbers": Query(
        ("tracking_number",), ("calls", "sessions", "displays", "ambiguous_calls"), is_ranked=True
    ),
    "landing_pages": Query(("page",), ("calls", "sessions"), is_ranked=True),
    "devices": Query(("device_type",), ("calls", "sessions"), is_ranked=True),
    "traffic": Query(("is_bot",), ("sessions", "pageviews")),
    DEAD_LETTERS: Query(("code", "event_type"), ("dead_letters",), is_ranked=True),
}


class Source(Protocol):
    """A warehouse that answers the queries of the folder `queries`, each with the columns it names.

    Another place for the same tables and views needs only this.
    """

    @property
    def name(self) -> str:
        """What the page calls the place."""

    def results(self, names: Iterable[str], parameters: Parameters) -> Results:
        """The results of named queries for an account (null: all) and, where they ask, days."""


class DuckdbSource:
    """The local warehouse: `warehouse.duckdb` over a folder's Parquet files."""

    def __init__(self, folder: Path) -> None:
        self.name = folder.resolve().name
        self._connection = duckdb.connect(str(folder / DATABASE), read_only=True)
        self._connection.execute("SET TimeZone = 'UTC'")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()

    def results(self, names: Iterable[str], parameters: Parameters) -> Results:
        """The results of named queries."""
        return {name: QUERIES[name].add_up([self._rows(name, parameters)]) for name in names}

    def _rows(self, name: str, parameters: Parameters) -> pl.DataFrame:
        sql = query_text(name)
        used = {key: value for key, value in parameters.items() if f"${key}" in sql}
        return pl.DataFrame(self._connection.sql(sql, params=used).to_arrow_table())


@cache
def query_text(name: str) -> str:
    """The SQL of a named query."""
    return (resources.files(__package__) / "queries" / f"{name}.sql").read_text(encoding="utf-8")
