"""Consent, keys in place of people's values, erasures (SPEC sections 3, 4, 11)."""

import pickle
from typing import Any

import pytest
from decoding import GOOD, KEY, SETTINGS, TIME, Json, dead, drops, kept_hash, read, row

from transforms.privacy import caller_key, email_key


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
