"""Golden cases of events: decoding, hashes, duplicates, consent, numbers (SPEC 3)."""

from __future__ import annotations

import hashlib
import json
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oracle.attribute import attribute
from oracle.cases import KEY, NOW, B, T, call, engage, page, run
from oracle.decode import decode
from oracle.histories import as_inputs, histories
from oracle.malformed import corpus
from oracle.phones import is_withheld, normalise
from oracle.settings import DAY
from oracle.times import BadTimeError, read_time
from oracle.vocabulary import NOW as HISTORY_NOW


def events_of(*events: dict[str, Any]) -> list[Any]:
    lines = [json.dumps(event).encode() for event in events]
    return decode([("pageview", lines)], {}, NOW).events


@pytest.mark.parametrize(("kind", "line", "code"), corpus())
def test_a_line_that_cannot_be_used_is_one_dead_letter_with_the_first_code_that_applies(
    kind: Any, line: Any, code: Any
) -> None:
    result = attribute([(kind, [line, line])], {}, KEY, HISTORY_NOW)
    assert [letter.code for letter in result.dead_letters] == [code, code]


def test_the_hash_is_of_the_normalised_known_fields_in_order() -> None:
    event = page("v", 0, "x", " 70 10 10 10 ", title="", extra=1, event_id=7)
    event |= {"account": " a\u3000", "user_agent": 1.5, "variants": {" b ": " é ", "a": [1]}}
    canonical = (
        '{"account":"a","event_id":"7","time":' + str(T) + ',"tracking_numbers":["70 10 10 10"],'
        '"url":"https://shop.dk/","variants":{"b":"é"},"visitor_id":"v"}'
    )
    (decoded,) = events_of(event)
    assert decoded.hash == hashlib.sha256(canonical.encode()).hexdigest()


def test_the_hash_is_of_the_event_before_consent() -> None:
    event = page("v", 0, url="https://shop.dk/?gclid=G", third_party_ids={"x": "1"})
    plain, limited = events_of(event | {"event_id": "1"}, event | {"consent": "analytics"})
    if plain.get("consent"):
        plain, limited = limited, plain
    assert (limited.get("url"), limited.get("third_party_ids")) == ("https://shop.dk/", None)
    assert plain.get("third_party_ids") == {"x": "1"}
    digests = [hashlib.sha256(json.dumps(one.values).encode()).hexdigest() for one in (limited,)]
    assert limited.hash not in digests


def test_two_versions_of_an_event_count_once_and_the_smallest_hash_stays() -> None:
    twins = [page("v", 0, event_id="e", title=title, session_id=title) for title in "ab"]
    smallest = min(event.hash for twin in twins for event in events_of(twin))
    assert [event.hash for event in events_of(*twins, *twins)] == [smallest]
    assert len(events_of(twins[0], twins[0] | {"time": T + 1})) == 2
    assert len(events_of(twins[0], engage("v", 0, event_id="e"))) == 2


def test_without_an_event_id_the_content_is_the_identity() -> None:
    event = page("v", 0, event_id="")
    spelled = event | {"time": "2026-03-02T13:00:00.0000009+01:00", "event_id": None, "ip": 5.5}
    assert len(events_of(event, spelled)) == 1
    assert len(events_of(event, event | {"title": "x"})) == 2


@pytest.mark.parametrize(
    ("first", "second", "stays"),
    [
        ({"sequence": 1}, {"end": T + 9}, 0),
        ({"sequence": "5"}, {"sequence": 1}, 1),
        ({"end": T + 1}, {"end": T + 2}, 1),
        ({}, {"end": T}, 1),
        ({"sequence": -1, "end": T + 9}, {}, 1),
        ({"sequence": 10**5000}, {"sequence": 10**4999}, 0),
    ],
)
def test_of_a_calls_versions_the_highest_sequence_then_the_latest_end_stays(
    first: Any, second: Any, stays: Any
) -> None:
    versions = [call("c", 0, **first), call("c", 0, **second)]
    lines = [event_line(event) for event in versions]
    (kept,) = decode([("call", lines)], {}, NOW).events
    (alone,) = decode([("call", [lines[stays]])], {}, NOW).events
    assert kept.hash == alone.hash


def event_line(event: dict[str, Any]) -> bytes:
    """Integers of any length, which json.dumps refuses to write."""
    number = event.get("sequence")
    if not isinstance(number, int) or number < 10**4000:
        return json.dumps(event).encode()
    zeros = 4999 if number == 10**4999 else 5000
    text = json.dumps(event | {"sequence": "SEQUENCE"})
    return text.replace('"SEQUENCE"', "1" + "0" * zeros).encode()


