"""Probabilities of who made a call: competing Poisson processes (SPEC section 8)."""

import math

import polars as pl

from transforms.candidates import CALL
from transforms.settings import MICROSECONDS, divided

DAY_SECONDS = 86_400
DECIMALS = 9


def delay_density(delay_seconds: pl.Expr, terms: int) -> pl.Expr:
    """h(d), a mixture of exponential densities of the delay from display to call, per second.

    Reads the list columns delay_means (seconds) and delay_weights; terms: length of the longest.
    """
    density = pl.lit(0.0)
    for k in range(terms):
        mean = pl.col("delay_means").list.get(k, null_on_oob=True)
        weight = pl.col("delay_weights").list.get(k, null_on_oob=True)
        density += (divided(weight, mean) * divided(-delay_seconds, mean).exp()).fill_null(0.0)
    return density


def with_weights(candidates: pl.DataFrame, calls: pl.DataFrame) -> pl.DataFrame:
    """Adds `weight` (w_i, per second) to candidates, from the parameters of their calls."""
    parameters = calls.select(*CALL, "start", "call_probability", "delay_means", "delay_weights")
    delay_seconds = divided(pl.col("start") - pl.col("last_contact"), MICROSECONDS)
    density = delay_density(delay_seconds, _longest(calls["delay_means"]))
    return (
        candidates.join(parameters, on=CALL, maintain_order="left")
        .with_columns((pl.col("call_probability") * density).alias("weight"))
        .drop("start", "call_probability", "delay_means", "delay_weights")
    )


def _longest(lists: pl.Series) -> int:
    length = lists.list.len().max()
    return length if isinstance(length, int) else 0


def total_weights(calls: pl.DataFrame, candidates: pl.DataFrame, weight: str) -> pl.DataFrame:
    """Adds `total` to calls: the sum of their candidates' `weight`, w_none and w_saved.

    The sum is correctly rounded (math.fsum), so the order of candidates cannot show in it.
    """
    lists = candidates.group_by(CALL).agg(pl.col(weight).alias("weights"))
    summed = calls.join(lists, on=CALL, how="left", maintain_order="left").with_columns(
        pl.concat_list(
            pl.col("weights").fill_null([]), pl.col("w_none", "w_saved").fill_null(0.0)
        ).alias("weights")
    )
    totals = [math.fsum(weights) for weights in summed["weights"].to_list()]
    return summed.drop("weights").with_columns(pl.Series("total", totals, pl.Float64))


def share(weight: str, otherwise: float) -> pl.Expr:
    """A hypothesis' probability: its weight over the total; `otherwise` where all are zero."""
    whole = divided(pl.col(weight), pl.col("total"))
    return pl.when(pl.col("total") > 0).then(whole).otherwise(otherwise * (pl.col(weight) * 0 + 1))


def rounded(probability: str) -> pl.Expr:
    """A probability as it is compared."""
    return pl.col(probability).round(DECIMALS)
