"""Canonical JSON of events, which their hashes are of (SPEC section 3)."""

import pytest
from decoding import GOOD, TIME, Json, kept_hash, line, read, row


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
