"""One simulated account: what happens, and the events and truth that come of it."""

import zlib
from dataclasses import dataclass

import numpy as np
import polars as pl

from pipelines.simulation.calls import (
    follow_up,
    plan_calls,
    stop_browsing,
    stranger_calls,
    visit_calls,
)
from pipelines.simulation.draws import DAY, Flags
from pipelines.simulation.events import (
    AGENTS,
    call_events,
    engagement_events,
    pageview_events,
    truth_rows,
)
from pipelines.simulation.faults import arriving_pages, by_the_switch, in_order_of_arrival
from pipelines.simulation.forms import call_clicks, clicks, forms
from pipelines.simulation.pages import Traffic, make_pages
from pipelines.simulation.parameters import Parameters
from pipelines.simulation.pool import lend_numbers
from pipelines.simulation.truth import find_sessions, named_sessions, true_sessions
from pipelines.simulation.visitors import (
    START_MS,
    first_arrivals,
    make_visitors,
    make_visits,
)


@dataclass(frozen=True)
class Account:
    """An account's events in order of arrival, as they are written, and the truth of its calls."""

    name: str
    parameters: Parameters
    pageviews: pl.DataFrame
    engagements: pl.DataFrame
    calls: pl.DataFrame
    truth: pl.DataFrame


def simulate_account(name: str, p: Parameters, days: int, seed: int) -> Account:
    """Simulates an account for some days. The result depends on the arguments alone."""
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    traffic = make_traffic(rng, p, days)
    planned = plan_calls(rng, p, traffic)
    traffic, planned = stop_browsing(rng, p, traffic, planned)
    numbers = lend_numbers(p, traffic.visits, traffic.pages)
    entered, form_calls = forms(rng, p, traffic, numbers)
    engaged = pl.concat([entered, clicks(rng, p, traffic), call_clicks(rng, traffic, planned)])
    calls = pl.concat([visit_calls(planned, traffic, numbers), form_calls])
    strangers = stranger_calls(rng, p, days, len(traffic.visitors.phone))
    calls = pl.concat([follow_up(rng, p, calls), strangers])
    calls = calls.filter(pl.col("time_ms") < START_MS + days * DAY).sort("time_ms")
    arrives = arriving_pages(rng, p, traffic)
    engaged = engaged.filter(~pl.Series(_of(traffic, engaged, traffic.visitors.is_untracked)))
    sessions = _sessions(p, traffic, arrives, engaged)
    told = true_sessions(traffic, by_the_switch(rng, p, calls), sessions)
    viewed = pageview_events(name, p, traffic, numbers[arrives], arrives)
    return Account(
        name,
        p,
        in_order_of_arrival(rng, p, viewed),
        in_order_of_arrival(rng, p, engagement_events(name, p, traffic, engaged)),
        in_order_of_arrival(rng, p, call_events(rng, name, told)),
        truth_rows(name, p, told),
    )


def make_traffic(rng: np.random.Generator, p: Parameters, days: int) -> Traffic:
    """Visitors, visits and pages before anybody calls."""
    firsts = first_arrivals(rng, p, days)
    visitors = make_visitors(rng, p, len(firsts), len(AGENTS))
    visits = make_visits(rng, p, days, firsts)
    return Traffic(visitors, visits, make_pages(rng, p, visitors, visits))


def _sessions(
    p: Parameters, traffic: Traffic, arrives: Flags, engaged: pl.DataFrame
) -> pl.DataFrame:
    """The sessions of the events that arrive and may be used."""
    refused = traffic.visitors.is_refused
    pages = arrives & ~refused[traffic.visits.visitor[traffic.pages.visit]]
    engaged = engaged.filter(~pl.Series(_of(traffic, engaged, refused)))
    find = named_sessions if p.names_sessions else find_sessions
    return find(traffic, pages, engaged)


def _of(traffic: Traffic, rows: pl.DataFrame, of_visitor: Flags) -> Flags:
    return of_visitor[traffic.visits.visitor[rows["visit"].to_numpy()]]
