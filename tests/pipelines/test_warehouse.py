"""The local warehouse: which rows a run replaces, and which stay."""

import datetime as dt
import json
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest
from table_rows import DAY, table_rows
from warehouse_runs import (
    NEXT,
    backfill,
    call,
    calls_in,
    conversions,
    covered,
    staged_keys,
    warehouse_files,
)

from pipelines.warehouse import LocalWarehouse, write_rows
from schemas.tables import CONVERSIONS, DEAD_LETTERS

# --- files -------------------------------------------------------------------------------------


def test_written_files_have_exactly_the_tables_schema(tmp_path: Path) -> None:
    """Every file read back by Arrow has the table's schema, whatever order the rows came in."""
    rows = table_rows(CONVERSIONS, call("b", day=NEXT), call("a"), call("c", day=NEXT))
    write_rows(tmp_path, CONVERSIONS, rows, "part")
    files = sorted(tmp_path.rglob("*.parquet"))
    assert [str(file.relative_to(tmp_path)) for file in files] == [
        "conversions/call_date=2025-03-01/part.parquet",
        "conversions/call_date=2025-03-02/part.parquet",
    ]
    assert all(pq.read_schema(file).equals(CONVERSIONS.arrow_schema()) for file in files)
    assert pq.ParquetFile(files[1]).read(["call_id"])["call_id"].to_pylist() == ["b", "c"]


def test_rows_without_a_day_are_refused(tmp_path: Path) -> None:
    """A row that belongs to no day is an error of the program, not a folder called None."""
    with pytest.raises(ValueError, match="without call_date"):
        write_rows(tmp_path, CONVERSIONS, table_rows(CONVERSIONS, call("a", day=None)), "part")  # type: ignore[arg-type]


def test_an_empty_table_writes_nothing(tmp_path: Path) -> None:
    """No rows, no files and no folders."""
    write_rows(tmp_path, CONVERSIONS, table_rows(CONVERSIONS), "part")
    assert warehouse_files(tmp_path) == []


# --- commits -----------------------------------------------------------------------------------


def test_a_run_is_counted_before_and_after_its_commit(tmp_path: Path) -> None:
    """staged() and existing() count rows by table, account and day."""
    rows = table_rows(CONVERSIONS, call("a"), call("b"), call("a", "bank", NEXT))
    with LocalWarehouse(tmp_path).open_run() as run:
        assert run.staged().is_empty()
        write_rows(run.staging, CONVERSIONS, rows, "part")
        counted = run.staged().rows()
        assert run.existing().is_empty()
        run.commit(staged_keys({"conversions": rows}), {"calls": 3})
    assert counted == [("conversions", "shop", DAY, 2), ("conversions", "bank", NEXT, 1)]
    with LocalWarehouse(tmp_path).open_run() as run:
        assert run.existing().rows() == counted
    assert json.loads((tmp_path / "run_report.json").read_text()) == {"calls": 3}


def test_a_day_is_replaced_for_the_accounts_of_the_run_only(tmp_path: Path) -> None:
    """Other accounts' rows of the same day stay, the run's own old rows go."""
    backfill(tmp_path, conversions(call("1"), call("2"), call("1", "bank"), call("3", day=NEXT)))
    backfill(tmp_path, conversions(call("9")))
    assert calls_in(tmp_path) == [
        ("bank", "1", DAY),
        ("shop", "3", NEXT),
        ("shop", "9", DAY),
    ]


def test_kept_rows_are_the_same_rows(tmp_path: Path) -> None:
    """Rows that are carried over lose nothing, nested columns and order included."""
    candidate = {"session_id": "s", "probability": 0.25, "displays": 3}
    bank = [call(str(n), "bank", candidates=[candidate], outcome_tags=["x", "y"]) for n in range(5)]
    backfill(tmp_path, conversions(call("1"), *bank))
    backfill(tmp_path, conversions(call("2")))
    kept = pl.read_parquet(next(tmp_path.glob("conversions/*/kept-*.parquet")))
    assert kept.equals(table_rows(CONVERSIONS, *bank))


