"""Sessions: given or derived, entry, touchpoints, contact keys (SPEC 5)."""

from __future__ import annotations

import dataclasses
from typing import Any

from oracle import agents, phones, sources
from oracle.decode import Event
from oracle.settings import DAY, HOUR, MINUTE, Settings

TOUCHPOINTS_KEPT = 20


@dataclasses.dataclass
class Session:
    """A session with its columns; visitor_id, session_id and start identify it."""

    account: str
    visitor_id: str
    session_id: str
    events: list[Event]
    columns: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def start(self) -> int:
        return min(event.time for event in self.events)

    @property
    def end(self) -> int:
        return max(event.time for event in self.events)

    @property
    def pageviews(self) -> list[Event]:
        return [event for event in self.events if event.kind == "pageview"]

    @property
    def engagements(self) -> list[Event]:
        return [event for event in self.events if event.kind == "engagement"]

    @property
    def is_bot(self) -> bool:
        return self.columns["is_bot"]

    def displays(self, number: str) -> list[int]:
        """The times at which the session displayed the number, each pageview once."""
        return sorted(page.time for page in self.pageviews if number in page.shown)


def build_sessions(events: list[Event], settings: Settings) -> list[Session]:
    """All sessions of one account."""
    by_visitor: dict[str, list[Event]] = {}
    for event in events:
        if event.kind in ("pageview", "engagement"):
            by_visitor.setdefault(event.get("visitor_id"), []).append(event)
    sessions: list[Session] = []
    for mine in by_visitor.values():
        sessions += given_sessions(mine, settings) + derived_sessions(mine, settings)
    for session in sessions:
        session.columns = columns_of(session, settings)
    return sorted(sessions, key=lambda one: (one.visitor_id, one.start, one.session_id))


def in_order(events: list[Event]) -> list[Event]:
    """In the order of time, pageviews first at equal times."""
    return sorted(events, key=lambda event: (event.time, event.kind != "pageview", event.hash))


def given_sessions(mine: list[Event], settings: Settings) -> list[Session]:
    """Events with a session_id; more than 24 hours of silence starts a new session."""
    sessions: list[Session] = []
    latest: dict[str, Session] = {}
    for event in in_order([event for event in mine if event.get("session_id") is not None]):
        session = latest.get(event.get("session_id"))
        if session is None or is_silence(session, event, settings):
            session = Session(event.account, event.get("visitor_id"), event.get("session_id"), [])
            latest[session.session_id] = session
            sessions.append(session)
        session.events.append(event)
    return sessions


def is_silence(session: Session, event: Event, settings: Settings) -> bool:
    """More than `session_max_gap_hours` after the session's previous event."""
    return event.time - session.events[-1].time > settings["session_max_gap_hours"] * HOUR


def derived_sessions(mine: list[Event], settings: Settings) -> list[Session]:
    """Events without a session_id, by inactivity."""
    sessions: list[Session] = []
    previous: Event | None = None
    for event in in_order([event for event in mine if event.get("session_id") is None]):
        if previous is None or starts_new(sessions[-1], previous, event, settings):
            visitor = event.get("visitor_id")
            session_id = f"{visitor}-{event.time // 1000}"
            sessions.append(Session(event.account, visitor, session_id, []))
        sessions[-1].events.append(event)
        previous = event
    return sessions


def starts_new(session: Session, previous: Event, event: Event, settings: Settings) -> bool:
    """A pageview after inactivity, or any event after 24 hours of silence."""
    if is_silence(session, event, settings):
        return True
    gap = settings["session_gap_minutes"] * MINUTE
    return event.kind == "pageview" and event.time - previous.time > gap


def entry_of(session: Session) -> Event | None:
    """The earliest pageview (ties: smallest event_id, absent last, then smallest hash)."""
    return min(
        session.pageviews,
        key=lambda page: (
            page.time,
            page.get("event_id") is None,
            page.get("event_id") or "",
            page.hash,
        ),
        default=None,
    )


def columns_of(session: Session, settings: Settings) -> dict[str, Any]:
    """The session columns, from the entry; null without a pageview."""
    entry = entry_of(session)
    columns: dict[str, Any] = {"entry_page": None}
    if entry is None:
        columns |= dict.fromkeys(sources.COLUMNS) | {"click_ids": {}}
        columns |= agents.describe_or_none(None)
        return columns | {"ip_prefix": None, "consent": [], "variants": {}, "third_party_ids": {}}
    columns["entry_page"] = entry.get("page_name") or entry.get("title")
    columns |= sources.classify(
        entry.get("url"),
        entry.get("referrer"),
        tuple(settings["own_domains"]),
        tuple(settings["ignored_referrers"]),
    )
    columns |= agents.describe_or_none(entry.get("user_agent"))
    columns["ip_prefix"] = phones.ip_prefix(entry.get("ip")) if entry.get("ip") else None
    columns["consent"] = entry.get("consent", [])
    columns["variants"] = entry.get("variants", {})
    columns["third_party_ids"] = entry.get("third_party_ids", {})
    return columns


def touchpoints_of(session: Session, sessions: list[Session], settings: Settings) -> list[Session]:
    """The visitor's sessions of the last 30 days, the last 20, this one last."""
    earliest = session.start - settings["lookback_days"] * DAY
    found = [
        other
        for other in sessions
        if other.visitor_id == session.visitor_id
        and earliest <= other.start <= session.start
        and not other.is_bot
    ]
    found.sort(key=lambda other: (other.start, other is session, other.session_id))
    return found[-TOUCHPOINTS_KEPT:]


def contact_keys(session: Session, key: bytes) -> list[str]:
    """Keys of the phones and addresses entered, sorted, each once (SPEC 11)."""
    keys = set()
    for event in session.engagements:
        phone, email = entered_phone(event), event.get("fields", {}).get("email")
        if phone is not None:
            keys.add(phones.keyed(session.account, phone, key))
        if email is not None:
            keys.add(phones.keyed(session.account, phones.email_of(email), key))
    return sorted(keys)


def entered_phone(event: Event) -> str | None:
    """`fields.phone`, normalised; None where it is no number."""
    written = event.get("fields", {}).get("phone")
    return phones.normalise(written, event.settings["default_region"]) if written else None
