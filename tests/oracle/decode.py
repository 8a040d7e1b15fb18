"""Bytes to events: dead letters, consent, duplicates, in that order (SPEC 3)."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections import Counter
from typing import Any

from oracle import phones
from oracle.fields import ENGAGEMENT_KINDS, OPTIONAL, MalformedError, is_absent, text
from oracle.settings import DAY, Settings, account_settings
from oracle.sources import without_click_ids
from oracle.times import BadTimeError, NotATimeError, read_time
from oracle.wire import RejectedError, canonical, is_blank, parse_line

REQUIRED = {
    "pageview": ["account", "visitor_id", "time", "url"],
    "engagement": ["account", "visitor_id", "time", "kind"],
    "call": ["account", "call_id", "start", "b_number"],
    "erasure": ["account", "time"],
}
TIME_FIELD = {"pageview": "time", "engagement": "time", "call": "start", "erasure": "time"}
SUBJECTS = ("visitor_id", "phone", "email")


@dataclasses.dataclass
class Event:
    """A normalised event; `hash` is of the event as sent."""

    kind: str
    values: dict[str, Any]
    hash: str
    settings: Settings
    no_consent: bool = False

    def get(self, name: str, default: Any = None) -> Any:
        return self.values.get(name, default)

    @property
    def account(self) -> str:
        return self.values["account"]

    @property
    def time(self) -> int:
        return self.values[TIME_FIELD[self.kind]]

    def number(self, name: str) -> str | None:
        """A phone number field, normalised."""
        written = self.values.get(name)
        return phones.normalise(written, self.settings["default_region"]) if written else None

    @property
    def shown(self) -> set[str]:
        """The tracking numbers a pageview displayed: each once."""
        region = self.settings["default_region"]
        written = self.values.get("tracking_numbers", [])
        return {number for one in written if (number := phones.normalise(one, region))}


@dataclasses.dataclass
class DeadLetter:
    """SPEC 3: code, field, event type, account, event time where known, and where from."""

    code: str
    field: str | None
    kind: str | None
    account: str | None
    time: int | None
    input: int
    line: int


@dataclasses.dataclass
class Decoded:
    """All events that count, what was not used, and the ledger by kind (SPEC 10)."""

    events: list[Event]
    dead_letters: list[DeadLetter]
    ledger: dict[str, Counter[str]]
    dropped: Counter[tuple[str, str]]


def decode(inputs: list[tuple[str, list[bytes]]], config: Settings, now_us: int) -> Decoded:
    """Every line is read, then accepted, a duplicate, a dead letter or without consent."""
    events: list[Event] = []
    dead_letters: list[DeadLetter] = []
    ledger: dict[str, Counter[str]] = {}
    dropped: Counter[tuple[str, str]] = Counter()
    for number, (file_kind, lines) in enumerate(inputs):
        for line_number, line in enumerate(lines, start=1):
            if is_blank(line):
                continue
            letter = DeadLetter("", None, None, None, None, number, line_number)
            drops: list[str] = []
            try:
                event = decode_line(line, file_kind, config, now_us, letter, drops)
            except RejectedError as rejected:
                letter.code, letter.field = rejected.code, rejected.field
                dead_letters.append(letter)
                count = ledger.setdefault(letter.kind or file_kind, Counter())
                count.update(["read", "dead_letters"])
                continue
            dropped.update((event.kind, name) for name in drops)
            count = ledger.setdefault(event.kind, Counter())
            count["read"] += 1
            if event.no_consent:
                count["no_consent"] += 1
            else:
                events.append(event)
    kept = without_duplicates(events)
    for kind, count in ledger.items():
        decoded = sum(event.kind == kind for event in events)
        count["accepted"] = sum(event.kind == kind for event in kept)
        count["duplicates"] = decoded - count["accepted"]
    return Decoded(kept, dead_letters, ledger, dropped)


def decode_line(
    line: bytes,
    file_kind: str | None,
    config: Settings,
    now_us: int,
    letter: DeadLetter,
    drops: list[str],
) -> Event:
    """One line; what is known of it is noted in `letter`, dropped fields in `drops`."""
    sent = parse_line(line)
    if not isinstance(sent, dict):
        raise RejectedError("not_object")
    letter.account = account_if_known(sent)
    kind = letter.kind = kind_of(sent, file_kind)
    letter.time = time_if_known(sent, kind)
    values = read_required(sent, kind)
    settings = account_settings(config, values["account"])
    values |= read_required_times_and_numbers(sent, kind, settings, now_us)
    for name, reader in OPTIONAL[kind].items():
        if is_absent(sent.get(name)):
            continue
        try:
            drop = functools.partial(drops.append, name)
            value = reader(sent[name], settings["default_region"], drop)
        except MalformedError:
            drops.append(name)
            continue
        if value not in ([], {}):
            values[name] = value
    if kind == "call":
        order_call_times(values, drops)
    digest = hashlib.sha256(canonical(values).encode()).hexdigest()
    event = Event(kind, values, digest, settings)
    if kind in ("pageview", "engagement"):
        apply_consent(event, given=not is_absent(sent.get("consent")))
    return event


def kind_of(sent: dict[str, Any], file_kind: str | None) -> str:
    """A known type is taken for what it says; without one, the file's (SPEC 3)."""
    given = sent.get("type")
    if is_absent(given):
        if file_kind is None:
            raise RejectedError("unknown_type", "type")
        return file_kind
    try:
        kind = text(given).lower()
    except MalformedError:
        raise RejectedError("unknown_type", "type") from None
    if kind not in REQUIRED:
        raise RejectedError("unknown_type", "type")
    return kind


