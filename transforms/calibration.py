"""Fitting the parameters of SPEC section 8 to an account's own events, without truth.

Calls come by day and by season as they like; what tells of the model is **which number** was called
when one came. Given a call at a moment, the model says that it went to number b with probability

    rate of b / sum of the rates of all numbers shown,
    rate of b = sum over contacts under way on b of call_probability * h(age) + background.

This is the partial likelihood of Cox (1972, Regression Models and Life-Tables), so nothing has to
be assumed of how often people call at which hour. It is maximised by expectation-maximisation: the
call is shared out among the contacts on its number and the background by their rates, and each rate
becomes the calls shared out to it over the exposure, the contacts of all numbers at the moments of
calls. Each value has a log-normal prior around the configured one: a small account stays near it.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from schemas.config import Model
from transforms.calibration_evidence import MIDDLES, Evidence, Floats

# Sigma of the logarithm of each value around the configured one, before anything is seen.
PRIOR_SIGMA = 0.7
# Where the delays begin, and their prior, where the configuration has fewer parts: calls at once,
# within minutes, and much later are too different for two exponentials.
START_MEANS, START_WEIGHTS = (40.0, 300.0, 3000.0), (0.4, 0.4, 0.2)
STEPS = 200
TOLERANCE = 1e-4
SHORTEST, LONGEST = 3.0, 20_000.0
LEAST = 1e-9
DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Parameters:
    """calls: calls per contact of each part of the delay mixture; means: its mean delay, seconds;
    background: calls a day to one number."""

    calls: Floats
    means: Floats
    background: float

    @property
    def call_probability(self) -> float:
        """Calls per contact of all parts."""
        return float(self.calls.sum())

    @property
    def weights(self) -> Floats:
        """Share of each part."""
        return self.calls / self.calls.sum()


def configured(model: Model) -> Parameters:
    """The parameters that a configuration has now."""
    calls = model.call_probability * np.asarray(model.delay_weights, float)
    means = np.asarray(model.delay_means, float)
    background = max(model.background_calls_per_day, LEAST)
    return Parameters(np.maximum(calls, LEAST), means, background)


def starting_point(model: Model) -> Parameters:
    """Where a fit begins, and its prior: what is configured, with at least three parts."""
    now = configured(model)
    if len(now.means) >= len(START_MEANS):
        return now
    calls = now.call_probability * np.asarray(START_WEIGHTS)
    return replace(now, calls=calls, means=np.asarray(START_MEANS))


def fit(
    evidence: Evidence,
    prior: Parameters,
    day_weights: Floats | None = None,
    begin: Parameters | None = None,
) -> Parameters:
    """The parameters at the maximum of partial likelihood times prior.

    day_weights: how often each day counts (all once). begin: where to begin (at the prior).
    """
    weights = np.ones(evidence.days) if day_weights is None else day_weights
    now = begin or prior
    for _ in range(STEPS):
        new = _step(evidence, now, prior, weights)
        change = np.abs(np.log(new.calls / now.calls)).max()
        now = new
        if change < TOLERANCE:
            break
    return now


def _step(evidence: Evidence, now: Parameters, prior: Parameters, weights: Floats) -> Parameters:
    call_weight = weights[evidence.call_day]
    call, delay = evidence.own_call, evidence.own_delay
    rates, background = densities(now, delay), now.background / DAY_SECONDS
    total = background + np.bincount(call, weights=rates.sum(axis=0), minlength=evidence.calls)
    share = rates * (call_weight / total)[call]
    found = share.sum(axis=1)
    alone = float((call_weight * background / total).sum())
    everywhere = call_weight / all_rates(evidence, now)
    ages = everywhere @ evidence.ages
    waited = share @ delay
    means = np.array(
        [
            _best_mean((now.means[k], prior.means[k]), now.calls[k], (found[k], waited[k]), ages)
            for k in range(len(now.means))
        ],
        float,
    )
    exposed = ages @ (np.exp(-MIDDLES[:, None] / means) / means)
    calls = _rate(found, exposed, prior.calls)
    open_days = everywhere.sum() * evidence.numbers / DAY_SECONDS
    beside = float(_rate(np.array(alone), np.array(open_days), np.array(prior.background)))
    # Which number was called says nothing of how many call; that the calls themselves say.
    scale = _scale(evidence, calls, means, weights, found.sum() / max(call_weight.sum(), LEAST))
    return Parameters(calls * scale, means, beside * scale)


def _scale(
    evidence: Evidence, calls: Floats, means: Floats, weights: Floats, share: float
) -> float:
    """What makes the calls of contacts as many as the share of all calls that is theirs."""
    gaps = weights @ evidence.gaps
    expected = float(-(gaps @ np.expm1(-MIDDLES[:, None] / means)) @ calls)
    seen = share * float(weights @ evidence.calls_per_day)
    return max(seen, LEAST) / max(expected, LEAST)


def densities(now: Parameters, delay: Floats) -> Floats:
    """Calls a second that a contact makes at an age: (part, contact)."""
    means = now.means[:, None]
    return now.calls[:, None] / means * np.exp(-delay / means)


def all_rates(evidence: Evidence, now: Parameters, within_seconds: float = np.inf) -> Floats:
    """Calls a second of all numbers together at the moment of each call."""
    rate = np.where(within_seconds >= MIDDLES, densities(now, MIDDLES).sum(axis=0), 0.0)
    background = evidence.numbers * now.background / DAY_SECONDS
    return np.asarray(evidence.ages @ rate + background)


def _rate(found: Floats, exposed: Floats, usual: Floats) -> Floats:
    """The rate that is likeliest for so many calls over so much exposure, the logarithm of the rate
    being normal around that of `usual` beforehand: Newton's steps in the logarithm."""
    precision = PRIOR_SIGMA**-2
    middle = np.log(usual)
    rate = np.log(np.maximum(found, LEAST) / np.maximum(exposed, LEAST))
    rate = np.clip(rate, middle - 10, middle + 10)
    for _ in range(30):
        expected = np.exp(rate) * exposed
        slope = found - expected - (rate - middle) * precision
        rate = rate + np.clip(slope / (expected + precision), -1, 1)
    return np.exp(rate)


