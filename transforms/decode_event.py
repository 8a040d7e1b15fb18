"""One event, normalised field by field as schemas/events.py says, exactly (SPEC section 3)."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any

from schemas.events import FIELDS, Field
from transforms.decode_json import Number, RejectedError, canonical_json, trim
from transforms.decode_times import SECOND, time_of_number, time_of_text
from transforms.numbers import is_withheld, normalise_number
from transforms.privacy import ip_prefix

CODES = (
    "too_large",
    "not_json",
    "not_object",
    "unknown_type",
    "missing_field",
    "bad_type",
    "bad_time",
    "bad_number",
    "end_before_start",
)
TIME_FIELD = {"pageview": "time", "engagement": "time", "call": "start", "erasure": "time"}
# An event may be this far ahead of its arrival.
AHEAD = 24 * 3600 * SECOND
ERASURE_SUBJECTS = ("visitor_id", "phone", "email")
OUTCOME = {"category": "text", "tags": "texts", "value": "amount", "currency": "text"}
QUALITY = dict.fromkeys(("mos", "jitter_ms", "packet_loss", "round_trip_ms"), "amount")


@dataclass
class Event:
    """A normalised event: what is absent or dropped is not in `values`; times are microseconds.

    `dropped` names the field of every value that was malformed. `refused`: consent was given, but
    nothing of it can be used.
    """

    kind: str
    values: dict[str, Any]
    dropped: list[str]
    refused: bool = False

    def digest(self) -> int:
        """The first 64 bits of the SHA-256 of the event's canonical JSON."""
        content = canonical_json(self.values).encode()
        return int.from_bytes(hashlib.sha256(content).digest()[:8], "big")


class MalformedError(Exception):
    """A value that cannot be used; `code` is the dead letter's where the field is required."""

    def __init__(self, code: str = "bad_type") -> None:
        super().__init__(code)
        self.code = code


@dataclass
class Reading:
    """What reading a value needs besides it: words, the account's region, where drops are noted."""

    words: tuple[str, ...]
    region: str
    drop: Callable[[], None]


def event_kind(sent: dict[str, Any], file_kind: str | None) -> str:
    """The type that the event says, in any case, else its file's. RejectedError: unknown_type."""
    said = sent.get("type")
    word = trim(said).lower() if isinstance(said, str) else said
    kind = file_kind if is_absent(said) else word
    if not isinstance(kind, str) or kind not in FIELDS:
        raise RejectedError("unknown_type", "type")
    return kind


def read_event(
    kind: str, sent: dict[str, Any], region_of: Callable[[str], str], latest: int | None
) -> Event:
    """The event of an object. `latest` is the last time that is not too far ahead (microseconds).

    Raises RejectedError with the first code that applies, of one code with the first field.
    """
    account = known_account(sent)
    region = region_of(account) if account else ""
    event = Event(kind, {}, [])
    problems: list[RejectedError] = []
    for field in FIELDS[kind]:
        try:
            _read_field(event, field, sent.get(field.name), region)
        except MalformedError as malformed:
            problems.append(RejectedError(malformed.code, field.name))
    if kind == "erasure" and not any(name in event.values for name in ERASURE_SUBJECTS):
        problems.append(RejectedError("missing_field", ERASURE_SUBJECTS[0]))
    time_field = TIME_FIELD[kind]
    if latest is not None and event.values.get(time_field, latest) > latest:
        problems.append(RejectedError("bad_time", time_field))
    if problems:
        raise min(problems, key=lambda problem: CODES.index(problem.code))
    if kind == "call":
        _order_call_times(event)
    event.refused = "consent" not in event.values and not is_absent(sent.get("consent"))
    return event


def known_account(sent: dict[str, Any]) -> str | None:
    """The account of an object, None where it cannot be read."""
    try:
        return None if is_absent(sent.get("account")) else _text(sent["account"])
    except MalformedError:
        return None


def known_time(kind: str, sent: dict[str, Any]) -> int | None:
    """The time of an object of this kind, None where it cannot be read (microseconds)."""
    try:
        return _time(sent.get(TIME_FIELD[kind]))
    except MalformedError:
        return None


