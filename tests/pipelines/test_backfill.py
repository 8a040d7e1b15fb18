"""Whole backfills, from files to exact rows, through Beam (FnApiRunner, the pinned default)."""

import base64
import datetime as dt
import gzip
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from oracle.cases import BOT, CALLER, B, call, engage, form, outbound, page
from pure import run_flow
from tables import B2, KEY, T

from pipelines.backfill import Backfill, TooManyDeadLetters, UsageError, run_backfill
from schemas.config import load_config
from schemas.tables import TABLES
from transforms.privacy import decrypt_payload
from transforms.settings import DAY, HOUR, MINUTE

Row = dict[str, Any]
Files = dict[str, list[bytes]]

NOW = T + 20 * DAY
KINDS = ("pageview", "engagement", "call")
FIRST = dt.date(2026, 3, 2)  # the day of T, which is its noon
LEDGER = ("read", "accepted", "duplicates", "dead_letters", "no_consent")


def lines(events: Iterable[Row], kind: str) -> list[bytes]:
    return [json.dumps(event).encode() for event in events if event["type"] == kind]


def in_account(name: str, *events: Row) -> list[Row]:
    return [event | {"account": name} for event in events]


STORY = [
    page("v", 0, B, url="https://shop.dk/?gclid=1", session_id="s", event_id="e1"),
    page("v", 0, B, url="https://shop.dk/?gclid=1", session_id="s", event_id="e1"),
    page("w", 10 * MINUTE, B2, referrer="https://www.google.com/"),
    page("bot", MINUTE, B, user_agent=BOT),
    page("shy", MINUTE, B, consent=["marketing"]),
    page("v", DAY, B2, session_id="t"),
    page("v", 2 * DAY + 12 * HOUR - 1, B, B2),
    page("v", 2 * DAY + 12 * HOUR, B, B2),
    engage("v", MINUTE, session_id="s"),
    form("w", 11 * MINUTE, "+4530303030"),
    call("c1", 2 * MINUTE, a_number=CALLER, answer=T + 2 * MINUTE, end=T + 4 * MINUTE),
    call("c1", 2 * MINUTE, a_number=CALLER, answer=T + 2 * MINUTE, end=T + 4 * MINUTE),
    call("c2", DAY, a_number=CALLER),
    call("c3", DAY + MINUTE, B2, a_number="30 30 30 30", sequence=0),
    call("c3", DAY + MINUTE, B2, a_number="30 30 30 30", sequence=1, end=T + DAY + 2 * MINUTE),
    call("c4", 2 * DAY + 12 * HOUR, B2, a_number="anonymous"),
    call("c5", 2 * DAY, session_id="s"),
    outbound("c6", DAY, "+4530303030"),
    *in_account("b", page("v", 0, B), call("c1", 0), call("c2", DAY)),
]
BAD = [b"not json", b'{"account": "a", "call_id": "x", "start": "never", "b_number": "112"}', b""]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTRIBEAM_KEY", base64.b64encode(KEY).decode())


def story_files() -> Files:
    """The story in one file a kind, bad and blank lines at the end of the calls."""
    files = {f"{kind}s.jsonl": lines(STORY, kind) for kind in KINDS}
    files["calls.jsonl"] += BAD
    return files


