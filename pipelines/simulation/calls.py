"""Who calls, when, and looking at what: calls that visits lead to, and what follows them."""

from typing import NamedTuple

import numpy as np
import polars as pl

from pipelines.simulation.draws import (
    DAY,
    HOUR,
    MINUTE,
    SECOND,
    Flags,
    Ints,
    choose,
    happens,
    log_normal,
)
from pipelines.simulation.pages import CONTACT, Traffic
from pipelines.simulation.parameters import Parameters
from pipelines.simulation.visitors import START_MS, local_hours, weekday_shares

BROWSING, AFTER, LATER, SAVED = range(4)
REASONS = ("browsing", "after_visit", "later", "saved_number")

CALLS = {
    "visit": pl.Int64,
    "look": pl.Int64,
    "time_ms": pl.Int64,
    "reason": pl.String,
    "phone": pl.Int64,
    "number": pl.Int64,
    "is_withheld": pl.Boolean,
    "is_outbound": pl.Boolean,
}


class Planned(NamedTuple):
    """Calls that visits lead to: visit, the page looked at (row of Pages), time, which of REASONS,
    and whether the number was clicked rather than dialled."""

    visit: Ints
    look: Ints
    time_ms: Ints
    reason: Ints
    is_click: Flags

    def filter(self, keep: Flags) -> "Planned":
        """Some of the calls."""
        visit, look, time_ms, reason, is_click = self
        return Planned(visit[keep], look[keep], time_ms[keep], reason[keep], is_click[keep])


def plan_calls(rng: np.random.Generator, p: Parameters, traffic: Traffic) -> Planned:
    """One call at most for each visit; robots do not call."""
    visits, pages = traffic.visits, traffic.pages
    firsts = pages.firsts(len(visits))
    counts = np.diff(firsts)
    chance = (
        p.call_probability
        * np.asarray(p.intent_call_factors)[visits.intent]
        * np.asarray(p.source_call_factors)[visits.source]
        * np.where(visits.is_burst, p.burst_call_factor, 1.0)
    )
    contact = np.unique(pages.visit[pages.path == CONTACT])
    chance[contact] *= p.contact_call_factor
    visit = np.flatnonzero(happens(rng, chance, len(visits)))
    visit = visit[~traffic.is_machine(visit)]
    reason = choose(rng, p.delay_shares, len(visit))
    some = firsts[visit] + (rng.random(len(visit)) * counts[visit]).astype(np.int64)
    look = np.where(reason == BROWSING, some, firsts[visit] + counts[visit] - 1)
    time_ms = pages.time_ms[look] + _delays(rng, p, reason)
    is_click = (reason == BROWSING) & happens(rng, p.click_to_call_probability, len(visit))
    planned = Planned(visit, look, time_ms, reason, is_click)
    return planned.filter(is_open(rng, p, time_ms))


def _delays(rng: np.random.Generator, p: Parameters, reason: Ints) -> Ints:
    size = len(reason)
    kinds = (
        log_normal(rng, p.browsing_median_seconds * SECOND, p.browsing_sigma, size, 2 * SECOND),
        (p.after_scale_seconds * SECOND * rng.weibull(p.after_shape, size)).astype(np.int64)
        + 3 * SECOND,
        log_normal(rng, p.later_median_minutes * MINUTE, p.later_sigma, size, MINUTE),
        log_normal(rng, p.saved_median_days * DAY, p.saved_sigma, size, 2 * HOUR),
    )
    return np.choose(reason, kinds)


def is_open(rng: np.random.Generator, p: Parameters, time_ms: Ints) -> Flags:
    """Which calls are made, in view of the opening hours."""
    hour = local_hours(p, time_ms) % 24
    opened = (hour >= p.open_from_hour) & (hour < p.open_to_hour)
    return opened | happens(rng, p.closed_call_share, len(time_ms))


def stop_browsing(
    rng: np.random.Generator, p: Parameters, traffic: Traffic, planned: Planned
) -> tuple[Traffic, Planned]:
    """Leaves out the pages after a call, of those who stop browsing to talk."""
    pages = traffic.pages
    ends = np.full(len(traffic.visits), np.iinfo(np.int64).max)
    stops = happens(rng, p.stops_browsing_probability, len(planned.visit))
    ends[planned.visit[stops]] = planned.time_ms[stops]
    keep = pages.time_ms <= ends[pages.visit]
    moved = np.cumsum(keep) - 1
    return traffic._replace(pages=pages.kept(keep)), planned._replace(look=moved[planned.look])


