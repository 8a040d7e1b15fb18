"""A small warehouse whose report can be reckoned by hand, with names that try to break the page."""

import datetime as dt
from pathlib import Path
from typing import Any

from table_rows import DAY, NOON, table_rows
from warehouse_runs import backfill, call

from schemas.tables import CONVERSIONS, DEAD_LETTERS, DISPLAYS, SESSIONS

SCRIPT = "</script><script>document.title='taken'</script>"
IMAGE = '"><img src=x onerror="document.title=\'taken\'">'
TEMPLATE = "{{ 7 * 191 }} ${alert(1)} &amp; <b>bold</b>"
LONG = "kampagne" * 60
HOSTILE = (SCRIPT, IMAGE, TEMPLATE)
# What the page must not hold.
CALLER, VISITOR, SESSION = "feed0123456789abcdef0123456789ab", "visitor-4711", "session-0815"

GOOGLE = {"source": "google", "medium": "cpc", "channel": "Paid Search", "campaign": SCRIPT}
BING = {"source": "bing", "medium": "organic", "channel": "Organic Search", "campaign": None}
EVIL = {"source": IMAGE, "medium": SCRIPT, "channel": "Unassigned", "campaign": LONG}
POOL = {"status": "attributed", "method": "number_pool", "reason": "number_pool"}
FORM = {"status": "attributed", "method": "form_phone", "reason": "form_phone"}
AMBIGUOUS = {"status": "ambiguous", "reason": "several_candidates"}
LAST = DAY + dt.timedelta(days=3)
PAGE = "https://shop.example/" + TEMPLATE


def seconds(count: float) -> dt.timedelta:
    return dt.timedelta(seconds=count)


def candidate(session: str, probability: float, delay: float, of: dict[str, Any]) -> dict[str, Any]:
    moment = NOON - seconds(delay)
    return {
        "session_id": session,
        "visitor_id": f"v{session}",
        "probability": probability,
        "first_display": moment,
        "last_display": moment,
        "displays": 1,
        **of,
    }


def session(name: str, **more: Any) -> dict[str, Any]:
    start = {"session_start": NOON - seconds(3600), "pageviews": 2}
    return {"session_id": name, "visitor_id": f"v{name}", **start, **more}


def display(name: str, number: str, first: float, last: float) -> dict[str, Any]:
    """A session's displays of a number; first and last in seconds from NOON."""
    return {
        "session_id": name,
        "visitor_id": f"v{name}",
        "session_start": NOON - seconds(3600),
        "tracking_number": number,
        "first_display": NOON + seconds(first),
        "last_display": NOON + seconds(last),
        "displays": 3,
    }


def decided(name: str, probability: float, of: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Columns of a call attributed to a session."""
    where = {"session_id": name, "visitor_id": f"v{name}", "landing_url": f"{PAGE}?gclid=1"}
    return {**where, "device_type": "mobile", "probability": probability, **of, **more}


def calls() -> list[dict[str, Any]]:
    first, repeat = {"earlier_calls": 0, "is_first_call": True}, {"is_first_call": False}
    answered = {"call_status": "answered", "is_qualified": True}
    shared = [candidate("1", 0.8, 7, GOOGLE), candidate("2", 0.15, 400, BING)]
    doubtful = [candidate("2", 0.45, 100, BING), candidate("3", 0.4, 120, EVIL)]
    return [
        call("1", **POOL, **first, **answered, **decided("1", 0.8, GOOGLE, keyword=TEMPLATE))
        | {"candidates": shared},
        call("2", **FORM, **repeat, **answered, **decided("2", 0.99, BING)),
        call("3", **AMBIGUOUS, **first, call_status="missed", probability=0.45)
        | {"candidates": doubtful},
        call("4", call_status="voicemail", caller_key=CALLER),
        call("5", "bank", LAST, **first, call_start=NOON + dt.timedelta(days=3, hours=3)),
        call("6", "bank", LAST, status="excluded", reason="excluded_caller", **repeat),
        call("7", "bank", LAST, direction="outbound", reason="outbound", **first, revision=2),
        call("8", **FORM, **repeat, **answered, **decided("3", 0.99, EVIL, keyword=LONG)),
    ]


def build(folder: Path, *more: dict[str, Any]) -> Path:
    """Writes the warehouse, with more calls; its folder."""
    sessions = [
        session("1", keyword=TEMPLATE, landing_url=PAGE, device_type="mobile", **GOOGLE),
        session("2", landing_url=PAGE, device_type="desktop", keyword="sko", **BING),
        session("3", landing_url=PAGE + "#x", device_type="mobile", keyword=LONG, **EVIL),
        session("4", is_bot=True, device_type="bot", landing_url="https://shop.example/bot"),
        session(SESSION) | {"visitor_id": VISITOR},
    ]
    shows = [
        display("1", "+4570000001", -7, -7),
        display("2", "+4570000001", -400, 3700),
        display("3", "+4570000002", 10, 20),
    ]
    letters = [{"dead_letter_id": "a"}, {"dead_letter_id": "b", "code": "too_late"}]
    letters[1]["event_type"] = IMAGE
    rows = {
        "conversions": table_rows(CONVERSIONS, *calls(), *more),
        "sessions": table_rows(SESSIONS, *sessions),
        "displays": table_rows(DISPLAYS, *shows),
    }
    backfill(folder, rows)
    backfill(folder, {"dead_letters": table_rows(DEAD_LETTERS, *letters)}, report={})
    return folder


def without_calls(folder: Path) -> Path:
    """A warehouse that holds sessions and no call."""
    backfill(folder, {"sessions": table_rows(SESSIONS, session("1", **GOOGLE))})
    return folder
