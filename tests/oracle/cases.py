"""Short ways to write the events of a test case."""

from __future__ import annotations

import itertools
import json
from typing import Any

from oracle.attribute import Result, attribute
from oracle.settings import DAY, MICROS, Settings

Json = dict[str, Any]

T = 1_772_452_800 * MICROS  # 2026-03-02T12:00:00Z
NOW = T + 60 * DAY
KEY = b"0123456789abcdef0123456789abcdef"
B, B2 = "+4570101010", "+4570202020"
CALLER, OTHER = "+4520202020", "+4530303030"
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"

_ids = itertools.count()


def page(visitor: str, time: int, *shown: str, **more: Any) -> Json:
    """A pageview of account `a` showing these numbers."""
    event = {"type": "pageview", "account": "a", "visitor_id": visitor, "time": T + time}
    event |= {"url": "https://shop.dk/", "event_id": f"auto{next(_ids):06}"}
    return event | ({"tracking_numbers": list(shown)} if shown else {}) | more


def engage(visitor: str, time: int, **more: Any) -> Json:
    """An engagement of account `a`."""
    event = {"type": "engagement", "account": "a", "visitor_id": visitor, "time": T + time}
    return event | {"kind": "click", "event_id": f"auto{next(_ids):06}"} | more


def form(visitor: str, time: int, phone: str = CALLER, **more: Any) -> Json:
    """A form with a phone number."""
    return engage(visitor, time, kind="action", fields={"phone": phone}) | more


def call(call_id: str, time: int, b_number: str = B, **more: Any) -> Json:
    """An inbound call of account `a`; the caller is withheld unless given."""
    event = {"type": "call", "account": "a", "call_id": call_id, "start": T + time}
    return event | {"b_number": b_number} | more


def outbound(call_id: str, time: int, customer: str = CALLER, **more: Any) -> Json:
    """A call from the company's tracking number to a customer."""
    return call(call_id, time, customer, a_number=B, direction="outbound") | more


def run(*events: Json, config: Settings | None = None, now: int = NOW) -> Result:
    """All events in one file of no kind."""
    lines = [json.dumps(event).encode() for event in events]
    return attribute([("pageview", lines)], config or {}, KEY, now)


def decided(*events: Json, config: Settings | None = None) -> Json:
    """The row of the last event, a call."""
    rows = {row["call_id"]: row for row in run(*events, config=config).conversions}
    return rows[events[-1]["call_id"]]


def account(**settings: Any) -> Settings:
    """Configuration of account `a`."""
    return {"accounts": {"a": settings}}
