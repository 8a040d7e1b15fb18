"""The ways to decode give the same rows: templates, the typed parser, the exact reader."""

import json
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from schemas.config import parse_config
from transforms import decode, decode_fitting
from transforms.decode import Block, Decoded, DecodeSettings, decode_block

Json = dict[str, Any]

NOW = 1_790_000_000_000_000
CONFIG = parse_config({"accounts": {"us": {"default_region": "US"}}})
SETTINGS = DecodeSettings(CONFIG, b"k" * 32, NOW)
NEVER = 1 << 60

TEXTS: list[Any] = [
    "a",
    "shop",
    "us",
    "  b\u00a0",
    "\u3000",
    "",
    "blå",
    "\u1680x\u2028",
    'quo"te',
    "back\\slash",
    "tab\tnew\nline",
    "\x1cc\x7f",
    "nul\0",
    "😀",
    "/path/",
    None,
    7,
    -0,
    2**70,
    1.5,
    True,
    ["a"],
    {"a": "b"},
]
TIMES: list[Any] = [
    "2026-03-02T10:00:00Z",
    "2026-03-02T10:00:00.123456789+02:00",
    "2026-03-02t10:00:00.1z",
    " 2026-03-02 10:00:00-03:30 ",
    "2026-06-30T23:59:60Z",
    "2026-02-29T00:00:00Z",
    "1999-12-31T23:30:00-01:00",
    "2100-01-01T00:00:00Z",
    "2027-01-01T00:00:00Z",
    "2026-03-02T10:00:00",
    "٢٠٢٦-03-02T10:00:00Z",
    1772445600,
    1772445600.1234567,
    1772445600123,
    1772445600123456,
    1772445600123.4565,
    -1,
    0,
    1e300,
    "1772445600",
    "",
    None,
    False,
    [],
]
NUMBERS: list[Any] = [
    "+4533123456",
    "33123456",
    " 33 12 34 56 ",
    "+12125550123",
    "(212) 555-0123",
    "sip:+4533123456@host",
    "TEL:anonymous",
    "+266696687",
    "12",
    "x",
    "٣٣١٢٣٤٥٦",
    33123456,
    1.5,
    "",
    None,
    [],
]
MAPS: list[Any] = [
    {},
    {"a": "b"},
    {"z": "1", "a": " 2 "},
    {" a ": "x", "a": "y"},
    {"": "x", " ": "y"},
    {"a": None, "b": 5, "c": 1.5, "d": "", "e": [1]},
    {'q"': "\\", "phone": "33123456", "email": " A@B.dk "},
    {"phone": "x"},
    {"phone": "+4533123456", "name": "N"},
    None,
    [],
    "x",
]
CONSENTS: list[Any] = [
    None,
    ["analytics"],
    ["Analytics", "MARKETING"],
    ["marketing"],
    [],
    "analytics",
    " ",
    [" analytics ", "", None, 1.5],
    {},
    5,
]
LISTS = [NUMBERS[:3], [], [NUMBERS[0], NUMBERS[0], NUMBERS[1]], [None, "", "12"], ["+4533123456"]]