def _best_mean(
    near: tuple[float, float], per_contact: float, seen: tuple[float, float], ages: Floats
) -> float:
    """The mean delay near the one at hand that shared-out calls and exposure make likeliest.

    near: the mean at hand, and the usual one. seen: calls, and their summed delays. The maximum of
    -calls * log(mean) - waited / mean, less the calls expected of the contacts at their ages, and
    less the prior's distance from the usual mean.
    """
    (mean, usual), (calls, waited) = near, seen
    tried = np.clip(mean * np.geomspace(0.8, 1.25, 31), SHORTEST, LONGEST)
    expected = per_contact * (ages @ (np.exp(-MIDDLES[:, None] / tried) / tried))
    gain = -calls * np.log(tried) - waited / tried - expected
    gain -= (np.log(tried / usual) / PRIOR_SIGMA) ** 2 / 2
    return float(tried[np.argmax(gain)])


def own_rates(evidence: Evidence, now: Parameters, least: float, most: float) -> Floats:
    """Calls a second by contacts on the number called, of an age above `least` seconds and up to
    `most`, at each call."""
    chosen = (evidence.own_delay > least) & (evidence.own_delay <= most)
    rates = densities(now, evidence.own_delay[chosen]).sum(axis=0)
    return np.bincount(evidence.own_call[chosen], rates, evidence.calls).astype(float)


def settle(
    evidence: Evidence, now: Parameters, window_seconds: float, call_weights: Floats
) -> Parameters:
    """The parameters for a window in which candidates are looked for.

    Contacts older than the window are no candidates: the calls that they make are nobody's then.
    The background becomes the one by which, of the calls with candidates, as many are expected to
    be nobody's as the fit expects. call_weights: how often each call counts.
    """
    listed = own_rates(evidence, now, -1, window_seconds)
    late = own_rates(evidence, now, window_seconds, np.inf)
    compared = (listed > 0) & (call_weights > 0)
    if not compared.any():
        return now
    listed, weights = listed[compared], call_weights[compared]
    nobody = now.background / DAY_SECONDS + late[compared]
    wanted = weights @ (nobody / (nobody + listed))
    low, high = LEAST, 1.0
    for _ in range(60):
        middle = math.sqrt(low * high)
        enough = weights @ (middle / (middle + listed)) >= wanted
        low, high = (low, middle) if enough else (middle, high)
    return replace(now, background=low * DAY_SECONDS)


def log_likelihood(
    evidence: Evidence, now: Parameters, window_seconds: float, day_weights: Floats
) -> float:
    """Mean log-probability of the number called, over the calls of some days, by the model as it
    is used: contacts older than the window count for nothing."""
    weights = day_weights[evidence.call_day]
    listed = own_rates(evidence, now, -1, window_seconds)
    own = listed + now.background / DAY_SECONDS
    everywhere = np.maximum(all_rates(evidence, now, window_seconds), own)
    return float((weights * np.log(own / everywhere)).sum() / max(weights.sum(), LEAST))