def account_if_known(sent: dict[str, Any]) -> str | None:
    try:
        return None if is_absent(sent.get("account")) else text(sent["account"])
    except MalformedError:
        return None


def time_if_known(sent: dict[str, Any], kind: str) -> int | None:
    try:
        return read_time(sent.get(TIME_FIELD[kind]))
    except (BadTimeError, NotATimeError):
        return None


def read_required(sent: dict[str, Any], kind: str) -> dict[str, Any]:
    """`missing_field` over all required fields, then `bad_type` over all of them."""
    for name in REQUIRED[kind]:
        if is_absent(sent.get(name)):
            raise RejectedError("missing_field", name)
    if kind == "erasure" and all(is_absent(sent.get(name)) for name in SUBJECTS):
        raise RejectedError("missing_field", SUBJECTS[0])
    values = {}
    for name in REQUIRED[kind]:
        value = sent[name]
        if name == TIME_FIELD[kind]:
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                raise RejectedError("bad_type", name)
            continue
        try:
            values[name] = text(value)
        except MalformedError:
            raise RejectedError("bad_type", name) from None
        if name == "kind":
            values[name] = values[name].lower()
            if values[name] not in ENGAGEMENT_KINDS:
                raise RejectedError("bad_type", name)
    return values


def read_required_times_and_numbers(
    sent: dict[str, Any], kind: str, settings: Settings, now_us: int
) -> dict[str, Any]:
    """`bad_time` (out of range, or over 24 hours ahead), `bad_number`, `end_before_start`."""
    name = TIME_FIELD[kind]
    try:
        moment = read_time(sent[name])
    except BadTimeError:
        raise RejectedError("bad_time", name) from None
    if moment > now_us + DAY:
        raise RejectedError("bad_time", name)
    if kind == "call":
        b_number = text(sent["b_number"])
        if phones.normalise(b_number, settings["default_region"]) is None:
            raise RejectedError("bad_number", "b_number")
        try:
            end = read_time(sent.get("end"))
        except (BadTimeError, NotATimeError):
            end = moment
        if end < moment:
            raise RejectedError("end_before_start", "end")
    return {name: moment}


def order_call_times(values: dict[str, Any], drops: list[str]) -> None:
    """Of ring > answer the ring is dropped, then of answer > end the answer (SPEC 3)."""
    for earlier, later in (("ring", "answer"), ("answer", "end")):
        if earlier in values and later in values and values[earlier] > values[later]:
            del values[earlier]
            drops.append(earlier)


def apply_consent(event: Event, given: bool) -> None:
    """Without `analytics` dropped; without `marketing` no third party ids, no click ids."""
    if not given:
        return
    purposes = [purpose.lower() for purpose in event.get("consent", [])]
    if "analytics" not in purposes:
        event.no_consent = True
    elif "marketing" not in purposes:
        event.values = dict(event.values)
        event.values.pop("third_party_ids", None)
        for name in ("url", "referrer"):
            if name in event.values:
                event.values[name] = without_click_ids(event.values[name])


def identity(event: Event) -> tuple[Any, ...]:
    """Events of one identity are duplicates (SPEC 3)."""
    if event.kind == "call":
        return ("call", event.account, event.get("call_id"))
    if event.kind == "erasure" or event.get("event_id") is None:
        return (event.kind, event.hash)
    return (event.kind, event.account, event.get("visitor_id"), event.get("event_id"), event.time)


def better_first(event: Event) -> tuple[Any, ...]:
    """Calls: highest sequence, latest end (absent is earliest), smallest hash."""
    if event.kind == "call":
        return (-event.get("sequence", 0), -event.get("end", 0), event.hash)
    return (event.hash,)


def without_duplicates(events: list[Event]) -> list[Event]:
    """Of each identity the one that stays, in a fixed order."""
    kept: dict[tuple[Any, ...], Event] = {}
    for event in events:
        other = kept.get(identity(event))
        if other is None or better_first(event) < better_first(other):
            kept[identity(event)] = event
    return sorted(kept.values(), key=lambda event: (event.kind, event.time, event.hash))
