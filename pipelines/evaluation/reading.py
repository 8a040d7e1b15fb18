"""What an evaluation reads: a warehouse's rows and a file of truth."""

from pathlib import Path
from typing import NamedTuple

import duckdb
import polars as pl

from pipelines.views import DATABASE
from pipelines.warehouse import LocalWarehouse

TRUTH = {
    "account": pl.String,
    "call_id": pl.String,
    "visitor_id": pl.String,
    "session_id": pl.String,
    "reason": pl.String,
}
# In a fixed order, so that sums of floats are the same to the last digit each time.
CALLS = """
SELECT account, call_id, epoch_us(call_start) AS start, tracking_number, caller_key, status, method,
       reason, probability, none_probability, saved_probability, visitor_id, session_id, candidates
FROM conversions_latest
WHERE direction = 'inbound' AND status <> 'excluded' AND method <> 'static_number'
ORDER BY account, call_id
"""
PAGEVIEWS = """
SELECT p.account, p.visitor_id, p.session_id, epoch_us(p.time) AS time,
       unnest(p.tracking_numbers) AS tracking_number
FROM pageviews AS p
WHERE NOT EXISTS (SELECT 1 FROM sessions_latest AS s WHERE s.is_bot AND s.account = p.account
                  AND s.visitor_id = p.visitor_id AND s.session_id = p.session_id)
ORDER BY ALL
"""
ENGAGEMENTS = """
SELECT account, visitor_id, session_id, epoch_us(time) AS time, kind, name FROM engagements
ORDER BY ALL
"""


class EvaluationError(Exception):
    """What was given cannot be evaluated; the message says why and what to do."""


class Rows(NamedTuple):
    """A warehouse's rows, times in us.

    calls: inbound, neither excluded nor of a static number, which is given its source and has no
    session. displays: page views of people, one row a number shown; empty without the table
    `pageviews`. engagements likewise.
    """

    calls: pl.DataFrame
    displays: pl.DataFrame
    engagements: pl.DataFrame


def read_warehouse(folder: Path) -> Rows:
    """Reads a local warehouse. Raises EvaluationError where there is none, or no inbound call."""
    LocalWarehouse(folder).recover()
    if not (folder / DATABASE).exists():
        raise EvaluationError(f"{folder}: no warehouse there; make one with attribeam backfill")
    with duckdb.connect(str(folder / DATABASE), read_only=True) as warehouse:
        tables = [
            pl.DataFrame(warehouse.sql(sql).to_arrow_table())
            for sql in (CALLS, PAGEVIEWS, ENGAGEMENTS)
        ]
    rows = Rows(*tables)
    if not rows.calls.height:
        raise EvaluationError(f"{folder}: no inbound calls there")
    return rows


def read_truth(path: Path) -> pl.DataFrame:
    """Reads a file of truth, .csv or .parquet: TRUTH, each call once.

    Raises EvaluationError where it cannot be read, lacks a column, has no call, or one twice.
    """
    try:
        if path.suffix == ".parquet":
            truth = pl.read_parquet(path)
        else:
            truth = pl.read_csv(path, infer_schema=False)
    except FileNotFoundError as error:
        raise EvaluationError(f"{path}: no such file") from error
    except (OSError, pl.exceptions.PolarsError) as error:
        raise EvaluationError(f"{path}: cannot be read as {path.suffix or 'CSV'}") from error
    missing = [name for name in TRUTH if name not in truth.columns]
    if missing:
        raise EvaluationError(
            f"{path}: lacks {', '.join(missing)}; needed are the columns {', '.join(TRUTH)}, of "
            "which visitor_id and session_id may be empty (no session made the call), and reason"
        )
    if not truth.height:
        raise EvaluationError(f"{path}: no calls there")
    truth = truth.select(pl.col(name).cast(kind).replace("", None) for name, kind in TRUTH.items())
    if truth.select("account", "call_id").is_duplicated().any():
        raise EvaluationError(f"{path}: has a call twice")
    return truth
