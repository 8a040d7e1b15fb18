"""The numbers that the page shows in a browser are those of the views."""

import re

from report_pages import STATUSES
from report_warehouse import without_calls

from pipelines.report import write_report


def test_the_tiles_are_the_views_numbers(show, ask) -> None:
    """Calls, decisions, qualified, first and missed calls equal conversions_latest."""
    shown = show()
    told = {name: shown.number(name) for name in ("calls", *STATUSES)}
    counts = dict(ask.sql("SELECT status, count(*) FROM conversions_latest GROUP BY 1").fetchall())
    assert told == {"calls": sum(counts.values()), **counts}
    [(qualified, first, missed)] = ask.sql("""
        SELECT count_if(is_qualified), count_if(is_first_call),
               count_if(direction = 'inbound' AND call_status <> 'answered')
        FROM conversions_latest
    """).fetchall()
    assert shown.number("qualified") == qualified
    assert shown.number("first-calls") == first
    assert shown.number("missed") == missed
    assert shown.page.locator("#median-delay").inner_text() == "7 s"


def test_the_sources_are_those_of_the_view(show, ask) -> None:
    """Each source's row, and the total, equal conversions_by_source."""
    rows = ask.sql("""
        SELECT coalesce(source || ' / ' || medium, '(no source)'), sum(calls),
               sum(expected_calls), sum(qualified_calls), sum(first_calls)
        FROM conversions_by_source GROUP BY 1
    """).fetchall()
    names = ("calls", "expected_calls", "qualified_calls", "first_calls")
    wanted = {_cut(label): _rounded(names, values) for label, *values in rows}
    wanted["All"] = _rounded(names, [sum(column) for column in list(zip(*rows, strict=True))[1:]])
    assert show().table("sources") == wanted


def _cut(label: str) -> str:
    return label if len(label) <= 80 else f"{label[:79]}…"


def _rounded(names: tuple[str, ...], values: list[float]) -> dict[str, float]:
    return {name: float(f"{value:.1f}") for name, value in zip(names, values, strict=True)}


def test_the_days_are_those_of_the_view(show, ask) -> None:
    """The table and the bars of days equal conversions_latest, days without calls are zero."""
    shown = show()
    rows = ask.sql("""
        SELECT call_date::VARCHAR, status, count(*) FROM conversions_latest GROUP BY ALL
    """).fetchall()
    found = shown.table("days")
    counted = {
        (day, status): row[status]
        for day, row in found.items()
        if day != "All"
        for status in STATUSES
        if row[status]
    }
    assert counted == {(day, status): count for day, status, count in rows}
    assert found["2025-03-02"]["calls"] == found["2025-03-03"]["calls"] == 0
    drawn = [re.search(r": (\S+); Calls: (\d+); part: (\w+)", bar) for bar in shown.bars("days")]
    assert {(bar[1], bar[3].lower()): int(bar[2]) for bar in drawn if bar} == counted


def test_the_numbers_of_the_pool_are_those_of_the_view(show, ask) -> None:
    """Each tracking number's row equals pool_health."""
    rows = ask.sql("""
        SELECT tracking_number, sum(displays), sum(sessions), sum(calls),
               coalesce(round(sum(share_ambiguous * calls)), 0)
        FROM pool_health GROUP BY 1
    """).fetchall()
    found = show().table("pool_numbers")
    assert len(rows) == 2
    for number, *counts in rows:
        assert list(found[number].values()) == counts


def test_what_cannot_be_known_adds_up(show, ask) -> None:
    """The reasons are the ambiguous and unattributed calls, and nothing else."""
    [(unknown, total)] = ask.sql("""
        SELECT count_if(status IN ('ambiguous', 'unattributed')), count(*) FROM conversions_latest
    """).fetchall()
    found = show().table("reasons")
    assert found.pop("Together") == {"calls": unknown, "share": unknown / total}
    assert found == {
        "Nobody had the number on the screen": {"calls": 2, "share": 0.25},
        "Several visitors may have called": {"calls": 1, "share": 0.125},
        "Outbound, without a form before": {"calls": 1, "share": 0.125},
    }


def test_pages_devices_and_quality_are_counted(show) -> None:
    """Landing pages lose their query, robots' sessions count only as robots'."""
    shown = show()
    pages = shown.table("landing_pages")
    assert next(iter(pages.values())) == {"calls": 3, "sessions": 3, "rate": 1000}
    assert shown.table("devices") == {
        "mobile": {"calls": 3, "sessions": 2, "rate": 1500},
        "desktop": {"calls": 0, "sessions": 1, "rate": 0},
        "All": {"calls": 3, "sessions": 3, "rate": 1000},
    }
    quality = {label: row["count"] for label, row in shown.table("quality").items()}
    assert quality == {
        "Dead letters": 2,
        "of which too late": 1,
        "Calls changed by late events": 1,
        "Calls not final yet": 0,
        "Sessions of robots": 1,
        "Callers' numbers withheld": 1,
        "Inbound calls whose ending is not known": 2,
    }


def test_the_page_says_what_it_is_about(show) -> None:
    """Days, accounts, rule set and moment stand at its head."""
    shown = show()
    assert shown.page.locator("#period").inner_text() == "1 Mar 2025 to 4 Mar 2025"
    assert shown.page.locator("#accounts").inner_text() == "bank, shop"
    assert shown.page.locator("#rule-set").inner_text() == "none"
    made = shown.page.locator("#made").inner_text()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", made)


def test_a_page_without_calls_is_whole(show, tmp_path) -> None:
    """It says that there are none, and draws nothing."""
    write_report(without_calls(tmp_path))
    shown = show(tmp_path / "report.html")
    assert "no calls in this warehouse" in shown.page.locator("#no-calls").inner_text()
    assert (shown.said, shown.page.locator("[data-chart]").count()) == ([], 0)
