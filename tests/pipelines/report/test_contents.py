"""What the file holds, reckoned by hand from a small warehouse."""

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import duckdb
import polars as pl
import pytest
from report_pages import Report
from report_warehouse import (
    CALLER,
    HOSTILE,
    SESSION,
    VISITOR,
    build,
    calls,
)
from table_rows import NOON
from warehouse_runs import backfill, call, conversions

from pipelines.report import READINGS, page_context, write_report
from pipelines.reporting import words
from pipelines.reporting.page import render
from pipelines.reporting.source import QUERIES, DuckdbSource, Parameters, query_text
from pipelines.reporting.tables import Results
from pipelines.reporting.tables_people import delays_table
from transforms.decisions import RULES
from transforms.decode_event import CODES


def test_one_account_can_be_shown_alone(warehouse: Path, report: Report, tmp_path: Path) -> None:
    """With --account the page holds nothing of another account; an unknown one is an error."""
    page = tmp_path / "page.html"
    code, out, _ = report("--output", warehouse, "--html", page, "--account", "bank")
    assert (code, "(3 calls, 4 Mar 2025)" in out) == (0, True)
    text = page.read_text(encoding="utf-8")
    assert "kampagne" not in text
    assert "shop" not in text.partition('<script type="module">')[0].replace("shops", "")
    code, _, err = report("--output", warehouse, "--html", page, "--account", "other")
    assert (code, "which has: bank, shop" in err) == (1, True)


def test_the_file_holds_no_callers_and_no_visitors(warehouse: Path, tmp_path: Path) -> None:
    """Neither caller keys nor visitor or session ids are in the file."""
    page = write_report(warehouse, tmp_path / "page.html").path.read_text(encoding="utf-8")
    assert [known for known in (CALLER, VISITOR, SESSION) if known in page] == []


def test_the_libraries_are_in_the_file_once(warehouse: Path, tmp_path: Path) -> None:
    """However many charts there are, the file has one script, and one place for each chart."""
    page = write_report(warehouse, tmp_path / "page.html").path.read_text(encoding="utf-8")
    assert page.count("</script>") == page.count("<script")
    assert page.count('<script type="module">') == 1
    assert page.count('<script type="application/json"') == page.count('class="chart"') == 8
    assert page.count("<script") == 9
    assert len(page) < 1_300_000


def test_names_of_attackers_are_escaped_everywhere(warehouse: Path, tmp_path: Path) -> None:
    """A hostile name stands nowhere in the file as it was written, in text, attributes or JSON."""
    page = write_report(warehouse, tmp_path / "page.html").path.read_text(encoding="utf-8")
    assert [name for name in HOSTILE if name in page] == []
    assert "onerror=&#34;" in page
    data = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)
    assert any("\\u003c/script\\u003e" in spec for spec in data)
    assert [spec for spec in data if re.search(r"[<>&]", spec)] == []
    assert all(json.loads(spec)["$schema"].startswith("https://vega") for spec in data)


def test_days_without_calls_stand_with_zero(warehouse: Path) -> None:
    """Every day from the first call to the last has a row."""
    with DuckdbSource(warehouse) as source:
        tables = page_context(source, None, NOON)["tables"]
    assert [(row["label"], row["calls"]) for row in tables["days"].rows] == [
        ("2025-03-01", 5),
        ("2025-03-02", 0),
        ("2025-03-03", 0),
        ("2025-03-04", 3),
    ]
    assert [row["label"] for row in tables["callers"].rows][1:3] == ["2025-03-02", "2025-03-03"]


def test_calls_beyond_the_rows_shown_are_added_up(tmp_path: Path) -> None:
    """A table of many sources ends with a row of the others; its total counts all."""
    folder = tmp_path / "warehouse"
    more = [
        {**calls()[1], "call_id": f"more {number}", "conversion_id": f"{number}", "campaign": None}
        | {"source": f"site-{number}.example", "medium": "referral", "channel": "Referral"}
        for number in range(20)
    ]
    build(folder, *more)
    with DuckdbSource(folder) as source:
        table = page_context(source, None, NOON)["tables"]["sources"]
    [rest] = [row for row in table.rows if row["label"] == "8 more"]
    assert rest["calls"] == 8
    assert sum(row["calls"] for row in table.rows) == table.total["calls"] == 28


