"""Bytes to events or dead letters: every rule of SPEC section 3, and of 4 and 11 at decode."""

import hashlib
import json
import math
import pickle
from fractions import Fraction
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.config import parse_config
from schemas.events import DECODED
from transforms import decode
from transforms.decode import Block, Decoded, DecodeSettings, decode_block, message_block
from transforms.decode_block import DEAD_LETTERS
from transforms.decode_times import time_of_number, time_of_text
from transforms.privacy import caller_key, decrypt_payload, email_key

Json = dict[str, Any]

KEY = b"k" * 32
SECOND = 1_000_000
TIME = 1_772_445_600 * SECOND  # 2026-03-02T10:00:00Z
NOW = TIME + 3600 * SECOND
CONFIG = parse_config({"accounts": {"us": {"default_region": "US"}}})
SETTINGS = DecodeSettings(CONFIG, KEY, NOW)

GOOD: dict[str, Json] = {
    "pageview": {"account": "shop", "visitor_id": "v", "time": TIME, "url": "https://a.dk/"},
    "engagement": {"account": "shop", "visitor_id": "v", "time": TIME, "kind": "click"},
    "call": {"account": "shop", "call_id": "c", "start": TIME, "b_number": "33123456"},
    "erasure": {"account": "shop", "time": TIME, "visitor_id": "v"},
}


def line(event: Json) -> bytes:
    """An event as JSON, in which a number can be larger than any float."""
    return json.dumps(event).replace("Infinity", "1e999").encode()


def read(kind: str | None, *lines: bytes | Json) -> Decoded:
    """Decodes lines of a file of a kind."""
    content = [each if isinstance(each, bytes) else line(each) for each in lines]
    return decode_block(Block(b"\n".join(content), kind, "events.jsonl"), SETTINGS)


def row(kind: str, /, **changes: Any) -> Json:
    """The one row of a good event with changes."""
    decoded = read(kind, GOOD[kind] | changes)
    assert decoded.dead_letters.is_empty(), decoded.dead_letters
    return getattr(decoded, f"{kind}s").row(0, named=True)


def dead(kind: str | None, content: bytes | Json) -> tuple[str, str | None]:
    """(code, field) of the one dead letter of a line."""
    decoded = read(kind, content)
    assert decoded.dead_letters.height == 1
    assert sum(getattr(decoded, f"{each}s").height for each in DECODED) == 0
    return decoded.dead_letters.select("code", "field").row(0)


def dropped(decoded: Decoded) -> dict[str, int]:
    return {
        name.removeprefix("dropped."): number
        for (_, _, name), number in decoded.counts.items()
        if name.startswith("dropped.")
    }


def drops(kind: str, /, **changes: Any) -> dict[str, int]:
    """By field the values dropped of a good event with changes, which is kept."""
    decoded = read(kind, GOOD[kind] | changes)
    assert decoded.dead_letters.is_empty()
    return dropped(decoded)


def kept_hash(canonical: str) -> int:
    """What is kept of the hash of an event with this canonical JSON."""
    return int(hashlib.sha256(canonical.encode()).hexdigest()[:16], 16)


# --- dead letters ------------------------------------------------------------------------------

NOT_JSON = {
    "cut": b'{"account":"shop",',
    "words": b"nonsense",
    "two objects": b'{"a":1} {"b":2}',
    "text after": b"{}x",
    "comma": b'{"a":1,}',
    "single quotes": b"{'a':1}",
    "not a number": b'{"a":NaN}',
    "infinity": b'{"a":-Infinity}',
    "leading zero": b'{"a":01}',
    "invalid UTF-8": b'{"a":"\xff"}',
    "invalid UTF-8 in a name": b'{"\xc3":1}',
    "surrogate in UTF-8": b'{"a":"\xed\xa0\x80"}',
    "half a pair": b'{"a":"\\ud800"}',
    "half a pair in a name": b'{"\\udc00":1}',
    "halves of a pair in wrong order": b'{"a":"\\udc00\\ud800"}',
    "half a pair after an escaped backslash": b'{"a":"\\\\\\ud800"}',
    "half a pair that is overwritten": b'{"a":"\\ud800","a":1}',
    "NUL bytes": b'\0{"a":1}\0',
    "NUL in a string": b'{"a":"\0"}',
    "tab in a string": b'{"a":"\t"}',
    "unknown escape": b'{"a":"\\x"}',
    "deep": b'{"a":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "very deep": b"[" * 1_000_000,
    "deep objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "byte order mark within": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "no white space of JSON": "\u00a0".encode(),
    "form feed": b"\f",
}


