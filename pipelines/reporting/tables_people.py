"""Tables of callers: first and repeat, answered and missed, how soon, how surely."""

from datetime import date

import polars as pl

from pipelines.reporting import words
from pipelines.reporting.tables import (
    CALLS,
    SHARE,
    Column,
    Results,
    Table,
    hour_name,
    label,
    share,
    sum_of,
    totals,
)

MISSED = ("missed", "abandoned", "busy", "failed", "voicemail")
# From, in seconds; the last has no end.
DELAY_STEPS = (0, 10, 30, 60, 120, 300, 600, 1200, 1800)
DELAY_LABELS = (
    "under 10 s",
    "10-30 s",
    "30-60 s",
    "1-2 min",
    "2-5 min",
    "5-10 min",
    "10-20 min",
    "20-30 min",
    "over 30 min",
)


def callers_table(results: Results, days: list[date]) -> Table:
    """Calls by day and whether the caller had called before; days without calls too."""
    found = results["callers"]
    by_day = found.group_by("day").agg(
        pl.col("calls").filter(caller=caller).sum().alias(caller) for caller in words.CALLERS
    )
    rows = pl.DataFrame({"day": days}, {"day": pl.Date}).join(by_day, on="day", how="left")
    rows = rows.fill_null(0).with_columns(label=pl.col("day").cast(pl.String))
    columns = [Column(key, title, term=key) for key, title in words.CALLERS.items()]
    return Table(
        "callers", label("Day, UTC"), columns, rows.to_dicts(), totals(rows, [*words.CALLERS])
    )


def answers_table(results: Results) -> Table:
    """Inbound calls by how they ended."""
    counts = {
        status: sum_of(results["answers"].filter(pl.col("call_status").eq_missing(status)), "calls")
        for status in words.CALL_STATUSES
    }
    total = sum(counts.values())
    rows = [
        {"label": words.CALL_STATUSES[status], "calls": calls, "share": share(calls, total)}
        for status, calls in counts.items()
        if calls
    ]
    return Table(
        "answers",
        label("How inbound calls ended", "missed"),
        [CALLS, SHARE],
        rows,
        {"label": "All inbound", "calls": total, "share": share(total, total)},
        "calls",
    )


def _answers_by_hour(results: Results) -> pl.DataFrame:
    """Inbound calls by hour of the day, 0 to 23 in UTC: answered, missed, unknown."""
    status = pl.col("call_status")
    counted = (
        results["answers"]
        .group_by(pl.col("hour").cast(pl.Int64))
        .agg(
            pl.col("calls").filter(status == "answered").sum().alias("answered"),
            pl.col("calls").filter(status.is_in(MISSED)).sum().alias("missed"),
            pl.col("calls").filter(status.is_null()).sum().alias("unknown"),
        )
    )
    return pl.DataFrame({"hour": range(24)}).join(counted, on="hour", how="left").fill_null(0)


def answers_by_hour_table(results: Results) -> Table:
    """Inbound calls by hour of the day: answered, missed, unknown."""
    rows = _answers_by_hour(results).with_columns(label=hour_name())
    columns = [
        Column("answered", "Answered"),
        Column("missed", "Missed", term="missed"),
        Column("unknown", "Not known"),
    ]
    in_all = totals(rows, [column.key for column in columns])
    return Table("answers_by_hour", label("Hour, UTC"), columns, rows.to_dicts(), in_all)


def _delay_steps(results: Results) -> pl.DataFrame:
    """Calls by steps of the time from page to call: label, calls, in the order of the steps."""
    steps = pl.DataFrame({"step": range(len(DELAY_STEPS)), "label": DELAY_LABELS})
    reached = [pl.col("delay_seconds") >= edge for edge in DELAY_STEPS[1:]]
    counted = (
        results["delays"]
        .group_by(pl.sum_horizontal(reached).cast(pl.Int64).alias("step"))
        .agg(pl.col("calls").sum())
    )
    return steps.join(counted, on="step", how="left").with_columns(pl.col("calls").fill_null(0))


def delays_table(results: Results) -> Table:
    """Calls decided by the number on the screen, by the time since it was last shown."""
    rows = _delay_steps(results)
    return Table(
        "delays",
        label("Time from page to call", "delay"),
        [CALLS],
        rows.to_dicts(),
        totals(rows, ["calls"]),
    )


def _certainty_steps(results: Results) -> pl.DataFrame:
    """Attributed calls by tens of percent of their probability, from the least on: label, calls."""
    found = results["certainty"].with_columns(pl.col("percent").cast(pl.Int64))
    least = found["percent"].min()
    if least is None:
        return pl.DataFrame(schema={"label": pl.String, "calls": pl.Int64})
    steps = pl.DataFrame({"percent": range(int(str(least)), 101, 10)})
    tens = pl.format("{}-{}%", "percent", pl.col("percent") + 10)
    name = pl.when(pl.col("percent") == 100).then(pl.lit("exactly 100%")).otherwise(tens)
    return steps.join(found, on="percent", how="left").select(
        name.alias("label"), pl.col("calls").fill_null(0)
    )


def certainty_table(results: Results) -> Table:
    """Attributed calls by the probability of the decision."""
    rows = _certainty_steps(results)
    return Table(
        "certainty",
        label("Probability", "certainty"),
        [CALLS],
        rows.to_dicts(),
        totals(rows, ["calls"]),
    )
