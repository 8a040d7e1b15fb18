"""Blocks: every line is counted once, whatever its bytes (SPEC section 3)."""

import pickle

import pytest
from decoding import GOOD, SETTINGS, TIME, line, read
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events import DECODED
from transforms.decode import Block, decode_block, message_block


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


def test_counts() -> None:
    """Counts are by kind and account."""
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