@pytest.mark.parametrize("content", NOT_JSON.values(), ids=NOT_JSON.keys())
@pytest.mark.parametrize("kind", ["pageview", "call", None])
def test_not_json(kind: str | None, content: bytes) -> None:
    """What is not one JSON text in UTF-8, strictly, is not_json."""
    assert dead(kind, content.replace(b"\n", b"")) == ("not_json", None)


NO_VALUES = [
    *(
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'"\\ud800"',
        b'"\\udc00\\ud800"',
        b'"\\x"',
        b'"\\u12"',
        b'"\t"',
    ),
    *(
        b"NaN",
        b"01",
        b"1.",
        b"-",
        b"+1",
        b".5",
        b"1e",
        b"tru",
        b"'a'",
        b"[1,]",
        b"{1:2}",
        b'"a" "b"',
    ),
    *(b'"a', b'a"', b'"\x00"', b"\x00", b"", b"1 2", b"[" * 600 + b"]" * 600, b'"a":"b"', b"\\n1"),
]


@pytest.mark.parametrize("value", NO_VALUES)
@pytest.mark.parametrize("usual", [b'"x"', b'"\\n"', b"7", b"1.5"])
def test_not_json_among_many(value: bytes, usual: bytes) -> None:
    """A fault in a field that nobody reads is found among many good lines of the same shape."""
    good = line(GOOD["pageview"])[:-1] + b',"other":'
    lines = [good + usual + b"}"] * 200
    lines[99] = good + value + b"}"
    decoded = read("pageview", *lines)
    assert decoded.dead_letters.select("code", "line").rows() == [("not_json", 100)]
    assert decoded.pageviews.height == 199


@pytest.mark.parametrize("content", [b"[]", b'"a"', b"7", b"null", b"true", b"[{}]", b"-0.5e3"])
def test_not_object(content: bytes) -> None:
    """Any other JSON text than an object is not_object."""
    assert dead("pageview", content) == ("not_object", None)


@pytest.mark.parametrize(
    "content",
    [
        line(GOOD["pageview"] | {"other": 10**400, "a": [{}, [[]]], "b": 1e999}),
        b" \t" + line(GOOD["pageview"]) + b" \r",
        line(GOOD["pageview"]).replace(b'"v"', b'"\\ud83d\\ude00 \\\\ud800 \\u0000"'),
        line(GOOD["pageview"]).replace(b"{", b'{"deep":' + b"[" * 400 + b"]" * 400 + b",", 1),
        line({"account": 1.5})[:-1] + b"," + line(GOOD["pageview"])[1:],
    ],
    ids=["huge numbers", "white space", "pairs and NUL escapes", "nested", "last of two"],
)
def test_unusual_but_json(content: bytes) -> None:
    """What JSON allows is read; of a name that comes twice the last counts, others are ignored."""
    assert read("pageview", content).pageviews.height == 1


def test_too_large() -> None:
    """An event of 1 MiB is read, one of a byte more is too_large; its payload is cut to 1 MiB."""
    rest = len(line(GOOD["pageview"] | {"title": ""}))
    event = GOOD["pageview"] | {"title": "x" * ((1 << 20) - rest)}
    assert read("pageview", line(event) + b"\r").pageviews.height == 1
    event["title"] += "x"
    decoded = read("pageview", event)
    assert decoded.dead_letters["code"].to_list() == ["too_large"]
    payload = decrypt_payload(decoded.dead_letters["payload"][0], KEY)
    assert payload == line(event)[: 1 << 20]


@pytest.mark.parametrize("said", ["visit", 5, ["call"], {}, True, "pageviews"])
def test_unknown_type(said: Any) -> None:
    """A type that is no word of the list is unknown_type, in a file of a kind too."""
    assert dead("pageview", GOOD["pageview"] | {"type": said}) == ("unknown_type", "type")


@pytest.mark.parametrize("said", ["call", "CALL", " Call ", "", None, "  "])
def test_types(said: Any) -> None:
    """A type is read in any case; where it is empty, the file's kind stands."""
    assert read("call", GOOD["call"] | {"type": said}).calls.height == 1


def test_a_known_type_in_a_file_for_another_kind() -> None:
    """A line is what it says, whatever the file is for, and the ledger counts it there."""
    decoded = read("pageview", GOOD["call"] | {"type": "call"}, GOOD["pageview"])
    assert (decoded.pageviews.height, decoded.calls.height) == (1, 1)
    assert decoded.counts["call", "shop", "read"] == 1


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind, event in GOOD.items() for name in event],
)
@pytest.mark.parametrize("value", [None, "", " \u00a0\u3000", ...])
def test_missing_field(kind: str, name: str, value: Any) -> None:
    """A required field that is not there, null, or empty once trimmed is missing_field."""
    event = GOOD[kind] | {name: value}
    if value is ...:
        del event[name]
    assert dead(kind, event) == ("missing_field", name)


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind, event in GOOD.items() for name in event if kind != "erasure"],
)
@pytest.mark.parametrize("value", [1.5, True, [], {}, ["a"]])
def test_bad_type(kind: str, name: str, value: Any) -> None:
    """A required field of another type is bad_type; of a time only what is no text or number."""
    code = "bad_time" if value == 1.5 and name in ("time", "start") else "bad_type"
    assert dead(kind, GOOD[kind] | {name: value}) == (code, name)