def _read_field(event: Event, field: Field, sent: Any, region: str) -> None:
    """Notes the field's value. MalformedError only where it is required."""
    if is_absent(sent):
        if field.required:
            raise MalformedError("missing_field")
        return
    reading = Reading(field.words, region, lambda: event.dropped.append(field.name))
    try:
        value = _READERS.get(field.name, _READERS[field.kind])(sent, reading)
    except MalformedError:
        if field.required:
            raise
        reading.drop()
        return
    if value not in ([], {}):
        event.values[field.name] = value


def _order_call_times(event: Event) -> None:
    """Of ring > answer the ring is dropped, then of answer > end the answer."""
    values = event.values
    if values.get("end", values["start"]) < values["start"]:
        raise RejectedError("end_before_start", "end")
    for earlier, later in (("ring", "answer"), ("answer", "end")):
        if earlier in values and later in values and values[earlier] > values[later]:
            del values[earlier]
            event.dropped.append(earlier)


def is_absent(value: Any) -> bool:
    """An empty string, like null, equals absent."""
    return value is None or (isinstance(value, str) and trim(value) == "")


def _text(value: Any) -> str:
    if isinstance(value, str):
        return trim(value)
    if isinstance(value, Number) and value.is_integer:
        return value.text
    raise MalformedError


def _time(value: Any) -> int:
    if isinstance(value, Number):
        time = time_of_number(value.text)
    elif isinstance(value, str):
        time = time_of_text(trim(value))
    else:
        raise MalformedError
    if time is None:
        raise MalformedError("bad_time")
    return time


def _number(value: Any, reading: Reading) -> str:
    """A phone number as written; it must be usable."""
    written = _text(value)
    if normalise_number(written, reading.region) is None:
        raise MalformedError("bad_number")
    return written


def _caller(value: Any, reading: Reading) -> str:
    """A caller's number as written; it may be withheld."""
    written = _text(value)
    return written if is_withheld(written) else _number(value, reading)


def _address(value: Any, _: Reading) -> str:
    written = _text(value)
    if ip_prefix(written) is None:
        raise MalformedError
    return written


def _word(value: Any, reading: Reading) -> str:
    word = _text(value).lower()
    if word not in reading.words:
        raise MalformedError
    return word


def _items(value: Any, read: Callable[[Any], str], drop: Callable[[], None]) -> list[str]:
    """The usable items of a list; a lone value is a list of one."""
    items = value if isinstance(value, list) else [_text(value)]
    usable = []
    for item in items:
        try:
            if not is_absent(item):
                usable.append(read(item))
        except MalformedError:
            drop()
    return usable


def _texts(value: Any, reading: Reading) -> list[str]:
    return _items(value, _text, reading.drop)


def _phones(value: Any, reading: Reading) -> list[str]:
    return _items(value, lambda item: _number(item, reading), reading.drop)


def _map(value: Any, reading: Reading) -> dict[str, str]:
    if not isinstance(value, dict):
        raise MalformedError
    pairs = {}
    for name, item in value.items():
        try:
            if trim(name) and not is_absent(item):
                pairs[trim(name)] = _text(item)
        except MalformedError:
            reading.drop()
    return pairs


def _truth(value: Any, _: Reading) -> bool:
    if not isinstance(value, bool):
        raise MalformedError
    return value


def _integer(value: Any, _: Reading) -> Number:
    if not isinstance(value, Number) or not value.is_integer:
        raise MalformedError
    return value


def _amount(value: Any, _: Reading) -> Number:
    if not isinstance(value, Number) or not isfinite(float(value.text)):
        raise MalformedError
    return value


def _record(kinds: dict[str, str]) -> Callable[[Any, Reading], dict[str, Any]]:
    """Reads an object of known fields, of which a malformed one alone is dropped."""

    def read(value: Any, reading: Reading) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise MalformedError
        record = {}
        for name, kind in kinds.items():
            try:
                if not is_absent(value.get(name)):
                    record[name] = _READERS[kind](value[name], reading)
            except MalformedError:
                reading.drop()
        return {name: item for name, item in record.items() if item != []}

    return read


# By the field's kind; by its name where a field of a kind has a rule of its own.
_READERS: dict[str, Callable[[Any, Reading], Any]] = {
    "text": lambda value, _: _text(value),
    "time": lambda value, _: _time(value),
    "number": _number,
    "a_number": _caller,
    "ip": _address,
    "word": _word,
    "texts": _texts,
    "phones": _phones,
    "map": _map,
    "truth": _truth,
    "integer": _integer,
    "amount": _amount,
    "outcome": _record(OUTCOME),
    "quality": _record(QUALITY),
}
