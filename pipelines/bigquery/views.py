"""The views in BigQuery's SQL: the texts of schemas/views, which DuckDB reads as they are."""

import re
from collections.abc import Mapping
from hashlib import sha256

from pipelines.views import VIEWS, view_sql
from schemas.columns import Column, Table
from schemas.tables import TABLES

# The few words for which the dialects have none in common: DuckDB's, BigQuery's.
DIALECT = {
    "UNNEST(touchpoints) WITH ORDINALITY AS unnested(touch, position)": (
        "UNNEST(touchpoints) AS touch WITH OFFSET AS touch_offset\n"
        "  CROSS JOIN UNNEST([touch_offset + 1]) AS position"
    ),
}
_SOURCES = re.compile(rf"\b(FROM|JOIN) ({'|'.join((*TABLES, *VIEWS))})\b")


def bigquery_sql(sql: str, dataset: str) -> str:
    """A text in BigQuery's dialect, its tables and views those of a dataset (`project.dataset`)."""
    for duckdb, bigquery in DIALECT.items():
        sql = sql.replace(duckdb, bigquery)
    return _SOURCES.sub(rf"\1 `{dataset}.\2`", sql)


def bigquery_view(name: str, dataset: str, tables: Mapping[str, Table] = TABLES) -> str:
    """SQL of one of the views, its tables in a dataset (`project.dataset`).

    BigQuery keeps the columns that a view had when its text was last changed, also those of a `*`,
    and saving the same text is no change. So the text is another one where a table that the view
    reads (`tables`) has other columns.
    """
    read = sorted(tables_read(name))
    columns = sha256(repr([_names(tables[table].columns) for table in read]).encode()).hexdigest()
    sql = bigquery_sql(view_sql(name), dataset)
    return f"-- Columns of {', '.join(read)}: {columns[:12]}\n{sql}"


def tables_read(name: str) -> set[str]:
    """The tables that a view reads, itself or by other views."""
    if name in TABLES:
        return {name}
    return set().union(*(tables_read(source) for _, source in _SOURCES.findall(view_sql(name))))


def _names(columns: tuple[Column, ...]) -> list[object]:
    return [(column.name, _names(column.fields)) for column in columns]
