"""What probabilities say beside what is true: reliability tables and calibration errors."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

BINS = 10
# Of each bin: calls, the sum of what was said of them, how many were confirmed.
Sums = NDArray[np.float64]
# A reliability table: of each bin that has calls `bin` (its lower bound), `calls`, `confidence`
# (mean), `confirmed` (share).
Table = Sequence[dict[str, Any]]


class Summary(NamedTuple):
    """How many calls, what was said of them on average, how many were true, calibration error."""

    calls: int
    said: float | None
    true: float | None
    ece: float | None


def count_bins(scored: pl.DataFrame) -> Sums:
    """Calls by confidence in equal bins; scored: confidence, is_confirmed."""
    said = scored["confidence"].to_numpy()
    place = np.clip((said * BINS).astype(np.int64), 0, BINS - 1)
    sums = np.zeros((BINS, 3))
    confirmed = scored["is_confirmed"].cast(pl.Float64).to_numpy()
    for column, values in enumerate((np.ones(len(said)), said, confirmed)):
        np.add.at(sums[:, column], place, values)
    return sums


def reliability(scored: pl.DataFrame) -> Table:
    """The reliability table of calls by their likeliest explanation."""
    return as_table(count_bins(scored))


def as_table(sums: Sums) -> Table:
    """Sums as a table."""
    return [
        {
            "bin": place / BINS,
            "calls": round(calls),
            "confidence": float(said / calls),
            "confirmed": float(confirmed / calls),
        }
        for place, (calls, said, confirmed) in enumerate(sums)
        if calls
    ]


def as_sums(table: Table) -> Sums:
    """A table as sums, which can be added."""
    sums = np.zeros((BINS, 3))
    for row in table:
        calls = row["calls"]
        sums[round(row["bin"] * BINS)] += (
            calls, calls * row["confidence"], calls * row["confirmed"],
        )  # fmt: skip
    return sums


def sums_error(sums: Sums) -> float | None:
    """Expected calibration error: mean over calls of |confidence - share confirmed| of their bin.

    Ten bins of equal width (Guo et al. 2017, On Calibration of Modern Neural Networks, section 2).
    None without calls.
    """
    calls, said, confirmed = sums.T
    return ratio(np.abs(said - confirmed).sum(), calls.sum())


def calibration_error(scored: pl.DataFrame) -> float | None:
    """The calibration error of calls by their likeliest explanation."""
    return sums_error(count_bins(scored))


def chance_error(sums: Sums) -> float | None:
    """The calibration error that chance alone is expected to give perfect probabilities.

    Of n calls confirmed with probability p the share lies sqrt(2 p (1 - p) / (pi n)) from p on
    average (normal approximation): so a small table looks miscalibrated.
    """
    calls, said, _ = sums[sums[:, 0] > 0].T
    spread = (said * (1 - said / calls)).clip(0)
    return ratio(np.sqrt(spread * 2 / math.pi).sum(), calls.sum())


def of_rows(scored: pl.DataFrame) -> pl.DataFrame:
    """Attributed calls, `confidence` the row's probability, `is_confirmed` whether its session is
    the right one: what a reader takes the probability for."""
    attributed = scored.filter(pl.col("status") == "attributed")
    return attributed.with_columns(
        pl.col("probability").alias("confidence"),
        (pl.col("outcome") == "right").alias("is_confirmed"),
    )


def tables_by(scored: pl.DataFrame, column: str) -> dict[str, Table]:
    """The reliability tables of calls by a column, in its order; without those of null."""
    parts = scored.drop_nulls(column).sort(column).partition_by(column, as_dict=True)
    return {str(value): reliability(part) for (value,), part in parts.items()}


def summary(sums: Sums) -> Summary:
    """A table in one line."""
    calls, said, confirmed = sums.sum(axis=0)
    return Summary(round(calls), ratio(said, calls), ratio(confirmed, calls), sums_error(sums))


def ratio(part: float, whole: float) -> float | None:
    """part / whole; None where there is no whole."""
    return float(part / whole) if whole else None
