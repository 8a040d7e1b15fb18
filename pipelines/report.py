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
from pipelines.reporting.tables import Results
from pipelines.views import DATABASE
from pipelines.warehouse import LocalWarehouse

PAGE = "report.html"
# A run that commits between two queries would leave the page with some days new and some old.
READINGS = 3


class ReportError(Exception):
    """The report cannot be made; the message says what, where and what to do."""


@dataclass(frozen=True)
class Report:
    """What was written: where, how many calls it shows, and their days in words."""

    path: Path
    calls: int
    period: str

    @property
    def when(self) -> str:
        """The days, to stand after the number of calls."""
        return f", {self.period}" if self.period else ""


def write_report(folder: Path, html: Path | None = None, account: str | None = None) -> Report:
    """Writes the report on a local warehouse, or one of its accounts; by default into its folder.

    Raises ReportError where there is no warehouse, nothing in it, or the file cannot be written;
    a file that was there before is then as it was.
    """
    LocalWarehouse(folder).recover()
    if not (folder / DATABASE).exists():
        raise ReportError(f"{folder}: no warehouse there; make one with attribeam backfill")
    try:
        with DuckdbSource(folder) as source:
            context = page_context(source, account, datetime.now(UTC))
    except duckdb.Error as error:
        raise ReportError(
            f"{folder / DATABASE}: cannot be read ({type(error).__name__}); where a run is writing "
            "there, wait until it has ended; otherwise attribeam backfill writes it anew"
        ) from error
    path = html or folder / PAGE
    _write(path, render(context))
    return Report(path, context["head"].calls, context["period"])


def page_context(source: Source, account: str | None, made: datetime) -> dict[str, Any]:
    """What the page shows. Raises ReportError where the source holds nothing, or keeps changing."""
    for _ in range(READINGS):
        period, results, days = _read(source, account)
        if source.rows("period", {"account": account}).row(0, named=True) == period:
            break
    else:
        raise ReportError(f"{source.name}: a run keeps writing there; wait until it has ended")
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


def _read(source: Source, account: str | None) -> tuple[dict[str, Any], Results, list[date]]:
    """What the source holds, the results of all queries, and the days that they are about."""
    period = source.rows("period", {"account": account}).row(0, named=True)
    if not (period["calls"] or period["sessions"] or period["dead_letters"]):
        if account is None:
            raise ReportError(
                f"{source.name}: the warehouse is empty; run attribeam backfill first"
            )
        known = source.rows("period", {"account": None})["accounts"][0]
        names = ", ".join(known) if known is not None else "none"
        raise ReportError(f"account {account!r}: not in {source.name}, which has: {names}")
    days = _days(period)
    first, last = (days[0], days[-1]) if days else (None, None)
    parameters: Parameters = {"account": account, "first_day": first, "last_day": last}
    return period, {query: source.rows(query, parameters) for query in QUERIES}, days


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
