"""Figures of scored calls: shares, precision, recall, losses, calibration."""

from typing import Any

import polars as pl

from pipelines.evaluation.reliability import calibration_error, ratio
from pipelines.evaluation.scoring import OUTCOMES

Metrics = dict[str, Any]
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
    true session; log_loss and brier, means over all explanations; ece, see
    reliability.calibration_error.
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
