"""Decoded tables for tests: what matters is written, the rest has harmless values.

Every moment is T plus a number of microseconds, or T itself.
"""

import json
from collections.abc import Sequence
from typing import Any

import polars as pl
from pure import run_flow

from schemas.config import Config, parse_config
from schemas.events import CALLS, ENGAGEMENTS, PAGEVIEWS
from schemas.stages import ENTRIES, SHOWINGS
from transforms.displays import find_displays, find_engaged, find_showings
from transforms.models import NumberPlan, with_models
from transforms.sessions import Visits
from transforms.visits import drop_duplicates, number_sessions, order_visits

Row = dict[str, Any]

T = 1_772_452_800_000_000  # 2026-03-02T12:00:00Z
NOW = T + 86_400_000_000
KEY = b"0123456789abcdef0123456789abcdef"
B, B2 = "+4570101010", "+4570202020"
DEFAULTS = parse_config({})


def account(**settings: Any) -> Config:
    """Configuration of the account that the tables below name."""
    return parse_config({"accounts": {"a": settings}})


def pageviews(*rows: Row) -> pl.DataFrame:
    """Pageviews of one visitor at T; the hash is the row's number."""
    return _table(PAGEVIEWS, rows, {"visitor_id": "v", "time": T, "url": "https://shop.dk/"})


def engagements(*rows: Row) -> pl.DataFrame:
    """Clicks of one visitor at T."""
    return _table(ENGAGEMENTS, rows, {"visitor_id": "v", "time": T, "kind": "click"})


def calls(*rows: Row) -> pl.DataFrame:
    """Inbound calls c0, c1, … to B at T from nobody known."""
    numbered = [{"call_id": f"c{number}"} | row for number, row in enumerate(rows)]
    usual = {"start": T, "direction": "inbound", "tracking_number": B, "sequence": 0}
    return _table(CALLS, numbered, usual)


def showings(*rows: Row) -> pl.DataFrame:
    """Sessions that showed B: `display_times` and `engaged_times` say when, the rest follows."""
    filled = []
    for row in rows:
        shown = row.get("display_times", [T])
        usual = {
            "visitor_id": "v",
            "session_id": f"session of {row.get('visitor_id', 'v')}",
            "session_start": shown[0],
            "tracking_number": B,
            "display_times": shown,
            "first_display": shown[0],
            "last_display": shown[-1],
            "engaged_times": [],
            "last_contact": max([*shown, *row.get("engaged_times", [])]),
            "slice": 0,
            "is_bot": False,
        }
        filled.append(usual | row)
    return _table(SHOWINGS, filled, {})


def entries(*rows: Row) -> pl.DataFrame:
    """Form entries of caller `k` at T."""
    usual = {
        "caller_key": "k",
        "time": T,
        "visitor_id": "v",
        "session_id": "form session",
        "session_start": T,
        "is_bot": False,
    }
    return _table(ENTRIES, rows, usual)


def _table(schema: dict[str, Any], rows: Sequence[Row], usual: Row) -> pl.DataFrame:
    common = {"account": "a"} | usual
    filled = [common | {"hash": number} | row for number, row in enumerate(rows)]
    kept = [{name: row.get(name) for name in schema} for row in filled]
    unknown = {name for row in rows for name in row} - set(schema)
    assert not unknown, f"no such columns: {unknown}"
    return pl.DataFrame(kept, schema=schema, orient="row")


def visits_of(
    pages: pl.DataFrame, engaged: pl.DataFrame | None = None, config: Config = DEFAULTS
) -> Visits:
    """The visits of some pageviews and engagements, each once, in their sessions."""
    clicks = engagements() if engaged is None else engaged
    kept = drop_duplicates(order_visits(pages, clicks))
    return Visits(number_sessions(kept, config), pages, clicks)


def showings_of(visits: Visits) -> pl.DataFrame:
    displays = find_displays(visits)
    return find_showings(displays, find_engaged(visits.visits, displays))


def modelled(called: pl.DataFrame, config: Config = DEFAULTS) -> pl.DataFrame:
    """Calls with the parameters of their number."""
    return with_models(called, NumberPlan(config))


def flow_rows(*events: Row, config: Config = DEFAULTS, **cut: Any) -> dict[str, list[Row]]:
    """The rows of every table, from events that say their type, by call or session."""
    lines = [json.dumps(event).encode() for event in events]
    tables, _ = run_flow([(None, lines)], config, KEY, NOW + 60 * 86_400_000_000, **cut)
    order = {
        "conversions": ["account", "call_id"],
        "sessions": ["account", "session_start", "visitor_id", "session_id"],
        "displays": ["account", "tracking_number", "first_display", "visitor_id"],
    }
    return {name: rows.sort(order[name]).to_dicts() for name, rows in tables.items()}


def last_conversion(*events: Row, config: Config = DEFAULTS, **cut: Any) -> Row:
    """The conversion of the last of some events, a call."""
    rows = flow_rows(*events, config=config, **cut)["conversions"]
    return next(row for row in rows if row["call_id"] == events[-1]["call_id"])
