"""`attribeam report`: one HTML file that shows what a warehouse holds (docs/report.md)."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from pipelines.bigquery.names import is_bigquery, parse_target
from pipelines.reporting import words
from pipelines.reporting.charts import all_charts
from pipelines.reporting.figures import all_tables, headline, lead
from pipelines.reporting.page import render
from pipelines.reporting.source import (
    DEAD_LETTERS,
    PERIOD,
    QUERIES,
    DuckdbSource,
    Parameters,
    Source,
)
from pipelines.reporting.tables import Results
from pipelines.views import DATABASE
from pipelines.warehouse import LocalWarehouse
from schemas.config import ConfigError

PAGE = "report.html"
# A run that commits between two queries leaves some days new and some old, so all is read again.
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


def write_report(
    output: str | Path, html: Path | None = None, account: str | None = None
) -> Report:
    """Writes the report on a folder or BigQuery project, or on one of its accounts.

    By default into the folder; for a project into the folder that the process works in.

    Raises ConfigError where the output names neither, OutputError where BigQuery does not answer,
    ReportError where there is no warehouse, nothing in it, or the file cannot be written; a file
    that was there before is then as it was.
    """
    if html and not html.parent.is_dir():
        raise _unwritable(html, f"{html.parent} is no folder")
    with _opened(str(output)) as source:
        context = page_context(source, account, datetime.now(UTC))
    path = html or (Path() if is_bigquery(str(output)) else Path(output)) / PAGE
    _write(path, render(context))
    return Report(path, context["head"].calls, context["period"])


@contextmanager
def _opened(output: str) -> Iterator[Source]:
    if is_bigquery(output):
        # Google's client takes a second to import, which a local report need not wait for.
        from pipelines.bigquery.service import connect  # noqa: PLC0415
        from pipelines.reporting.bigquery import BigQuerySource  # noqa: PLC0415

        yield BigQuerySource(connect(parse_target(output).project))
        return
    if "://" in output:
        raise ConfigError(f"--output {output}: name a folder or bigquery://PROJECT[/LOCATION]")
    folder = Path(output)
    LocalWarehouse(folder).recover()
    if not (folder / DATABASE).exists():
        raise ReportError(f"{folder}: no warehouse there; make one with attribeam backfill")
    try:
        with DuckdbSource(folder) as source:
            yield source
    except duckdb.Error as error:
        raise ReportError(
            f"{folder / DATABASE}: cannot be read ({type(error).__name__}); where a run is writing "
            "there, wait until it has ended; otherwise attribeam backfill writes it anew"
        ) from error


def page_context(source: Source, account: str | None, made: datetime) -> dict[str, Any]:
    """What the page shows. Raises ReportError where the source holds nothing."""
    period, results, is_at_rest = _read(source, account)
    days = _days(period)
    head, tables = headline(results), all_tables(results, days)
    return {
        "head": head,
        "lead": lead(head) if head.calls else "",
        "tables": tables,
        "charts": all_charts(results, tables),
        "terms": words.TERMS,
        "accounts": period["accounts"],
        "period": _in_words(days),
        "rule_sets": ", ".join(period["rule_sets"]),
        "warehouse": source.name,
        "written": _moment(period["written_at"]),
        "is_at_rest": is_at_rest,
        "made": _moment(made),
    }


def _read(source: Source, account: str | None) -> tuple[dict[str, Any], Results, bool]:
    """What the source holds, the results of all queries, and whether they are of one moment.

    A stream may never let it rest, so the last reading is taken as it is.
    """
    held = _held(source, account)
    for _ in range(READINGS):
        period = _period(held[PERIOD])
        days = _days(period)
        first, last = (days[0], days[-1]) if days else (None, None)
        parameters: Parameters = {"account": account, "first_day": first, "last_day": last}
        results = held | source.results(QUERIES.keys() - held.keys(), parameters)
        before, held = held, _held(source, account)
        if all(held[name].equals(before[name]) for name in held):
            return period, results, True
    return period, results, False


def _held(source: Source, account: str | None) -> Results:
    """The queries that say what there is, and whether a run wrote something since.

    Raises ReportError where there is nothing.
    """
    held = source.results((PERIOD, DEAD_LETTERS), {"account": account})
    if any(rows.height for rows in held.values()):
        return held
    if account is None:
        raise ReportError(f"{source.name}: the warehouse is empty; run attribeam backfill first")
    names = _period(source.results((PERIOD,), {"account": None})[PERIOD])["accounts"]
    raise ReportError(
        f"account {account!r}: not in {source.name}, which has: {', '.join(names) or 'none'}"
    )


def _period(rows: pl.DataFrame) -> dict[str, Any]:
    """What the rows of the query `period` say together."""
    first, last = pl.col("^first_.*_day$").min(), pl.col("^last_.*_day$").max()
    added = rows.select(pl.col("calls", "sessions").sum(), first, last, pl.col("written_at").max())
    return {
        **added.row(0, named=True),
        "accounts": sorted(set(rows["account"])),
        "rule_sets": sorted(set(rows["rule_set"].drop_nulls())),
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
        raise _unwritable(path, error.strerror or type(error).__name__) from error


def _unwritable(path: Path, reason: str) -> ReportError:
    return ReportError(
        f"{path}: the report cannot be written there ({reason}); choose another file with --html"
    )
