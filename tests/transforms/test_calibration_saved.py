"""Fitting what callers do who called before: waits, shares, bounds, pools."""

import numpy as np
import polars as pl
import pytest
from calibration_site import DAY, SECOND, T, calls_of, contacts_of, pool

from schemas.config import Account
from transforms.calibration import Parameters
from transforms.calibration_saved import find_waits, fit_known, fit_saved

WINDOW = 30 / 1440


def told(calls: pl.DataFrame, keys: str, others: list[float], usual: list[float]) -> pl.DataFrame:
    """Calls with what find_waits needs: a caller a letter."""
    return calls.with_columns(
        caller_key=pl.Series(list(keys)),
        pool=pl.lit("p"),
        window=pl.lit(30 * 60 * SECOND),
        others=pl.Series(others),
        usual=pl.Series(usual),
    )


def test_repeat_calls_are_counted_by_the_days_waited_for():
    """Three callers over ten days: one calls again after two days, another after four; soon repeats
    and other numbers do not count; a call that contacts explain is the factor's, over the calls
    to the number that was waited for."""
    calls = calls_of(
        ("n", 0),
        ("n", 600),
        ("n", 2 * 86_400),
        ("n", 0),
        ("m", 3 * 86_400),
        ("n", 0),
        ("n", 4 * 86_400),
    )
    usual = [0.25, 0.25, 0.25, 0.25, 2.0, 0.25, 0.25]
    rows = told(calls, "kkklloo", [0.0] * 6 + [1e9], usual)
    found = fit_saved(find_waits(rows, T + 10 * DAY, 30), (0.05, 0.01))
    elsewhere = 7 - WINDOW
    days = (2 - 600 / 86_400) + 8 + 10 + elsewhere + 4 + 6 - 5 * WINDOW
    assert (found.repeated, found.otherwise) == (2, pytest.approx(1))
    assert found.caller_days == pytest.approx(days)
    assert found.rate.value == pytest.approx(6 / (days + 100))
    expected = (days - elsewhere) * 0.25 + elsewhere * 2
    assert found.factor.value == pytest.approx(6 / (expected + 500))
    assert found.rate.low < found.rate.value < found.rate.high


def test_bounds_are_those_of_a_poisson_count():
    """Of 20 calls 13.25 to 29.06, of none 0 to 3.00 (Garwood); the prior's calls do not count."""
    waits = pl.DataFrame({"waited": [100.0] * 20, "called": True, "others": 0.0, "usual": 1.0})
    found = fit_saved(waits, (0.01, 0.01))
    assert found.rate.value == pytest.approx(0.01)
    assert found.rate.low == pytest.approx(13.25 / 2000, rel=0.01)
    assert found.rate.high == pytest.approx(29.06 / 2000, rel=0.01)
    assert found.factor.low == 0
    assert found.factor.high == pytest.approx(max(3.0 / 2000, found.factor.value), rel=0.03)


def test_a_caller_who_never_calls_again_leaves_the_prior():
    """Unknown callers are not waited for; no calls give the configured values."""
    rows = told(calls_of(("n", 0), ("n", 60)), "kk", [0.0] * 2, [1.0] * 2)
    rows = rows.with_columns(caller_key=pl.lit(None, pl.String))
    found = fit_saved(find_waits(rows, T + DAY, 30), (0.05, 0.01))
    assert (found.rate.value, found.factor.value) == pytest.approx((0.05, 0.01))
    assert found.caller_days == 0


def test_a_pool_with_enough_repeat_calls_has_a_rate_of_its_own():
    """Of two pools, callers of one call again every day, of the other seldom."""
    often, seldom = "+4510200100", "+4510200101"
    calls = [(often, day * 86_400) for day in range(60)] + [(seldom, 0), (seldom, 20 * 86_400)]
    keys = ["k"] * 60 + ["l"] * 2
    rows = calls_of(*calls).with_columns(caller_key=pl.Series(keys))
    contacts = contacts_of(("v", often, 10), ("v", seldom, 10))
    now = Parameters(np.full(6, 1 / 6), 0.02, np.zeros((1, 5)))
    settings = Account(pools=(pool("often", 0), pool("seldom", 1)))
    found = fit_known(rows, contacts, settings, now)
    assert set(found) == {None, "often"}
    assert found["often"].repeated == 59
    assert found["often"].rate.value > found[None].rate.value
