"""What a fit found: values with bounds, and what they rest on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Interval(NamedTuple):
    """A value with bounds between which it lies about nine times of ten."""

    value: float
    low: float
    high: float


class SavedFit(NamedTuple):
    """saved_number_calls_per_day and known_caller_factor; the repeat calls and the days for which
    callers were waited for, by number; and how many of the calls are taken for calls from another
    visit."""

    rate: Interval
    factor: Interval
    repeated: int
    caller_days: float
    otherwise: float


class Delays(NamedTuple):
    """How often contacts make calls, and when; the weights add up to 1."""

    call_probability: Interval
    delay_means: tuple[Interval, ...]
    delay_weights: tuple[Interval, ...]


class HeldOut(NamedTuple):
    """Mean log-probability of the number called on days that were held out, by the parameters
    before and by fitted ones, and the standard error of the difference over days."""

    before: float
    after: float
    error: float

    def is_better(self, errors: float) -> bool:
        """The fitted ones are better by more than so many standard errors."""
        return self.after - self.before > errors * self.error


@dataclass(frozen=True)
class PoolFit:
    """What a pool has of its own.

    calls: with candidates. delays, saved: None where they are the account's. held_out: by the
    account's delays and by the pool's own, where these were tried.
    """

    calls: int
    background: Interval
    delays: Delays | None = None
    held_out: HeldOut | None = None
    saved: SavedFit | None = None


@dataclass(frozen=True)
class Fit:
    """What was found of an account; `refused` says why nothing was, and then the rest is empty.

    calls: used, with candidates; days: UTC days with such calls; lookback_days: as configured, how
    long callers are known; held_out: mean log-probability of the number called on held-out
    days, by the configured and by fitted parameters, and held_out_error: the standard error of the
    difference; pools: those with enough calls of their own.
    """

    account: str
    refused: str | None = None
    calls: int = 0
    days: int = 0
    lookback_days: float = 0.0
    call_probability: Interval | None = None
    delay_means: tuple[Interval, ...] = ()
    delay_weights: tuple[Interval, ...] = ()
    background: Interval | None = None
    saved: SavedFit | None = None
    held_out: tuple[float, float] = (0.0, 0.0)
    held_out_error: float = 0.0
    pools: Mapping[str, PoolFit] = field(default_factory=dict)
