"""Figures of scored calls: shares, precision, recall, losses, calibration."""

import math
from collections.abc import Sequence
from typing import Any

import polars as pl

from pipelines.evaluation.scoring import OUTCOMES

Metrics = dict[str, Any]
BINS = 10
MINUTE = 60.0
# Where a column is cut for a table by its values: upper bounds, exclusive, and their names.
CUTS: dict[str, tuple[list[float], list[str]]] = {
    "n_candidates": ([1, 2, 3, 6], ["0", "1", "2", "3 to 5", "6 or more"]),
    "delay_seconds": (
        [MINUTE, 5 * MINUTE, 15 * MINUTE],
        ["under 1 min", "1 to 5 min", "5 to 15 min", "15 min or more"],
    ),
    "load": ([1, 2, 4, 8], ["under 1", "1 to 2", "2 to 4", "4 to 8", "8 or more"]),
}


def measure(scored: pl.DataFrame) -> Metrics:
    """Figures of scored calls (scoring.score); ratios over nothing are None.

    Shares of all calls by outcome; precision = right / attributed; recall = right / calls with a
    true session; log_loss and brier, means over all explanations; ece, see calibration_error.
    """
    size = scored.height
    counts = dict(scored.group_by("outcome").len().iter_rows())
    number = {name: counts.get(name, 0) for name in OUTCOMES}
    attributed = number["right"] + number["wrong"]
    with_session = scored["true_session_id"].count()
    return {
        "calls": size,
        "attributed": ratio(attributed, size),
        **{name: ratio(number[name], size) for name in OUTCOMES},
        "precision": ratio(number["right"], attributed),
        "recall": ratio(number["right"], with_session),
        "log_loss": scored["log_loss"].mean(),
        "brier": scored["brier"].mean(),
        "ece": calibration_error(scored),
        "wrong_calls": number["wrong"],
    }


def ratio(part: float, whole: float) -> float | None:
    """part / whole; None where there is no whole."""
    return part / whole if whole else None


def reliability(scored: pl.DataFrame, bins: int = BINS) -> pl.DataFrame:
    """Calls by confidence in equal bins: bin (its lower bound), calls, confidence (mean),
    confirmed (share of calls whose likeliest explanation was true)."""
    place = (pl.col("confidence") * bins).floor().clip(0, bins - 1)
    return (
        scored.group_by((place / bins).round(6).alias("bin"))
        .agg(
            pl.len().alias("calls"),
            pl.col("confidence").mean(),
            pl.col("is_confirmed").mean().alias("confirmed"),
        )
        .sort("bin")
    )


def calibration_error(scored: pl.DataFrame, bins: int = BINS) -> float | None:
    """Expected calibration error: mean over calls of |confidence - share confirmed| of their bin.

    Of the likeliest explanation, ten bins of equal width (Guo et al. 2017, On Calibration of Modern
    Neural Networks, section 2). None without calls.
    """
    return table_error(reliability(scored, bins))


def table_error(table: pl.DataFrame) -> float | None:
    """The calibration error of a reliability table."""
    gaps = (table["confidence"] - table["confirmed"]).abs() * table["calls"]
    return ratio(math.fsum(gaps), int(table["calls"].sum()))


def chance_error(table: pl.DataFrame) -> float | None:
    """The calibration error that chance alone is expected to give a table of perfect probabilities.

    Of n calls confirmed with probability p the share lies sqrt(2 p (1 - p) / (pi n)) from p on
    average (normal approximation): so a small table looks miscalibrated.
    """
    spread = table["confidence"] * (1 - table["confidence"]) * table["calls"]
    chance = (spread.clip(0) * 2 / math.pi).sqrt()
    return ratio(math.fsum(chance), int(table["calls"].sum()))


def pool_tables(tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Reliability tables of several sets of calls as the table of all calls."""
    means = (
        (pl.col(name) * pl.col("calls")).sum() / pl.col("calls").sum()
        for name in ("confidence", "confirmed")
    )
    counts = pl.col("calls").sum()
    return pl.concat(tables).group_by("bin").agg(counts.alias("calls"), *means).sort("bin")


def measure_by(scored: pl.DataFrame, column: str) -> list[Metrics]:
    """Figures for each value of a column, or for each part of it that CUTS names."""
    values = pl.col(column)
    if column in CUTS:
        bounds, names = CUTS[column]
        values = values.cast(pl.Float64).bin_intervals(bounds, labels=names)
    parts = scored.with_columns(values.alias("part")).drop_nulls("part").sort("part")
    return [
        {column: str(value)} | measure(rows)
        for (value,), rows in parts.partition_by("part", as_dict=True).items()
    ]


def with_load(scored: pl.DataFrame, displays: pl.DataFrame) -> pl.DataFrame:
    """Adds `load`: sessions that saw a number of the account in the clock hour of the call, for
    each of its numbers; null where there are no displays."""
    hour = (pl.col("time") // 3_600_000_000).alias("hour")
    numbers = displays.group_by("account").agg(pl.col("tracking_number").n_unique().alias("of"))
    sessions = displays.group_by("account", hour).agg(
        pl.struct("visitor_id", "session_id").n_unique().alias("sessions")
    )
    loads = sessions.join(numbers, on="account").select(
        "account", "hour", (pl.col("sessions") / pl.col("of")).alias("load")
    )
    return (
        scored.with_columns((pl.col("start") // 3_600_000_000).alias("hour"))
        .join(loads, on=["account", "hour"], how="left", maintain_order="left")
        .drop("hour")
    )
