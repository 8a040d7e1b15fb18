"""Fitting the model to events without truth: recovery of what is known, priors, refusals."""

import math
from typing import Any

import numpy as np
import polars as pl
import pytest

from schemas.config import Account, Model
from transforms.calibration import (
    LONGEST,
    SHORTEST,
    Parameters,
    configured,
    fit,
    log_likelihood,
    settle,
    starting_point,
)
from transforms.calibration_account import find_strangers, fit_account
from transforms.calibration_evidence import EDGES, MIDDLES, find_contacts, gather_evidence
from transforms.calibration_saved import fit_saved

SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND
T = 20_000 * DAY
TRUE = Parameters(np.array([0.15, 0.05]), np.array([60.0, 1500.0]), 4.0)


def drawn(
    true: Parameters, days: int, seed: int, numbers: int = 6, per_day: int = 400
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Contacts and calls drawn from the model itself, by day twice as many as by night."""
    rng = np.random.default_rng(seed)
    size = days * per_day
    hour = np.where(rng.random(size) < 2 / 3, rng.integers(8, 16, size), rng.integers(0, 24, size))
    time = (rng.integers(0, days, size) * 24 + hour) * 3600.0 + rng.random(size) * 3600
    number = rng.integers(0, numbers, size)
    part = rng.random(size) < true.weights[0]
    delay = rng.exponential(np.where(part, *true.means))
    calls = rng.random(size) < true.call_probability
    others = rng.poisson(true.background * numbers * days)
    start = np.concatenate([(time + delay)[calls], rng.random(others) * days * 86_400])
    called = np.concatenate([number[calls], rng.integers(0, numbers, others)])
    inside = start < days * 86_400
    contacts = pl.DataFrame(
        {
            "visitor_id": [f"v{place}" for place in range(size)],
            "tracking_number": [f"n{place}" for place in number],
            "time": T + (time * SECOND).astype(np.int64),
        }
    )
    start, called = start[inside], called[inside]
    return contacts, pl.DataFrame(
        {
            "account": "a",
            "call_id": [f"c{place}" for place in range(len(start))],
            "caller_key": [f"k{place}" for place in range(len(start))],
            "tracking_number": [f"n{place}" for place in called],
            "start": T + (start * SECOND).astype(np.int64),
            "method": "none",
        }
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_fit_recovers_the_model_that_made_the_data(seed):
    """From other starting values: probability within 15%, means and background within 40%."""
    contacts, calls = drawn(TRUE, 28, seed)
    evidence = gather_evidence(contacts, calls, 600)
    found = fit(evidence, configured(Model()))
    assert found.call_probability == pytest.approx(TRUE.call_probability, rel=0.15)
    assert found.means == pytest.approx(TRUE.means, rel=0.4)
    assert found.weights == pytest.approx(TRUE.weights, abs=0.08)
    assert found.background == pytest.approx(TRUE.background, rel=0.4)


def test_a_fit_has_three_parts_of_delays():
    """Two configured parts are too few: the fit begins with three, of the same probability; three
    or more are kept."""
    begin = starting_point(Model())
    assert begin.means.tolist() == [40, 300, 3000]
    assert begin.call_probability == pytest.approx(0.02)
    three = Model(delay_means=(1.0, 2.0, 3.0), delay_weights=(0.2, 0.3, 0.5))
    assert starting_point(three).means.tolist() == [1, 2, 3]
    assert configured(Model()).means.tolist() == [180, 1800]


def test_few_calls_stay_near_the_configured_values():
    """With hardly any data the prior speaks: the same ratio of sessions to background."""
    contacts, calls = drawn(TRUE, 7, 1, per_day=3)
    usual = configured(Model())
    small = fit(gather_evidence(contacts, calls, 240), usual)
    contacts, calls = drawn(TRUE, 21, 1)
    large = fit(gather_evidence(contacts, calls, 240), usual)
    distance = [abs(math.log(found.means[0] / usual.means[0])) for found in (small, large)]
    assert distance[0] < 0.4 < distance[1]
    assert all(SHORTEST <= mean <= LONGEST for mean in small.means)


def test_days_that_count_twice_are_as_the_days_twice():
    """Weights of days are repetitions: none of one half gives the fit of the other."""
    contacts, calls = drawn(TRUE, 8, 4)
    evidence = gather_evidence(contacts, calls, 240)
    early = (np.arange(evidence.days) < 4).astype(float)
    weighted = fit(evidence, starting_point(Model()), early)
    before = T + 4 * DAY
    alone = gather_evidence(
        contacts.filter(pl.col("time") < before), calls.filter(pl.col("start") < before), 240
    )
    assert alone.days == 4
    found = fit(alone, starting_point(Model()))
    assert weighted.call_probability == pytest.approx(found.call_probability, rel=0.02)
    assert weighted.means == pytest.approx(found.means, rel=0.05)


def contacts_of(*rows: tuple[str, str, int]) -> pl.DataFrame:
    """Contacts: visitor, number, seconds from T."""
    return pl.DataFrame(
        [(visitor, number, T + seconds * SECOND) for visitor, number, seconds in rows],
        schema=["visitor_id", "tracking_number", "time"],
        orient="row",
    )


def calls_of(*rows: tuple[str, int], **more: Any) -> pl.DataFrame:
    """Calls c0, c1, …: number, seconds from T; callers all different."""
    return pl.DataFrame(
        [
            ("a", f"c{place}", f"k{place}", number, T + seconds * SECOND, "none")
            for place, (number, seconds) in enumerate(rows)
        ],
        schema=["account", "call_id", "caller_key", "tracking_number", "start", "method"],
        orient="row",
    ).with_columns(**more)


def test_evidence_is_who_was_under_way_when_a_call_came():
    """A contact ends at the visitor's next with the number, and after the reach; a call at its very
    moment belongs to it; other numbers' contacts are counted by age."""
    contacts = contacts_of(("v", "n", 0), ("v", "n", 100), ("w", "n", 50), ("x", "m", 0))
    calls = calls_of(("n", 100), ("n", 650), ("n", 651), ("m", 40), ("other", 60))
    evidence = gather_evidence(contacts, calls, 10)
    pairs = sorted(zip(evidence.own_call.tolist(), evidence.own_delay.tolist(), strict=True))
    assert pairs == [(0, 40.0), (1, 0.0), (1, 50.0), (2, 550.0), (2, 600.0), (3, 551.0)]
    assert evidence.call_row.tolist() == [3, 0, 1, 2]
    assert evidence.ages.sum(axis=1).tolist() == [2, 3, 2, 1]
    assert (evidence.numbers, evidence.days, evidence.calls_per_day.tolist()) == (2, 1, [4.0])
    ends = np.repeat(MIDDLES, evidence.gaps[0].astype(int))
    assert ends == pytest.approx([100, 600, 600, 600], rel=0.06)
    assert EDGES[0] < 1 < EDGES[-1]


def test_of_many_calls_every_nth_is_taken():
    """The evidence holds no more calls than asked for, spread over all days."""
    contacts, calls = drawn(TRUE, 6, 1)
    evidence = gather_evidence(contacts, calls, 60, most=100)
    assert 50 <= evidence.calls <= 100
    assert set(evidence.call_day) == set(range(6))
    assert evidence.calls_per_day.sum() == calls.height


def test_without_contacts_there_is_no_evidence():
    """The error says so."""
    with pytest.raises(ValueError, match="no contacts"):
        gather_evidence(contacts_of(), calls_of(("n", 1)), 30)


def test_contacts_are_displays_and_engagements_on_them():
    """An engagement counts for the number of its session's latest page; one before all does not."""
    names = ["account", "visitor_id", "session_id", "time"]
    displays = pl.DataFrame(
        [("a", "v", "s", 10, "n"), ("a", "v", "s", 20, "m"), ("a", "v", "t", 15, "n")],
        schema=[*names, "tracking_number"],
        orient="row",
    )
    engagements = pl.DataFrame(
        [("a", "v", "s", 5), ("a", "v", "s", 12), ("a", "v", "s", 25), ("a", "w", "u", 9)],
        schema=names,
        orient="row",
    )
    found = find_contacts(displays, engagements).sort("time")
    assert found.select("tracking_number", "time").rows() == [
        ("n", 10), ("n", 12), ("n", 15), ("m", 20), ("m", 25),
    ]  # fmt: skip


def test_what_comes_after_the_window_is_nobodys():
    """Settled, the background of a single call is the background and the contacts too old."""
    evidence = gather_evidence(contacts_of(("v", "n", 0), ("w", "n", 50)), calls_of(("n", 100)), 30)
    now = Parameters(np.array([0.1]), np.array([100.0]), 8.64)
    late = 0.1 / 100 * math.exp(-1)
    settled = settle(evidence, now, 60, np.ones(1))
    assert settled.background == pytest.approx(8.64 + late * 86_400)
    assert settle(evidence, now, 1000, np.ones(1)).background == pytest.approx(8.64)
    assert settle(evidence, now, 60, np.zeros(1)) == now


def test_likelihood_is_that_of_the_number_called():
    """The rate of the number over the rate of all, by contacts within the window."""
    contacts = contacts_of(("v", "n", 0), ("w", "m", 50), ("x", "m", -4000))
    evidence = gather_evidence(contacts, calls_of(("n", 100)), 240)
    now = Parameters(np.array([0.1]), np.array([100.0]), 86.4)
    own = 0.001 * math.exp(-1) + 0.001
    other = 0.001 * math.exp(-0.5) + 0.001
    found = log_likelihood(evidence, now, 1800, np.ones(evidence.days))
    assert found == pytest.approx(math.log(own / (own + other)), abs=0.02)


def test_repeat_calls_are_counted_by_the_days_waited_for():
    """Three callers over ten days: one calls again after two days, another after four; soon repeats
    and other numbers do not count; a call that contacts explain is the factor's."""
    calls = calls_of(
        ("n", 0),
        ("n", 600),
        ("n", 2 * 86_400),
        ("n", 0),
        ("m", 3 * 86_400),
        ("n", 0),
        ("n", 4 * 86_400),
    )
    calls = calls.with_columns(
        caller_key=pl.Series(["k", "k", "k", "l", "l", "o", "o"]),
        others=pl.Series([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1e9]),
    )
    model = Model(saved_number_calls_per_day=0.05, known_caller_factor=0.01)
    found = fit_saved(calls, T + 10 * DAY, model, 30, 0.25)
    window = 30 / 1440
    days = (2 - 600 / 86_400) + 8 + 10 + 7 + 4 + 6 - 6 * window
    assert (found.repeated, found.otherwise) == (2, pytest.approx(1))
    assert found.caller_days == pytest.approx(days)
    assert found.rate.value == pytest.approx(6 / (days + 100))
    assert found.factor.value == pytest.approx(6 / (days * 0.25 + 500))
    assert found.rate.low < found.rate.value < found.rate.high


def test_a_caller_who_never_calls_again_leaves_the_prior():
    """Unknown callers are not waited for; no calls give the configured values."""
    calls = calls_of(("n", 0), ("n", 60)).with_columns(
        caller_key=pl.lit(None, pl.String), others=pl.lit(0.0)
    )
    model = Model(saved_number_calls_per_day=0.05, known_caller_factor=0.01)
    found = fit_saved(calls, T + DAY, model, 30, 0.25)
    assert (found.rate.value, found.factor.value) == pytest.approx((0.05, 0.01))
    assert found.caller_days == 0


def test_strangers_are_callers_not_known_and_not_told():
    """Who called the number within the lookback, and whom a form told, are left out."""
    calls = calls_of(("n", 0), ("n", 86_400), ("n", 40 * 86_400), ("m", 5), ("n", 7))
    calls = calls.with_columns(
        caller_key=pl.Series(["k", "k", "k", "k", "l"]),
        method=pl.Series(["number_pool", "returning_caller", "none", "none", "form_phone"]),
    )
    assert find_strangers(calls, 30)["call_id"].to_list() == ["c0", "c2", "c3"]


def test_an_account_is_fitted_with_bounds_and_pools():
    """Values lie within their bounds, close to what made the data; pools with enough calls have a
    background of their own."""
    contacts, calls = drawn(TRUE, 14, 5)
    pools = {"large": ["n0", "n1", "n2"], "tiny": ["n9"]}
    found = fit_account("a", Account(), contacts, calls, pools)
    assert found.refused is None
    assert found.call_probability is not None
    assert found.background is not None
    intervals = [found.call_probability, found.background, *found.delay_means, *found.delay_weights]
    assert all(low <= value <= high for value, low, high in intervals)
    assert found.call_probability.value == pytest.approx(TRUE.call_probability, rel=0.15)
    assert found.held_out[1] > found.held_out[0]
    assert list(found.pools) == ["large"]
    again = fit_account("a", Account(), contacts, calls, pools)
    assert again == found


@pytest.mark.parametrize(
    ("days", "numbers", "per_day", "told"),
    [
        (14, 6, 0, "no display of a number; page views must name tracking_numbers"),
        (5, 6, 400, "5 days of data; at least 7 are needed"),
        (14, 1, 400, "one number was displayed; which one was called says nothing then"),
        (14, 6, 10, "calls with candidates by callers not known; 100 are needed"),
    ],
)
def test_an_account_without_enough_data_is_refused(days, numbers, per_day, told):
    """The reason says what there is and what is needed."""
    contacts, calls = drawn(TRUE, days, 6, numbers=numbers, per_day=per_day)
    found = fit_account("a", Account(), contacts, calls, {})
    assert found.refused is not None
    assert told in found.refused
    assert found.call_probability is None


def test_a_fit_that_other_days_contradict_is_refused():
    """Where calls follow contacts on the held-out days alone, what was fitted to the others says
    worse which number was called than the configuration."""
    contacts, calls = drawn(TRUE, 20, 7)
    held = (pl.col("start") - T) // DAY % 5 == 4
    rng = np.random.default_rng(1)
    random = pl.Series(rng.integers(0, 6, calls.height).astype(str))
    calls = calls.with_columns(
        pl.when(held)
        .then("tracking_number")
        .otherwise(pl.lit("n") + random)
        .alias("tracking_number")
    )
    found = fit_account("a", Account(), contacts, calls, {})
    assert found.refused is not None
    assert "on held-out days the configured parameters say better which number" in found.refused
