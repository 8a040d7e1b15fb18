"""Who comes to the site and when: visitors and their visits."""

from dataclasses import dataclass

import numpy as np

from pipelines.simulation.draws import (
    DAY,
    HOUR,
    Flags,
    Floats,
    Ints,
    choose,
    happens,
    log_normal,
)
from pipelines.simulation.parameters import Parameters

# A Monday, so that the seed alone decides and not the day on which somebody simulates.
START_MS = 1_736_121_600_000
MOST_VISITS = 12


@dataclass(frozen=True)
class Visitors:
    """Browsers by number; phone is the number of a person's phone, which families share."""

    phone: Ints
    agent: Ints
    is_withheld: Flags
    is_bot: Flags
    is_hidden_bot: Flags
    is_untracked: Flags
    is_refused: Flags

    @property
    def is_machine(self) -> Flags:
        """Robots that say so and robots that do not."""
        return self.is_bot | self.is_hidden_bot


@dataclass(frozen=True)
class Visits:
    """Visits in order of start: visitor, start (ms), source, intent, in a burst or not."""

    visitor: Ints
    start_ms: Ints
    source: Ints
    intent: Ints
    is_burst: Flags

    def __len__(self) -> int:
        return len(self.visitor)


def make_visitors(rng: np.random.Generator, p: Parameters, size: int, agents: int) -> Visitors:
    """So many visitors; `agents` is how many user agents there are to choose from."""
    own = np.arange(size)
    of_family = happens(rng, p.family_probability, size) & (own > 0)
    relative = (rng.random(size) * own).astype(np.int64)
    is_bot = happens(rng, p.bot_share, size)
    return Visitors(
        phone=np.where(of_family, relative, own),
        agent=rng.integers(0, agents, size),
        is_withheld=happens(rng, p.withheld_probability, size),
        is_bot=is_bot,
        is_hidden_bot=happens(rng, p.hidden_bot_share, size) & ~is_bot,
        is_untracked=happens(rng, p.untracked_share, size),
        is_refused=happens(rng, p.refused_share, size),
    )


def first_arrivals(rng: np.random.Generator, p: Parameters, days: int) -> Ints:
    """When new visitors come, ms, sorted: Poisson by hour, weekday, day and burst."""
    hour = np.arange(days * 24)
    rates = hourly_rates(p, days) * np.repeat(
        np.exp(p.day_sigma * rng.standard_normal(days) - p.day_sigma**2 / 2), 24
    )
    counts = rng.poisson(p.visitors_per_day * rates)
    local = np.repeat(hour, counts) * HOUR + rng.integers(0, HOUR, counts.sum())
    return np.sort(START_MS + local - p.utc_offset_hours * HOUR)


def hourly_rates(p: Parameters, days: int) -> Floats:
    """By local hour since the start: share of a usual day's visitors, bursts included."""
    by_hour = np.asarray(p.hour_weights, float) / sum(p.hour_weights)
    by_day = weekday_shares(p.weekday_weights)
    hour = np.arange(days * 24)
    rates = by_hour[hour % 24] * by_day[hour // 24 % 7]
    return rates * np.where(in_burst(p, hour), p.burst_factor, 1.0)


def weekday_shares(weights: tuple[float, ...]) -> Floats:
    """Weights by weekday as factors whose mean is 1."""
    return np.asarray(weights, float) / (sum(weights) / len(weights))


def in_burst(p: Parameters, hour: Ints) -> Flags:
    """Whether a local hour since the start lies in a burst."""
    day_of_burst = hour // 24 % p.burst_every_days == p.burst_every_days - 1
    since = hour % 24 - p.burst_hour
    return (p.burst_factor > 1) & day_of_burst & (since >= 0) & (since < p.burst_hours)


def local_hours(p: Parameters, time_ms: Ints) -> Ints:
    """Local hours since the start."""
    return (time_ms - START_MS) // HOUR + p.utc_offset_hours


def make_visits(rng: np.random.Generator, p: Parameters, days: int, firsts: Ints) -> Visits:
    """First visits and returns within the days; who returns comes by other ways."""
    visitor = [np.arange(len(firsts))]
    starts = [firsts]
    while len(starts) < MOST_VISITS and len(visitor[-1]):
        again = happens(rng, p.return_probability, len(visitor[-1]))
        visitor.append(visitor[-1][again])
        starts.append(_return(rng, p, starts[-1][again]))
    of, start_ms = np.concatenate(visitor), np.concatenate(starts)
    is_return = np.arange(len(of)) >= len(firsts)
    source = choose(rng, p.source_weights, len(of))
    source = np.where(is_return & happens(rng, 0.6, len(of)), 5, source)
    intent = choose(rng, p.intent_shares, len(of))
    intent = np.maximum(intent, np.where(is_return, 1, 0))
    kept = np.flatnonzero(start_ms < START_MS + days * DAY)
    order = kept[np.argsort(start_ms[kept], kind="stable")]
    is_burst = in_burst(p, local_hours(p, start_ms[order]))
    return Visits(of[order], start_ms[order], source[order], intent[order], is_burst)


def _return(rng: np.random.Generator, p: Parameters, start_ms: Ints) -> Ints:
    """When the next visit is: later the same day, or days later at an hour of that day."""
    size = len(start_ms)
    soon = start_ms + log_normal(rng, 2 * HOUR, 0.8, size, 35 * 60_000)
    gap = log_normal(rng, p.return_gap_days * DAY, p.return_gap_sigma, size, DAY) // DAY
    midnight = (start_ms // DAY + gap) * DAY - p.utc_offset_hours * HOUR
    hour = choose(rng, p.hour_weights, size)
    later = midnight + hour * HOUR + rng.integers(0, HOUR, size)
    return np.where(happens(rng, p.return_same_day_share, size), soon, later)
