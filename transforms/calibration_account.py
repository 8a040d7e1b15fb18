"""The fit of one account: what is used, held-out days, uncertainty, and when there is none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from schemas.config import Account, Model
from transforms.calibration import (
    DAY_SECONDS,
    Parameters,
    configured,
    fit,
    log_likelihood,
    own_rates,
    settle,
    starting_point,
)
from transforms.calibration_evidence import DAY, Evidence, Flags, Floats, gather_evidence
from transforms.calibration_saved import Interval, SavedFit, fit_saved
from transforms.callers import knows_number

# Contacts are looked at for so long: what comes later is the background's.
REACH_MINUTES = 240.0
LEAST_CALLS, LEAST_DAYS, LEAST_NUMBERS = 100, 7, 2
# Every fifth day is held out of the fit that is checked.
HELD_OUT = 5
RESAMPLES = 12
# Decided without the probabilities that are fitted.
OTHERWISE_DECIDED = ("declared", "form_phone", "static_number")


@dataclass(frozen=True)
class Fit:
    """What was found of an account; `refused` says why nothing was, and then the rest is empty.

    calls: used, with candidates; held_out: mean log-probability of the number called on held-out
    days, by the configured and by fitted parameters; pools: background and calls of those with
    enough of their own.
    """

    account: str
    refused: str | None = None
    calls: int = 0
    days: int = 0
    call_probability: Interval | None = None
    delay_means: tuple[Interval, ...] = ()
    delay_weights: tuple[Interval, ...] = ()
    background: Interval | None = None
    saved: SavedFit | None = None
    held_out: tuple[float, float] = (0.0, 0.0)
    pools: Mapping[str, tuple[Interval, int]] = field(default_factory=dict)


def fit_account(
    name: str,
    settings: Account,
    contacts: pl.DataFrame,
    calls: pl.DataFrame,
    pools: Mapping[str, Sequence[str]],
) -> Fit:
    """Fits one account's parameters to its contacts and inbound calls, without truth.

    settings: where the fit begins, and its prior. contacts: visitor_id, tracking_number, time (us).
    calls: account, call_id, caller_key, tracking_number, start (us), method. pools: numbers by
    name. Callers who know the number speak for the saved-number rate, calls decided by form or
    switch for neither, all others for the rest.
    """
    if not contacts.height:
        return Fit(name, "no display of a number; page views must name tracking_numbers")
    strangers = find_strangers(calls, settings.lookback_days)
    evidence = gather_evidence(contacts, strangers, REACH_MINUTES)
    window = settings.match_window_minutes * 60
    enough = count_usable(evidence, window)
    prior = starting_point(settings)
    refused = _too_little(evidence, enough)
    held_out = (0.0, 0.0) if refused else check_held_out(evidence, settings)
    if not refused and held_out[1] <= held_out[0]:
        refused = (
            "on held-out days the configured parameters say better which number was called (mean "
            f"log-probability {held_out[0]:.4f}) than fitted ones ({held_out[1]:.4f})"
        )
    if refused:
        return Fit(name, refused, calls=enough, days=evidence.days)
    own = strangers["tracking_number"].gather(evidence.call_row)
    masks = {pool: own.is_in(list(numbers)).to_numpy() for pool, numbers in pools.items()}
    usable = {pool: count_usable(evidence, window, mask) for pool, mask in masks.items()}
    masks = {pool: mask for pool, mask in masks.items() if usable[pool] >= LEAST_CALLS}
    values = _with_bounds(evidence, prior, window, list(masks.values()))
    parts, first_pool = len(prior.means), 2 + 2 * len(prior.means)
    return Fit(
        name,
        calls=enough,
        days=evidence.days,
        call_probability=values[0],
        background=values[1],
        delay_means=tuple(values[2 : 2 + parts]),
        delay_weights=tuple(values[2 + parts : first_pool]),
        saved=_fit_known(calls, contacts, settings, _fitted(values, parts), evidence),
        held_out=held_out,
        pools={
            pool: (value, usable[pool])
            for pool, value in zip(masks, values[first_pool:], strict=True)
        },
    )


def _fitted(values: list[Interval], parts: int) -> Parameters:
    """The parameters among the values of _with_bounds."""
    probability, background, *rest = (interval.value for interval in values)
    means, weights = np.asarray(rest[:parts]), np.asarray(rest[parts : 2 * parts])
    return Parameters(probability * weights, means, background)


def _fit_known(
    calls: pl.DataFrame,
    contacts: pl.DataFrame,
    settings: Account,
    now: Parameters,
    evidence: Evidence,
) -> SavedFit:
    """What callers do who called before, beside what contacts make of their calls."""
    window = settings.match_window_minutes
    every = gather_evidence(contacts, calls, window, calls.height)
    others = np.zeros(calls.height)
    others[every.call_row] = own_rates(every, now, -1, window * 60) * DAY_SECONDS
    until = int(max(contacts["time"].to_numpy().max(), calls["start"].to_numpy().max()))
    per_day = calls.height / (evidence.numbers * evidence.days)
    told = calls.with_columns(pl.Series("others", others))
    return fit_saved(told, until, settings, settings.lookback_days, per_day)


def find_strangers(calls: pl.DataFrame, lookback_days: float) -> pl.DataFrame:
    """The calls that the probabilities of sessions and of nobody alone decide."""
    lookback = pl.lit(round(lookback_days * DAY))
    known = knows_number(calls.with_columns(direction=pl.lit("inbound"), lookback=lookback))
    strangers = ~pl.col("knows_number") & ~pl.col("method").is_in(OTHERWISE_DECIDED)
    return known.filter(strangers)


def count_usable(evidence: Evidence, window_seconds: float, mask: Flags | None = None) -> int:
    """Calls of the evidence that have a candidate (mask: of these calls)."""
    near = evidence.own_call[evidence.own_delay <= window_seconds]
    found = np.bincount(near, minlength=evidence.calls) > 0
    return int((found if mask is None else found & mask).sum())


def _too_little(evidence: Evidence, calls: int) -> str | None:
    if evidence.days < LEAST_DAYS:
        return f"{evidence.days} days of data; at least {LEAST_DAYS} are needed"
    if evidence.numbers < LEAST_NUMBERS:
        return "one number was displayed; which one was called says nothing then"
    if calls < LEAST_CALLS:
        return f"{calls} calls with candidates by callers not known; {LEAST_CALLS} are needed"
    return None


def check_held_out(evidence: Evidence, model: Model) -> tuple[float, float]:
    """Mean log-probability of the number called on every fifth day, by the configured parameters
    and by parameters fitted to the other days."""
    window = model.match_window_minutes * 60
    held = (np.arange(evidence.days) % HELD_OUT == HELD_OUT - 1).astype(float)
    used = 1 - held
    fitted = fit(evidence, starting_point(model), used)
    fitted = settle(evidence, fitted, window, used[evidence.call_day])
    before, after = (
        log_likelihood(evidence, now, window, held) for now in (configured(model), fitted)
    )
    return before, after


def _with_bounds(
    evidence: Evidence, prior: Parameters, window_seconds: float, masks: list[Flags]
) -> list[Interval]:
    """The fitted values, with the smallest and greatest from RESAMPLES fits to days drawn with
    replacement: probability, background, means, weights, the pools' backgrounds."""
    every_day = np.ones(evidence.days)
    best = fit(evidence, prior, every_day)
    rng = np.random.default_rng(0)
    drawn = [
        np.bincount(rng.integers(0, evidence.days, evidence.days), minlength=evidence.days)
        for _ in range(RESAMPLES)
    ]
    values = _values(evidence, best, window_seconds, every_day, masks)
    again = [
        _values(evidence, fit(evidence, prior, days, best), window_seconds, days, masks)
        for days in (days.astype(float) for days in drawn)
    ]
    bounds = np.min(again, axis=0), np.max(again, axis=0)
    return [
        Interval(float(value), float(min(value, low)), float(max(value, high)))
        for value, low, high in zip(values, *bounds, strict=True)
    ]


def _values(
    evidence: Evidence,
    now: Parameters,
    window_seconds: float,
    days: Floats,
    masks: list[Flags],
) -> Floats:
    weights = days[evidence.call_day]
    every = [np.ones(evidence.calls, bool), *masks]
    settled = [settle(evidence, now, window_seconds, weights * mask) for mask in every]
    backgrounds = [parameters.background for parameters in settled]
    order = np.argsort(now.means)
    return np.array(
        [
            now.call_probability,
            backgrounds[0],
            *now.means[order],
            *now.weights[order],
            *backgrounds[1:],
        ]
    )
