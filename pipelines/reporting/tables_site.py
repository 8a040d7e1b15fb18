"""Tables of the site: its numbers, pages and devices, and the quality of its data."""

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
    largest,
    share,
    sum_of,
    totals,
)

SHOWN = 12


def _pool_by_hour(results: Results) -> pl.DataFrame:
    """By hour of the day, 0 to 23 in UTC: label, load (visitors per number), share (shared)."""
    hours = pl.DataFrame({"hour": range(24)})
    found = results["pool_hours"].with_columns(pl.col("hour").cast(pl.Int64))
    return hours.join(found, on="hour", how="left").select(
        hour_name().alias("label"),
        load=pl.col("visitors") / pl.col("numbers"),
        share=pl.col("shared") / pl.col("visitors"),
    )


def pool_hours_table(results: Results) -> Table:
    """Load of the numbers by hour of the day."""
    rows = _pool_by_hour(results)
    columns = [
        Column("load", "Visitors per number", "decimal", "load"),
        Column("share", "Shared", "share", "shared"),
    ]
    return Table("pool_hours", label("Hour, UTC"), columns, rows.to_dicts())


def pool_numbers_table(results: Results) -> Table:
    """Displays, sessions and calls of each tracking number, as in pool_health."""
    rows = results["pool_numbers"].rename({"tracking_number": "label"})
    counts = ["displays", "sessions", "calls", "ambiguous_calls"]
    columns = [
        Column("displays", "Displays", term="displays"),
        Column("sessions", "Sessions", term="pool_sessions"),
        CALLS,
        Column("ambiguous_calls", "Ambiguous", term="ambiguous"),
    ]
    return Table(
        "pool_numbers",
        label("Tracking number", "number"),
        columns,
        largest(rows.with_columns(pl.col("label").fill_null("(none)")), counts, SHOWN),
        totals(rows, counts),
        "calls",
    )


def landing_pages_table(results: Results) -> Table:
    """Sessions and attributed calls by landing page."""
    rows = results["landing_pages"].rename({"page": "label"})
    return _visited("landing_pages", label("Landing page", "landing"), rows)


def devices_table(results: Results) -> Table:
    """Sessions and attributed calls by device."""
    return _visited("devices", label("Device"), results["devices"].rename({"device_type": "label"}))


def _visited(key: str, first: Column, rows: pl.DataFrame) -> Table:
    counts = ["sessions", "calls"]
    columns = [
        Column("calls", "Attributed", term="from_session"),
        Column("sessions", "Sessions", term="sessions"),
        Column("rate", "Per 1,000", "decimal", "rate"),
    ]
    shown = [*largest(rows, counts, SHOWN), totals(rows, counts)]
    for row in shown:
        rate = share(row["calls"], row["sessions"])
        row["rate"] = None if rate is None else rate * 1000
    return Table(key, first, columns, shown[:-1], shown[-1], "calls")


def quality_table(results: Results) -> Table:
    """What limits the data: what was not used, may change, or is not known.

    A backfill writes each call once and refuses nothing as late, so two zeros would say too much.
    """
    calls, answers, traffic = results["calls"], results["answers"], results["traffic"]
    total, inbound = sum_of(calls, "calls"), sum_of(calls.filter(direction="inbound"), "calls")
    letters, sessions = results["dead_letters"], sum_of(traffic, "sessions")
    late = sum_of(letters.filter(code="too_late"), "dead_letters")
    revised = sum_of(calls, "revised_calls")
    is_late_known = late + revised > 0
    counted: list[tuple[str | None, str, int | None, int | None]] = [
        ("dead_letters", "Dead letters", sum_of(letters, "dead_letters"), None),
        ("too_late", "of which too late", late if is_late_known else None, None),
        ("revised", "Calls changed by late events", revised if is_late_known else None, total),
        ("open", "Calls not final yet", sum_of(calls, "open_calls"), total),
        ("bots", "Sessions of robots", sum_of(traffic.filter("is_bot"), "sessions"), sessions),
        (
            "withheld",
            "Callers' numbers withheld",
            sum_of(results["callers"].filter(caller="withheld"), "calls"),
            total,
        ),
        (
            None,
            "Inbound calls whose ending is not known",
            sum_of(answers.filter(pl.col("call_status").is_null()), "calls"),
            inbound,
        ),
    ]
    rows = [
        {"label": name, "term": term, "count": count, "share": share(count, whole)}
        if count is not None
        else {"label": name, "term": term, "count": None, "share": None, "note": words.NOT_KNOWN}
        for term, name, count, whole in counted
    ]
    return Table("quality", label("What"), [Column("count", "Count"), SHARE], rows)


def dead_letters_table(results: Results) -> Table:
    """Dead letters by code and type of event."""
    found = results["dead_letters"]
    rows = found.select(
        pl.col("code").replace(words.DEAD_LETTERS).alias("label"),
        pl.format(
            "{} · {}", pl.col("code"), pl.col("event_type").fill_null("type not known")
        ).alias("note"),
        "dead_letters",
    )
    return Table(
        "dead_letters",
        label("Why it could not be used", "dead_letters"),
        [Column("dead_letters", "Events")],
        largest(rows, ["dead_letters"], SHOWN),
        totals(rows, ["dead_letters"]),
        "dead_letters",
    )