def visit_calls(planned: Planned, traffic: Traffic, numbers: Ints) -> pl.DataFrame:
    """Planned calls as CALLS, before what becomes of them; the number is that of the page."""
    visitor = traffic.visits.visitor[planned.visit]
    return pl.DataFrame(
        {
            "visit": planned.visit,
            "look": planned.look,
            "time_ms": planned.time_ms,
            "reason": np.asarray(REASONS)[planned.reason],
            "phone": traffic.visitors.phone[visitor],
            "number": numbers[planned.look],
            "is_withheld": traffic.visitors.is_withheld[visitor],
            "is_outbound": np.zeros(len(visitor), bool),
        },
        schema=CALLS,
    )


def follow_up(rng: np.random.Generator, p: Parameters, calls: pl.DataFrame) -> pl.DataFrame:
    """The calls with `is_answered`, and with those that they lead to: tries again, callbacks of
    missed calls, and calls to the number that was kept."""
    calls = _answered(rng, p, calls)
    size = calls.height
    missed, inbound = ~calls["is_answered"], ~calls["is_outbound"]
    kinds = (
        ("retry", p.retry_probability, missed, p.retry_median_minutes * MINUTE, 0.9),
        ("missed_callback", p.callback_probability, missed, 25 * MINUTE, 1.0),
        ("repeat", p.repeat_probability, ~missed, p.repeat_median_hours * HOUR, p.repeat_sigma),
    )
    found = [calls]
    for reason, share, condition, median_ms, sigma in kinds:
        again = calls.with_columns(
            pl.col("time_ms") + log_normal(rng, median_ms, sigma, size, 40 * SECOND),
            pl.lit(reason).alias("reason"),
            pl.lit(reason == "missed_callback").alias("is_outbound"),
        )
        chosen = pl.Series(happens(rng, share, size)) & condition & inbound
        if reason == "missed_callback":
            chosen &= ~calls["is_withheld"]
        kept = again.filter(chosen & pl.Series(is_open(rng, p, again["time_ms"].to_numpy())))
        found.append(_answered(rng, p, kept))
    return pl.concat(found)


def _answered(rng: np.random.Generator, p: Parameters, calls: pl.DataFrame) -> pl.DataFrame:
    missed = happens(rng, p.missed_probability, calls.height)
    return calls.with_columns(pl.Series("is_answered", ~missed))


def stranger_calls(
    rng: np.random.Generator, p: Parameters, days: int, first_phone: int
) -> pl.DataFrame:
    """Calls by nobody on the site, as CALLS; phones numbered from first_phone.

    They have hours and weekdays of their own: what keeps these callers does not keep visitors.
    """
    by_day = np.resize(weekday_shares(p.stranger_weekday_weights), days)
    kinds = (
        ("misdial", p.misdials_per_number_day * p.pool_numbers, p.pool_numbers, 1.0),
        ("printed_number", p.printed_calls_per_day, 1, 1.2),
        ("remembered_number", p.remembered_calls_per_day, p.pool_numbers, 1.7),
    )
    found = []
    for reason, per_day, numbers, calls_per_phone in kinds:
        day = np.repeat(np.arange(days), rng.poisson(per_day * by_day))
        size = len(day)
        local = day * DAY + choose(rng, p.stranger_hour_weights, size) * HOUR
        time_ms = START_MS + local + rng.integers(0, HOUR, size) - p.utc_offset_hours * HOUR
        phones = 1 + int(size / calls_per_phone)
        phone = rng.integers(0, phones, size)
        known = rng.integers(0, numbers, phones)
        calls = pl.DataFrame(
            {
                "visit": np.full(size, -1),
                "look": np.full(size, -1),
                "time_ms": time_ms,
                "reason": np.full(size, reason),
                "phone": first_phone + phone,
                "number": known[phone],
                "is_withheld": happens(rng, p.withheld_probability, size),
                "is_outbound": np.zeros(size, bool),
            },
            schema=CALLS,
        )
        found.append(calls)
        first_phone += phones
    return _answered(rng, p, pl.concat(found))
