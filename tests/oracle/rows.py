"""The rows of conversions, sessions and displays (SPEC 10).

Times are UTC microseconds, days are YYYY-MM-DD, maps are lists of name/value sorted by name.
"""

from __future__ import annotations

import hashlib
from typing import Any

from oracle import phones, sources
from oracle.candidates import Candidate
from oracle.channels import channel_of
from oracle.decisions import (
    Decision,
    World,
    caller_of,
    is_outbound,
    tracking_number_of,
)
from oracle.decode import Event
from oracle.sessions import Session, contact_keys, touchpoints_of
from oracle.settings import HOUR, MICROS, Settings, utc_day

Row = dict[str, Any]

SESSION_COLUMNS = (
    "entry_page",
    *sources.COLUMNS,
    "is_bot",
    "device_type",
    "device",
    "os",
    "os_version",
    "browser",
    "browser_version",
    "ip_prefix",
    "consent",
    "variants",
    "third_party_ids",
)
MAPS = ("click_ids", "variants", "third_party_ids")
MOST_CANDIDATES = 10


def records(pairs: dict[str, str]) -> list[Row]:
    """Maps are repeated name/value records."""
    return [{"name": name, "value": pairs[name]} for name in sorted(pairs)]


def session_columns(session: Session | None) -> Row:
    """The session columns of a row; repeated ones are empty, never null."""
    if session is None:
        return dict.fromkeys(SESSION_COLUMNS) | {name: [] for name in (*MAPS, "consent")}
    row = {name: session.columns[name] for name in SESSION_COLUMNS}
    return row | {name: records(session.columns[name]) for name in MAPS}


def seconds(later: int | None, earlier: int | None) -> float | None:
    return None if later is None or earlier is None else (later - earlier) / MICROS


def first_of(*values: int | None) -> int | None:
    return next((value for value in values if value is not None), None)


def call_status(call: Event) -> str | None:
    """As given, else `answered` with an answer time, else null."""
    return call.get("status") or ("answered" if call.get("answer") is not None else None)


def is_qualified(call: Event, decision: Decision, settings: Settings) -> bool | None:
    """Inbound, not excluded, answered, and long enough (SPEC 10)."""
    if is_outbound(call) or decision.status == "excluded" or call.get("end") is None:
        return False
    status = call_status(call)
    if status is None and not settings["assume_answered"]:
        return None
    if status not in (None, "answered"):
        return False
    begun = first_of(call.get("answer"), call.get("ring"), call.get("start"))
    lasted = seconds(call.get("end"), begun)
    return lasted is not None and lasted >= settings["qualified_seconds"]


def caller_columns(call: Event, key: bytes) -> Row:
    caller = caller_of(call)
    if caller is None:
        return dict.fromkeys(("caller_key", "caller_masked", "caller_country"))
    return {
        "caller_key": phones.keyed(call.account, caller, key),
        "caller_masked": phones.masked(caller),
        "caller_country": phones.country(caller),
    }


def call_columns(call: Event, decision: Decision, settings: Settings) -> Row:
    ring, answer, end = call.get("ring"), call.get("answer"), call.get("end")
    outcome, value = call.get("outcome", {}), call.get("outcome", {}).get("value")
    mos = call.get("quality", {}).get("mos")
    return {
        "call_date": utc_day(call.time),
        "call_start": call.time,
        "call_ring": ring,
        "call_answer": answer,
        "call_end": end,
        "direction": call.get("direction", "inbound"),
        "call_status": call_status(call),
        "ring_seconds": seconds(first_of(answer, end), ring),
        "talk_seconds": seconds(end, answer),
        "duration_seconds": seconds(end, call.time),
        "is_qualified": is_qualified(call, decision, settings),
        "outcome_category": outcome.get("category"),
        "outcome_tags": outcome.get("tags", []),
        "outcome_value": None if value is None else float(value),
        "outcome_currency": outcome.get("currency"),
        "mos": None if mos is None else float(mos),
    }


