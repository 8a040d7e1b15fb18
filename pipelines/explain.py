"""Why a call was attributed as it was, in words, from its row in the warehouse."""

import json
from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from pipelines.explain_words import caller_words, decision_words, source_words
from pipelines.views import DATABASE
from pipelines.warehouse import LocalWarehouse
from schemas.config import Account, Config, Model
from transforms.numbers import normalise_number

EARLIER_SHOWN = 5
Row = dict[str, Any]


class ExplainError(Exception):
    """The call cannot be explained; the message says why and what to do."""


def explain(
    call_id: str,
    folder: Path,
    config: Config,
    account: str | None = None,
    as_json: bool = False,
) -> str:
    """Explains one call of a local warehouse, in words or as JSON (call, earlier_calls, words).

    Raises ExplainError where there is no such call, or where several accounts have it and none is
    named.
    """
    LocalWarehouse(folder).recover()
    if not (folder / DATABASE).exists():
        raise ExplainError(f"{folder}: no warehouse there; make one with attribeam backfill")
    with duckdb.connect(str(folder / DATABASE), read_only=True) as warehouse:
        warehouse.execute("SET TimeZone = 'UTC'")
        call = _find_call(warehouse, call_id, folder, account)
        settings = config.account(call["account"])
        earlier = _earlier_calls(warehouse, call, settings)
        before = _last_display(warehouse, call)
    lines = list(_lines(call, earlier, before, settings))
    if not as_json:
        return "\n".join(lines)
    facts = {"call": call, "earlier_calls": earlier, "words": lines}
    return json.dumps(facts, indent=2, ensure_ascii=False, default=_plain)


def _find_call(
    warehouse: duckdb.DuckDBPyConnection, call_id: str, folder: Path, account: str | None
) -> Row:
    calls = _rows(warehouse, "SELECT * FROM conversions_latest WHERE call_id = ?", [call_id])
    accounts = sorted(call["account"] for call in calls)
    if account is not None:
        calls = [call for call in calls if call["account"] == account]
    if len(calls) == 1:
        return calls[0]
    if accounts and account is None:
        raise ExplainError(
            f"call {call_id!r}: several accounts have it; choose one with --account: "
            + ", ".join(accounts)
        )
    where = f"{folder} of account {account!r}" if account is not None else str(folder)
    hint = f"; accounts that have it: {', '.join(accounts)}" if accounts else ""
    raise ExplainError(
        f"call {call_id!r}: not in {where}{hint}; check the id and that its day was backfilled"
    )


def _earlier_calls(warehouse: duckdb.DuckDBPyConnection, call: Row, settings: Account) -> list[Row]:
    """The caller's earlier inbound calls to the account within lookback_days, latest first."""
    if call["caller_key"] is None:
        return []
    since = call["call_start"] - timedelta(days=settings.lookback_days)
    return _rows(
        warehouse,
        """
        SELECT call_id, call_start, tracking_number, status, reason, source, medium, session_id
        FROM conversions_latest
        WHERE account = $account AND caller_key = $caller_key AND direction = 'inbound'
          AND call_start >= $since
          AND (call_start, call_id) < ($call_start, $call_id)
        ORDER BY call_start DESC, call_id DESC
        """,
        {
            "since": since,
            **{key: call[key] for key in ("account", "caller_key", "call_start", "call_id")},
        },
    )


def _last_display(warehouse: duckdb.DuckDBPyConnection, call: Row) -> Row | None:
    """The session that showed the number last before the call, where none is a candidate."""
    if call["candidates"] or call["direction"] != "inbound":
        return None
    rows = _rows(
        warehouse,
        """
        SELECT session_id, last_display
        FROM displays
        WHERE account = ? AND tracking_number = ? AND last_display <= ? AND NOT is_deleted
        ORDER BY last_display DESC, session_id
        LIMIT 1
        """,
        [call["account"], call["tracking_number"], call["call_start"]],
    )
    return rows[0] if rows else None


def _rows(warehouse: duckdb.DuckDBPyConnection, sql: str, values: object) -> list[Row]:
    return pl.DataFrame(warehouse.sql(sql, params=values).to_arrow_table()).to_dicts()


