"""`attribeam report`: one HTML file that shows what a warehouse holds (docs/report.md)."""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from pipelines.reporting import words
from pipelines.reporting.charts import all_charts
from pipelines.reporting.figures import all_tables, headline, lead
from pipelines.reporting.page import render
from pipelines.reporting.source import QUERIES, DuckdbSource, Parameters, Source
from pipelines.views import DATABASE
from pipelines.warehouse import LocalWarehouse

PAGE = "report.html"


class ReportError(Exception):
    """The report cannot be made; the message says what, where and what to do."""


@dataclass(frozen=True)
class Report:
    """What was written: where, how many calls it shows, and their days in words."""

    path: Path
    calls: int
    period: str


def write_report(folder: Path, html: Path | None = None, now: datetime | None = None) -> Report:
    """Writes the report on a local warehouse, by default into its folder.

    Raises ReportError where there is no warehouse, nothing in it, or the file cannot be written;
    a file that was there before is then as it was.
    """
    LocalWarehouse(folder).recover()
    if not (folder / DATABASE).exists():
        raise ReportError(f"{folder}: no warehouse there; make one with attribeam backfill")
    path = html or folder / PAGE
    try:
        with DuckdbSource(folder) as source:
            context = page_context(source, now or datetime.now(UTC))
    except duckdb.Error as error:
        raise ReportError(
            f"{folder / DATABASE}: cannot be read ({type(error).__name__}); run attribeam backfill "
            "again, which writes it anew, or wait until the run that writes there has ended"
        ) from error
    _write(path, render(context))
    return Report(path, context["head"].calls, context["period"])


def page_context(source: Source, made: datetime) -> dict[str, Any]:
    """What the page shows of a warehouse. Raises ReportError where it holds nothing."""
    everyone: Parameters = {"account": None}
    period = source.rows("period", everyone).row(0, named=True)
    if not (period["calls"] or period["sessions"] or period["dead_letters"]):
        raise ReportError(
            f"{source.name}: the warehouse is empty, neither calls nor sessions; run attribeam "
            "backfill on your events first"
        )
    days = _days(period)
    bounds = {"first_day": days[0], "last_day": days[-1]} if days else {}
    parameters: Parameters = {"first_day": None, "last_day": None, **everyone, **bounds}
    results = {query: source.rows(query, parameters) for query in QUERIES}
    head, tables = headline(results), all_tables(results, days)
    return {
        "head": head,
        "lead": lead(head) if head.calls else "",
        "tables": tables,
        "charts": all_charts(results, tables),
        "terms": words.TERMS,
        "accounts": period["accounts"] or [],
        "period": _in_words(days),
        "rule_sets": period["rule_sets"],
        "warehouse": source.name,
        "written": _moment(period["written_at"]),
        "made": _moment(made),
    }


def _days(period: Mapping[str, Any]) -> list[date]:
    """Every day from the first call to the last; without calls, of the sessions."""
    kind = "call" if period["calls"] else "session"
    first, last = period[f"first_{kind}_day"], period[f"last_{kind}_day"]
    if first is None:
        return []
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def _in_words(days: list[date]) -> str:
    if not days:
        return ""
    first, last = (f"{day.day} {day:%b %Y}" for day in (days[0], days[-1]))
    return first if first == last else f"{first} to {last}"


def _moment(value: datetime | None) -> str:
    return "-" if value is None else f"{value.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _write(path: Path, text: str) -> None:
    """Writes aside and moves into place."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        aside.write_text(text, encoding="utf-8")
        aside.replace(path)
    except OSError as error:
        with suppress(OSError):
            aside.unlink()
        reason = error.strerror or type(error).__name__
        raise ReportError(
            f"{path}: the report cannot be written there ({reason}); choose another file "
            "with --html"
        ) from error
