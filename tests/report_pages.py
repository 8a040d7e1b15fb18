"""The report in a browser, and what it shows there."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Page, ViewportSize

DESK, PHONE = ViewportSize(width=1280, height=800), ViewportSize(width=360, height=740)
STATUSES = ("attributed", "ambiguous", "unattributed", "excluded")
# `attribeam report` with some arguments: its exit code, stdout and stderr.
Report = Callable[..., tuple[int, str, str]]


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


Show = Callable[..., Shown]
