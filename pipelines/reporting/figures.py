"""From the queries' results to what the page shows: headline figures and tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from pipelines.reporting import tables_calls, tables_people, tables_site, words
from pipelines.reporting.tables import Results, Table, share, sum_of

NAME_LENGTH = 40


@dataclass(frozen=True)
class Part:
    """One of the parts that all calls are divided into: its key, calls and share of all calls."""

    key: str
    title: str
    calls: int
    share: float | None


@dataclass(frozen=True)
class Headline:
    """The figures of the first screen."""

    calls: int
    inbound: int
    outbound: int
    parts: Sequence[Part]
    doubt: float
    with_source: int
    qualified: int
    first_calls: int
    missed: int
    ending_known: int
    median_delay_seconds: int | None
    top_sources: Sequence[dict[str, Any]]


def headline(results: Results) -> Headline:
    """The figures of the first screen."""
    calls, answers = results["calls"], results["answers"]
    total = sum_of(calls, "calls")
    parts = [
        Part(key, title, count, share(count, total))
        for key, title in words.STATUSES.items()
        for count in [sum_of(calls.filter(status=key), "calls")]
    ]
    sources = tables_calls.by_source(results).filter(pl.col("label") != tables_calls.NO_SOURCE)
    return Headline(
        calls=total,
        inbound=sum_of(calls.filter(direction="inbound"), "calls"),
        outbound=sum_of(calls.filter(direction="outbound"), "calls"),
        parts=parts,
        doubt=float(calls.filter(status="attributed")["doubt"].sum() or 0),
        with_source=sum_of(sources, "calls"),
        qualified=sum_of(calls, "qualified_calls"),
        first_calls=sum_of(results["callers"].filter(caller="first"), "calls"),
        missed=sum_of(answers.filter(pl.col("call_status").is_in(tables_people.MISSED)), "calls"),
        ending_known=sum_of(answers.filter(pl.col("call_status").is_not_null()), "calls"),
        median_delay_seconds=median_seconds(results["delays"]),
        top_sources=sources.head(3).to_dicts(),
    )


def median_seconds(delays: pl.DataFrame) -> int | None:
    """The delay that half of the calls do not exceed; null without calls."""
    counted = delays.sort("delay_seconds").with_columns(upto=pl.col("calls").cum_sum())
    half = counted.filter(pl.col("upto") * 2 >= pl.col("calls").sum())
    return half["delay_seconds"][0] if half.height else None


def all_tables(results: Results, days: list[date]) -> dict[str, Table]:
    """Every table of the page by its key."""
    made = [
        tables_calls.reasons_table(results),
        tables_calls.methods_table(results),
        tables_calls.accounts_table(results),
        tables_calls.days_table(results, days),
        tables_calls.sources_table(results),
        tables_calls.campaigns_table(results),
        tables_calls.keywords_table(results),
        tables_people.callers_table(results, days),
        tables_people.answers_table(results),
        tables_people.answers_by_hour_table(results),
        tables_people.delays_table(results),
        tables_people.certainty_table(results),
        tables_site.pool_hours_table(results),
        tables_site.pool_numbers_table(results),
        tables_site.landing_pages_table(results),
        tables_site.devices_table(results),
        tables_site.quality_table(results),
        tables_site.dead_letters_table(results),
    ]
    return {table.key: table for table in made}


def lead(head: Headline) -> str:
    """The first screen in two sentences."""
    calls = {part.key: part.calls for part in head.parts}
    named = [
        f"{_short(row['label'])} ({row['calls']:,})" for row in head.top_sources if row["calls"]
    ]
    told = f"{head.with_source:,} of {head.calls:,} calls have a source"
    told += f", above all to {_listed(named)}" if named else ""
    excluded = calls["excluded"]
    unknown = head.calls - head.with_source - excluded
    left = f"For {unknown:,} the source is not known" if unknown else "None is of unknown source"
    left += f", {excluded:,} {'is' if excluded == 1 else 'are'} excluded" if excluded else ""
    wrong = f", and about {head.doubt:,.0f} of those attributed are probably wrong"
    return f"{told}. {left}{wrong if head.doubt >= 0.5 else ''}."


def _listed(names: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def _short(name: str) -> str:
    """A name in a sentence: cut, and isolated, so that its direction of writing stays its own."""
    cut = name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH - 1]}…"
    return f"\u2068{cut}\u2069"
