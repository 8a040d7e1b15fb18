"""Callers who called before: `saved_number_calls_per_day`, `known_caller_factor` (SPEC 8)."""

import math
from typing import NamedTuple

import polars as pl

from schemas.config import Model
from transforms.callers import CALLER
from transforms.settings import DAY, MINUTE

PRIOR_CALLS = 5.0
# From the 5th to the 95th of 100: so many standard deviations of the logarithm.
SPREAD = 1.645


class Interval(NamedTuple):
    """A value with bounds between which it lies about nine times of ten."""

    value: float
    low: float
    high: float


class SavedFit(NamedTuple):
    """Both parameters, and the calls they rest on: repeated to the same number, made to another
    number of the account; and the days for which callers were waited for, by number."""

    rate: Interval
    factor: Interval
    repeated: int
    elsewhere: int
    caller_days: float


def fit_saved(
    calls: pl.DataFrame, until: int, model: Model, lookback_days: float, numbers: int
) -> SavedFit:
    """How often a caller calls again the number they called, and how often another.

    calls: account, caller_key, tracking_number, start (us), of all inbound calls; until: end of
    the data (us); numbers: that were displayed. A caller is waited for from the match window after
    each call (sooner the same visit may explain the next one) to the next call, the end of the data
    or the lookback. Calls to the same number over these days are the rate of kept numbers. Calls to
    other numbers were not kept from there: compared with all calls to a number they say how much
    rarer a call is by one who called before than by anybody, which is the factor. Priors: so many
    calls at the configured values. Bounds: those of a Poisson count, normal in the logarithm.
    """
    known = calls.filter(pl.col("caller_key").is_not_null())
    same, days = _waits(known, [*CALLER, "tracking_number"], until, model, lookback_days)
    seen = same + PRIOR_CALLS
    rate = seen / (days + PRIOR_CALLS / max(model.saved_number_calls_per_day, 1e-9))
    any_number, _ = _waits(known, CALLER, until, model, lookback_days)
    elsewhere = max(any_number - same, 0)
    span_days = (until - _first(calls, until)) / DAY
    usual = calls.height / max(numbers * span_days, 1e-9)
    expected = days * max(numbers - 1, 0) * usual
    others = elsewhere + PRIOR_CALLS
    factor = others / (expected + PRIOR_CALLS / max(model.known_caller_factor, 1e-9))
    return SavedFit(_bounded(rate, seen), _bounded(min(factor, 1.0), others), same, elsewhere, days)


def _waits(
    calls: pl.DataFrame, by: list[str], until: int, model: Model, lookback_days: float
) -> tuple[int, float]:
    """Calls that followed an earlier one, later than the window, and the days waited for them."""
    lookback, window = round(lookback_days * DAY), round(model.match_window_minutes * MINUTE)
    gap = pl.col("start").shift(-1).over(by) - pl.col("start")
    waited = pl.min_horizontal(gap.fill_null(until - pl.col("start")), lookback) - window
    rows = (
        calls.sort(*by, "start")
        .select(waited.alias("waited"), (gap <= lookback).fill_null(False).alias("called"))
        .filter(pl.col("waited") > 0)
    )
    return int(rows["called"].sum()), float(rows["waited"].cast(pl.Float64).sum()) / DAY


def _first(calls: pl.DataFrame, until: int) -> int:
    return int(calls["start"].to_numpy().min(initial=until))


def _bounded(value: float, seen: float) -> Interval:
    factor = math.exp(SPREAD / math.sqrt(seen))
    return Interval(value, value / factor, value * factor)
