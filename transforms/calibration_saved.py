"""Callers who called before: `saved_number_calls_per_day`, `known_caller_factor` (SPEC 8)."""

import math

import numpy as np
import polars as pl

from schemas.config import Account
from transforms.calibration import Parameters
from transforms.calibration_contacts import DAY, SECOND, find_own_pairs, number_code, under_way
from transforms.calibration_evidence import DAY_SECONDS, MEANS
from transforms.calibration_pools import entry_models, pool_names, with_entry
from transforms.calibration_results import Interval, SavedFit
from transforms.callers import CALLER

PRIOR_CALLS = 5.0
# A pool with fewer repeat calls has the account's rate.
LEAST_REPEATS = 50
STEPS = 100
LEAST = 1e-9
# From the 5th to the 95th of 100: so many standard deviations.
SPREAD = 1.645


def fit_known(
    calls: pl.DataFrame, contacts: pl.DataFrame, settings: Account, now: Parameters
) -> dict[str | None, SavedFit]:
    """What callers do who called before: of the account (None), and of each pool with enough repeat
    calls that is not all there is, the account being its prior.

    calls: account, caller_key, tracking_number, start (us), of all inbound calls. contacts:
    visitor_id, tracking_number, time (us). now: the account's fit, for what contacts make of calls.
    """
    until = int(max(contacts["time"].to_numpy().max(), calls["start"].to_numpy().max()))
    told = _with_rates(calls, contacts, settings, now, until)
    waits = find_waits(told, until, settings.lookback_days)
    usual = (settings.saved_number_calls_per_day, settings.known_caller_factor)
    every = fit_saved(waits, usual)
    found: dict[str | None, SavedFit] = {None: every}
    for (pool,), of_pool in waits.partition_by("pool", as_dict=True).items():
        repeats = int(of_pool["called"].sum())
        if pool is not None and LEAST_REPEATS <= repeats < every.repeated:
            found[str(pool)] = fit_saved(of_pool, (every.rate.value, every.factor.value))
    return found


def _with_rates(
    calls: pl.DataFrame, contacts: pl.DataFrame, settings: Account, now: Parameters, until: int
) -> pl.DataFrame:
    """Adds to calls: pool; window (us); `others`, what contacts with the number are expected to
    make, calls a day; `usual`, all calls to the number, a day. until: the end of the data (us)."""
    numbers = contacts["tracking_number"].unique().sort()
    placed = with_entry(calls, "start", settings).with_columns(number_code(numbers))
    models = entry_models(settings)
    windows = np.array([model.match_window_minutes * 60 for model in models])
    window = windows[placed["entry"].to_numpy()]
    shown = placed.with_row_index("row").filter(pl.col("number").is_not_null())
    pairs = find_own_pairs(
        under_way(contacts, numbers), shown["start"].to_numpy(), shown["number"].to_numpy()
    )
    row = shown["row"].to_numpy()[pairs.call]
    rate = np.exp(-pairs.delay[:, None] / MEANS) @ (now.shares / MEANS) * now.call_probability
    others = np.bincount(row, rate * (pairs.delay <= window[row]), calls.height) * DAY_SECONDS
    names = pl.Series(pool_names(settings), dtype=pl.String)
    first = min(contacts["time"].to_numpy().min(), calls["start"].to_numpy().min())
    days = until // DAY + 1 - first // DAY
    return placed.with_columns(
        names.gather(placed["entry"]).alias("pool"),
        pl.Series("window", np.round(window * SECOND).astype(np.int64)),
        pl.Series("others", others),
        (pl.len().over("tracking_number") / days).alias("usual"),
    )


def find_waits(calls: pl.DataFrame, until: int, lookback_days: float) -> pl.DataFrame:
    """After each call by a known caller: pool; `waited` (days) for the next one; `called`, whether
    it came; `others` of that call; `usual` of the number.

    calls: CALLER, tracking_number, start (us), pool, window (us), others, usual. A caller is waited
    for from the match window after each call (sooner the same visit may explain the next one) to
    the next call, the end of the data, `until` (us), or the lookback.
    """
    by = [*CALLER, "tracking_number"]
    lookback = round(lookback_days * DAY)
    gap = pl.col("start").shift(-1).over(by) - pl.col("start")
    ended = pl.min_horizontal(gap.fill_null(until - pl.col("start")), lookback)
    return (
        calls.filter(pl.col("caller_key").is_not_null())
        .sort(*by, "start")
        .select(
            "pool",
            ((ended - pl.col("window")) / DAY).alias("waited"),
            (gap <= lookback).fill_null(False).alias("called"),
            pl.col("others").shift(-1).over(by),
            "usual",
        )
        .filter(pl.col("waited") > 0)
    )


def fit_saved(waits: pl.DataFrame, usual: tuple[float, float]) -> SavedFit:
    """How often a caller calls the number again because they kept it, and how often otherwise.

    waits: find_waits. usual: rate and factor before anything is seen, worth PRIOR_CALLS each. A
    repeat call is shared out between the rate of kept numbers and the factor times the others
    (expectation); the rate is then its share over the days, the factor its share over the calls
    that anybody would have made to the number (maximisation). A repeat call by mere chance is not
    told from a kept number. Bounds: those of a Poisson count of the calls shared out, without the
    prior's.
    """
    days = float(waits["waited"].sum())
    anybodys = float((waits["waited"] * waits["usual"]).sum())
    others = waits.filter("called")["others"].to_numpy()
    usual_rate, usual_factor = (max(value, LEAST) for value in usual)
    rate, factor, chance = usual_rate, usual_factor, 0.0
    for _ in range(STEPS):
        chance = float((factor * others / (rate + factor * others)).sum())
        rate = (len(others) - chance + PRIOR_CALLS) / (days + PRIOR_CALLS / usual_rate)
        factor = (chance + PRIOR_CALLS) / (anybodys + PRIOR_CALLS / usual_factor)
        factor = min(factor, 1.0)
    kept = _bounded(rate, len(others) - chance, days)
    return SavedFit(kept, _bounded(factor, chance, anybodys), len(others), days, chance)


def _bounded(value: float, seen: float, exposed: float) -> Interval:
    """Bounds of a rate by so many calls over an exposure; the value lies within.

    Garwood (1936, Fiducial Limits for the Poisson Distribution), quantiles of chi-square by Wilson
    and Hilferty.
    """
    exposed = max(exposed, LEAST)
    low = seen * max(1 - 1 / (9 * seen) - SPREAD / (3 * math.sqrt(seen)), 0) ** 3 if seen else 0.0
    more = seen + 1
    high = more * (1 - 1 / (9 * more) + SPREAD / (3 * math.sqrt(more))) ** 3
    return Interval(value, min(value, low / exposed), max(value, high / exposed))
