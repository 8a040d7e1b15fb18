"""The views, and the queries of examples/sql, say the same in BigQuery as in DuckDB."""

import datetime as dt
from pathlib import Path
from typing import Any

import duckdb
import pytest
from bigquery_runs import backfill, local_rows, ordered, rows_in, warehouse_of
from table_rows import NOON, table_rows
from warehouse_runs import NEXT, call, conversions
from warehouse_runs import backfill as backfill_locally

from pipelines.bigquery.service import Service
from pipelines.bigquery.views import bigquery_sql
from pipelines.views import VIEWS
from schemas.tables import DISPLAYS, SESSIONS

ROOT = Path(__file__).parents[3]
QUERIES = sorted((ROOT / "examples" / "sql").glob("*.sql"))
LATER = NOON + dt.timedelta(hours=1)
GOOGLE = {"source": "google", "medium": "cpc", "campaign": "spring", "channel": "Paid Search"}
BING = {"source": "bing", "medium": "organic", "campaign": None, "channel": "Organic Search"}
DIRECT = {"source": "(direct)", "medium": "(none)", "campaign": None, "channel": "Direct"}
POOL = {"status": "attributed", "method": "number_pool", "reason": "number_pool"}
KNOWN = {"is_qualified": True, "is_first_call": True, "keyword": "law", "outcome_value": 12.5}


def sources(*shares: tuple[dict[str, Any], float | None]) -> list[dict[str, Any]]:
    return [source | {"session_id": "s", "probability": share} for source, share in shares]


def touches(*found: dict[str, Any]) -> list[dict[str, Any]]:
    return [touch | {"session_id": f"s{n}"} for n, touch in enumerate(found)]


CALLS = [
    call("1", **POOL, **GOOGLE, **KNOWN, probability=0.8, candidates=sources((GOOGLE, 0.8))),
    call("1", revision=2, emitted_at=LATER, **POOL, **BING, probability=0.7, is_first_call=False),
    call("2", touchpoints=touches(GOOGLE, BING, GOOGLE, DIRECT), **POOL, **DIRECT, **KNOWN),
    call("3", touchpoints=touches(DIRECT, dict.fromkeys(DIRECT)), **POOL, **GOOGLE, **KNOWN),
    call("4", status="ambiguous", candidates=sources((GOOGLE, 0.45), (BING, 0.25), (DIRECT, None))),
    call("5", status="excluded", probability=None),
    call("6", direction="outbound", tracking_number=None, reason="outbound"),
    call("moved"),
    call("moved", revision=2, emitted_at=LATER, is_superseded=True),
    call("moved", day=NEXT, revision=2, emitted_at=LATER, touchpoints=touches(BING)),
    call("7", day=NEXT, final_at=dt.datetime.now(dt.UTC) + dt.timedelta(days=9)),
]
SESSION_ROWS = [
    {"session_id": "s", "visitor_id": "v", "pageviews": 1},
    {"session_id": "s", "visitor_id": "v", "pageviews": 2, "revision": 2, **GOOGLE},
    {"session_id": "s", "visitor_id": "w", "contact_keys": ["a"], "is_bot": True},
    {"session_id": "t", "visitor_id": "v"},
    {"session_id": "t", "visitor_id": "v", "revision": 2, "is_deleted": True},
]
SHOWN = [
    {"session_id": "a", "displays": 3},
    {"session_id": "b", "displays": 1},
    {"session_id": "b", "displays": 2, "revision": 2},
    {"session_id": "c", "displays": 9, "revision": 2, "is_deleted": True},
    {"session_id": "a", "displays": 4, "tracking_number": "+4570000002", "display_date": NEXT},
]
ROWS = {
    **conversions(*CALLS),
    "sessions": table_rows(SESSIONS, *SESSION_ROWS),
    "displays": table_rows(DISPLAYS, *SHOWN),
}


def test_views_hold_the_same_rows_in_both(service: Service, tmp_path: Path) -> None:
    """Each view of the same tables, row by row; each has rows to compare."""
    backfill(warehouse_of(service), ROWS)
    backfill_locally(tmp_path, ROWS)
    for view in VIEWS:
        there = rows_in(service, "shop", view)
        assert len(there) > 1, view
        assert there == local_rows(tmp_path, view, "shop"), view


def test_ready_queries_say_the_same_in_both(service: Service, tmp_path: Path) -> None:
    """One text for both, but for the names of tables; each has rows to compare."""
    backfill(warehouse_of(service), ROWS)
    backfill_locally(tmp_path, ROWS)
    assert QUERIES
    for path in QUERIES:
        text = path.read_text(encoding="utf-8")
        there = service.query(bigquery_sql(text, f"{service.project}.shop"), "EU")
        assert there, path.name
        assert ordered(dict(row) for row in there) == _local(tmp_path, text), path.name


def _local(folder: Path, sql: str) -> list[dict[str, Any]]:
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        result = connection.execute(sql)
        names = [column[0] for column in result.description or ()]
        return ordered(dict(zip(names, row, strict=True)) for row in result.fetchall())


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_a_ready_query_says_what_it_is(path: Path) -> None:
    """Its first line is a sentence, and docs/bi.md names it."""
    assert path.read_text(encoding="utf-8").startswith("-- ")
    assert f"examples/sql/{path.name}" in (ROOT / "docs" / "bi.md").read_text(encoding="utf-8")


def test_names_of_tables_are_those_of_the_dataset() -> None:
    """Only names after FROM and JOIN; columns of the same name stay."""
    sql = "SELECT displays FROM displays AS d JOIN sessions_latest AS s USING (session_id)"
    assert bigquery_sql(sql, "p.d") == (
        "SELECT displays FROM `p.d.displays` AS d "
        "JOIN `p.d.sessions_latest` AS s USING (session_id)"
    )