def test_another_word_for_an_engagement() -> None:
    """An engagement's kind of another word is bad_type; any case will do."""
    assert dead("engagement", GOOD["engagement"] | {"kind": "hover"}) == ("bad_type", "kind")
    assert row("engagement", kind=" CLOSE ")["kind"] == "close"


BAD_TIMES = [
    "yesterday",
    "1772445600",
    "2026-03-02",
    "2026-03-02T10:00:00",
    "2026-03-02T10:00:00+0100",
    "2026-03-02T10:00:00+24:00",
    "2026-03-02T10:00:00+01:60",
    "2026-02-29T10:00:00Z",
    "2026-13-01T10:00:00Z",
    "2026-03-02T24:00:00Z",
    "2026-03-02T10:60:00Z",
    "2026-03-02T10:00:61Z",
    "2026-03-02T10:00:00.Z",
    "2026-03-02  10:00:00Z",
    "2026-03-02T10:00Z",
    "\uff12026-03-02T10:00:00Z",
    "1999-12-31T23:59:59.999999Z",
    "2100-01-01T00:00:00Z",
    "0000-00-00T00:00:00Z",
    0,
    -5,
    946_684_799,
    4_102_444_800,
    10**40,
    1e300,
]


@pytest.mark.parametrize("value", BAD_TIMES)
def test_bad_time(value: Any) -> None:
    """A required time that is no RFC 3339 time with offset, or out of range, is bad_time."""
    assert dead("pageview", GOOD["pageview"] | {"time": value}) == ("bad_time", "time")


def test_times_ahead() -> None:
    """A time up to 24 hours after the arrival is good, a microsecond more is bad_time."""
    day = 24 * 3600 * SECOND
    assert row("call", start=NOW + day)["start"] == NOW + day
    assert dead("call", GOOD["call"] | {"start": NOW + day + 1}) == ("bad_time", "start")
    assert row("call", end=NOW + 2 * day)["end"] == NOW + 2 * day


@pytest.mark.parametrize("number", ["x", "12", "sip:@host", "+", "anonymous", 12])
def test_bad_number(number: Any) -> None:
    """A tracking number with fewer than three digits is bad_number."""
    assert dead("call", GOOD["call"] | {"b_number": number}) == ("bad_number", "b_number")


def test_end_before_start() -> None:
    """A call that ends before it starts is a dead letter; one that ends as it starts is not."""
    assert dead("call", GOOD["call"] | {"end": TIME - 1}) == ("end_before_start", "end")
    assert row("call", end=TIME)["end"] == TIME


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"type": "visit", "account": None}, ("unknown_type", "type")),
        ({"account": 1.5, "b_number": ""}, ("missing_field", "b_number")),
        ({"call_id": "", "b_number": ""}, ("missing_field", "call_id")),
        ({"start": "never", "b_number": []}, ("bad_type", "b_number")),
        ({"start": "never", "b_number": "x"}, ("bad_time", "start")),
        ({"b_number": "x", "end": TIME - 1}, ("bad_number", "b_number")),
    ],
)
def test_first_code_of_the_list(changes: Json, expected: tuple[str, str]) -> None:
    """Of several faults the first code of the list applies, of one code the first field."""
    assert dead("call", GOOD["call"] | changes) == expected


def test_dead_letter_rows() -> None:
    """A dead letter says what is known, where it was, when it came, and keeps it encrypted."""
    bad = GOOD["call"] | {"b_number": "x"}
    table = read("call", b"", bad, b"{").dead_letters
    assert table.schema == DEAD_LETTERS
    first, second = table.drop("dead_letter_id", "payload").rows()
    assert first == ("shop", NOW, "bad_number", "b_number", "call", TIME, "events.jsonl", 2, None)
    assert second == (None, NOW, "not_json", None, "call", None, "events.jsonl", 3, None)
    payloads = [decrypt_payload(payload, KEY) for payload in table["payload"]]
    assert payloads == [line(bad), b"{"]
    assert b"shop" not in table["payload"][0]


