"""Fitting the model to events without truth: recovery of what is known, priors."""

import math

import numpy as np
import polars as pl
import pytest
from calibration_site import BACKGROUND, DAY, PROBABILITY, SHARES, T, calls_of, contacts_of, drawn

from schemas.config import Account, Model
from transforms.calibration import (
    Parameters,
    configured,
    fit,
    fitted_log_probabilities,
    log_probabilities,
    settle,
)
from transforms.calibration_days import draw_days
from transforms.calibration_evidence import (
    MEANS,
    Evidence,
    gather_evidence,
    merge_pools,
)


def fitted(evidence: Evidence, prior: Parameters, days: np.ndarray | None = None) -> Parameters:
    """One fit."""
    weights = np.ones((1, evidence.days)) if days is None else days[None]
    return fit(evidence, [prior], weights)[0]


def usual(evidence: Evidence, model: Model | None = None) -> Parameters:
    """The prior of the defaults."""
    return configured(model or Model(), [0.1] * len(evidence.pools))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_fit_recovers_the_model_that_made_the_data(seed):
    """Probability within 15%, the calls of the first five minutes within 0.08, background 40%."""
    contacts, calls = drawn(28, seed)
    evidence = merge_pools(gather_evidence(contacts, calls, Account()), [])
    found = fitted(evidence, usual(evidence))
    early = 1 - np.exp(-300 / MEANS)
    assert found.call_probability == pytest.approx(PROBABILITY, rel=0.15)
    assert found.shares @ early == pytest.approx(SHARES @ early, abs=0.08)
    assert found.shares.sum() == pytest.approx(1)
    background = settle(evidence, found, np.ones(evidence.days))
    late = PROBABILITY * SHARES[-1] * math.exp(-1800 / 3000) * 400 / 6
    assert background == pytest.approx(BACKGROUND + late, rel=0.4)


def test_a_fit_has_converged(monkeypatch):
    """More and smaller steps find the same, and so does a fit among others."""
    contacts, calls = drawn(14, 4)
    evidence = merge_pools(gather_evidence(contacts, calls, Account()), [])
    prior = usual(evidence)
    days = np.concatenate([np.ones((1, evidence.days)), draw_days(evidence.days)[:7]])
    among = fit(evidence, [prior] * 8, days)[0]
    monkeypatch.setattr("transforms.calibration.LONGEST", 4)
    monkeypatch.setattr("transforms.calibration.STEPS", 5000)
    monkeypatch.setattr("transforms.calibration.TOLERANCE", 1e-8)
    alone = fitted(evidence, prior)
    assert alone.shares == pytest.approx(among.shares, abs=5e-3)
    assert alone.call_probability == pytest.approx(among.call_probability, rel=0.01)


def test_a_configured_mixture_becomes_shares_of_fixed_means():
    """Its parts go to the nearest means, half of all is spread evenly; one of these means stays."""
    found = configured(Model(delay_means=(40.0, 9999.0), delay_weights=(0.3, 0.1)), [8.64])
    assert found.shares == pytest.approx(np.array([0, 0.75, 0, 0, 0, 0.25]) / 2 + 1 / 12)
    assert found.call_probability == 0.02
    assert found.nobody.tolist() == [[1e-4, 0, 0, 0, 0]]


def test_few_calls_stay_near_the_configured_values():
    """With hardly any data the prior speaks, with much the data."""
    model = Model(delay_means=(900.0,), delay_weights=(1.0,))
    distance = []
    for days, per_day in ((7, 2), (21, 400)):
        contacts, calls = drawn(days, 1, per_day=per_day)
        evidence = merge_pools(gather_evidence(contacts, calls, Account()), [])
        prior = usual(evidence, model)
        distance.append(abs(fitted(evidence, prior).shares - prior.shares).max())
    assert distance[0] < 0.1 < distance[1]


def test_hidden_visitors_do_not_make_nobody_likelier_where_candidates_are_fresh():
    """Where four of ten are not seen and each number is lent in turn, nobody's rate is found to be
    greater for numbers that were not shown lately."""
    contacts, calls = drawn(28, 2, per_day=300, hidden_share=0.4)
    evidence = merge_pools(gather_evidence(contacts, calls, Account()), [])
    nobody = fitted(evidence, usual(evidence)).nobody[0]
    assert nobody[1:].sum() > 0.3 * nobody[0]


def test_days_that_count_twice_are_as_the_days_twice():
    """Weights of days are repetitions: none of one half gives the fit of the other."""
    contacts, calls = drawn(8, 4)
    evidence = merge_pools(gather_evidence(contacts, calls, Account()), [])
    early = (np.arange(evidence.days) < 4).astype(float)
    weighted = fitted(evidence, usual(evidence), early)
    before = T + 4 * DAY
    alone = gather_evidence(
        contacts.filter(pl.col("time") < before), calls.filter(pl.col("start") < before), Account()
    )
    assert alone.days == 4
    found = fitted(merge_pools(alone, []), usual(evidence))
    assert weighted.call_probability == pytest.approx(found.call_probability, rel=0.03)
    assert weighted.shares == pytest.approx(found.shares, abs=0.01)


def exponential(probability: float, background: float, pools: int = 1) -> Parameters:
    """Delays of a mean of 120 s; background in calls a day."""
    nobody = np.zeros((pools, 5))
    nobody[:, 0] = background / 86_400
    return Parameters(np.array([0, 0, 1.0, 0, 0, 0]), probability, nobody)


def test_what_comes_after_the_window_is_nobodys():
    """Settled, the background of a single call is the background, with what is added for its stale
    number, and the contacts too old."""
    contacts, calls = contacts_of(("v", "n", 0), ("w", "n", 50)), calls_of(("n", 200))
    now = exponential(0.1, 8.64)
    now.nobody[0, 1:3] = 1e-4
    late = 0.1 / 120 * math.exp(-200 / 120)
    for minutes, more in ((180 / 60, late), (30, 0)):
        evidence = gather_evidence(contacts, calls, Account(match_window_minutes=minutes))
        found = settle(evidence, now, np.ones(1))
        assert found == pytest.approx(8.64 + (1e-4 + more) * 86_400, rel=1e-6)
    assert settle(evidence, now, np.zeros(1)) == pytest.approx(8.64)


def test_likelihood_is_that_of_the_number_called():
    """As used: the rate of the number over the rate of all, by contacts within the window and one
    background; by the fit: by all contacts, nobody's rate by the age of the freshest."""
    contacts = contacts_of(("v", "n", 0), ("w", "m", 50), ("x", "m", -4000))
    evidence = gather_evidence(contacts, calls_of(("n", 200)), Account())
    now = exponential(0.1, 86.4)
    own = 0.1 / 120 * math.exp(-200 / 120) + 0.001
    other = 0.1 / 120 * math.exp(-150 / 120) + 0.001
    found = log_probabilities(evidence, now, np.array([86.4]))
    assert found == pytest.approx([math.log(own / (own + other))])
    now.nobody[0, 1] = 0.002
    late = 0.1 / 120 * math.exp(-4200 / 120)
    expected = math.log((own + 0.002) / (own + other + late + 0.004))
    assert fitted_log_probabilities(evidence, now) == pytest.approx([expected])
