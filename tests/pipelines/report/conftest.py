"""A warehouse with its report, the command, and a browser.

Needs Chromium in PATH; without it the tests that use one are skipped, or failed where
ATTRIBEAM_REQUIRE_BROWSER=1.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from playwright.sync_api import Browser, ViewportSize, sync_playwright
from report_pages import DESK, Report, Show, Shown
from report_warehouse import build

from pipelines.cli import main
from pipelines.report import write_report

NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = build(tmp_path_factory.mktemp("report"))
    write_report(folder)
    return folder


@pytest.fixture
def report(capfd: pytest.CaptureFixture[str]) -> Report:
    """Runs `attribeam report`: its exit code, stdout and stderr."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["report", *(str(argument) for argument in arguments)])
        said = capfd.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, said.out, said.err

    return run


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


@pytest.fixture
def show(browser: Browser, warehouse: Path) -> Iterator[Show]:
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