def test_dead_letter_ids() -> None:
    """The same line of the same file has the same id again; its twin on another line another."""
    bad = b"{"
    first, again = (read("call", bad, bad).dead_letters["dead_letter_id"] for _ in range(2))
    assert first.equals(again)
    assert first.n_unique() == 2
    other = decode_block(Block(bad, "call", "other.jsonl"), SETTINGS).dead_letters
    assert other["dead_letter_id"][0] not in first


# --- values ------------------------------------------------------------------------------------


def test_texts_are_trimmed() -> None:
    """White space of Unicode around a text goes, other control characters stay; empty is absent."""
    texts = row("pageview", title="\u00a0\u2028 a b \t", referrer="\u3000", page_name="\x1cx\x1f")
    assert (texts["title"], texts["referrer"], texts["page_name"]) == ("a b", None, "\x1cx\x1f")


def test_integers_are_texts() -> None:
    """Where a text is asked for an integer is its digits, however many."""
    assert row("pageview", visitor_id=10**30)["visitor_id"] == "1" + "0" * 30
    assert row("pageview", visitor_id=-7)["visitor_id"] == "-7"
    many = line(GOOD["pageview"]).replace(b'"v"', b"1" * 5000)
    assert read("pageview", many).pageviews["visitor_id"][0] == "1" * 5000


@pytest.mark.parametrize("value", [1.5, True, [], {}, ["a"]])
def test_optional_texts_of_another_type_are_dropped(value: Any) -> None:
    """An optional field of another type is dropped and counted, the event kept."""
    assert drops("pageview", user_agent=value, title=value) == {"user_agent": 1, "title": 1}
    assert row("pageview", user_agent=value)["user_agent"] is None


TIMES = [
    ("2026-03-02T10:00:00Z", TIME),
    ("2026-03-02t10:00:00z", TIME),
    ("2026-03-02 10:00:00+00:00", TIME),
    ("2026-03-02T10:00:00-00:00", TIME),
    ("2026-03-02T11:30:00+01:30", TIME),
    ("2026-03-02T00:01:00-09:59", TIME),
    (" 2026-03-02T10:00:00.5Z ", TIME + 500_000),
    ("2026-03-02T10:00:00.123456999Z", TIME + 123_456),
    ("2026-03-02T09:59:60Z", TIME),
    ("2026-03-02T09:59:60.25Z", TIME + 250_000),
    ("2024-02-29T00:00:00Z", 1_709_164_800 * SECOND),
    ("1999-12-31T23:00:00-01:00", 946_684_800 * SECOND),
    ("2000-01-01T00:00:00Z", 946_684_800 * SECOND),
    (1_772_445_600, TIME),
    (1_772_445_600.25, TIME + 250_000),
    (1_772_445_600_123, TIME + 123_000),
    (1_772_445_600_123.5, TIME + 123_500),
    (TIME + 1, TIME + 1),
    (946_684_800, 946_684_800 * SECOND),
]


@pytest.mark.parametrize(("value", "micros"), TIMES)
def test_times(value: Any, micros: int) -> None:
    """Times are RFC 3339, or numbers of seconds, milliseconds or microseconds by their size."""
    assert row("pageview", time=value)["time"] == micros


def test_numbers_are_rounded_exactly() -> None:
    """A number's fraction of a microsecond is rounded as it is written, not as a float has it."""
    assert time_of_number("1772445600.1234565") == TIME + 123_456
    assert time_of_number("1772445600.12345650000000000000000000000000000001") == TIME + 123_457
    assert time_of_number("1772445600123.4567") == TIME + 123_457
    assert time_of_number("1.7724456e9") == TIME
    assert time_of_number("4102444799.9999999") is None
    assert time_of_number("1e99999999999999999999") is None


@given(st.integers(1, 5 * 10**15), st.integers(0, 9))
def test_times_of_numbers(whole: int, places: int) -> None:
    """Numbers are times as exact fractions have it."""
    exact = Fraction(whole, 10**places)
    unit = SECOND if exact < 10**11 else 1000 if exact < 10**14 else 1
    micros = round(exact * unit)
    expected = micros if 946_684_800 * SECOND <= micros < 4_102_444_800 * SECOND else None
    digits = str(whole).rjust(places + 1, "0")
    text = (
        f"{digits[: len(digits) - places]}.{digits[len(digits) - places :]}" if places else digits
    )
    assert time_of_number(text) == expected


def test_time_of_text_is_strict() -> None:
    """No other text is a time, near as it may be."""
    assert [text for text in BAD_TIMES if isinstance(text, str) and time_of_text(text)] == []


