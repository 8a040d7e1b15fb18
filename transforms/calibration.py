"""Fitting the parameters of SPEC section 8 to an account's own events, without truth.

Calls come by day and by season as they like; what tells of the model is **which number** was called
when one came. Given a call at a moment, the model says that it went to number b with probability

    rate of b / sum of the rates of all numbers shown,
    rate of b = sum over contacts under way on b of call_probability * h(age) + nobody's calls to b.

This is the partial likelihood of Cox (1972, Regression Models and Life-Tables), so nothing has to
be assumed of how often people call at which hour. h is a mixture of exponentials of fixed means:
every rate is then linear in what is fitted, and expectation-maximisation finds the maximum of
likelihood times prior.

Visitors of whom no event may be used hold numbers too, and a pool gives a number to one visitor at
a time. So the calls of such visitors go to numbers that nobody else was shown lately, and nobody's
rate is fitted as a base and what a number has more of once its freshest contact is older than each
of STALE_SECONDS. Were it one constant, the hidden visitors' calls would be counted against
candidates who have just seen the number.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from schemas.config import Model
from transforms.calibration_contacts import Floats
from transforms.calibration_evidence import (
    DAY_SECONDS,
    MEANS,
    STALE_SECONDS,
    Evidence,
    Rates,
)

# What is configured counts as much as so many calls, for the shares of the parts and the level.
PRIOR_CALLS = 10.0
# Sigma of the logarithm of nobody's base rate around the configured one, beforehand.
PRIOR_SIGMA = 1.0
# What nobody's rate has more of for stale numbers: by each age, beforehand, so many times the base.
ADDED = 2.0
# Until no share changes by more in a step; and how far a long step goes.
STEPS, TOLERANCE, LONGEST = 500, 1e-6, 500.0
LEAST = 1e-12
# Fitted values: the parts, then by pool the terms of nobody's rate.
PARTS, TERMS = len(MEANS), 1 + len(STALE_SECONDS)


@dataclass(frozen=True)
class Parameters:
    """shares: of the parts of MEANS, adding up to 1. call_probability: calls per contact. nobody:
    by pool, calls a second to one number by nobody: base, and what is added once the freshest
    contact is older than each of STALE_SECONDS."""

    shares: Floats
    call_probability: float
    nobody: Floats


def configured(model: Model, backgrounds: Sequence[float]) -> Parameters:
    """A configuration as parameters: the prior of a fit. backgrounds: calls a day, by pool.

    The delays become parts of MEANS: one between two means is shared out between them by its
    distance in the logarithm. Half of the shares is spread evenly, so that none is impossible.
    """
    shares = np.zeros(len(MEANS))
    for mean, weight in zip(model.delay_means, model.delay_weights, strict=True):
        place = np.interp(np.log(mean), np.log(MEANS), np.arange(len(MEANS)))
        shares += weight * np.maximum(0, 1 - np.abs(np.arange(len(MEANS)) - place))
    nobody = np.zeros((len(backgrounds), TERMS))
    nobody[:, 0] = np.maximum(np.asarray(backgrounds) / DAY_SECONDS, LEAST)
    mixed = (shares / max(shares.sum(), LEAST) + 1 / len(MEANS)) / 2
    return Parameters(mixed / mixed.sum(), max(model.call_probability, LEAST), nobody)


def fit(evidence: Evidence, priors: Sequence[Parameters], day_weights: Floats) -> list[Parameters]:
    """The parameters at the maximum of partial likelihood times prior, of several fits at once.

    priors: of each fit. day_weights: how often each day counts, (fit, day).

    Which number was called says nothing of how many call, so everything is fitted over
    call_probability first. Priors: Dirichlet of PRIOR_CALLS on the shares; log-normal on nobody's
    base; exponential on what is added to it, its mean ADDED times the usual base.

    Steps of expectation-maximisation, three of them made into a long one: SQUAREM (Varadhan and
    Roland 2008, Simple and Globally Convergent Methods for Accelerating the Convergence of Any EM
    Algorithm), of square roots, so that values close to 0 do not hold up the others.
    """
    usual = np.stack([_row(prior) for prior in priors])
    step = _step_of(evidence, usual, day_weights)
    now = usual.copy()
    # No term may begin at 0: it would stay there.
    now[:, PARTS:] = np.repeat(usual[:, PARTS::TERMS], TERMS, axis=1)
    for _ in range(STEPS):
        first = step(now)
        second = step(first)
        if np.abs(second[:, :PARTS] - first[:, :PARTS]).max() < TOLERANCE:
            break
        begin, middle, end = np.sqrt(now), np.sqrt(first), np.sqrt(second)
        change, turn = middle - begin, end - 2 * middle + begin
        length = np.linalg.norm(change, axis=1) / np.maximum(np.linalg.norm(turn, axis=1), LEAST)
        length = np.clip(length, 1, LONGEST)[:, None]
        far = begin + 2 * length * change + length**2 * turn
        now = step(np.where(far > 0, far**2, second))
    return [
        _with_level(evidence, row, prior, of_days)
        for row, prior, of_days in zip(second, priors, day_weights, strict=True)
    ]


def _step_of(evidence: Evidence, usual: Floats, day_weights: Floats) -> Callable[[Floats], Floats]:
    """One step of expectation-maximisation, (fit, value) to (fit, value): the calls shared out to
    each term over its exposure, the contacts and numbers at the moments of calls."""
    own, every = _columns(evidence.own), _columns(evidence.every)
    own_by_value, every_by_value = np.ascontiguousarray(own.T), np.ascontiguousarray(every.T)
    weights = day_weights[:, evidence.call_day] * evidence.call_weight
    parts, base = slice(0, PARTS), slice(PARTS, None, TERMS)
    added = np.zeros(usual.shape)
    added[:, PARTS:] = np.repeat(1 / (ADDED * usual[:, base]), TERMS, axis=1)
    added[:, base] = 0

    def step(now: Floats) -> Floats:
        found = now * ((weights / (now @ own_by_value)) @ own)
        exposed = (weights / (now @ every_by_value)) @ every + added
        # The slope of the log-normal prior: calls that it takes away, or, where negative, adds.
        pull = np.log(now[:, base] / usual[:, base]) / PRIOR_SIGMA**2
        found[:, base] += np.maximum(-pull, 0)
        exposed[:, base] += np.maximum(pull, 0) / now[:, base]
        # Both priors are of ratios to call_probability, so they pull at the parts too.
        found[:, parts] += PRIOR_CALLS * usual[:, parts]
        exposed[:, parts] += PRIOR_CALLS - pull.sum(axis=1, keepdims=True)
        new = np.maximum(found / np.maximum(exposed, LEAST), LEAST)
        return np.asarray(new / new[:, parts].sum(axis=1, keepdims=True))

    return step


def _columns(rates: Rates) -> Floats:
    """What multiplies the fitted values, (call, value)."""
    return np.concatenate([rates.parts, rates.stale.reshape(len(rates.stale), -1)], axis=1)


def _row(now: Parameters) -> Floats:
    return np.concatenate([now.shares, now.nobody.ravel() / now.call_probability])


def _with_level(
    evidence: Evidence, row: Floats, prior: Parameters, day_weights: Floats
) -> Parameters:
    """How many call, the calls themselves say: as many calls are expected of contacts as the share
    of all calls that is theirs. Prior: PRIOR_CALLS calls at the usual probability."""
    shares, nobody = row[:PARTS], row[PARTS:].reshape(-1, TERMS)
    weights = day_weights[evidence.call_day] * evidence.call_weight
    theirs = evidence.own.parts @ shares / (_columns(evidence.own) @ row)
    calls = evidence.calls_per_day.sum(axis=0) @ day_weights
    seen = weights @ theirs / max(weights.sum(), LEAST) * calls
    expected = day_weights @ evidence.exposure.sum(axis=0) @ shares
    level = (seen + PRIOR_CALLS) / (expected + PRIOR_CALLS / prior.call_probability)
    return Parameters(shares, float(level), nobody * level)


def settle(
    evidence: Evidence, now: Parameters, day_weights: Floats, pool: int | None = None
) -> float:
    """The background of SPEC section 8, in calls a day, that stands for all calls by nobody.

    The model as it is used knows one constant rate, and contacts older than the match window are no
    candidates: their calls are nobody's then. The background becomes the one by which, of the calls
    with candidates, as many are expected to be nobody's as the fit expects, each call by its own
    rate of nobody. day_weights: how often each day counts. pool: of its calls alone.
    """
    calls = now.call_probability * now.shares
    listed = evidence.own.near @ calls
    nobody = np.einsum("cgt,gt->c", evidence.own.stale, now.nobody)
    nobody += evidence.own.parts @ calls - listed
    weights = day_weights[evidence.call_day] * evidence.call_weight
    compared = (listed > 0) & (weights > 0)
    if pool is not None:
        compared &= evidence.call_pool == pool
    if not compared.any():
        return float(now.nobody[pool or 0, 0]) * DAY_SECONDS
    listed, nobody, weights = listed[compared], nobody[compared], weights[compared]
    wanted = weights @ (nobody / (nobody + listed))
    low, high = np.log(LEAST), 0.0
    for _ in range(50):
        middle = (low + high) / 2
        rate = np.exp(middle)
        enough = weights @ (rate / (rate + listed)) >= wanted
        low, high = (low, middle) if enough else (middle, high)
    return float(np.exp(low)) * DAY_SECONDS


def settle_pools(evidence: Evidence, now: Parameters, day_weights: Floats) -> Floats:
    """The background of each pool, calls a day; of numbers in none, that of all calls."""
    return np.array(
        [
            settle(evidence, now, day_weights, None if name is None else place)
            for place, name in enumerate(evidence.pools)
        ]
    )


def log_probabilities(evidence: Evidence, now: Parameters, backgrounds: Floats) -> Floats:
    """Of each call, the log-probability of the number called by the model as it is used: contacts
    older than the window count for nothing. backgrounds: calls a day to one number, by pool."""
    calls, rates = now.call_probability * now.shares, backgrounds / DAY_SECONDS
    own = evidence.own.near @ calls + evidence.own.stale[:, :, 0] @ rates
    every = evidence.every.near @ calls + evidence.every.stale[:, :, 0] @ rates
    return np.log(own / every)


def fitted_log_probabilities(evidence: Evidence, now: Parameters) -> Floats:
    """The same by the fit itself: all contacts, and nobody's rate by the age of the freshest."""
    calls = now.call_probability * now.shares
    own, every = (
        side.parts @ calls + np.einsum("cgt,gt->c", side.stale, now.nobody)
        for side in (evidence.own, evidence.every)
    )
    return np.log(own / every)
