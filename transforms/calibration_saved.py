"""Callers who called before: `saved_number_calls_per_day`, `known_caller_factor` (SPEC 8)."""

import math
from typing import NamedTuple

import polars as pl

from schemas.config import Model
from transforms.callers import CALLER
from transforms.settings import DAY, MINUTE

PRIOR_CALLS = 5.0
STEPS = 100
# From the 5th to the 95th of 100: so many standard deviations of the logarithm.
SPREAD = 1.645


class Interval(NamedTuple):
    """A value with bounds between which it lies about nine times of ten."""

    value: float
    low: float
    high: float


class SavedFit(NamedTuple):
    """Both parameters; the repeat calls and the days for which callers were waited for, by number;
    and how many of the calls are taken for calls from another visit."""

    rate: Interval
    factor: Interval
    repeated: int
    caller_days: float
    otherwise: float


def fit_saved(
    calls: pl.DataFrame, until: int, model: Model, lookback_days: float, calls_per_day: float
) -> SavedFit:
    """How often a caller calls the number again because they kept it, and how often otherwise.

    calls: account, caller_key, tracking_number, start (us), of all inbound calls, and `others`:
    what the fit says that contacts on the number make, calls a day; until: end of the data (us);
    calls_per_day: all calls to a number. A caller is waited for from the match window after each
    call (sooner the same visit may explain the next one) to the next call, the end of the data or
    the lookback. A repeat call is shared out between the rate of kept numbers and the factor times
    the others (expectation); the rate is then its share over the days, the factor its share over
    the calls that anybody would have made (maximisation). A repeat call by mere chance is not told
    from a kept number. Priors: so many calls at the configured values. Bounds: those of a Poisson
    count, normal in the logarithm.
    """
    waits = _waits(calls, until, model, lookback_days)
    days = float(waits["waited"].cast(pl.Float64).sum()) / DAY
    others = waits.filter("called")["others"].to_numpy()
    rate = usual = max(model.saved_number_calls_per_day, 1e-9)
    factor = usual_factor = max(model.known_caller_factor, 1e-9)
    kept, chance = 0.0, 0.0
    for _ in range(STEPS):
        kept = float((rate / (rate + factor * others)).sum())
        chance = len(others) - kept
        rate = (kept + PRIOR_CALLS) / (days + PRIOR_CALLS / usual)
        factor = (chance + PRIOR_CALLS) / (days * calls_per_day + PRIOR_CALLS / usual_factor)
        factor = min(factor, 1.0)
    bounds = _bounded(rate, kept + PRIOR_CALLS), _bounded(factor, chance + PRIOR_CALLS)
    return SavedFit(*bounds, len(others), days, chance)


def _waits(calls: pl.DataFrame, until: int, model: Model, lookback_days: float) -> pl.DataFrame:
    """After each call by a known caller: waited (us), whether they called again, and `others` of
    that call."""
    by = [*CALLER, "tracking_number"]
    lookback, window = round(lookback_days * DAY), round(model.match_window_minutes * MINUTE)
    gap = pl.col("start").shift(-1).over(by) - pl.col("start")
    waited = pl.min_horizontal(gap.fill_null(until - pl.col("start")), lookback) - window
    return (
        calls.filter(pl.col("caller_key").is_not_null())
        .sort(*by, "start")
        .select(
            waited.alias("waited"),
            (gap <= lookback).fill_null(False).alias("called"),
            pl.col("others").shift(-1).over(by),
        )
        .filter(pl.col("waited") > 0)
    )


def _bounded(value: float, seen: float) -> Interval:
    factor = math.exp(SPREAD / math.sqrt(seen))
    return Interval(value, value / factor, value * factor)