@pytest.mark.parametrize(
    ("sent", "numbers", "lost"),
    [
        ("33123456", ["+4533123456"], 0),
        (["33123456", "+45 33 12 34 56", "004533123456"], ["+4533123456"], 0),
        ([33123456, "33123457"], ["+4533123456", "+4533123457"], 0),
        (["x", "12", "33123456", 1.5, None, "", [], True], ["+4533123456"], 5),
        ([], None, 0),
        (["x"], None, 1),
        ({}, None, 1),
        (1.5, None, 1),
        ("", None, 0),
    ],
)
def test_tracking_numbers(sent: Any, numbers: list[str] | None, lost: int) -> None:
    """A text or list of numbers, each once in its one form; unusable ones dropped and counted."""
    assert row("pageview", tracking_numbers=sent)["tracking_numbers"] == numbers
    assert drops("pageview", tracking_numbers=sent).get("tracking_numbers", 0) == lost


def test_national_numbers_go_by_the_account() -> None:
    """A number without country code belongs to the country of its account."""
    assert row("pageview", account="us", tracking_numbers="212 555 0123")["tracking_numbers"] == [
        "+12125550123"
    ]
    assert row("call", account="us", b_number="2125550123")["tracking_number"] == "+12125550123"


@pytest.mark.parametrize(
    ("sent", "pairs", "lost"),
    [
        ({"b": "2", "a": " 1 "}, [("a", "1"), ("b", "2")], 0),
        ({" a ": 7, "b": 1.5, "c": None, "d": "", "": "x", "e": [1]}, [("a", "7")], 2),
        ({"a": "x", " a": "y"}, [("a", "y")], 0),
        ({}, None, 0),
        ({"a": True}, None, 1),
        ("x", None, 1),
        ([], None, 1),
    ],
)
def test_maps(sent: Any, pairs: list[tuple[str, str]] | None, lost: int) -> None:
    """A map's malformed value alone is dropped; pairs come in the order of their names."""
    expected = pairs and [{"name": name, "value": value} for name, value in pairs]
    assert row("pageview", variants=sent)["variants"] == expected
    assert drops("pageview", variants=sent).get("variants", 0) == lost


def test_call_fields() -> None:
    """A call's words in any case, its nested values, and what is made of its numbers."""
    outcome = {"category": " sale ", "tags": ["a", "", 5, 1.5], "value": 1.50, "currency": "DKK"}
    call = row(
        "call",
        direction="Inbound",
        status="VoiceMail",
        outcome=outcome,
        quality={"mos": 4.25, "jitter_ms": "x"},
        sequence=3,
        c_number="33123457",
        session_id=" s ",
        ring=TIME + 1,
        answer=TIME + 2,
        end=TIME + 3,
    )
    expected = {
        "direction": "inbound",
        "status": "voicemail",
        "outcome_category": "sale",
        "outcome_tags": ["a", "5"],
        "outcome_value": 1.5,
        "outcome_currency": "DKK",
        "mos": 4.25,
        "sequence": 3,
        "tracking_number": "+4533123456",
        "destination_number": "+4533123457",
        "session_id": "s",
        "ring": TIME + 1,
        "answer": TIME + 2,
        "end": TIME + 3,
    }
    assert {name: call[name] for name in expected} == expected


def test_call_defaults() -> None:
    """A call without them is inbound, of sequence 0, by an unknown caller."""
    call = row("call")
    assert (call["direction"], call["sequence"], call["caller_key"]) == ("inbound", 0, None)


@pytest.mark.parametrize(
    ("changes", "lost"),
    [
        ({"direction": "sideways", "status": 1.5}, {"direction": 1, "status": 1}),
        ({"ring": "never", "answer": True, "end": []}, {"ring": 1, "answer": 1, "end": 1}),
        ({"a_number": "x", "c_number": "12"}, {"a_number": 1, "c_number": 1}),
        ({"sequence": "1"}, {"sequence": 1}),
        ({"sequence": 1.0}, {"sequence": 1}),
        ({"outcome": {"value": "9", "tags": {}, "category": True}}, {"outcome": 3}),
        ({"outcome": "sale", "quality": [4]}, {"outcome": 1, "quality": 1}),
        ({"quality": {"mos": math.inf}}, {"quality": 1}),
        ({"ring": TIME + 5, "answer": TIME + 4}, {"ring": 1}),
        ({"answer": TIME + 5, "end": TIME + 4}, {"answer": 1}),
        ({"ring": TIME + 6, "answer": TIME + 5, "end": TIME + 4}, {"ring": 1, "answer": 1}),
        ({"ring": TIME + 6, "end": TIME + 4}, {}),
    ],
)
def test_dropped_of_a_call(changes: Json, lost: dict[str, int]) -> None:
    """What is malformed or out of order is dropped and counted, the call kept."""
    decoded = read("call", GOOD["call"] | changes)
    assert dropped(decoded) == lost
    assert decoded.calls.height == 1