def write(folder: Path, files: Files) -> Path:
    """Writes files of lines; packs those named .gz."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = b"".join(line + b"\n" for line in content)
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return folder


def backfill(folder: Path, output: Path, **more: Any) -> Row:
    """Runs on pageviews*, engagements* and calls* of a folder; its report."""
    given = {f"{kind}s": [str(path) for path in sorted(folder.glob(f"{kind}s*"))] for kind in KINDS}
    usual = {"erasures": [], "config": None, "output": output, "now": NOW}
    return run_backfill(Backfill(**(given | usual | more)))


@pytest.fixture
def story(tmp_path: Path) -> Path:
    return write(tmp_path / "in", story_files())


def rows_of(output: Path, table: str) -> list[Row]:
    """All rows of a table as its view shows them, in an order of their own."""
    with duckdb.connect(str(output / "warehouse.duckdb"), read_only=True) as warehouse:
        found = pl.DataFrame(warehouse.sql(f"SELECT * FROM {table}").to_arrow_table())
    return in_order(found.select(TABLES[table].names).to_dicts())


def in_order(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: json.dumps(row, default=str, sort_keys=True))


def everything(output: Path) -> dict[str, list[Row]]:
    return {table: rows_of(output, table) for table in TABLES}


def calls_of(output: Path, account: str = "a") -> list[tuple[str, int]]:
    """(call_id, days after the first) of the conversions of an account."""
    rows = rows_of(output, "conversions")
    return sorted(
        (row["call_id"], (row["call_date"] - FIRST).days)
        for row in rows
        if row["account"] == account
    )


def day(number: int) -> dt.date:
    return FIRST + dt.timedelta(days=number)


@pytest.mark.parametrize("shards", [None, 1, 4])
def test_a_run_through_beam_equals_the_flow_without_it(
    story: Path, tmp_path: Path, shards: int | None
) -> None:
    """Every row of every table, and the ledger, are those of the pure steps, in any shards."""
    report = backfill(story, tmp_path / "out", shards=shards)
    inputs = [(kind, story_files()[f"{kind}s.jsonl"]) for kind in KINDS]
    expected, counts = run_flow(inputs, load_config(None), KEY, NOW)
    assert len(expected["conversions"]) == 8
    for table, rows in expected.items():
        found = rows_of(tmp_path / "out", table)
        assert found == in_order(rows.select(TABLES[table].names).to_dicts())
    for kind in KINDS:
        assert report["ledger"][kind] == {name: counts[kind, name] for name in LEDGER}


def test_what_the_story_says(story: Path, tmp_path: Path) -> None:
    """The decisions on the story, one by one, as a person would make them."""
    backfill(story, tmp_path / "out")
    rows = {row["call_id"]: row for row in rows_of(tmp_path / "out", "conversions")}
    rows |= {
        f"b {row['call_id']}": row
        for row in rows_of(tmp_path / "out", "conversions")
        if row["account"] == "b"
    }
    mine = {
        row["call_id"]: (row["reason"], row["session_id"], row["source"])
        for row in rows_of(tmp_path / "out", "conversions")
        if row["account"] == "a"
    }
    entered = f"w-{(T + 10 * MINUTE) // 1000}"
    midnight = f"v-{(T + 2 * DAY + 12 * HOUR - 1) // 1000}"
    assert mine == {
        "c1": ("number_pool", "s", "google"),
        "c2": ("returning_caller", "s", "google"),
        "c3": ("form_phone", entered, "google"),
        "c4": ("number_pool", midnight, "(direct)"),
        "c5": ("declared", "s", None),
        "c6": ("callback", entered, "google"),
    }
    assert rows["b c1"]["reason"] == "number_pool"
    assert rows["b c2"]["reason"] == "no_display_in_window"


def test_two_runs_give_the_same_rows(story: Path, tmp_path: Path) -> None:
    """The second run replaces every row by the same and the reports agree but for the time."""
    first = backfill(story, tmp_path / "out")
    once = everything(tmp_path / "out")
    second = backfill(story, tmp_path / "out", short_history=True)
    assert everything(tmp_path / "out") == once
    for report in (first, second):
        report.pop("seconds")
    assert first == second


def test_how_files_are_cut_and_packed_shows_in_no_row(story: Path, tmp_path: Path) -> None:
    """Many small files, turned round, some packed, some given twice by a glob, give the rows."""
    files = {
        f"{kind}s-{number}.jsonl{'.gz' if number % 2 else ''}": [line]
        for kind in KINDS
        for number, line in enumerate(reversed(story_files()[f"{kind}s.jsonl"]))
    }
    backfill(story, tmp_path / "one")
    many = write(tmp_path / "many", files)
    folders = {f"{kind}s": [str(many / f"{kind}s-*")] * 2 for kind in KINDS}
    backfill(many, tmp_path / "two", shards=3, **folders)
    for table in ("conversions", "sessions", "displays"):
        assert rows_of(tmp_path / "two", table) == rows_of(tmp_path / "one", table)


def test_from_and_to_choose_the_days_of_calls(story: Path, tmp_path: Path) -> None:
    """From is inclusive, to exclusive; what lies outside is decided with but not written."""
    report = backfill(story, tmp_path / "out", first=day(1), end=day(2))
    assert calls_of(tmp_path / "out") == [("c2", 1), ("c3", 1), ("c6", 1)]
    assert calls_of(tmp_path / "out", "b") == [("c2", 1)]
    assert report["rows"]["conversions"] == {"written": 4, "expired": 0, "outside": 4}
    (kept,) = [
        row
        for row in rows_of(tmp_path / "out", "conversions")
        if row["call_id"] == "c2" and row["account"] == "a"
    ]
    assert (kept["reason"], kept["session_id"]) == ("returning_caller", "s")
    assert {row["session_date"] for row in rows_of(tmp_path / "out", "sessions")} == {day(1)}


def test_expired_days_are_not_written_unless_asked(story: Path, tmp_path: Path) -> None:
    """With 60 days of retention the first day is gone 60 days after it began, and it is said."""
    now = T - 12 * HOUR + 60 * DAY
    report = backfill(story, tmp_path / "out", now=now)
    assert min(number for _, number in calls_of(tmp_path / "out")) == 1
    assert report["rows"]["conversions"] == {"written": 6, "expired": 2, "outside": 0}
    assert any("expired" in warning for warning in report["warnings"])
    kept = backfill(story, tmp_path / "kept", now=now, keep_expired=True)
    assert kept["rows"]["conversions"] == {"written": 8, "expired": 0, "outside": 0}
    assert min(number for _, number in calls_of(tmp_path / "kept")) == 0


def test_an_expired_day_that_has_rows_keeps_them(story: Path, tmp_path: Path) -> None:
    """A later run that may not write the day does not empty it either."""
    backfill(story, tmp_path / "out")
    before = calls_of(tmp_path / "out")
    backfill(story, tmp_path / "out", now=T + 60 * DAY, short_history=True)
    assert calls_of(tmp_path / "out") == before


def test_a_short_history_replaces_nothing_unless_asked(story: Path, tmp_path: Path) -> None:
    """New days are written with a warning; days with rows need --short-history."""
    report = backfill(story, tmp_path / "out")
    assert any("lookback_days" in warning for warning in report["warnings"])
    once = everything(tmp_path / "out")
    with pytest.raises(UsageError, match=r"2026-03-02 to 2026-03-0\d of account .*--short-history"):
        backfill(story, tmp_path / "out")
    assert everything(tmp_path / "out") == once
    report = backfill(story, tmp_path / "out", short_history=True)
    assert any("lookback_days" in warning for warning in report["warnings"])


def test_input_that_begins_lookback_days_before_replaces_without_asking(tmp_path: Path) -> None:
    """Exactly 30 days of history before the day are enough, a microsecond less is not."""
    midnight = 12 * HOUR
    late = [page("v", midnight + 30 * DAY, B), call("c", midnight + 30 * DAY)]
    for begins, enough in ((midnight, True), (midnight + 1, False)):
        events = [page("v", begins, B), *late]
        files = {f"{kind}s.jsonl": lines(events, kind) for kind in ("pageview", "call")}
        folder, output = write(tmp_path / f"in{begins}", files), tmp_path / f"out{begins}"
        asked = {"first": day(31), "now": T + 32 * DAY}
        backfill(folder, output, **asked)
        if enough:
            assert backfill(folder, output, **asked)["warnings"] == []
        else:
            with pytest.raises(UsageError, match="2026-04-02 of account a already has rows"):
                backfill(folder, output, **asked)


def test_a_range_with_both_ends_removes_days_without_calls(story: Path, tmp_path: Path) -> None:
    """Of accounts in the input; days outside the range and other accounts keep their rows."""
    backfill(story, tmp_path / "out")
    others = [row for row in rows_of(tmp_path / "out", "conversions") if row["account"] == "b"]
    mine = [event for event in STORY if event["account"] == "a"]
    files = {f"{kind}s.jsonl": lines(mine, kind) for kind in ("pageview", "engagement")}
    kept = [event for event in mine if event.get("call_id") == "c1"]
    folder = write(tmp_path / "again", files | {"calls.jsonl": lines(kept, "call")})
    backfill(folder, tmp_path / "out", first=day(0), end=day(2), short_history=True)
    assert calls_of(tmp_path / "out") == [("c1", 0), ("c4", 3), ("c5", 2)]
    rows = rows_of(tmp_path / "out", "conversions")
    assert [row for row in rows if row["account"] == "b"] == others


def test_without_a_range_only_days_with_events_are_replaced(story: Path, tmp_path: Path) -> None:
    """A corrected call replaces its day whole; days that the input does not speak of stay."""
    backfill(story, tmp_path / "out")
    corrected = call("c9", DAY + HOUR)
    files = {"pageviews.jsonl": lines([page("v", DAY)], "pageview")}
    folder = write(tmp_path / "again", files | {"calls.jsonl": lines([corrected], "call")})
    backfill(folder, tmp_path / "out", short_history=True)
    assert calls_of(tmp_path / "out") == [("c1", 0), ("c4", 3), ("c5", 2), ("c9", 1)]
    assert calls_of(tmp_path / "out", "b") == [("c1", 0), ("c2", 1)]


def test_a_call_that_moved_to_another_day_is_there_once(tmp_path: Path) -> None:
    """A later version of the call on the next day: only that day has it after a second run."""
    old, new = call("c", 0), call("c", DAY, sequence=1)
    pages = {"pageviews.jsonl": lines([page("v", 0, B)], "pageview")}
    first = write(tmp_path / "first", pages | {"calls.jsonl": lines([old], "call")})
    second = write(tmp_path / "second", pages | {"calls.jsonl": lines([old, new], "call")})
    backfill(first, tmp_path / "out")
    assert calls_of(tmp_path / "out") == [("c", 0)]
    backfill(second, tmp_path / "out", short_history=True)
    with duckdb.connect(str(tmp_path / "out" / "warehouse.duckdb"), read_only=True) as warehouse:
        found = warehouse.execute("SELECT call_id, call_date FROM conversions_latest").fetchall()
    assert found == [("c", day(1))]


def test_detail_writes_pageviews_and_engagements(story: Path, tmp_path: Path) -> None:
    """Each event that counts has a row, protected; without --detail there is none."""
    backfill(story, tmp_path / "plain")
    assert rows_of(tmp_path / "plain", "pageviews") == []
    report = backfill(story, tmp_path / "out", detail=True)
    pages = rows_of(tmp_path / "out", "pageviews")
    clicks = rows_of(tmp_path / "out", "engagements")
    assert len(pages) == report["ledger"]["pageview"]["accepted"] == 7
    assert len(clicks) == report["ledger"]["engagement"]["accepted"] == 2
    days = Counter((row["account"], (row["pageview_date"] - FIRST).days) for row in pages)
    assert days == {("a", 0): 3, ("a", 1): 1, ("a", 2): 1, ("a", 3): 1, ("b", 0): 1}
    (entry,) = [row for row in clicks if row["kind"] == "action"]
    assert entry["phone_masked"].startswith("+45")
    assert entry["phone_masked"].endswith("30")
    assert "30303030" not in json.dumps(clicks, default=str)
    for table in ("conversions", "sessions", "displays"):
        assert rows_of(tmp_path / "out", table) == rows_of(tmp_path / "plain", table)


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


def test_a_known_type_in_another_kinds_file_is_what_it_says(tmp_path: Path) -> None:
    """All events in the pageviews' file, each with its type, give the same conversions."""
    by_kind = {f"{kind}s.jsonl": lines(STORY, kind) for kind in KINDS}
    mixed = {
        "pageviews.jsonl": [line for found in by_kind.values() for line in found],
        "calls.jsonl": [json.dumps(call("x", 0)).encode()],
    }
    backfill(write(tmp_path / "in", mixed), tmp_path / "out")
    extra = {"calls.jsonl": by_kind["calls.jsonl"] + mixed["calls.jsonl"]}
    backfill(write(tmp_path / "in2", by_kind | extra), tmp_path / "out2")
    mine = rows_of(tmp_path / "out", "conversions")
    assert mine == rows_of(tmp_path / "out2", "conversions")
