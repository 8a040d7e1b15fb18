"""What a fit needs of an account: who was under way when calls came."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from calibration_site import (
    calls_of,
    contacts_of,
    drawn,
    pool,
)

from schemas.config import Account
from transforms.calibration_account import count_usable
from transforms.calibration_contacts import find_contacts
from transforms.calibration_evidence import (
    MEANS,
    STALE_SECONDS,
    gather_evidence,
    merge_pools,
    only_pool,
)


def density(*delays: float) -> list[float]:
    """Summed densities of MEANS at some delays."""
    return (np.exp(-np.array(delays)[:, None] / MEANS) / MEANS).sum(axis=0).tolist()


def test_evidence_is_who_was_under_way_when_a_call_came():
    """A contact ends at the visitor's next with the number, and after four hours; a call at its
    very moment belongs to it; other numbers' contacts count for all."""
    end = 4 * 3600
    contacts = contacts_of(("v", "n", 0), ("v", "n", 100), ("w", "n", 50), ("x", "m", 0))
    calls = calls_of(("n", 100), ("n", 100 + end), ("n", 101 + end), ("m", 40), ("other", 60))
    evidence = gather_evidence(contacts, calls, Account())
    assert evidence.call_row.tolist() == [3, 0, 1, 2]
    own, every = evidence.own.parts, evidence.every.parts
    assert own[0] == pytest.approx(density(40))
    assert own[1] == pytest.approx(density(0, 50))
    assert own[2] == pytest.approx(density(end), rel=1e-6)
    assert own[3].tolist() == [0] * 6
    assert every[1] == pytest.approx(density(0, 50, 100))
    assert (evidence.numbers, evidence.days) == (2, 1)
    assert evidence.calls_per_day.tolist() == [[4.0]]
    lasted = np.array([[100], [end], [end], [end]])
    assert evidence.exposure[0, 0] == pytest.approx((1 - np.exp(-lasted / MEANS)).sum(axis=0))


def test_evidence_knows_how_stale_a_number_is():
    """Numbers by the age of their freshest contact; one without any is staler than all."""
    contacts = contacts_of(("v", "n", 0), ("w", "n", 500), ("x", "m", 0), ("y", "o", 9999))
    evidence = gather_evidence(contacts, calls_of(("n", 700), ("m", 700)), Account())
    assert STALE_SECONDS.tolist() == [120, 300, 600, 1200]
    assert evidence.own.stale[:, 0].tolist() == [[1, 1, 0, 0, 0], [1, 1, 1, 1, 0]]
    assert evidence.every.stale[0, 0].tolist() == [3, 3, 2, 2, 1]


def test_a_pool_has_its_numbers_on_its_days_with_its_window_and_values():
    """A number belongs to the pool that holds it on the day of the call."""
    day = dt.date(1970, 1, 1) + dt.timedelta(days=20_001)
    settings = Account(
        pools=(
            pool("one", 0, valid_to=day, match_window_minutes=1, background_calls_per_day=86_400),
            pool("two", 0, 1, valid_from=day),
        )
    )
    n, m = "+4510200100", "+4510200101"
    contacts = contacts_of(("v", n, 0), ("w", m, 0), ("v", n, 86_400))
    calls = calls_of((n, 30), (n, 90), (m, 90), (n, 86_490))
    evidence = gather_evidence(contacts, calls, settings)
    assert [evidence.pools[place] for place in evidence.call_pool] == ["one", "one", None, "two"]
    assert evidence.own.near.any(axis=1).tolist() == [True, False, True, True]
    assert evidence.own.configured[1] == pytest.approx(1)
    assert evidence.own.configured[3] < 0.01
    assert count_usable(evidence) == {"one": 1, "two": 1, None: 1}
    alone = only_pool(evidence, evidence.pools.index("one"))
    assert (alone.calls, alone.every.parts.tolist()) == (2, alone.own.parts.tolist())


def test_of_many_calls_every_nth_of_a_pool_is_taken(monkeypatch):
    """Calls taken stand for those left out; a small pool keeps all of its calls."""
    monkeypatch.setattr("transforms.calibration_evidence.MOST_CALLS", 100)
    monkeypatch.setattr("transforms.calibration_evidence.MOST_POOL_CALLS", 50)
    contacts, calls = drawn(6, 1)
    few = pl.col("tracking_number") == "+4510200100"
    calls = pl.concat([calls.filter(~few), calls.filter(few).head(30)])
    settings = Account(pools=(pool("small", 0), pool("large", 1, 2, 3, 4, 5)))
    evidence = gather_evidence(contacts, calls, settings)
    weights = [evidence.call_weight[evidence.call_pool == place] for place in (0, 1)]
    assert weights[0].tolist() == [1.0] * 30
    assert len(weights[1]) < 100
    assert weights[1].sum() == pytest.approx(calls.height - 30, abs=weights[1][0])
    assert evidence.calls_per_day.sum() == calls.height


def test_without_contacts_there_is_no_evidence():
    """The error says so."""
    with pytest.raises(ValueError, match="no contacts"):
        gather_evidence(contacts_of(), calls_of(("n", 1)), Account())


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


def test_pools_that_are_not_kept_are_one():
    """Numbers in no pool are there only where some were displayed."""
    contacts, calls = drawn(7, 1)
    settings = Account(pools=(pool("a", 0, 1), pool("b", 2), pool("c", 3, 4, 5)))
    every = gather_evidence(contacts, calls, settings)
    assert every.pools == ("a", "b", "c", None)
    assert merge_pools(every, ["a", "b", "c"]).pools == ("a", "b", "c")
    merged = merge_pools(every, ["c"])
    assert merged.pools == ("c", None)
    assert merged.every.stale[0, :, 0].tolist() == [3, 3]
    assert merged.calls_per_day.sum() == every.calls_per_day.sum()
