"""Where the report's figures come from: named queries over the tables and views of a warehouse."""

from datetime import date
from functools import cache
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import duckdb
import polars as pl

from pipelines.views import DATABASE

QUERIES = (
    "calls",
    "callers",
    "answers",
    "sources",
    "keywords",
    "delays",
    "certainty",
    "pool_hours",
    "pool_numbers",
    "landing_pages",
    "devices",
    "traffic",
    "dead_letters",
)
Parameters = dict[str, str | date | None]


class Source(Protocol):
    """A warehouse that answers the queries of the folder `queries`, each with the columns it names.

    Another place for the same tables and views (a dataset of BigQuery) needs only this.
    """

    @property
    def name(self) -> str:
        """What the page calls the place."""

    def rows(self, query: str, parameters: Parameters) -> pl.DataFrame:
        """The result of a named query for an account (null: all) and, where it asks, days."""


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

    def rows(self, query: str, parameters: Parameters) -> pl.DataFrame:
        """The result of a named query; of the parameters it takes those that it names."""
        sql = query_text(query)
        used = {name: value for name, value in parameters.items() if f"${name}" in sql}
        return pl.DataFrame(self._connection.sql(sql, params=used).to_arrow_table())


@cache
def query_text(name: str) -> str:
    """The SQL of a named query."""
    return (resources.files(__package__) / "queries" / f"{name}.sql").read_text(encoding="utf-8")