def test_files_of_other_accounts_are_not_rewritten(tmp_path: Path) -> None:
    """A file without rows of the run's accounts keeps its bytes, and untouched days their files."""
    backfill(tmp_path, conversions(call("1", "bank"), call("2", "bank", NEXT)))
    inodes = {path.stat().st_ino for path in tmp_path.glob("conversions/*/*.parquet")}
    backfill(tmp_path, conversions(call("1")))
    after = {path.stat().st_ino for path in tmp_path.glob("conversions/*/*.parquet")}
    assert inodes < after


def test_a_day_replaced_by_nothing_disappears(tmp_path: Path) -> None:
    """Where a run covers a day and has no rows for it, its rows go, with the last the folder."""
    backfill(tmp_path, conversions(call("1"), call("1", "bank"), call("2", day=NEXT)))
    backfill(tmp_path, {}, covered("conversions", "shop", DAY, NEXT))
    assert calls_in(tmp_path) == [("bank", "1", DAY)]
    assert [path.name for path in (tmp_path / "conversions").iterdir()] == ["call_date=2025-03-01"]


def test_covering_a_day_that_holds_nothing_of_the_account_changes_nothing(tmp_path: Path) -> None:
    """Days without rows of the run's accounts are not touched."""
    backfill(tmp_path, conversions(call("1")))
    before = (tmp_path / "conversions/call_date=2025-03-01").stat().st_ino
    backfill(tmp_path, {}, covered("conversions", "bank", DAY, NEXT))
    assert (tmp_path / "conversions/call_date=2025-03-01").stat().st_ino == before


def test_rows_that_the_run_does_not_cover_are_refused(tmp_path: Path) -> None:
    """Rows staged outside of what is replaced would double, so nothing is committed."""
    backfill(tmp_path, conversions(call("1")))
    with pytest.raises(ValueError, match="does not replace"):
        backfill(tmp_path, conversions(call("2")), covered("conversions", "shop", NEXT))
    assert calls_in(tmp_path) == [("shop", "1", DAY)]


def test_two_equal_runs_leave_the_same_rows(tmp_path: Path) -> None:
    """Run twice, the warehouse has the same rows, not twice as many."""
    rows = conversions(call("1"), call("2", "bank"), call("3", day=NEXT))
    backfill(tmp_path, rows)
    first = calls_in(tmp_path)
    backfill(tmp_path, rows)
    assert calls_in(tmp_path) == first


def test_dead_letters_are_merged_by_their_id(tmp_path: Path) -> None:
    """Old dead letters stay, whatever a run covers, unless the same one comes again, even later."""

    def letters(day: dt.date, *ids: str) -> dict[str, pl.DataFrame]:
        rows = [{"dead_letter_id": id_, "received_date": day, "account": None} for id_ in ids]
        return {"dead_letters": table_rows(DEAD_LETTERS, *rows)}

    none = covered("dead_letters", "shop", DAY)
    backfill(tmp_path, letters(DAY, "a", "b"), none)
    backfill(tmp_path, letters(NEXT, "b", "c"), none)
    backfill(tmp_path, {}, none)
    with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as connection:
        kept = connection.execute(
            "SELECT dead_letter_id, received_date FROM dead_letters ORDER BY 1"
        ).fetchall()
    assert kept == [("a", DAY), ("b", NEXT), ("c", NEXT)]


def test_files_with_fewer_columns_can_still_be_merged(tmp_path: Path) -> None:
    """Rows written before a column was added are carried over with null in it."""
    backfill(tmp_path, conversions(call("1", "bank", mos=4.0), call("2")))
    file = next(tmp_path.glob("conversions/*/*.parquet"))
    pq.write_table(pq.ParquetFile(file).read().drop_columns(["mos"]), file)
    with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT max(mos) FROM conversions").fetchone() == (None,)
    backfill(tmp_path, conversions(call("3")))
    assert calls_in(tmp_path) == [("bank", "1", DAY), ("shop", "3", DAY)]