def test_sequences_of_any_length() -> None:
    """A sequence that does not fit 64 bits is the nearest that does, so that the highest wins."""
    assert row("call", sequence=10**30)["sequence"] == (1 << 63) - 1
    assert row("call", sequence=-(10**30))["sequence"] == -(1 << 63)
    many = line(GOOD["call"] | {"sequence": 1}).replace(b": 1}", b": " + b"9" * 9000 + b"}")
    assert read("call", many).calls["sequence"][0] == (1 << 63) - 1


# --- consent -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("consent", "kept"),
    [
        (None, True),
        ("", True),
        ("  ", True),
        (["analytics"], True),
        ("analytics", True),
        (["Marketing", " ANALYTICS "], True),
        (["marketing"], False),
        ("marketing", False),
        ([], False),
        ([""], False),
        ([1.5, None], False),
        ({}, False),
        (True, False),
        (5, False),
        (1.5, False),
        (["analytics", 1.5], True),
    ],
)
@pytest.mark.parametrize("kind", ["pageview", "engagement"])
def test_consent(kind: str, consent: Any, kept: bool) -> None:
    """Given consent without analytics, empty or malformed too, drops the event as no_consent."""
    decoded = read(kind, GOOD[kind] | {"consent": consent})
    accepted = decoded.counts[kind, "shop", "accepted_before_duplicates"]
    assert (accepted, decoded.counts[kind, "shop", "no_consent"]) == (kept, not kept)
    assert getattr(decoded, f"{kind}s").height == kept


def test_without_marketing() -> None:
    """Without marketing third-party ids and click ids go; the hash is of the event as sent."""
    sent = {
        "url": "https://a.dk/?x=1&gclid=2",
        "referrer": "https://b.dk/?fbclid=3",
        "third_party_ids": {"a": "b"},
    }
    plain, silent, both = (
        row("pageview", consent=consent, **sent)
        for consent in (None, ["analytics"], ["analytics", "Marketing"])
    )
    assert (silent["url"], silent["referrer"]) == ("https://a.dk/?x=1", "https://b.dk/")
    assert silent["third_party_ids"] is None
    assert (both["url"], both["third_party_ids"]) == (plain["url"], plain["third_party_ids"])
    assert both["consent"] == ["analytics", "Marketing"]
    assert silent["hash"] == kept_hash(
        '{"account":"shop","consent":["analytics"],"referrer":"https://b.dk/?fbclid=3",'
        '"third_party_ids":{"a":"b"},"time":1772445600000000,"url":"https://a.dk/?x=1&gclid=2",'
        '"visitor_id":"v"}'
    )


# --- canonical JSON ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "changes", "canonical"),
    [
        (
            "pageview",
            {
                "type": "pageview",
                "unknown": 1,
                "title": ' Bl\u00e5 "q" \\ / \n\x01\x7f ',
                "referrer": "",
                "tracking_numbers": " 33123456 ",
                "variants": {"b": 2, " a ": "x"},
                "third_party_ids": {"c": 1.5},
                "user_agent": True,
                "ip": "nowhere",
                "consent": " Analytics ",
            },
            '{"account":"shop","consent":["Analytics"],"time":1772445600000000,'
            '"title":"Bl\u00e5 \\"q\\" \\\\ / \\n\\u0001\x7f","tracking_numbers":["33123456"],'
            '"url":"https://a.dk/","variants":{"a":"x","b":"2"},"visitor_id":"v"}',
        ),
        (
            "engagement",
            {"kind": "CLICK", "fields": {"phone": " x ", "n": 7}, "callback_requested": False},
            '{"account":"shop","callback_requested":false,"fields":{"n":"7","phone":"x"},'
            '"kind":"click","time":1772445600000000,"visitor_id":"v"}',
        ),
        (
            "call",
            {
                "a_number": " Anonymous ",
                "start": "2026-03-02T11:00:00+01:00",
                "ring": TIME + 2,
                "answer": TIME + 1,
                "outcome": {"value": 1.5, "x": 1, "tags": []},
                "quality": {},
                "sequence": -0,
                "status": "BUSY",
            },
            '{"a_number":"Anonymous","account":"shop","answer":1772445600000001,'
            '"b_number":"33123456","call_id":"c","outcome":{"value":1.5},"sequence":0,'
            '"start":1772445600000000,"status":"busy"}',
        ),
    ],
)
def test_canonical_json(kind: str, changes: Json, canonical: str) -> None:
    """The hash is of the known fields: normalised, sorted, unescaped, without what is dropped."""
    assert row(kind, **changes)["hash"] == kept_hash(canonical)


