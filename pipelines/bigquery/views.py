"""The views in BigQuery's SQL: the texts of schemas/views, which DuckDB reads as they are."""

import re

from pipelines.views import VIEWS, view_sql
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


def bigquery_view(name: str, dataset: str) -> str:
    """SQL of one of the views, its tables in a dataset (`project.dataset`)."""
    return bigquery_sql(view_sql(name), dataset)
