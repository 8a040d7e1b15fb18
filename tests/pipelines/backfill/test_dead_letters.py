"""What becomes of lines that cannot be used, and the ledger of all lines."""

import json
from pathlib import Path

import pytest
from backfill_runs import (
    BAD,
    LEDGER,
    STORY,
    backfill,
    day,
    everything,
    lines,
    rows_of,
)
from tables import KEY

from pipelines.backfill import TooManyDeadLetters
from transforms.privacy import decrypt_payload


def test_too_many_dead_letters_write_nothing(story: Path, tmp_path: Path) -> None:
    """Two dead letters are one more than one; nothing is written and what was there stays."""
    with pytest.raises(TooManyDeadLetters, match=r"2 dead letters, 1 allowed .*not_json"):
        backfill(story, tmp_path / "new", max_dead_letters=1)
    assert not list((tmp_path / "new").glob("**/*.parquet"))
    backfill(story, tmp_path / "out", max_dead_letters=2)
    once = everything(tmp_path / "out")
    with pytest.raises(TooManyDeadLetters):
        backfill(story, tmp_path / "out", max_dead_letters=0, short_history=True)
    assert everything(tmp_path / "out") == once


def test_dead_letters_say_what_was_wrong_and_where(story: Path, tmp_path: Path) -> None:
    """Code, field, file and line of each; the payload can be read again with the key alone."""
    backfill(story, tmp_path / "out")
    letters = sorted(rows_of(tmp_path / "out", "dead_letters"), key=lambda row: row["line"])
    count = len(lines(STORY, "call"))
    told = [
        (row["code"], row["field"], row["event_type"], row["account"], row["line"])
        for row in letters
    ]
    assert told == [
        ("not_json", None, "call", None, count + 1),
        ("bad_time", "start", "call", "a", count + 2),
    ]
    assert {row["origin"] for row in letters} == {str(story / "calls.jsonl")}
    assert {row["received_date"] for row in letters} == {day(20)}
    assert [decrypt_payload(row["payload"], KEY) for row in letters] == BAD[:2]
    assert len({row["dead_letter_id"] for row in letters}) == 2


def test_the_ledger_adds_up(story: Path, tmp_path: Path) -> None:
    """Every line that was read is accepted, a duplicate, a dead letter or without consent."""
    report = backfill(story, tmp_path / "out")
    assert report["ledger"] == {
        "pageview": {
            "read": 9,
            "accepted": 7,
            "duplicates": 1,
            "dead_letters": 0,
            "no_consent": 1,
        },
        "engagement": {
            "read": 2,
            "accepted": 2,
            "duplicates": 0,
            "dead_letters": 0,
            "no_consent": 0,
        },
        "call": {
            "read": 12,
            "accepted": 8,
            "duplicates": 2,
            "dead_letters": 2,
            "no_consent": 0,
        },
        "erasure": dict.fromkeys(LEDGER, 0),
    }
    assert report["rows"]["conversions"] == {"written": 8, "expired": 0, "outside": 0}
    assert report["dead_letters"] == {"bad_time": 1, "not_json": 1}
    assert json.loads((tmp_path / "out" / "run_report.json").read_text()) == report