def test_expected_calls_of_a_keyword_are_shared_out(warehouse: Path) -> None:
    """Candidates give their session's keyword their probability, a form gives its own."""
    with DuckdbSource(warehouse) as source:
        found = source.results(["keywords"], {"account": None})["keywords"]
    expected = dict(zip(found["source"], found["expected_calls"], strict=True))
    assert expected["google"] == pytest.approx(0.8)
    assert expected["bing"] == pytest.approx(0.15 + 0.45)
    assert sorted(expected) == sorted({"google", "bing", next(k for k in expected if "img" in k)})
    assert expected[next(k for k in expected if "img" in k)] == pytest.approx(0.4 + 0.99)


def test_a_number_is_shared_where_two_visitors_saw_it_in_one_hour(warehouse: Path) -> None:
    """A visitor counts in each hour from the first display to the last."""
    with DuckdbSource(warehouse) as source:
        tables = page_context(source, None, NOON)["tables"]
    shown = {row["label"]: row for row in tables["pool_hours"].rows if row["load"] is not None}
    # 11 h: visitors 1 and 2 on one number. 12 h: 2 still, 3 on another. 13 h: 2 alone.
    assert {hour: (row["load"], row["share"]) for hour, row in shown.items()} == {
        "11:00": (2, 1),
        "12:00": (1, 0),
        "13:00": (1, 0),
    }


@pytest.mark.parametrize(
    ("seconds", "step"),
    [
        (0, "under 10 s"),
        (9, "under 10 s"),
        (10, "10-30 s"),
        (1799, "20-30 min"),
        (1800, "over 30 min"),
        (9999, "over 30 min"),
    ],
)
def test_a_delay_falls_into_the_step_that_it_reaches(seconds: int, step: str) -> None:
    """A step holds its first second and not its last."""
    results: Results = {"delays": pl.DataFrame({"delay_seconds": [seconds], "calls": [3]})}
    assert [row["label"] for row in delays_table(results).rows if row["calls"]] == [step]


def test_every_rule_and_code_has_words() -> None:
    """What can be decided or refused is explained: statuses, methods, reasons, dead letters."""
    statuses, methods, reasons = map(set, zip(*RULES.values(), strict=True))
    assert statuses == set(words.STATUSES)
    assert methods - {"none"} == set(words.METHODS)
    undecided = {rule for rule, (status, _, _) in RULES.items() if status != "attributed"}
    assert (undecided & reasons) - {"excluded_caller"} <= set(words.TERMS)
    assert {*CODES, "too_late"} == set(words.DEAD_LETTERS)


def test_every_query_says_what_it_gives() -> None:
    """Each file of the folder is a named query whose comment lists its columns."""
    folder = resources.files("pipelines.reporting") / "queries"
    assert {path.name for path in folder.iterdir()} == {f"{name}.sql" for name in QUERIES}
    assert [name for name in QUERIES if "-- Columns:" not in query_text(name)] == []


class Disturbed(DuckdbSource):
    """A warehouse into which a run commits while the report reads: once for each of `runs`."""

    def __init__(self, folder: Path, runs: Iterator[datetime]) -> None:
        super().__init__(folder)
        self.folder, self.runs = folder, runs

    def results(self, names: Iterable[str], parameters: Parameters) -> Results:
        found = super().results(names, parameters)
        if "calls" in found and (moment := next(self.runs, None)):
            backfill(self.folder, conversions(calls()[1] | {"emitted_at": moment}))
        return found


def test_a_run_that_commits_meanwhile_is_read_whole(tmp_path: Path) -> None:
    """The page is of the warehouse after the run, all of it."""
    build(tmp_path)
    with Disturbed(tmp_path, iter([datetime(2025, 3, 9, tzinfo=UTC)])) as source:
        context = page_context(source, None, NOON)
    assert context["head"].calls == 4
    assert context["tables"]["sources"].total["calls"] == 4
    assert (context["written"], context["is_at_rest"]) == ("2025-03-09 00:00 UTC", True)
    assert 'id="unrest"' not in render(context)


