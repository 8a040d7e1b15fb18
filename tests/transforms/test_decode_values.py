"""Values of fields as decoding normalises them, and which it drops (SPEC section 3)."""

import math
from fractions import Fraction
from typing import Any

import pytest
from decoding import BAD_TIMES, GOOD, SECOND, TIME, Json, dropped, drops, line, read, row
from hypothesis import given
from hypothesis import strategies as st

from transforms.decode_times import time_of_number, time_of_text


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
