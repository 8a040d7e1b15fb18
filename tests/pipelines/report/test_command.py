"""`attribeam report`: what it says, and where it cannot."""

from pathlib import Path

import pytest
from report_pages import Report
from report_warehouse import build, without_calls
from warehouse_runs import backfill, conversions


def test_the_report_says_where_it_is(warehouse: Path, report: Report, tmp_path: Path) -> None:
    """The command names the file, the calls in it and their days."""
    page = tmp_path / "calls.html"
    code, out, err = report("--output", warehouse, "--html", page)
    assert (code, err) == (0, "")
    assert out == f"Report: {page} (8 calls, 1 Mar 2025 to 4 Mar 2025)\n"
    assert [path.name for path in tmp_path.iterdir()] == ["calls.html"]


def test_the_report_goes_into_the_warehouse_where_no_file_is_named(
    tmp_path: Path, report: Report
) -> None:
    """The default is report.html beside the database."""
    code, _, _ = report("--output", build(tmp_path))
    assert code == 0
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_a_missing_warehouse_is_named(tmp_path: Path, report: Report) -> None:
    """Without a database there is one message and no file."""
    code, out, err = report("--output", tmp_path)
    assert (code, out) == (1, "")
    assert err == (
        f"attribeam: error: {tmp_path}: no warehouse there; make one with attribeam backfill\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_an_empty_warehouse_is_an_error(tmp_path: Path, report: Report) -> None:
    """A database without any row gives a message and no page."""
    backfill(tmp_path, conversions(), report={})
    code, _, err = report("--output", tmp_path)
    assert code == 1
    assert "the warehouse is empty; run attribeam backfill first" in err
    assert not (tmp_path / "report.html").exists()


def test_a_warehouse_without_calls_gives_a_page_that_says_so(
    tmp_path: Path, report: Report
) -> None:
    """Sessions without calls are a page, a warning and no failure."""
    code, out, err = report("--output", without_calls(tmp_path))
    assert (code, out) == (0, f"Report: {tmp_path}/report.html (0 calls, 1 Mar 2025)\n")
    assert err == "attribeam: warning: no calls in the warehouse; the report says so\n"
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "There are no calls in this warehouse" in page


@pytest.mark.parametrize("place", ["missing/page.html", "folder"])
def test_a_file_that_cannot_be_written_is_named(
    warehouse: Path, report: Report, tmp_path: Path, place: str
) -> None:
    """A folder that is missing, or a folder's name, is one message, and nothing is left behind."""
    (tmp_path / "folder").mkdir()
    code, out, err = report("--output", warehouse, "--html", tmp_path / place)
    assert (code, out) == (1, "")
    assert err.startswith(f"attribeam: error: {tmp_path / place}: the report cannot be written")
    assert "--html" in err
    assert [path.name for path in tmp_path.rglob("*")] == ["folder"]


def test_a_report_that_fails_leaves_the_old_one(tmp_path: Path, report: Report) -> None:
    """What was there before is there after, byte by byte."""
    (tmp_path / "report.html").write_text("old", encoding="utf-8")
    backfill(tmp_path, conversions(), report={})
    assert report("--output", tmp_path)[0] == 1
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == "old"


def test_a_database_that_is_none_is_one_message(tmp_path: Path, report: Report) -> None:
    """A broken warehouse.duckdb gives no traceback."""
    (tmp_path / "warehouse.duckdb").write_bytes(b"nothing of the kind" * 999)
    code, _, err = report("--output", tmp_path)
    assert code == 1
    assert err.startswith(f"attribeam: error: {tmp_path}/warehouse.duckdb: cannot be read")
    assert err.count("\n") == 1


@pytest.mark.parametrize("output", ["gs://bucket/warehouse", "bigquery://No Project"])
def test_a_place_that_is_no_warehouse_is_an_error_of_usage(report: Report, output: str) -> None:
    """What is neither a folder nor a project of BigQuery is named, with what to write."""
    code, out, err = report("--output", output)
    assert (code, out) == (2, "")
    assert err.startswith(f"attribeam: error: --output {output}: ")
    assert "bigquery://PROJECT" in err


def test_a_folder_that_is_not_there_is_told_before_anything_is_read(
    tmp_path: Path, report: Report
) -> None:
    """The warehouse is not even looked for."""
    code, _, err = report("--output", tmp_path, "--html", tmp_path / "none" / "page.html")
    assert (code, f"{tmp_path / 'none'} is no folder" in err) == (1, True)
