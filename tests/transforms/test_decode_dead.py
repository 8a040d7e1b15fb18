"""Dead letters: what cannot be used, with which code, and what is kept of it (SPEC section 3)."""

from typing import Any

import pytest
from decoding import BAD_TIMES, GOOD, KEY, NOW, SECOND, SETTINGS, TIME, Json, dead, line, read, row

from transforms.decode import Block, decode_block
from transforms.decode_block import DEAD_LETTERS
from transforms.privacy import decrypt_payload

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