def candidate_row(one: Candidate) -> Row:
    columns = one.session.columns
    return {
        "session_id": one.session.session_id,
        "visitor_id": one.session.visitor_id,
        "probability": one.probability,
        "first_display": one.displays[0],
        "last_display": one.displays[-1],
        "displays": len(one.displays),
        "source": columns["source"],
        "medium": columns["medium"],
        "campaign": columns["campaign"],
        "channel": columns["channel"],
    }


def touchpoint_row(session: Session) -> Row:
    row = {"session_id": session.session_id, "session_start": session.start}
    names = ("source", "medium", "campaign", "channel")
    return row | {name: session.columns[name] for name in names}


def static_columns(static: Settings) -> Row:
    """A static number's source, medium, campaign and channel."""
    source, medium = static["source"], static.get("medium") or "(not set)"
    campaign = static.get("campaign")
    return {
        "source": source,
        "medium": medium,
        "campaign": campaign,
        "channel": channel_of(source, medium, campaign, "static_number"),
        "source_rule": "static_number",
    }


def conversion_row(world: World, call: Event, decision: Decision, key: bytes) -> Row:
    """One row of `conversions`; revision, emitted_at and rule_set are the caller's."""
    session, hypotheses = decision.session, decision.hypotheses
    identity = call.account.encode() + b"\0" + call.get("call_id").encode()
    known = session.session_id if session else None
    declared = call.get("session_id") if decision.method == "declared" else None
    row = {
        "account": call.account,
        "conversion_id": hashlib.sha256(identity).hexdigest()[:32],
        "call_id": call.get("call_id"),
        "is_superseded": False,
        "final_at": call.time + world.settings["allowed_lateness_hours"] * HOUR,
        **call_columns(call, decision, world.settings),
        **caller_columns(call, key),
        "tracking_number": tracking_number_of(call),
        "destination_number": call.number("c_number"),
        "earlier_calls": decision.earlier_calls,
        "is_first_call": None if decision.earlier_calls is None else decision.earlier_calls == 0,
        "status": decision.status,
        "method": decision.method,
        "reason": decision.reason,
        "probability": decision.probability,
        "none_probability": hypotheses.none if hypotheses else None,
        "saved_probability": hypotheses.saved if hypotheses else None,
        "session_id": known or declared,
        "visitor_id": session.visitor_id if session else None,
        "session_start": session.start if session else None,
        **session_columns(session),
    }
    if decision.static is not None:
        row |= static_columns(decision.static)
    found = hypotheses.candidates[:MOST_CANDIDATES] if hypotheses else []
    row["candidates"] = [candidate_row(one) for one in found]
    touched = touchpoints_of(session, world.sessions, world.settings) if session else []
    row["touchpoints"] = [touchpoint_row(one) for one in touched]
    return row


def session_row(session: Session, key: bytes) -> Row:
    """One row of `sessions`."""
    kinds = [event.get("kind") for event in session.engagements]
    return {
        "account": session.account,
        "session_id": session.session_id,
        "visitor_id": session.visitor_id,
        "session_start": session.start,
        "session_end": session.end,
        "session_date": utc_day(session.start),
        "pageviews": len(session.pageviews),
        "engagements": len(session.engagements),
        "actions": kinds.count("action"),
        "clicks": kinds.count("click"),
        **session_columns(session),
        "contact_keys": contact_keys(session, key),
        "is_deleted": False,
    }


def display_rows(session: Session) -> list[Row]:
    """One row a session, number and UTC day."""
    times: dict[tuple[str, str], list[int]] = {}
    for page in session.pageviews:
        for number in page.shown:
            times.setdefault((number, utc_day(page.time)), []).append(page.time)
    return [
        {
            "account": session.account,
            "tracking_number": number,
            "session_id": session.session_id,
            "visitor_id": session.visitor_id,
            "session_start": session.start,
            "first_display": min(shown),
            "last_display": max(shown),
            "displays": len(shown),
            "display_date": day,
            "is_deleted": False,
        }
        for (number, day), shown in sorted(times.items())
    ]