def test_a_warehouse_that_never_rests_is_shown_and_said_to_move(tmp_path: Path) -> None:
    """A stream may always write: the last of some readings is shown, and the page says so."""
    build(tmp_path)
    days = iter(range(9, 20))
    moments = (datetime(2025, 3, day, tzinfo=UTC) for day in days)
    with Disturbed(tmp_path, moments) as source:
        context = page_context(source, None, NOON)
    assert (context["is_at_rest"], next(days)) == (False, 9 + READINGS)
    assert context["head"].calls == 4
    assert 'id="unrest"' in render(context)


def test_late_events_are_not_known_where_only_a_backfill_wrote(tmp_path: Path) -> None:
    """Without a revised row and a letter too late there is no zero, which would say too much."""
    backfill(tmp_path, conversions(calls()[0]))
    with DuckdbSource(tmp_path) as source:
        context = page_context(source, None, NOON)
    rows = {row["term"]: row for row in context["tables"]["quality"].rows}
    for term in ("too_late", "revised"):
        assert (rows[term]["count"], rows[term]["share"]) == (None, None)
        assert rows[term]["note"] == words.NOT_KNOWN
    assert rows["dead_letters"]["count"] == 0
    assert render(context).count(f"<bdi>{words.NOT_KNOWN}</bdi>") == 2


def test_one_revised_call_makes_late_events_known(tmp_path: Path) -> None:
    """Then a stream wrote there, and what it did not refuse as late is none."""
    backfill(tmp_path, conversions(calls()[0] | {"revision": 2}))
    with DuckdbSource(tmp_path) as source:
        table = page_context(source, None, NOON)["tables"]["quality"]
    counts = {row["term"]: row["count"] for row in table.rows}
    assert (counts["too_late"], counts["revised"]) == (0, 1)


def test_rows_of_several_places_add_up_in_order() -> None:
    """The largest first, then by name, what has no name last; a place without rows adds none."""
    query = QUERIES["devices"]
    columns = ["device_type", "calls", "sessions"]
    parts = [
        pl.DataFrame([("tv", 1, 5), (None, 2, 1)], columns, orient="row"),
        pl.DataFrame(schema=columns),
        pl.DataFrame([("car", 2, 1), ("tv", 2, 1)], columns, orient="row"),
    ]
    assert query.add_up(parts).rows() == [("tv", 3, 6), ("car", 2, 1), (None, 2, 1)]
    assert query.add_up([]).schema == query.schema


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_gives_its_columns_as_they_are_declared(warehouse: Path, name: str) -> None:
    """A file of the folder and what is said of it do not part: names, and one row for each key."""
    query, sql = QUERIES[name], query_text(name)
    with duckdb.connect(str(warehouse / "warehouse.duckdb"), read_only=True) as connection:
        used = {key: None for key in ("account", "first_day", "last_day") if f"${key}" in sql}
        found = pl.DataFrame(connection.sql(sql, params=used).to_arrow_table())
    assert set(found.columns) == set(query.schema)
    assert found.select(query.keys).is_duplicated().sum() == 0


def test_the_first_sentence_and_the_sources_add_up(tmp_path: Path) -> None:
    """An attributed call whose session is unknown has no source: the calls of the row without one
    are those that the lead calls not known, and the excluded one."""
    declared = {"method": "declared", "reason": "declared", "session_id": "unknown"}
    with DuckdbSource(build(tmp_path, call("9", status="attributed", **declared))) as source:
        context = page_context(source, None, datetime.now(UTC))
    assert context["lead"].startswith("3 of 9 calls have a source, above all to ")
    assert "For 5 the source is not known, 1 is excluded" in context["lead"]
    [row] = [row for row in context["tables"]["sources"].rows if row["label"] == "(no source)"]
    assert (row["calls"], row["note"]) == (6, "not known, or excluded")
