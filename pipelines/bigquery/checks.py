"""What must hold before a row is written: places, tables as they should be, and limits."""

from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import polars as pl

from pipelines.bigquery.limits import Limits
from pipelines.bigquery.names import Place
from pipelines.bigquery.plan import Plan, check_locations, check_region, make_plan
from pipelines.bigquery.service import Service
from pipelines.bigquery.wanted import State, without_absent_detail
from pipelines.output import OutputError
from schemas.tables import DEAD_LETTERS

SHOWN = 5
NOT_ALLOWED = "rows may not be written there, by allowed_locations:"
NOT_RIGHT = "BigQuery is not as it should be, see attribeam tables diff and apply:"
BEYOND_LIMITS = "BigQuery would not take this run:"


def check_places(
    service: Service,
    wanted: State,
    places: Collection[Place],
    controls: Collection[Place],
    region: str | None,
    *,
    detail: bool,
    seen: State | None = None,
) -> tuple[State, Plan]:
    """What there is, and the plan for what is missing; seen: what there was a moment ago.

    Raises OutputError where a dataset would lie or the run works outside the allowed locations,
    or where a table is not as it should be (location, expiration, schema, key).
    """
    everywhere = [*places, *controls]
    raise_found([*check_locations(everywhere), *check_region(everywhere, region)], NOT_ALLOWED)
    actual = seen or service.read_state(wanted)
    asked = wanted if detail else without_absent_detail(wanted, actual)
    plan = make_plan(asked, actual, places)
    raise_found([*plan.unmet], NOT_RIGHT)
    return actual, plan


def raise_found(found: list[str], heading: str = BEYOND_LIMITS) -> None:
    """Raises OutputError with the first of what was found, and how much more there is."""
    if found:
        more = len(found) - SHOWN
        rest = [f"and {more} more"] if more > 0 else []
        raise OutputError("\n".join([heading, *found[:SHOWN], *rest, "nothing was written"]))


def check_limits(
    replaced: pl.DataFrame, largest_rows: Iterable[tuple[str, int]], limits: Limits
) -> Iterator[str]:
    """Says what of a run the service would not take.

    replaced: table, account, day. largest_rows: by table, the bytes of the largest row.
    """
    days = replaced.group_by("table", "account").agg(pl.n_unique("day").alias("days"))
    for row in days.filter(pl.col("days") > limits.partitions_per_job).iter_rows(named=True):
        yield (
            f"account {row['account']}: {row['days']:,} days of {row['table']} would be replaced "
            f"at once, the limit is {limits.partitions_per_job:,}: give parts with --from and --to"
        )
    for table, size in largest_rows:
        if size > limits.row_bytes:
            yield (
                f"a row of {table} has {size:,} bytes, the limit is {limits.row_bytes:,}: leave "
                "the event it comes from out of the input"
            )


def check_loads(dataset: str, loads: int, limits: Limits) -> Iterator[str]:
    """Says where today's loads into the journal of a control dataset are used up."""
    if loads >= limits.loads_per_table_per_day:
        yield (
            f"dataset {dataset}: {loads:,} backfills were written today, the limit of loads into "
            f"one table is {limits.loads_per_table_per_day:,} a day: wait for tomorrow (UTC), or "
            "give more days and accounts to one run"
        )


def largest_payloads(files: Iterable[Path]) -> list[tuple[str, int]]:
    """The bytes of the largest dead letter; no other column has a size that a sender decides."""
    payloads = [pl.read_parquet(file, columns=["payload"]) for file in files]
    sizes = [size for part in payloads for size in part["payload"].bin.size().drop_nulls()]
    return [(DEAD_LETTERS.name, max(sizes, default=0))]
