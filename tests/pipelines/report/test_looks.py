"""The page in a browser, on a desk and on a phone: quiet, safe, and fit to be read."""

import pytest
from playwright.sync_api import ViewportSize
from report_pages import DESK, PHONE, STATUSES
from report_warehouse import HOSTILE, IMAGE, LONG, SCRIPT

# Of WCAG 2.2: text 4.5 (1.4.3), parts of charts 3 (1.4.11).
TEXT, GRAPHICS = 4.5, 3


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


def test_a_bar_says_what_it_is(show) -> None:
    """Under the mouse a bar's day, part and number stand side by side, each wide enough."""
    page = show().page
    page.locator("[data-chart=days] [aria-roledescription=bar]").first.hover()
    cells = page.locator("#vg-tooltip-element td")
    cells.first.wait_for()
    told = ["Day, UTC", "2025-03-01", "Calls", "Attributed", "How many", "3"]
    assert cells.all_inner_texts() == told
    cut = "cells => cells.filter(cell => cell.scrollWidth > cell.clientWidth).length"
    assert page.eval_on_selector_all("#vg-tooltip-element td", cut) == 0


def test_every_term_has_a_definition(show) -> None:
    """Each marked term names an entry of the list at the end of the page."""
    missing = """all => all.map(one => one.dataset.term)
        .filter(term => !document.getElementById('def-' + term)?.textContent)"""
    assert show().page.eval_on_selector_all("[data-term]", missing) == []
