"""The fit of an account and its pools: what is used, held-out days, refusals."""

import numpy as np
import polars as pl
import pytest
from calibration_site import PROBABILITY, SECOND, calls_of, contacts_of, drawn, pool

from schemas.config import Account
from transforms.calibration_account import find_strangers, fit_account
from transforms.calibration_days import compare, draw_days, fold_days, tell
from transforms.calibration_evidence import (
    gather_evidence,
)
from transforms.calibration_results import HeldOut


def test_each_day_is_held_out_once():
    """By one of five fits."""
    assert (1 - fold_days(12)).sum(axis=0).tolist() == [1] * 12
    assert (draw_days(12).sum(axis=1) == 12).all()


def test_a_difference_is_held_against_its_spread_over_days():
    """The same gain on every day is certain, one of a single day is not; values lie in bounds."""
    contacts = contacts_of(*((f"v{day}", "n", day * 86_400) for day in range(8)))
    calls = calls_of(*(("n", day * 86_400 + 60) for day in range(8)))
    evidence = gather_evidence(contacts, calls, Account())
    before = np.full(8, -2.0)
    assert compare(evidence, before, before + 0.1) == HeldOut(-2, pytest.approx(-1.9), 0)
    once = compare(evidence, before, before + np.array([0.8, 0, 0, 0, 0, 0, 0, 0]))
    assert once.after - once.before == pytest.approx(0.1)
    assert once.error == pytest.approx(0.1)
    assert not once.is_better(1.01)
    assert tell([1.0, 2.0, 4.0]) == (pytest.approx(2), pytest.approx(1.1), pytest.approx(3.8))


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
    background of their own, and delays of their own only where these are other delays."""
    contacts, calls = drawn(14, 5)
    settings = Account(pools=(pool("large", 0, 1, 2), pool("tiny", 9)))
    found = fit_account("a", settings, contacts, calls)
    assert found.refused is None
    assert found.call_probability is not None
    assert found.background is not None
    intervals = [found.call_probability, found.background, *found.delay_means, *found.delay_weights]
    assert all(low <= value <= high for value, low, high in intervals)
    assert found.call_probability.low < found.call_probability.value < found.call_probability.high
    assert found.call_probability.value == pytest.approx(PROBABILITY, rel=0.15)
    assert sum(weight.value for weight in found.delay_weights) == pytest.approx(1)
    assert found.held_out[1] - found.held_out[0] > found.held_out_error
    assert list(found.pools) == ["large"]
    assert found.pools["large"].delays is None
    again = fit_account("a", settings, contacts, calls)
    assert again == found


def test_a_pool_where_people_call_otherwise_has_delays_of_its_own():
    """Calls of half of the numbers come an hour later or so; the account's are in between."""
    contacts, calls = drawn(21, 6)
    rng = np.random.default_rng(1)
    late = pl.Series((rng.exponential(900, calls.height) * SECOND).astype(np.int64))
    is_slow = pl.col("tracking_number").is_in(["+4510200103", "+4510200104", "+4510200105"])
    calls = calls.with_columns(pl.when(is_slow).then(pl.col("start") + late).otherwise("start"))
    settings = Account(pools=(pool("fast", 0, 1, 2), pool("slow", 3, 4, 5)))
    found = fit_account("a", settings, contacts, calls)
    fast, slow = found.pools["fast"].delays, found.pools["slow"].delays
    assert fast is not None
    assert slow is not None
    quick = [
        sum(part.value for part in told[:3]) for told in (fast.delay_weights, slow.delay_weights)
    ]
    assert quick[0] > quick[1] + 0.2


@pytest.mark.parametrize(
    ("days", "numbers", "per_day", "told"),
    [
        (14, 6, 0, "no display of a number; page views must name tracking_numbers"),
        (5, 6, 400, "5 UTC days with calls that have candidates; at least 7 are needed"),
        (14, 1, 400, "one number was displayed; which one was called says nothing then"),
        (14, 6, 10, "calls with candidates by callers not known; 100 are needed"),
    ],
)
def test_an_account_without_enough_data_is_refused(days, numbers, per_day, told):
    """The reason says what there is and what is needed."""
    contacts, calls = drawn(days, 6, numbers=numbers, per_day=per_day)
    found = fit_account("a", Account(), contacts, calls)
    assert found.refused is not None
    assert told in found.refused
    assert found.call_probability is None


def test_days_without_calls_that_have_candidates_do_not_count():
    """After five days of calls a display and, two days after it, a call leave them five."""
    contacts, calls = drawn(5, 6)
    late = contacts_of(("late", "+4510200100", 7 * 86_400))
    later = calls_of(("+4510200100", 9 * 86_400))
    found = fit_account("a", Account(), pl.concat([contacts, late]), pl.concat([calls, later]))
    assert found.days == 5
    assert found.refused is not None


def test_a_fit_that_says_no_more_than_the_configuration_is_refused():
    """Where calls go to numbers at random, and the configuration says so, no fit says it better."""
    contacts, calls = drawn(20, 7)
    rng = np.random.default_rng(1)
    digits = pl.Series(rng.integers(0, 6, calls.height).astype(str))
    calls = calls.with_columns((pl.lit("+451020010") + digits).alias("tracking_number"))
    random = Account(call_probability=1e-6, background_calls_per_day=50)
    found = fit_account("a", random, contacts, calls)
    assert found.refused is not None
    assert "on held-out days fitted parameters do not say better which number" in found.refused