def test_numbers_stay_as_written() -> None:
    """Canonical JSON has numbers as they were written."""
    content = line(GOOD["call"])[:-1] + b',"outcome":{"value":1.50E+1},"sequence":7}'
    assert read("call", content).calls["hash"][0] == kept_hash(
        '{"account":"shop","b_number":"33123456","call_id":"c","outcome":{"value":1.50E+1},'
        '"sequence":7,"start":1772445600000000}'
    )


# --- privacy -----------------------------------------------------------------------------------


def test_callers_are_keyed() -> None:
    """A caller's number becomes a key, a mask and a country; all spellings have one key."""
    expected = {
        "caller_key": caller_key("shop", "+4533123457", KEY),
        "caller_masked": "+45…57",
        "caller_country": "DK",
    }
    for number in ("33123457", "+45 33123457", "sip:+4533123457@x", 33123457):
        call = row("call", a_number=number)
        assert {name: call[name] for name in expected} == expected


@pytest.mark.parametrize("number", ["anonymous", "sip:Unknown@x", "+266696687", "2562533"])
def test_withheld_callers(number: str) -> None:
    """A withheld caller has no key and is no fault."""
    assert row("call", a_number=number)["caller_key"] is None
    assert drops("call", a_number=number) == {}


def test_outbound_calls() -> None:
    """The caller of an outbound call is the customer that was called."""
    call = row(
        "call", direction="outbound", a_number="33123457", b_number="33123458", c_number="33123459"
    )
    assert call["caller_key"] == caller_key("shop", "+4533123458", KEY)
    assert (call["tracking_number"], call["destination_number"]) == ("+4533123457", "+4533123459")


def test_entered_values_are_keyed() -> None:
    """Of a form the phone and the address are kept as keys, nothing else."""
    fields = {"name": "Ann Lee", "phone": "33123457", "email": " Ann@Lee.dk "}
    entered = row("engagement", fields=fields, kind="action", callback_requested=True)
    assert entered["phone_key"] == caller_key("shop", "+4533123457", KEY)
    assert entered["phone_masked"] == "+45…57"
    assert entered["email_key"] == email_key("shop", "ann@lee.dk", KEY)
    assert entered["callback_requested"] is True


def test_unusable_entered_phone() -> None:
    """An entered phone that is no number has no key and is counted."""
    assert row("engagement", fields={"phone": "none"})["phone_key"] is None
    assert drops("engagement", fields={"phone": "none"}) == {"fields": 1}


def test_addresses_become_networks() -> None:
    """An address becomes its network; what is none is dropped and counted."""
    assert row("pageview", ip="192.0.2.77")["ip_prefix"] == "192.0.2.0/24"
    assert row("pageview", ip="::ffff:192.0.2.77")["ip_prefix"] == "192.0.2.0/24"
    assert drops("pageview", ip="192.0.2") == {"ip": 1}


def test_nothing_raw_is_left() -> None:
    """No number, address or entered name of a person is anywhere in what decoding gives."""
    decoded = [
        read("call", GOOD["call"] | {"a_number": "+4588776655"}, b'{"a_number":"+4588776655"'),
        read("pageview", GOOD["pageview"] | {"ip": "203.0.113.77"}),
        read(
            "engagement",
            GOOD["engagement"] | {"fields": {"phone": "88776655", "email": "a@b.dk", "n": "Lee"}},
        ),
        read("erasure", GOOD["erasure"] | {"phone": "88776655", "email": "a@b.dk"}),
    ]
    everything = b"".join(pickle.dumps(each) for each in decoded)
    for raw in (b"88776655", b"203.0.113.77", b"a@b.dk", b"Lee"):
        assert raw not in everything


def test_the_key_is_not_shown() -> None:
    """Settings may be logged: the key is not in their text."""
    assert "kkkk" not in repr(SETTINGS)


# --- erasures ----------------------------------------------------------------------------------


def test_erasures() -> None:
    """An erasure names a subject by visitor, phone or address; these are kept as keys."""
    request = {"account": "shop", "time": TIME, "phone": "33123457", "email": "A@b.dk"}
    erasure = read("erasure", request | {"request_id": 7}).erasures.row(0, named=True)
    assert erasure == {
        "account": "shop",
        "time": TIME,
        "visitor_id": None,
        "phone_key": caller_key("shop", "+4533123457", KEY),
        "email_key": email_key("shop", "a@b.dk", KEY),
        "request_id": "7",
    }


