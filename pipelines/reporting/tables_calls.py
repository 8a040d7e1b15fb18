"""Tables of calls: decisions, days, sources."""

from datetime import date

import polars as pl

from pipelines.reporting import words
from pipelines.reporting.tables import (
    CALLS,
    EXPECTED,
    SHARE,
    Column,
    Results,
    Table,
    label,
    largest,
    share,
    sum_of,
    totals,
)

SOURCES_SHOWN, OTHERS_SHOWN = 15, 12
NO_SOURCE = "(no source)"


def reasons_table(results: Results) -> Table:
    """Calls of no decided source by why, and their share of all calls."""
    calls = results["calls"]
    total = sum_of(calls, "calls")
    rows = (
        calls.filter(pl.col("status").is_in(["ambiguous", "unattributed"]))
        .group_by("reason", "status")
        .agg(pl.col("calls").sum())
        .sort("calls", "reason", descending=[True, False])
        .select(
            pl.col("reason")
            .replace({key: title for key, (title, _) in words.TERMS.items()})
            .alias("label"),
            pl.col("reason").alias("term"),
            pl.col("status").replace(words.STATUSES).alias("note"),
            pl.col("status").alias("part"),
            "calls",
            share=pl.col("calls") / total,
        )
    )
    in_all = totals(rows, ["calls"], "Together")
    return Table(
        "reasons",
        label("Why"),
        [CALLS, SHARE],
        rows.to_dicts(),
        {**in_all, "share": share(in_all["calls"], total)},
    )


def methods_table(results: Results) -> Table:
    """Attributed calls by the rule that decided, and how many are expected to be wrong."""
    rows = (
        results["calls"]
        .filter(status="attributed")
        .group_by("method")
        .agg(pl.col("calls", "doubt").sum())
        .sort("calls", "method", descending=[True, False])
        .with_columns(label=pl.col("method").replace(words.METHODS))
    )
    doubt = Column("doubt", "Expected wrong", "decimal", "doubt")
    return Table(
        "methods",
        label("Decided by"),
        [CALLS, doubt],
        rows.to_dicts(),
        totals(rows, ["calls", "doubt"]),
        "calls",
    )


def accounts_table(results: Results) -> Table:
    """Calls by account and decision."""
    rows = _by_status(results["calls"], "account").rename({"account": "label"}).sort("label")
    return Table(
        "accounts",
        label("Account"),
        _status_columns(),
        rows.to_dicts(),
        totals(rows, ["calls", *words.STATUSES]),
        "calls",
    )


def days_table(results: Results, days: list[date]) -> Table:
    """Calls by day and decision; days without calls too."""
    by_day = _by_status(results["calls"], "day")
    rows = pl.DataFrame({"day": days}, {"day": pl.Date}).join(by_day, on="day", how="left")
    rows = rows.fill_null(0).with_columns(label=pl.col("day").cast(pl.String))
    columns = ["calls", *words.STATUSES]
    return Table(
        "days", label("Day, UTC"), _status_columns(), rows.to_dicts(), totals(rows, columns)
    )


def _status_columns() -> list[Column]:
    return [CALLS, *(Column(key, title, term=key) for key, title in words.STATUSES.items())]


def _by_status(calls: pl.DataFrame, key: str) -> pl.DataFrame:
    return calls.group_by(key).agg(
        pl.col("calls").sum(),
        *(pl.col("calls").filter(status=status).sum().alias(status) for status in words.STATUSES),
    )


def by_source(results: Results) -> pl.DataFrame:
    """Calls by source, medium and channel: label, note, calls, qualified, first, expected."""
    return _counted(
        results["sources"].with_columns(
            label=_source_name(),
            note=pl.when(pl.col("source").is_null())
            .then(pl.lit(words.NO_SOURCE))
            .otherwise(pl.coalesce("channel", pl.lit(""))),
        ),
    )


def _counted(rows: pl.DataFrame) -> pl.DataFrame:
    """Added up by label and note, the most calls first."""
    counts = ("calls", "expected_calls", "qualified_calls", "first_calls")
    return (
        rows.group_by("label", "note")
        .agg(pl.col(name).sum() for name in counts if name in rows.columns)
        .sort("calls", "expected_calls", "label", "note", descending=[True, True, False, False])
    )


def _source_name() -> pl.Expr:
    named = pl.format("{} / {}", pl.col("source"), pl.col("medium").fill_null("(not set)"))
    return pl.when(pl.col("source").is_null()).then(pl.lit(NO_SOURCE)).otherwise(named)


def sources_table(results: Results) -> Table:
    """Calls by source and medium, counted and expected as in conversions_by_source."""
    rows, counts = by_source(results), ["calls", "expected_calls", "qualified_calls", "first_calls"]
    is_named = pl.col("label") != NO_SOURCE
    shown = largest(rows.filter(is_named), counts, SOURCES_SHOWN)
    return Table(
        "sources",
        label("Source / medium", "source"),
        [
            CALLS,
            EXPECTED,
            Column("qualified_calls", "Qualified", term="qualified"),
            Column("first_calls", "First", term="first"),
        ],
        shown + rows.filter(~is_named).with_columns(is_rest=True).to_dicts(),
        totals(rows, counts),
        "calls",
    )


def campaigns_table(results: Results) -> Table:
    """Calls by campaign, counted and expected as in conversions_by_source."""
    named = results["sources"].filter(pl.col("campaign").is_not_null())
    rows = _counted(named.with_columns(label=pl.col("campaign"), note=_source_name()))
    return _top("campaigns", label("Campaign", "campaign"), rows)


def keywords_table(results: Results) -> Table:
    """Calls by keyword, counted and expected."""
    named = results["keywords"].with_columns(label=pl.col("keyword"), note=_source_name())
    return _top("keywords", label("Keyword", "keyword"), _counted(named))


def _top(key: str, first: Column, rows: pl.DataFrame) -> Table:
    counts = ["calls", "expected_calls"]
    return Table(
        key,
        first,
        [CALLS, EXPECTED],
        largest(rows, counts, OTHERS_SHOWN),
        totals(rows, counts),
        "calls",
    )
