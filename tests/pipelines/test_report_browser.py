"""The report as a browser shows it: its numbers, its charts, on a desk and on a phone.

Needs Chromium in PATH; without it these tests are skipped, or failed where
ATTRIBEAM_REQUIRE_BROWSER=1.
"""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright
from report_warehouse import HOSTILE, IMAGE, LONG, SCRIPT, build, without_calls

from pipelines.report import write_report

NAMES = ("chromium", "chromium-browser", "google-chrome")
DESK, PHONE = ViewportSize(width=1280, height=800), ViewportSize(width=360, height=740)
# Of WCAG 2.2: text 4.5 (1.4.3), parts of charts 3 (1.4.11).
TEXT, GRAPHICS = 4.5, 3
STATUSES = ("attributed", "ambiguous", "unattributed", "excluded")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = next((path for path in map(shutil.which, NAMES) if path), None)
    if found is None:
        reason = f"no Chromium in PATH (looked for {', '.join(NAMES)})"
        if os.environ.get("ATTRIBEAM_REQUIRE_BROWSER") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = build(tmp_path_factory.mktemp("report"))
    write_report(folder)
    return folder


@dataclass
class Shown:
    """A page in the browser, and what it said and asked for."""

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def open(self, file: Path) -> "Shown":
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: self.said.append(f"dialog {dialog.message}"))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(file.as_uri())
        self.page.wait_for_selector("html[data-charts]")
        return self

    def number(self, name: str) -> int:
        """The figure of a tile."""
        return int(self.page.locator(f"#{name}").inner_text().replace(",", ""))

    def table(self, name: str) -> dict[str, dict[str, float]]:
        """The rows of a table by their label, the total's too: column -> number as shown."""
        script = """rows => rows.map(row => [
            (row.querySelector('th bdi') || row.querySelector('th')).textContent.trim(),
            Object.fromEntries([...row.querySelectorAll('td')].map(
                cell => [cell.dataset.column, cell.textContent.trim()]))])"""
        rows = self.page.eval_on_selector_all(
            f"#table-{name} tbody tr, #table-{name} tfoot tr", script
        )
        return {label: {key: _number(text) for key, text in cells.items()} for label, cells in rows}

    def bars(self, chart: str) -> list[str]:
        """What the bars of a chart say of themselves."""
        found = f"[data-chart={chart}] [aria-roledescription=bar]"
        return self.page.eval_on_selector_all(found, "all => all.map(one => one.ariaLabel)")


def _number(text: str) -> float:
    if text.endswith("%"):
        return float(text[:-1]) / 100
    return float("nan") if text == "-" else float(text.replace(",", ""))


