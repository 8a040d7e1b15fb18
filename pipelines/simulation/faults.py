"""What goes wrong with data on its way: losses, refusals, repetitions, delays, clocks."""

import numpy as np
import polars as pl

from pipelines.simulation.draws import MINUTE, SECOND, Flags, happens, log_normal
from pipelines.simulation.pages import Traffic
from pipelines.simulation.parameters import Parameters


def arriving_pages(rng: np.random.Generator, p: Parameters, traffic: Traffic) -> Flags:
    """Page views that reach the project (with or without consent)."""
    visitor = traffic.visits.visitor[traffic.pages.visit]
    lost = happens(rng, p.lost_pageview_probability, len(traffic.pages))
    return ~lost & ~traffic.visitors.is_untracked[visitor]


def in_order_of_arrival(
    rng: np.random.Generator, p: Parameters, events: pl.DataFrame
) -> pl.DataFrame:
    """Events as they come: some twice, some late. Adds the column `arrival_ms`."""
    late = happens(rng, p.late_probability, events.height)
    after = log_normal(rng, p.late_median_minutes * MINUTE, 1.0, events.height)
    events = events.with_columns(pl.Series("arrival_ms", late * after) + pl.col("time_ms"))
    twice = pl.Series(happens(rng, p.duplicate_probability, events.height))
    again = events.filter(twice).with_columns(pl.col("arrival_ms") + SECOND)
    return pl.concat([events, again]).sort("arrival_ms", maintain_order=True)


def by_the_switch(rng: np.random.Generator, p: Parameters, calls: pl.DataFrame) -> pl.DataFrame:
    """Calls with their times by the switch's clock: adds `start_ms`."""
    jitter = p.clock_jitter_seconds * rng.standard_normal(calls.height)
    skew_ms = ((p.clock_skew_seconds + jitter) * SECOND).astype(np.int64)
    return calls.with_columns(pl.Series("start_ms", skew_ms) + pl.col("time_ms"))