@pytest.mark.parametrize(
    ("consent", "kept"),
    [
        (["Analytics "], True),
        ("ANALYTICS", True),
        (["analytics", 5.5, None], True),
        (None, True),
        ("", True),
        ([], False),
        ([""], False),
        (["marketing"], False),
        (5, False),
        (True, False),
        ({"analytics": True}, False),
    ],
)
def test_consent_that_is_given_and_lacks_analytics_drops_the_event(consent: Any, kept: Any) -> None:
    ledger = run(page("v", 0, consent=consent)).ledger["pageview"]
    assert (ledger["accepted"], ledger["no_consent"]) == (int(kept), int(not kept))


@pytest.mark.parametrize(
    ("value", "micros"),
    [
        (1_772_452_800, T),
        (1_772_452_800_000, T),
        (T, T),
        (1_772_452_800.25, T + 250_000),
        (1_772_452_800_000.5, T + 500),
        ("2026-03-02T12:00:00Z", T),
        (" 2026-03-02t13:30:00.123456999+01:30 ", T + 123_456),
        ("2026-03-02 12:00:00z", T),
        ("2000-01-01T00:00:00Z", 946_684_800_000_000),
        (946_684_800, 946_684_800_000_000),
        (99_999_999_999, None),
        ("2000-01-01T00:00:00+00:01", None),
        ("2026-03-02T12:00:00+24:00", None),
        ("2026-03-02  12:00:00Z", None),
    ],
)
def test_a_time_is_rfc_3339_or_an_epoch_number_by_its_size(value: Any, micros: Any) -> None:
    if micros is None:
        with pytest.raises(BadTimeError):
            read_time(value)
    else:
        assert read_time(value) == micros


def test_a_required_time_may_be_24_hours_after_now_and_no_more() -> None:
    codes = [
        [letter.code for letter in run(page("v", at), now=T).dead_letters] for at in (DAY, DAY + 1)
    ]
    assert codes == [[], ["bad_time"]]


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("70 10 10 10", B),
        ("0045 70101010", B),
        ("TEL:+4570101010", B),
        ("sip:70101010@pbx.example:5060", B),
        ("+1 (650) 253-0000", "+16502530000"),
        ("abc", None),
        ("12", None),
        ("12345", "12345"),
        ("sip:1234567890123456789@x", "1234567890123456789"),
    ],
)
def test_numbers_are_e164_where_possible_else_three_or_more_digits(
    written: Any, number: Any
) -> None:
    assert normalise(written, "DK") == number


def test_withheld_callers_are_words_or_their_keypad_spelling() -> None:
    assert all(map(is_withheld, ["Anonymous", "sip:Restricted@x", "+266696687", "tel:8656696"]))
    assert not any(map(is_withheld, ["+4520202020", "nobody", "2666966870"]))


def test_optional_fields_that_are_malformed_are_dropped_and_counted() -> None:
    event = call("c", 0, ring="x", status="odd", direction=5, a_number="x", end=True, sequence="1")
    result = run(event | {"quality": {"mos": "4"}, "answer": 5})
    assert sorted(name for _, name in result.dropped) == sorted(
        ["ring", "status", "direction", "a_number", "end", "sequence", "quality", "answer"]
    )
    assert result.ledger["call"]["accepted"] == 1


def test_of_ring_after_answer_the_ring_is_dropped_then_of_answer_after_end_the_answer() -> None:
    row = run(call("c", 0, ring=T + 5, answer=T + 4, end=T + 3)).conversions[0]
    assert (row["call_ring"], row["call_answer"], row["call_end"]) == (None, None, T + 3)


def test_a_known_type_is_taken_for_what_it_says_and_counted_there() -> None:
    ledger = run(call("c", 0), {"type": "call"}, {"type": "visit"}).ledger
    assert (ledger["call"]["read"], ledger["call"]["dead_letters"]) == (2, 1)
    assert ledger["pageview"]["dead_letters"] == 1


@settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(history=histories(), seed=st.integers(0, 9))
def test_the_order_and_the_repetition_of_lines_change_no_row(history: Any, seed: Any) -> None:
    inputs = as_inputs(history)
    shuffled = [(kind, lines + lines[:3]) for kind, lines in reversed(inputs)]
    for _, lines in shuffled:
        random.Random(seed).shuffle(lines)
    one = attribute(inputs, history["config"], KEY, HISTORY_NOW)
    two = attribute(shuffled, history["config"], KEY, HISTORY_NOW)
    assert one.conversions == two.conversions
    assert (one.sessions, one.displays) == (two.sessions, two.displays)


@settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(history=histories())
def test_the_ledger_adds_up_and_every_accepted_call_is_a_conversion(history: Any) -> None:
    result = attribute(as_inputs(history), history["config"], KEY, HISTORY_NOW)
    for kind, count in result.ledger.items():
        parts = ("accepted", "duplicates", "dead_letters", "no_consent")
        assert count["read"] == sum(count[part] for part in parts), kind
    accepted = result.ledger.get("call", {}).get("accepted", 0)
    assert accepted == len(result.conversions)