def _lines(call: Row, earlier: list[Row], before: Row | None, settings: Account) -> Iterator[str]:
    pool, model = _model(call, settings)
    yield f"Call {call['call_id']} of account {call['account']}"
    yield from _indented(_call_lines(call))
    yield "The caller"
    yield from _indented(caller_words(call, len(earlier), settings))
    yield from _indented(_earlier_line(row) for row in earlier[:EARLIER_SHOWN])
    if call["direction"] == "inbound":
        window = f"{model.match_window_minutes:g} minutes"
        yield f"Who had the number on the screen (window: {window}, {pool})"
        yield from _indented(_candidate_lines(call, before, model))
    yield f"The decision: {call['status']} ({call['reason']})"
    yield from _indented(decision_words(call, settings, model))
    yield "The source"
    yield from _indented(source_words(call))
    if call["touchpoints"]:
        yield f"The visitor's way there (touchpoints, oldest first; {len(call['touchpoints'])})"
        yield from _indented(_touchpoint_line(touch) for touch in call["touchpoints"])
    state = "final" if call["is_final"] else "may change until then"
    yield f"Revision {call['revision']}, final at {_moment(call['final_at'])}: {state}."


def _model(call: Row, settings: Account) -> tuple[str, Model]:
    """The pool that the number belonged to on the call's day, in words, and its parameters."""
    day: date = call["call_date"]
    for pool in settings.pools:
        numbers = {normalise_number(str(n), settings.default_region) for n in pool.numbers}
        if pool.holds(day) and call["tracking_number"] in numbers:
            return f"pool {pool.name}", settings.pool_model(pool)
    return "no configured pool: the account's settings", settings


def _call_lines(call: Row) -> Iterator[str]:
    status = call["call_status"] or "no status"
    yield f"{call['direction']}, {_moment(call['call_start'])}, {status}"
    forwarded = call["destination_number"]
    yield f"tracking number {call['tracking_number']}" + (
        f", forwarded to {forwarded}" if forwarded else ""
    )
    if call["talk_seconds"] is not None:
        yield f"{call['talk_seconds']:.0f} seconds of talk"
    qualified = {True: "qualified", False: "not qualified", None: "not known whether qualified"}
    yield qualified[call["is_qualified"]]


def _earlier_line(row: Row) -> str:
    source = f", {row['source']} / {row['medium']}" if row["source"] else ""
    return (
        f"- {_moment(row['call_start'])} to {row['tracking_number']}: "
        f"{row['status']} ({row['reason']}{source}), call {row['call_id']}"
    )


def _candidate_lines(call: Row, before: Row | None, model: Model) -> Iterator[str]:
    window = timedelta(minutes=model.match_window_minutes)
    shown = call["candidates"] or []
    for rank, candidate in enumerate(shown, 1):
        yield (
            f"{rank}. {_percent(candidate['probability'])}  session {candidate['session_id']} of "
            f"visitor {candidate['visitor_id']}: {candidate['source']} / {candidate['medium']}"
        )
        yield (
            f"   showed it {_times(candidate['displays'])}, "
            f"first {_moment(candidate['first_display'])}, "
            f"last {_moment(candidate['last_display'])}, "
            f"{_duration(call['call_start'] - candidate['last_display'])} before the call"
        )
        if call["call_start"] - candidate["last_display"] > window:
            yield "   and used a page with it later, within the window"
    if not shown:
        yield "nobody"
    if before is not None:
        yield (
            f"(the last to show it before that: session {before['session_id']}, "
            f"{_duration(call['call_start'] - before['last_display'])} before the call)"
        )
    yield from _other_hypotheses(call)


def _other_hypotheses(call: Row) -> Iterator[str]:
    none, saved = call["none_probability"], call["saved_probability"]
    listed = sum(candidate["probability"] for candidate in call["candidates"] or [])
    rest = 1 - listed - (none or 0) - (saved or 0)
    if len(call["candidates"] or []) == 10 and rest > 1e-9:
        yield f"   {_percent(rest)}  other sessions together"
    if none is not None:
        yield f"   {_percent(none)}  nobody on the site (misdialled, a printed number)"
    if saved is not None:
        yield f"   {_percent(saved)}  the caller had kept the number from an earlier call to it"


def _touchpoint_line(touch: Row) -> str:
    campaign = f", campaign {touch['campaign']}" if touch["campaign"] else ""
    return (
        f"- {_moment(touch['session_start'])}: {touch['source'] or 'unknown'} / "
        f"{touch['medium'] or 'unknown'} ({touch['channel'] or 'no channel'}){campaign}, "
        f"session {touch['session_id']}"
    )


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)


def _moment(value: datetime) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S} UTC"


def _percent(value: float) -> str:
    return f"{value:6.1%}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _duration(value: timedelta) -> str:
    """A span in its two largest units."""
    seconds = round(value.total_seconds())
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def _plain(value: object) -> object:
    if isinstance(value, date | datetime):
        return value.isoformat()
    return str(value)
