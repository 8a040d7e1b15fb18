"""Candidates of an inbound call, and the weights of the hypotheses (SPEC 8)."""

from __future__ import annotations

import dataclasses
import math

from oracle.phones import normalise
from oracle.sessions import Session
from oracle.settings import DAY, MICROS, MINUTE, POOL_KEYS, Settings, utc_day, valid_on

MOST_CANDIDATES = 1000


@dataclasses.dataclass
class Candidate:
    """A session that may have made the call; `latest` is l_i."""

    session: Session
    latest: int
    displays: list[int]
    probability: float = 0.0

    @property
    def rounded(self) -> float:
        return round(self.probability, 9)

    @property
    def tie_order(self) -> tuple[int, str, str]:
        """Later l_i, then smaller session_id, then visitor_id (SPEC 9)."""
        return (-self.latest, self.session.session_id, self.session.visitor_id)


@dataclasses.dataclass
class Hypotheses:
    """The candidates, likeliest first, with nobody and (where it stands) a kept number."""

    candidates: list[Candidate]
    none: float
    saved: float | None


def pool_settings(settings: Settings, number: str, start: int) -> Settings:
    """The account's settings, overridden by the number's pool on the UTC day of the call."""
    day = utc_day(start)
    pools = [
        pool
        for pool in settings["pools"]
        if valid_on(pool, day) and number in normalised_numbers(pool, settings)
    ]
    if len(pools) > 1:
        raise ValueError("a number in two pools of an account at one time")
    merged = dict(settings)
    for pool in pools:
        merged.update({key: pool[key] for key in POOL_KEYS if key in pool})
    return merged


def normalised_numbers(pool: Settings, settings: Settings) -> set[str | None]:
    return {normalise(str(number), settings["default_region"]) for number in pool["numbers"]}


def latest_sign(session: Session, number: str, call_time: int) -> int | None:
    """l_i: the latest display at or before c, or engagement on a page that displayed b."""
    signs = [time for time in session.displays(number) if time <= call_time]
    if not signs:
        return None
    signs += [
        engagement.time
        for engagement in session.engagements
        if engagement.time <= call_time and was_showing(session, number, engagement.time)
    ]
    return max(signs)


def was_showing(session: Session, number: str, time: int) -> bool:
    """The session's latest pageview at or before the time displayed the number.

    At equal times one such pageview is enough.
    """
    before = [page for page in session.pageviews if page.time <= time]
    if not before:
        return False
    latest = max(page.time for page in before)
    return any(number in page.shown for page in before if page.time == latest)


def find_candidates(
    sessions: list[Session], number: str, call_time: int, settings: Settings
) -> list[Candidate]:
    """Sessions within the window, one a visitor, at most 1,000."""
    found: list[Candidate] = []
    for session in sessions:
        latest = None if session.is_bot else latest_sign(session, number, call_time)
        if latest is None:
            continue
        if call_time - latest <= settings["match_window_minutes"] * MINUTE:
            displays = [time for time in session.displays(number) if time <= call_time]
            found.append(Candidate(session, latest, displays))
    best: dict[str, Candidate] = {}
    for one in found:
        other = best.get(one.session.visitor_id)
        if other is None or within_visitor(one) < within_visitor(other):
            best[one.session.visitor_id] = one
    return sorted(best.values(), key=lambda one: one.tie_order)[:MOST_CANDIDATES]


def within_visitor(one: Candidate) -> tuple[int, int, str]:
    """The latest l_i (ties: later start, smaller session_id)."""
    return (-one.latest, -one.session.start, one.session.session_id)


def density(delay_seconds: float, settings: Settings) -> float:
    """h(d), the density of the delay from display to call."""
    return sum(
        weight / mean * math.exp(-delay_seconds / mean)
        for weight, mean in zip(settings["delay_weights"], settings["delay_means"], strict=True)
    )


def weigh(
    candidates: list[Candidate],
    call_time: int,
    settings: Settings,
    is_repeat: bool,
    origin_visitor: str | None,
) -> Hypotheses:
    """The probability of each hypothesis is its weight over the sum of all weights."""
    factor = settings["known_caller_factor"] if is_repeat else 1.0
    weights = []
    for one in candidates:
        delay = (call_time - one.latest) / MICROS
        weight = settings["call_probability"] * density(delay, settings)
        is_origin = is_repeat and one.session.visitor_id == origin_visitor
        weights.append(weight if is_origin else weight * factor)
    w_none = settings["background_calls_per_day"] / 86400 * factor
    w_saved = settings["saved_number_calls_per_day"] / 86400 if is_repeat else 0.0
    total = math.fsum([*weights, w_none, w_saved])
    shares = [weight / total if total else 0.0 for weight in weights]
    weighed = [
        dataclasses.replace(one, probability=share)
        for one, share in zip(candidates, shares, strict=True)
    ]
    weighed.sort(key=lambda one: (-one.rounded, one.tie_order))
    none = w_none / total if total else 1.0
    saved = (w_saved / total if total else 0.0) if is_repeat else None
    return Hypotheses(weighed, none, saved)


def lookback(settings: Settings) -> int:
    return settings["lookback_days"] * DAY
