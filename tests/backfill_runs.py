"""A story of events for tests of whole backfills, and what a warehouse then holds."""

import datetime as dt
import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
from oracle.cases import BOT, CALLER, B, call, engage, form, outbound, page
from tables import B2, T

from pipelines.backfill import Backfill, run_backfill
from schemas.tables import TABLES
from transforms.settings import DAY, HOUR, MINUTE

Row = dict[str, Any]
Files = dict[str, list[bytes]]

NOW = T + 20 * DAY
KINDS = ("pageview", "engagement", "call")
FIRST = dt.date(2026, 3, 2)  # the day of T, which is its noon
LEDGER = ("read", "accepted", "duplicates", "dead_letters", "no_consent")


def lines(events: Iterable[Row], kind: str) -> list[bytes]:
    return [json.dumps(event).encode() for event in events if event["type"] == kind]


def in_account(name: str, *events: Row) -> list[Row]:
    return [event | {"account": name} for event in events]


STORY = [
    page("v", 0, B, url="https://shop.dk/?gclid=1", session_id="s", event_id="e1"),
    page("v", 0, B, url="https://shop.dk/?gclid=1", session_id="s", event_id="e1"),
    page("w", 10 * MINUTE, B2, referrer="https://www.google.com/"),
    page("bot", MINUTE, B, user_agent=BOT),
    page("shy", MINUTE, B, consent=["marketing"]),
    page("v", DAY, B2, session_id="t"),
    page("v", 2 * DAY + 12 * HOUR - 1, B, B2),
    page("v", 2 * DAY + 12 * HOUR, B, B2),
    engage("v", MINUTE, session_id="s"),
    form("w", 11 * MINUTE, "+4530303030"),
    call("c1", 2 * MINUTE, a_number=CALLER, answer=T + 2 * MINUTE, end=T + 4 * MINUTE),
    call("c1", 2 * MINUTE, a_number=CALLER, answer=T + 2 * MINUTE, end=T + 4 * MINUTE),
    call("c2", DAY, a_number=CALLER),
    call("c3", DAY + MINUTE, B2, a_number="30 30 30 30", sequence=0),
    call("c3", DAY + MINUTE, B2, a_number="30 30 30 30", sequence=1, end=T + DAY + 2 * MINUTE),
    call("c4", 2 * DAY + 12 * HOUR, B2, a_number="anonymous"),
    call("c5", 2 * DAY, session_id="s"),
    outbound("c6", DAY, "+4530303030"),
    *in_account("b", page("v", 0, B), call("c1", 0), call("c2", DAY)),
]
BAD = [b"not json", b'{"account": "a", "call_id": "x", "start": "never", "b_number": "112"}', b""]


def story_files() -> Files:
    """The story in one file a kind, bad and blank lines at the end of the calls."""
    files = {f"{kind}s.jsonl": lines(STORY, kind) for kind in KINDS}
    files["calls.jsonl"] += BAD
    return files


def write(folder: Path, files: Files) -> Path:
    """Writes files of lines; packs those named .gz."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = b"".join(line + b"\n" for line in content)
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return folder


def backfill(folder: Path, output: Path, **more: Any) -> Row:
    """Runs on pageviews*, engagements* and calls* of a folder; its report."""
    given = {f"{kind}s": [str(path) for path in sorted(folder.glob(f"{kind}s*"))] for kind in KINDS}
    usual = {"erasures": [], "config": None, "output": output, "now": NOW}
    return run_backfill(Backfill(**(given | usual | more)))


def rows_of(output: Path, table: str) -> list[Row]:
    """All rows of a table as its view shows them, in an order of their own."""
    with duckdb.connect(str(output / "warehouse.duckdb"), read_only=True) as warehouse:
        found = pl.DataFrame(warehouse.sql(f"SELECT * FROM {table}").to_arrow_table())
    return in_order(found.select(TABLES[table].names).to_dicts())


def in_order(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: json.dumps(row, default=str, sort_keys=True))


def everything(output: Path) -> dict[str, list[Row]]:
    return {table: rows_of(output, table) for table in TABLES}


def calls_of(output: Path, account: str = "a") -> list[tuple[str, int]]:
    """(call_id, days after the first) of the conversions of an account."""
    rows = rows_of(output, "conversions")
    return sorted(
        (row["call_id"], (row["call_date"] - FIRST).days)
        for row in rows
        if row["account"] == account
    )


def day(number: int) -> dt.date:
    return FIRST + dt.timedelta(days=number)