def usually(good: list[Any], *others: list[Any]) -> st.SearchStrategy[Any]:
    """Mostly one of the good values, sometimes one of the others."""
    rest = [value for pool in others for value in pool]
    return st.sampled_from([*good * (6 * len(rest) // len(good) + 1), *rest])


def events(required: Json, optional: Json) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries(required, optional=optional)


def texts(*good: str) -> st.SearchStrategy[Any]:
    return usually(list(good), TEXTS)


USUAL = {
    "account": texts("shop", "us"),
    "visitor_id": texts("v"),
    "time": usually(TIMES[:3], TIMES),
}
EVENTS = {
    "pageview": events(
        USUAL | {"url": texts("https://a.dk/?gclid=1&x=2#f")},
        {
            "session_id": texts("s"),
            "event_id": texts("e1", "e2"),
            "referrer": texts("https://b.dk/?fbclid=2", 'https://b.dk/"\\'),
            "title": texts("Hjem", "Køb", "😀"),
            "ip": texts("192.0.2.77", "::ffff:192.0.2.7", "2001:db8:1:2::3"),
            "tracking_numbers": usually(["+4533123456", ["+4533123456"]], NUMBERS, LISTS),
            "third_party_ids": usually([{"a": "b"}, {"z": "1", "a": " 2 "}], MAPS),
            "consent": usually([["analytics"], ["analytics", "Marketing"]], CONSENTS),
            "variants": usually([{"x": "y"}], MAPS),
            "unknown": usually([1, 20, "x", 1.5], TEXTS, MAPS),
        },
    ),
    "engagement": events(
        USUAL | {"kind": usually(["click", "Close", " ACTION "], ["hover"], TEXTS)},
        {
            "event_id": texts("e1"),
            "fields": usually([{"phone": "33123456", "email": "A@b.dk", "x": "y"}], MAPS),
            "callback_requested": usually([True, False], ["true", "", None, 1]),
            "consent": usually([["analytics"], "analytics"], CONSENTS),
        },
    ),
    "call": events(
        {
            "account": usually(["shop", "us"], TEXTS),
            "call_id": texts("c"),
            "start": usually(TIMES[:2], TIMES),
            "b_number": usually(["33123456", "+4533123456"], NUMBERS),
        },
        {
            **{name: usually(TIMES[:2], TIMES) for name in ("ring", "answer", "end")},
            "a_number": usually(["+4533123456", "Anonymous", "(212) 555-0123"], NUMBERS),
            "c_number": usually(["33123456"], NUMBERS),
            "direction": usually(["inbound", "OutBound"], ["sideways"], TEXTS),
            "status": usually(["Busy", "answered"], ["gone", None, 5]),
            "outcome": st.sampled_from(
                [{"category": "a", "tags": ["b", ""], "value": 1.50}, {"value": "1"}, {}, None, 5]
            ),
            "quality": st.sampled_from([{"mos": 4}, {"mos": True, "jitter_ms": 1e999}, None]),
            "sequence": usually([0, 3, -1], [2**63, 10**30, "1", 1.0, True, None]),
        },
    ),
    "erasure": events(
        {"account": st.just("shop"), "time": usually(TIMES[:1], TIMES)},
        {"visitor_id": texts("v"), "phone": usually(["33123456"], NUMBERS), "email": texts("a@b")},
    ),
}
TYPES = usually(
    [{}], [{"type": said} for said in (None, " Call ", "PAGEVIEW", "x", 5, "", ["call"])]
)


@st.composite
def written(draw: st.DrawFn, kind: str) -> bytes:
    """An event as bytes, in one of the ways in which programs write JSON."""
    event = draw(EVENTS[kind]) | draw(TYPES)
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", " :")]))
    text = json.dumps(event, ensure_ascii=draw(st.booleans()), separators=separators)
    text = text.replace("Infinity", "1e999")
    if draw(st.booleans()):
        text = text.replace("/", "\\/")
    return text.encode() + draw(st.sampled_from([b"", b"", b"\r", b" "]))


PIECES = [
    b"",
    b'"',
    b"\\",
    b'\\"',
    b"\\/",
    b"\\n",
    b"{",
    b"}",
    b"[",
    b",",
    b":",
    b"0",
    b"-",
    b"1.5",
    b"e",
]
PIECES += [
    b"\xff",
    b"\0",
    b"\\ud800",
    b"\\ud83d\\ude00",
    b"\\u0001",
    b" ",
    b"\r",
    b"\t",
    b"\x01",
    b"\x08",
]


@st.composite
def damaged(draw: st.DrawFn, kind: str) -> bytes:
    """An event's bytes with a piece taken out, put in or put twice."""
    line = draw(written(kind))
    at = draw(st.integers(0, len(line)))
    to = draw(st.integers(at, min(len(line), at + 12)))
    piece = draw(st.sampled_from([*PIECES, line[at:to] * 2, b'"account":"other",']))
    return (line[:at] + piece + line[to:]).replace(b"\n", b"")


@st.composite
def blocks(draw: st.DrawFn) -> Block:
    """Lines of which many have the same shape, as in a real file."""
    file_kind = draw(st.sampled_from(["pageview", "engagement", "call", "erasure", None]))
    kinds = st.sampled_from([file_kind]) if file_kind else st.sampled_from(sorted(EVENTS))
    line = kinds.flatmap(lambda kind: written(kind) | written(kind) | damaged(kind))
    lines = draw(st.lists(line, max_size=6))
    again = draw(st.lists(st.sampled_from(lines), max_size=6)) if lines else []
    changed = [line.replace(b"v", b"w").replace(b"shop", b"us") for line in again]
    data = b"\n".join([*lines, *again, *changed, b"", b" \t"])
    return Block(data + draw(st.sampled_from([b"", b"\n"])), file_kind, "file.jsonl")


def decode_by(block: Block, templates: bool, typed: bool) -> Decoded:
    """Decodes with some of the ways closed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode_fitting, "_FEWEST_LINES", 1 if templates else NEVER)
        patch.setattr(decode, "_FEWEST_TYPED", 1 if typed else NEVER)
        return decode_block(block, SETTINGS)


def _sorted(table: pl.DataFrame) -> pl.DataFrame:
    texts = pl.struct(pl.all().exclude(pl.Binary)).struct.json_encode()
    return table.with_columns(texts.alias("text")).sort("text").drop("text")


def assert_same(one: Decoded, other: Decoded) -> None:
    """Both hold the same rows, in any order, and the same counts."""
    for name in ("pageviews", "engagements", "calls", "erasures", "dead_letters"):
        assert_frame_equal(_sorted(getattr(one, name)), _sorted(getattr(other, name)))
    assert one.counts == other.counts


@settings(max_examples=300, deadline=None)
@given(blocks())
def test_all_ways_agree(block: Block) -> None:
    """Whatever the lines: rows, dead letters and counts do not depend on the way taken."""
    exact = decode_by(block, templates=False, typed=False)
    assert_same(exact, decode_by(block, templates=True, typed=True))
    assert_same(exact, decode_by(block, templates=True, typed=False))
    assert_same(exact, decode_by(block, templates=False, typed=True))
