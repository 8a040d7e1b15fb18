"""Events that come too late: dead letters, none silently dropped (SPEC section 12)."""

import json

import polars as pl
import pytest
from oracle.cases import KEY, T, call, engage, page

from schemas.config import parse_config
from transforms.decode import DecodeSettings, decode_block, message_block
from transforms.privacy import decrypt_payload
from transforms.settings import DAY, HOUR
from transforms.streaming.lateness import in_time, late_letters

CONFIG = parse_config({"accounts": {"b": {"allowed_lateness_hours": 1}}})
SETTINGS = DecodeSettings(CONFIG, KEY, T + 60 * DAY)
NONE_SETTLED = pl.DataFrame(schema={"account": pl.String, "call_id": pl.String})
KINDS = ("pageview", "engagement", "call")


def story() -> list[bytes]:
    """An event of each kind in two accounts, a bad one, one without consent and an erasure."""
    events = [page("v", 0), engage("v", 0), call("c", 0)]
    events += [event | {"account": "b"} for event in events]
    events.append(page("shy", 0, consent=["marketing"]))
    events.append({"type": "erasure", "account": "a", "time": T, "visitor_id": "v"})
    lines = [json.dumps(event).encode() for event in events]
    return [*lines, b"not json", b""]


@pytest.mark.parametrize(
    ("watermark", "late_accounts"),
    [(T, []), (T + HOUR, []), (T + HOUR + 1, ["b"]), (T + 72 * HOUR + 1, ["a", "b"])],
)
def test_an_event_is_late_by_its_account_s_lateness(watermark: int, late_accounts: list[str]):
    """More than so long behind the watermark, of every kind; each late one has its letter."""
    block = message_block([("m1", b"\n".join(story()))], "subscription")
    events, late = in_time(decode_block(block, SETTINGS), SETTINGS, watermark)
    for kind in KINDS:
        in_time_accounts = [name for name in ("a", "b") if name not in late_accounts]
        assert sorted(events[kind]["account"]) == in_time_accounts
        assert late[kind] == len(late_accounts)
    letters = late_letters(block, SETTINGS, watermark, NONE_SETTLED)
    assert letters["code"].unique().to_list() == (["too_late"] if late_accounts else [])
    found = sorted(letters.select("account", "event_type").iter_rows())
    assert found == [(name, kind) for name in late_accounts for kind in sorted(KINDS)]


def test_a_correction_of_a_settled_call_is_late_whatever_it_says():
    """By the call that is known, not by the time that the correction names."""
    correction = call("c", 10 * DAY, sequence=1)
    other = call("other", 10 * DAY)
    lines = b"\n".join(json.dumps(event).encode() for event in (correction, other))
    block = message_block([("m1", lines)], "subscription")
    settled = pl.DataFrame({"account": ["a"], "call_id": ["c"]})
    [letter] = late_letters(block, SETTINGS, T, settled).to_dicts()
    assert (letter["code"], letter["event_type"], letter["account"]) == ("too_late", "call", "a")


def test_a_letter_holds_what_can_be_sent_into_a_backfill():
    """The line as it came, encrypted, with where it came from."""
    line = json.dumps(page("v", 0)).encode()
    block = message_block([("m7", b"{}\n" + line)], "projects/p/subscriptions/s")
    [letter] = late_letters(block, SETTINGS, T + 100 * DAY, NONE_SETTLED).to_dicts()
    assert decrypt_payload(letter["payload"], KEY) == line
    assert "m7" in str(letter)
    assert line not in str(letter).encode()
