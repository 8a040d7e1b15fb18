"""Which days a backfill writes, replaces and leaves alone."""

from pathlib import Path

import duckdb
import pytest
from backfill_runs import (
    STORY,
    backfill,
    calls_of,
    day,
    everything,
    lines,
    rows_of,
    write,
)
from oracle.cases import B, call, page
from tables import T

from pipelines.backfill import UsageError
from transforms.settings import DAY, HOUR


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