@pytest.mark.parametrize("subject", [{}, {"phone": ""}, {"phone": "x"}, {"email": 1.5}])
def test_erasure_without_subject(subject: Json) -> None:
    """An erasure without a usable subject is missing_field."""
    request = {"account": "shop", "time": TIME} | subject
    assert dead("erasure", request) == ("missing_field", "visitor_id")


# --- blocks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"\n", b" \n\t\r\n\n "])
def test_blank_lines(data: bytes) -> None:
    """Blank lines are skipped and not counted."""
    decoded = decode_block(Block(data, "call", "f"), SETTINGS)
    assert not decoded.counts
    assert decoded.dead_letters.is_empty()
    assert decoded.calls.schema == DECODED["call"]


def test_messages() -> None:
    """A message may hold many lines; each must say its type; dead letters name their message."""
    call, view = GOOD["call"] | {"type": "call"}, GOOD["pageview"] | {"type": "PageView"}
    messages = [
        ("m1", line(call) + b"\n" + line(view) + b"\n"),
        ("m2", line(GOOD["call"]) + b"\n{\n{"),
        ("m3", b""),
    ]
    decoded = decode_block(message_block(messages, "subscription"), SETTINGS)
    assert (decoded.calls.height, decoded.pageviews.height) == (1, 1)
    assert decoded.dead_letters.select("code", "line", "message_id", "event_type").rows() == [
        ("unknown_type", None, "m2", None),
        ("not_json", None, "m2", None),
        ("not_json", None, "m2", None),
    ]
    assert decoded.dead_letters["dead_letter_id"].n_unique() == 3
    assert decoded.counts["unknown", "shop", "dead_letters"] == 1
    assert decoded.counts["unknown", "", "dead_letters"] == 2
    again = decode_block(message_block(messages[1:], "subscription"), SETTINGS)
    assert again.dead_letters["dead_letter_id"].equals(decoded.dead_letters["dead_letter_id"])


def test_counts_and_earliest_times() -> None:
    """Counts are by kind and account; the earliest time is that of what was accepted."""
    late = GOOD["pageview"] | {"time": TIME + 5}
    decoded = read(
        "pageview",
        late,
        late | {"account": "us"},
        GOOD["pageview"] | {"consent": []},
        GOOD["pageview"] | {"url": ""},
        b"{",
    )
    assert decoded.counts == {
        ("pageview", "shop", "read"): 3,
        ("pageview", "shop", "accepted_before_duplicates"): 1,
        ("pageview", "shop", "no_consent"): 1,
        ("pageview", "shop", "dead_letters"): 1,
        ("pageview", "us", "read"): 1,
        ("pageview", "us", "accepted_before_duplicates"): 1,
        ("pageview", "", "read"): 1,
        ("pageview", "", "dead_letters"): 1,
    }
    assert decoded.min_times == {"shop": TIME + 5, "us": TIME + 5}


def test_blocks_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block that several threads decode gives the same rows and the same line numbers."""
    lines = [line(GOOD["call"] | {"call_id": str(number)}) for number in range(300)]
    lines[7] = lines[150] = lines[299] = b"{"
    whole = read("call", *lines)
    monkeypatch.setattr(decode, "_SMALLEST_PART", 100)
    monkeypatch.setattr(pl, "thread_pool_size", lambda: 7)
    parts = read("call", *lines)
    assert parts.calls.sort("call_id").equals(whole.calls.sort("call_id"))
    assert parts.dead_letters.sort("line").equals(whole.dead_letters.sort("line"))
    assert parts.dead_letters["line"].sort().to_list() == [8, 151, 300]
    assert parts.counts == whole.counts


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["pageview", "call", "erasure", None]))
def test_nothing_raises_and_nothing_is_lost(data: bytes, kind: str | None) -> None:
    """Of any bytes each line that is not blank is counted, and counted once."""
    decoded = decode_block(Block(data, kind, "f"), SETTINGS)
    counted = dict.fromkeys(("read", "accepted_before_duplicates", "dead_letters"), 0)
    for (_, _, name), number in decoded.counts.items():
        counted[name] = counted.get(name, 0) + number
    lines = [each for each in data.split(b"\n") if each.strip(b" \t\r\n")]
    assert counted["read"] == len(lines)
    assert counted["read"] == counted["accepted_before_duplicates"] + counted["dead_letters"]


def test_everything_can_travel() -> None:
    """Blocks, settings and what was decoded can be sent to another process."""
    block = Block(line(GOOD["call"]), "call", "f")
    assert pickle.loads(pickle.dumps(block)) == block
    decoded = decode_block(block, pickle.loads(pickle.dumps(SETTINGS)))
    assert pickle.loads(pickle.dumps(decoded)).calls.equals(decoded.calls)