@pytest.fixture
def show(browser: Browser, warehouse: Path) -> Iterator[Any]:
    """Opens the report, by default that of the warehouse of these tests."""
    contexts = []

    def opened(file: Path | None = None, size: ViewportSize = DESK, **options: Any) -> Shown:
        context = browser.new_context(viewport=size, **options)
        contexts.append(context)
        return Shown(context.new_page()).open(file or warehouse / "report.html")

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture
def ask(warehouse: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse's views."""
    with duckdb.connect(str(warehouse / "warehouse.duckdb"), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


# --- quiet and safe ----------------------------------------------------------------------------


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_quiet_and_asks_for_nothing(show, warehouse, size, scheme) -> None:
    """All charts are drawn; nothing is said on the console, nothing is loaded but the file."""
    shown = show(size=size, color_scheme=scheme)
    assert shown.page.evaluate("document.documentElement.dataset.charts") == "drawn"
    assert shown.page.locator("[data-chart] svg").count() == 8
    assert shown.said == []
    assert shown.asked == [(warehouse / "report.html").as_uri()]


def test_names_of_attackers_are_text(show) -> None:
    """Hostile names stand on the page and in charts as they are written, and none of them runs."""
    shown = show()
    text = shown.page.locator("main").inner_text()
    assert [name for name in HOSTILE if name not in text] == []
    assert f"{LONG[:79]}…" in text
    assert any(IMAGE in label and SCRIPT in label for label in shown.bars("sources"))
    assert shown.page.title() == "Calls and where they came from · 1 Mar 2025 to 4 Mar 2025"
    assert shown.page.locator("img").count() == 0
    assert shown.page.locator("script").count() == 9


def test_a_script_that_got_into_the_page_would_not_run(show) -> None:
    """The content security policy runs the page's own script and no other, and loads nothing."""
    shown = show()
    shown.page.evaluate("""() => {
        const script = document.createElement('script');
        script.textContent = "document.title = 'taken'";
        document.body.append(script);
        const image = document.createElement('img');
        image.src = 'http://127.0.0.1:9/';
        document.body.append(image);
    }""")
    assert shown.page.title() != "taken"
    refused = [message for message in shown.said if "Content Security Policy" in message]
    assert len(refused) == 2


# --- the numbers -------------------------------------------------------------------------------


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
        SELECT coalesce(source || ' / ' || medium, '(no source decided)'), sum(calls),
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


# --- how it looks ------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [320, 360, 768, 1280])
def test_nothing_is_wider_than_the_screen(show, width) -> None:
    """No part of the page or of a chart sticks out, names of 480 characters neither."""
    shown = show(size=ViewportSize(width=width, height=740))
    shown.page.eval_on_selector_all("details", "all => all.forEach(one => one.open = true)")
    assert shown.page.evaluate("document.documentElement.scrollWidth") == width
    out = "all => all.filter(one => one.getBoundingClientRect().right > innerWidth + 0.5).length"
    assert shown.page.eval_on_selector_all("main *:not(svg *)", out) == 0
    cut = """all => all.filter(text => {
        const box = text.getBoundingClientRect(), svg = text.closest('svg').getBoundingClientRect();
        return box.width && (box.right > svg.right + 1 || box.left < svg.left - 1);
    }).map(text => text.textContent)"""
    assert shown.page.eval_on_selector_all("svg text", cut) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_stand_out(show, scheme) -> None:
    """Text and the colours of charts have enough contrast on cards, text also on the page."""
    shown = show(color_scheme=scheme)
    names = ["page", "card", "ink", "muted", "second", *STATUSES]
    found = shown.page.evaluate(
        "names => names.map(name => getComputedStyle(document.documentElement)"
        ".getPropertyValue('--' + name).trim())",
        names,
    )
    colours = dict(zip(names, found, strict=True))
    for ground in ("page", "card"):
        for name in ("ink", "muted"):
            assert _contrast(colours[name], colours[ground]) >= TEXT, (name, ground)
    for name in ("second", *STATUSES):
        assert _contrast(colours[name], colours["card"]) >= GRAPHICS, name


def _contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours (WCAG 2.2)."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_charts_take_the_colours_of_the_scheme(show) -> None:
    """In the dark the bars have other colours than in the light, and printed those of the light."""
    colour = (
        "getComputedStyle(document.querySelector("
        "'[data-chart=days] [aria-roledescription=bar]')).fill"
    )
    light = show(color_scheme="light").page.evaluate(colour)
    dark = show(color_scheme="dark")
    assert dark.page.evaluate(colour) != light
    dark.page.emulate_media(media="print")
    assert dark.page.evaluate(colour) == light


def test_a_term_shows_its_definition(show) -> None:
    """With the mouse over it, or the keyboard on it, and inside the screen of a phone."""
    shown = show(size=PHONE)
    note = shown.page.locator("#definition")
    assert not note.is_visible()
    term = shown.page.locator("[data-term=unattributed]").first
    for reach in (term.hover, term.focus):
        reach()
        assert note.inner_text().startswith("No session explains the call")
        box = note.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["width"]
        shown.page.keyboard.press("Escape")
        assert not note.is_visible()


def test_every_term_has_a_definition(show) -> None:
    """Each marked term names an entry of the list at the end of the page."""
    missing = """all => all.map(one => one.dataset.term)
        .filter(term => !document.getElementById('def-' + term)?.textContent)"""
    assert show().page.eval_on_selector_all("[data-term]", missing) == []
