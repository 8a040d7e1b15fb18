"""The fit of one account and of its pools, or why there is none."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from schemas.config import Account
from transforms.calibration import Parameters, configured, fit, settle
from transforms.calibration_contacts import DAY
from transforms.calibration_days import (
    average,
    compare,
    draw_days,
    fold_days,
    predict,
    tell,
    tell_delays,
)
from transforms.calibration_evidence import Evidence, gather_evidence, merge_pools, only_pool
from transforms.calibration_pools import entry_models, pool_names
from transforms.calibration_results import Fit, HeldOut, PoolFit, SavedFit
from transforms.calibration_saved import fit_known
from transforms.callers import knows_number

LEAST_CALLS, LEAST_DAYS, LEAST_NUMBERS = 100, 7, 2
# By how many standard errors a fit must be better on held-out days than the configuration, and a
# pool's own delays than the account's: without them a pool has what many calls say, with them less.
ACCOUNT_ERRORS, POOL_ERRORS = 1.0, 2.0
# Decided without the probabilities that are fitted.
OTHERWISE_DECIDED = ("declared", "form_phone", "static_number")


def fit_account(name: str, settings: Account, contacts: pl.DataFrame, calls: pl.DataFrame) -> Fit:
    """Fits one account's parameters to its contacts and inbound calls, without truth.

    settings: the prior. contacts: visitor_id, tracking_number, time (us). calls: account, call_id,
    caller_key, tracking_number, start (us), method. Callers who know the number speak for the
    saved-number rate, calls decided by form or switch for neither, all others for the rest.
    """
    if not contacts.height:
        return Fit(name, "no display of a number; page views must name tracking_numbers")
    every = gather_evidence(contacts, find_strangers(calls, settings.lookback_days), settings)
    usable = count_usable(every)
    total = sum(usable.values())
    refused = _too_little(every, total)
    if refused:
        return Fit(name, refused, calls=total, days=every.days_with_calls)
    enough = [pool for pool, number in usable.items() if pool and number >= LEAST_CALLS]
    evidence = merge_pools(every, enough)
    prior = configured(settings, _usual_backgrounds(settings, evidence.pools))
    seen = fold_days(evidence.days)
    folds = fit(evidence, [prior] * len(seen), seen)
    before = np.log(evidence.own.configured / evidence.every.configured)
    checked = compare(evidence, before, predict(evidence, folds, seen, as_used=True))
    if not checked.is_better(ACCOUNT_ERRORS):
        return Fit(name, _not_better(checked), calls=total, days=evidence.days_with_calls)
    drawn = draw_days(evidence.days)
    fits = fit(evidence, [prior] * len(drawn), drawn)
    saved = fit_known(calls, contacts, settings, average(fits))
    delays = tell_delays(fits)
    return Fit(
        name,
        calls=total,
        days=evidence.days_with_calls,
        lookback_days=settings.lookback_days,
        call_probability=delays.call_probability,
        delay_means=delays.delay_means,
        delay_weights=delays.delay_weights,
        background=tell([settle(evidence, *one) for one in zip(fits, drawn, strict=True)]),
        saved=saved[None],
        held_out=(checked.before, checked.after),
        held_out_error=checked.error,
        pools={
            pool: _fit_pool(evidence, place, fits, folds, (usable[pool], saved.get(pool)))
            for place, pool in enumerate(enough)
        },
    )


def _fit_pool(
    evidence: Evidence,
    pool: int,
    fits: Sequence[Parameters],
    folds: Sequence[Parameters],
    known: tuple[int, SavedFit | None],
) -> PoolFit:
    """A pool's background by the account's fits; its own delays where held-out days favour them.

    fits, folds: the account's, to days drawn again and to folds; the priors of the pool's own.
    known: the pool's calls with candidates, and what callers do who called before.
    """
    calls, saved = known
    drawn, seen = draw_days(evidence.days), fold_days(evidence.days)
    alone = only_pool(evidence, pool)
    fits, folds = ([_of_pool(now, pool) for now in of_all] for of_all in (fits, folds))
    checked = None
    if alone.calls < evidence.calls and (alone.every.stale[:, 0, 0] > 1).any():
        # As used, a background too high looks better: it stands for hidden visitors (calibration).
        before = predict(alone, folds, seen, as_used=False)
        own = predict(alone, fit(alone, folds, seen), seen, as_used=False)
        checked = compare(alone, before, own)
    delays = None
    if checked and checked.is_better(POOL_ERRORS):
        fits = fit(alone, fits, drawn)
        delays = tell_delays(fits)
    background = tell([settle(alone, *one) for one in zip(fits, drawn, strict=True)])
    return PoolFit(calls, background, delays, checked, saved)


def _of_pool(now: Parameters, pool: int) -> Parameters:
    return Parameters(now.shares, now.call_probability, now.nobody[pool : pool + 1])


def _usual_backgrounds(settings: Account, pools: Sequence[str | None]) -> list[float]:
    """Calls a day by the configuration, of each pool."""
    models = dict(zip(pool_names(settings), entry_models(settings), strict=True))
    return [models[pool].background_calls_per_day for pool in pools]


def find_strangers(calls: pl.DataFrame, lookback_days: float) -> pl.DataFrame:
    """The calls that the probabilities of sessions and of nobody alone decide."""
    lookback = pl.lit(round(lookback_days * DAY))
    known = knows_number(calls.with_columns(direction=pl.lit("inbound"), lookback=lookback))
    strangers = ~pl.col("knows_number") & ~pl.col("method").is_in(OTHERWISE_DECIDED)
    return known.filter(strangers)


def count_usable(evidence: Evidence) -> dict[str | None, int]:
    """Calls that have a candidate, by pool."""
    near = evidence.call_weight * evidence.own.near.any(axis=1)
    counts = np.bincount(evidence.call_pool, near, len(evidence.pools))
    return {pool: round(count) for pool, count in zip(evidence.pools, counts, strict=True)}


def _too_little(evidence: Evidence, calls: int) -> str | None:
    if evidence.numbers < LEAST_NUMBERS:
        return "one number was displayed; which one was called says nothing then"
    if evidence.days_with_calls < LEAST_DAYS:
        return (
            f"{evidence.days_with_calls} UTC days with calls that have candidates; at least "
            f"{LEAST_DAYS} are needed"
        )
    if calls < LEAST_CALLS:
        return f"{calls} calls with candidates by callers not known; {LEAST_CALLS} are needed"
    return None


def _not_better(checked: HeldOut) -> str:
    return (
        "on held-out days fitted parameters do not say better which number was called (mean "
        f"log-probability {checked.after:.4f}) than the configured ones ({checked.before:.4f}) by "
        f"more than the standard error of the difference ({checked.error:.4f})"
    )
