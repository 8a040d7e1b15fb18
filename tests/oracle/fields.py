"""Reading one field of an event: normalised value, or absent, or malformed (SPEC 3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from oracle import phones
from oracle.times import BadTimeError, NotATimeError, read_time
from oracle.wire import Whole, is_number, trim

Drop = Callable[[], None]
Reader = Callable[[Any, str, Drop], Any]

STATUSES = {"answered", "missed", "abandoned", "busy", "failed", "voicemail"}
DIRECTIONS = {"inbound", "outbound"}
ENGAGEMENT_KINDS = {"click", "close", "action"}


class MalformedError(Exception):
    """The value has the wrong type or an unusable content."""


def is_absent(value: Any) -> bool:
    """An empty string (once trimmed), like null, equals absent."""
    return value is None or (isinstance(value, str) and trim(value) == "")


def text(value: Any) -> str:
    """A string, trimmed; an integer is read as its decimal digits."""
    if isinstance(value, str):
        return trim(value)
    if isinstance(value, Whole):
        return value.text
    raise MalformedError


def read_text(value: Any, region: str, drop: Drop) -> str:
    return text(value)


def read_moment(value: Any, region: str, drop: Drop) -> int:
    try:
        return read_time(value)
    except (BadTimeError, NotATimeError):
        raise MalformedError from None


def read_flag(value: Any, region: str, drop: Drop) -> bool:
    if isinstance(value, bool):
        return value
    raise MalformedError


def read_sequence(value: Any, region: str, drop: Drop) -> Whole:
    if isinstance(value, Whole):
        return value
    raise MalformedError


def read_word(words: set[str]) -> Reader:
    """An enumerated word in any case, kept in lower case."""

    def read(value: Any, region: str, drop: Drop) -> str:
        word = text(value).lower()
        if word not in words:
            raise MalformedError
        return word

    return read


def read_phone(value: Any, region: str, drop: Drop) -> str:
    """A phone number stays as written; it must be withheld or usable."""
    written = text(value)
    if not phones.is_withheld(written) and phones.normalise(written, region) is None:
        raise MalformedError
    return written


def read_shown_numbers(value: Any, region: str, drop: Drop) -> list[str]:
    """A string or a list of strings; unusable numbers are left out, each counted."""
    items = value if isinstance(value, list) else [value]
    if not isinstance(value, list):
        text(value)  # of the wrong type: malformed as a whole
    shown = []
    for item in items:
        if is_absent(item):
            continue
        try:
            written = text(item)
        except MalformedError:
            drop()
            continue
        if phones.normalise(written, region) is None:
            drop()
            continue
        shown.append(written)
    return shown


def read_ip(value: Any, region: str, drop: Drop) -> str:
    written = text(value)
    if phones.ip_prefix(written) is None:
        raise MalformedError
    return written


def read_map(value: Any, region: str, drop: Drop) -> dict[str, str]:
    """An object of name -> string; a malformed value alone is dropped."""
    if not isinstance(value, dict):
        raise MalformedError
    pairs = {}
    for name, item in value.items():
        if trim(name) == "" or is_absent(item):
            continue
        try:
            pairs[trim(name)] = text(item)
        except MalformedError:
            drop()
    return pairs


def read_consent(value: Any, region: str, drop: Drop) -> list[str]:
    """A list of purposes; a lone string is a list of one; malformed items are left out."""
    items = value if isinstance(value, list) else [text(value)]
    purposes = []
    for item in items:
        if is_absent(item):
            continue
        try:
            purposes.append(text(item))
        except MalformedError:
            drop()
    return purposes


def read_tags(value: Any, drop: Drop) -> list[str]:
    """`outcome.tags`: strings; a lone string is a list of one."""
    items = value if isinstance(value, list) else [text(value)]
    tags = []
    for item in items:
        if is_absent(item):
            continue
        try:
            tags.append(text(item))
        except MalformedError:
            drop()
    return tags


def read_number(value: Any) -> int | float:
    if is_number(value):
        return value
    raise MalformedError


def read_outcome(value: Any, region: str, drop: Drop) -> dict[str, Any]:
    """`category`, `tags`, `value`, `currency`; a malformed value alone is dropped."""
    readers: dict[str, Callable[[Any], Any]] = {
        "category": text,
        "tags": lambda item: read_tags(item, drop),
        "value": read_number,
        "currency": text,
    }
    return _read_object(value, readers, drop)


def read_quality(value: Any, region: str, drop: Drop) -> dict[str, Any]:
    """`mos`, `jitter_ms`, `packet_loss`, `round_trip_ms`: numbers."""
    names = ("mos", "jitter_ms", "packet_loss", "round_trip_ms")
    return _read_object(value, dict.fromkeys(names, read_number), drop)


def _read_object(
    value: Any, readers: dict[str, Callable[[Any], Any]], drop: Drop
) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise MalformedError
    found = {}
    for name, reader in readers.items():
        item = value.get(name)
        if is_absent(item):
            continue
        try:
            read = reader(item)
        except MalformedError:
            drop()
            continue
        if read != []:
            found[name] = read
    return found


# In the order of the tables of section 3; the required ones are in decode.py too.
OPTIONAL: dict[str, dict[str, Reader]] = {
    "pageview": {
        "session_id": read_text,
        "event_id": read_text,
        "referrer": read_text,
        "title": read_text,
        "page_name": read_text,
        "user_agent": read_text,
        "ip": read_ip,
        "tracking_numbers": read_shown_numbers,
        "third_party_ids": read_map,
        "consent": read_consent,
        "variants": read_map,
    },
    "engagement": {
        "session_id": read_text,
        "event_id": read_text,
        "name": read_text,
        "fields": read_map,
        "callback_requested": read_flag,
        "consent": read_consent,
    },
    "call": {
        "ring": read_moment,
        "answer": read_moment,
        "end": read_moment,
        "a_number": read_phone,
        "c_number": read_phone,
        "direction": read_word(DIRECTIONS),
        "status": read_word(STATUSES),
        "session_id": read_text,
        "outcome": read_outcome,
        "quality": read_quality,
        "sequence": read_sequence,
    },
    "erasure": {
        "visitor_id": read_text,
        "phone": read_text,
        "email": read_text,
        "request_id": read_text,
    },
}
