"""The ways to decode give the same rows: templates, the typed parser, the exact reader."""

import json
from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from schemas.config import parse_config
from transforms import decode, decode_templates
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


def _some(*pools: list[Any]) -> st.SearchStrategy[Any]:
    return st.sampled_from([value for pool in pools for value in pool])


def _event(required: Json, optional: Json) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries(required, optional=optional)


USUAL = {
    "account": st.sampled_from(["shop", "us"]) | _some(TEXTS),
    "visitor_id": st.just("v") | _some(TEXTS),
    "time": st.sampled_from(TIMES[:3]) | _some(TIMES),
}
EVENTS = {
    "pageview": _event(
        USUAL | {"url": st.just("https://a.dk/?gclid=1&x=2#f") | _some(TEXTS)},
        {
            **{name: _some(TEXTS) for name in ("session_id", "event_id", "referrer", "title")},
            "ip": st.sampled_from(["192.0.2.77", "::ffff:192.0.2.7", "2001:db8:1:2::3", "01.2.3.4"])
            | _some(TEXTS),
            "tracking_numbers": _some(NUMBERS, LISTS),
            "third_party_ids": _some(MAPS),
            "consent": _some(CONSENTS),
            "variants": _some(MAPS),
            "unknown": _some(TEXTS, MAPS),
        },
    ),
    "engagement": _event(
        USUAL | {"kind": _some(["click", "Close", " ACTION ", "hover"], TEXTS)},
        {
            "event_id": _some(TEXTS),
            "fields": _some(MAPS),
            "callback_requested": _some([True, False, "true", "", None, 1]),
            "consent": _some(CONSENTS),
        },
    ),
    "call": _event(
        {
            "account": st.sampled_from(["shop", "us"]),
            "call_id": st.just("c") | _some(TEXTS),
            "start": st.just(TIMES[0]) | _some(TIMES),
            "b_number": st.just("33123456") | _some(NUMBERS),
        },
        {
            **{name: _some(TIMES) for name in ("ring", "answer", "end")},
            **{name: _some(NUMBERS) for name in ("a_number", "c_number")},
            "direction": _some(["inbound", "OutBound", "sideways"], TEXTS),
            "status": _some(["Busy", "gone", None]),
            "outcome": _some(
                [{"category": "a", "tags": ["b", ""], "value": 1.50}, {"value": "1"}, {}, None, 5]
            ),
            "quality": _some([{"mos": 4}, {"mos": True, "jitter_ms": 1e999}, None]),
            "sequence": _some([0, 3, -1, 2**63, 10**30, "1", 1.0, True, None]),
        },
    ),
    "erasure": _event(
        {"account": st.just("shop"), "time": _some(TIMES)},
        {"visitor_id": _some(TEXTS), "phone": _some(NUMBERS), "email": _some(TEXTS)},
    ),
}
TYPES = st.sampled_from(
    [{}, {}, {}, {"type": None}, {"type": " Call "}, {"type": "PAGEVIEW"}, {"type": "x"}, {"type": 5}]
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


@st.composite
def damaged(draw: st.DrawFn, kind: str) -> bytes:
    """An event's bytes with a piece taken out, put in or put twice."""
    line = draw(written(kind))
    at = draw(st.integers(0, len(line)))
    to = draw(st.integers(at, min(len(line), at + 12)))
    pieces = [b"", b'"', b"\\", b"{", b"}", b",", b":", b"\xff", b"\0", b"\\ud800", b"1", b" ", b"\r"]
    piece = draw(st.sampled_from([*pieces, line[at:to] * 2, b'"account":"other",']))
    return (line[:at] + piece + line[to:]).replace(b"\n", b"")


@st.composite
def blocks(draw: st.DrawFn) -> Block:
    """Lines of which many have the same shape, as in a real file."""
    file_kind = draw(st.sampled_from(["pageview", "engagement", "call", "erasure", None]))
    kinds = st.sampled_from([file_kind]) if file_kind else st.sampled_from(sorted(EVENTS))
    lines = draw(st.lists(kinds.flatmap(lambda kind: written(kind) | damaged(kind)), max_size=6))
    again = draw(st.lists(st.sampled_from(lines), max_size=6)) if lines else []
    changed = [line.replace(b"v", b"w").replace(b"shop", b"us") for line in again]
    data = b"\n".join([*lines, *again, *changed, b"", b" \t"])
    return Block(data + draw(st.sampled_from([b"", b"\n"])), file_kind, "file.jsonl")


@pytest.fixture(autouse=True)
def every_way_at_any_size(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lets templates and the typed parser work on few lines too."""
    monkeypatch.setattr(decode_templates, "_FEWEST_LINES", 1)
    monkeypatch.setattr(decode, "_FEWEST_TYPED", 1)
    yield


def decode_by(block: Block, templates: bool, typed: bool) -> Decoded:
    """Decodes with some of the ways closed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode_templates, "_FEWEST_LINES", 1 if templates else NEVER)
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
    assert one.min_times == other.min_times


@settings(max_examples=300, deadline=None)
@given(blocks())
def test_all_ways_agree(block: Block) -> None:
    """Whatever the lines: rows, dead letters and counts do not depend on the way taken."""
    exact = decode_by(block, templates=False, typed=False)
    assert_same(exact, decode_by(block, templates=True, typed=True))
    assert_same(exact, decode_by(block, templates=True, typed=False))
    assert_same(exact, decode_by(block, templates=False, typed=True))
