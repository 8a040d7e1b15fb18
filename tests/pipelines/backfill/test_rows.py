"""Whole backfills, from files to exact rows, through Beam (FnApiRunner, the pinned default)."""

import json
from collections import Counter
from pathlib import Path

import pytest
from backfill_runs import (
    FIRST,
    KINDS,
    LEDGER,
    NOW,
    STORY,
    backfill,
    everything,
    in_order,
    lines,
    rows_of,
    story_files,
    write,
)
from oracle.cases import call
from pure import run_flow
from tables import KEY, T

from schemas.config import load_config
from schemas.tables import TABLES
from transforms.settings import DAY, HOUR, MINUTE


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
