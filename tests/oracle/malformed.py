"""Lines that are dead letters, and fields that are dropped (SPEC 3)."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

Json = dict[str, Any]
TIME = 1_772_408_400_000

GOOD: dict[str, Json] = {
    "pageview": {"account": "shop", "visitor_id": "v1", "time": TIME, "url": "https://shop.dk/"},
    "engagement": {"account": "shop", "visitor_id": "v1", "time": TIME, "kind": "click"},
    "call": {"account": "shop", "call_id": "m1", "start": TIME, "b_number": "70101010"},
}
TIME_FIELD = {"pageview": "time", "engagement": "time", "call": "start"}

NOT_JSON = [
    b"{",
    b"nonsense",
    b'{"account": NaN}',
    b'{"account": Infinity}',
    b'{"account": "\\ud800"}',
    b'{"account": "\xff"}',
    b'{"a": 1} {"b": 2}',
    b"\xef\xbb\xbf{}",
    b"[" * 100_000,
]
NOT_OBJECT = [b"[]", b'"text"', b"7", b"null", b"true", b"[{}]"]
BAD_TIMES: list[Any] = [
    "yesterday",
    "2026-03-02",
    "2026-03-02T10:00:00",
    "2026-03-02T10:00:00+0100",
    "2026-02-30T10:00:00Z",
    "2026-03-02T25:00:00Z",
    "1999-12-31T23:59:59Z",
    "2100-01-01T00:00:00Z",
    "2090-01-01T00:00:00Z",
    "1772408400",
    -5,
    0,
    10**40,
]
BAD_NUMBERS = ["x", "12", "sip:@host", "+", "anonymous"]
WRONG_TYPES: list[Any] = [1.5, True, [], {}, ["a"], {"a": "b"}]


def line(event: Json) -> bytes:
    return json.dumps(event, ensure_ascii=False).encode()


def corpus() -> list[tuple[str, bytes, str]]:
    """(kind of file, line, code): at least one of every code for every kind."""
    found = [("call", raw, "not_json") for raw in NOT_JSON]
    found += [("engagement", raw, "not_object") for raw in NOT_OBJECT]
    for kind, good in GOOD.items():
        found += [
            (kind, line(good | {"title": "x" * 1024 * 1024}), "too_large"),
            (kind, line(good | {"type": "visit"}), "unknown_type"),
            (kind, line(good | {"type": 5}), "unknown_type"),
            (kind, line(good | {"type": ["call"]}), "unknown_type"),
        ]
        time = TIME_FIELD[kind]
        found += [(kind, line(good | {time: bad}), "bad_time") for bad in BAD_TIMES]
        for name in good:
            absent = {other: value for other, value in good.items() if other != name}
            found += [
                (kind, line(absent), "missing_field"),
                (kind, line(good | {name: None}), "missing_field"),
                (kind, line(good | {name: " \u00a0\u3000"}), "missing_field"),
            ]
            wrong = [bad for bad in WRONG_TYPES if not (name == time and bad == 1.5)]
            found += [(kind, line(good | {name: bad}), "bad_type") for bad in wrong]
    found.append(("engagement", line(GOOD["engagement"] | {"kind": "hover"}), "bad_type"))
    call = GOOD["call"]
    found += [("call", line(call | {"b_number": bad}), "bad_number") for bad in BAD_NUMBERS]
    found.append(("call", line(call | {"end": TIME - 1}), "end_before_start"))
    found += in_order()
    return found


def in_order() -> list[tuple[str, bytes, str]]:
    """Several faults in one event: the first code of the list that applies."""
    call = GOOD["call"]
    return [
        ("call", line({"type": "visit"}), "unknown_type"),
        ("call", line(call | {"account": 1.5, "b_number": ""}), "missing_field"),
        ("call", line(call | {"start": "never", "b_number": []}), "bad_type"),
        ("call", line(call | {"start": "never", "b_number": "x"}), "bad_time"),
        ("call", line(call | {"b_number": "x", "end": TIME - 1}), "bad_number"),
    ]


# Optional fields with values that are dropped, or read in spite of their looks.
LOOSE: dict[str, dict[str, list[Any]]] = {
    "pageview": {
        "session_id": [7, 1.5, True, [], " s1 "],
        "event_id": [7, 2**70, {}, "\u2003e1"],
        "referrer": [False, 5, "//"],
        "title": [0, [], "\x1cHome"],
        "user_agent": [3.5, {"a": 1}, 12],
        "ip": ["999.1.1.1", 5, "::1"],
        "tracking_numbers": [70101010, "x", ["x", 70101010, None, 1.5], {}, True, [[]]],
        "third_party_ids": [[], "x", {"a": 1.5, "b": 2, "": "c", "d": "", " e ": " f "}],
        "variants": [{"a": None}, {}, {"b": ["c"]}, 1],
        "consent": [5, {}, "", [""], ["ANALYTICS", None], "marketing", [True]],
        "type": ["PageView", "", None, " pageview "],
        "unknown": [{"deep": [1, 2.5]}],
    },
    "engagement": {
        "fields": [{"phone": 20202020}, {"phone": True, "email": "X@Y.dk"}, [], {"phone": "+"}],
        "callback_requested": ["true", 1, None, [], False],
        "name": [5, 5.5, True],
        "consent": [[], "analytics", 1.5],
        "kind": ["ACTION", " close "],
        "event_id": [0, -0.0, False],
    },
    "call": {
        "ring": ["never", True, TIME + 5000, TIME - 5000],
        "answer": [[], "2026-03-02T00:00:00Z", TIME + 900_000, 5],
        "end": [{}, "never", TIME + 600_000, 1e300],
        "a_number": ["x", 20202020, 1.5, [], "TEL:Private", "+266696687", "sip:12@x"],
        "c_number": ["", 33333333, {}],
        "direction": ["sideways", 5, " Outbound ", []],
        "status": ["BUSY", "gone", 1, {}],
        "session_id": [5, 1.5, ""],
        "outcome": [[], {"value": "9", "tags": "a", "category": 5}, {"value": True, "tags": [1.5]}],
        "quality": [{"mos": "4"}, {"mos": 4, "jitter_ms": None, "other": 1}, 5],
        "sequence": ["1", 1.0, True, 10**30, -3, []],
    },
}


def loose_values(kind: str) -> st.SearchStrategy[Json]:
    """One or two optional fields with odd values, to lay over a good event."""
    fields = LOOSE[kind]
    one = st.sampled_from(sorted(fields)).flatmap(
        lambda name: st.builds(lambda value: {name: value}, st.sampled_from(fields[name]))
    )
    return st.builds(lambda first, second: first | second, one, one)


def bad_lines() -> st.SearchStrategy[tuple[str, bytes]]:
    """(kind of file, line): dead letters, loose fields, blank lines; seldom a huge one."""
    listed = [(kind, raw) for kind, raw, _ in corpus()]
    small = [(kind, raw) for kind, raw in listed if len(raw) < 200_000]
    blank = [(kind, raw) for kind in GOOD for raw in (b"", b" \t")]
    loose = st.sampled_from(sorted(GOOD)).flatmap(
        lambda kind: st.builds(lambda extra: (kind, line(GOOD[kind] | extra)), loose_values(kind))
    )
    mistyped = st.builds(
        lambda kind, other: (kind, line(GOOD[other] | {"type": other.upper()})),
        st.sampled_from(sorted(GOOD)),
        st.sampled_from(sorted(GOOD)),
    )
    return st.one_of(st.sampled_from(small), st.sampled_from(blank), loose, mistyped)
