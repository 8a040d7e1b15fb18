"""Days held out of a fit, and days drawn again: how far fitted values can be trusted."""

from collections.abc import Sequence

import numpy as np

from transforms.calibration import (
    Parameters,
    fitted_log_probabilities,
    log_probabilities,
    settle_pools,
)
from transforms.calibration_contacts import Floats
from transforms.calibration_evidence import MEANS, Evidence
from transforms.calibration_results import Delays, HeldOut, Interval

# Each day is held out of one of so many fits.
FOLDS = 5
# Fits to days drawn again; and what of them lies outside the bounds on either side.
RESAMPLES, OUTSIDE = 100, 0.05
# Parts of the delays with a smaller share are not told.
LEAST_SHARE = 0.001


def fold_days(days: int) -> Floats:
    """The days that each fit sees, (fit, day): all but every fifth."""
    return (np.arange(days) % FOLDS != np.arange(FOLDS)[:, None]).astype(float)


def draw_days(days: int) -> Floats:
    """How often days count in RESAMPLES draws with replacement, (draw, day)."""
    rng = np.random.default_rng(0)
    return rng.multinomial(days, np.full(days, 1 / days), RESAMPLES).astype(float)


def predict(evidence: Evidence, fits: Sequence[Parameters], seen: Floats, as_used: bool) -> Floats:
    """Of each call, the log-probability of the number called by the fit that did not see its day.

    seen: the days that each fit saw (fold_days). as_used: by the model with one constant background
    and the match window, else by the fit itself.
    """
    found = np.zeros(evidence.calls)
    for now, days in zip(fits, seen, strict=True):
        if as_used:
            by_fit = log_probabilities(evidence, now, settle_pools(evidence, now, days))
        else:
            by_fit = fitted_log_probabilities(evidence, now)
        held_out = days[evidence.call_day] == 0
        found[held_out] = by_fit[held_out]
    return found


def compare(evidence: Evidence, before: Floats, after: Floats) -> HeldOut:
    """Two log-probabilities of each call. Days are taken as independent, not calls: what is special
    about a day is so for all of its calls."""
    weight = evidence.call_weight
    total = max(float(weight.sum()), 1.0)
    mean = float(weight @ (after - before)) / total
    daily = np.bincount(evidence.call_day, weight * (after - before - mean), evidence.days)
    error = float(np.sqrt((daily**2).sum() * evidence.days / (evidence.days - 1))) / total
    return HeldOut(float(weight @ before) / total, float(weight @ after) / total, error)


def average(fits: Sequence[Parameters]) -> Parameters:
    """The mean of fits to days drawn again: of shares as they are, of rates in the logarithm.

    Bagging (Breiman 1996, Bagging Predictors). Where data hardly tell nobody from the slow part of
    the delays, the likeliest fit lies at one end or the other by chance, their mean does not.
    """
    return Parameters(
        np.mean([now.shares for now in fits], axis=0),
        tell([now.call_probability for now in fits]).value,
        np.exp(np.mean([np.log(now.nobody) for now in fits], axis=0)),
    )


def tell(rates: Sequence[float]) -> Interval:
    """The mean of a rate, in the logarithm, over fits to days drawn again, and its bounds."""
    low, high = np.quantile(rates, (OUTSIDE, 1 - OUTSIDE))
    return Interval(float(np.exp(np.mean(np.log(rates)))), float(low), float(high))


def tell_delays(fits: Sequence[Parameters]) -> Delays:
    """The mean of fits to days drawn again, and bounds."""
    shares = np.array([now.shares for now in fits])
    told = shares.mean(axis=0) >= LEAST_SHARE
    shares = shares[:, told] / shares[:, told].sum(axis=1, keepdims=True)
    bounds = np.quantile(shares, (OUTSIDE, 1 - OUTSIDE), axis=0)
    return Delays(
        tell([now.call_probability for now in fits]),
        tuple(Interval(mean, mean, mean) for mean in MEANS[told].tolist()),
        tuple(Interval(*part) for part in np.stack([shares.mean(axis=0), *bounds]).T.tolist()),
    )
