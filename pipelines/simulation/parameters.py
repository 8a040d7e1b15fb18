"""What a simulated site is like: every parameter with its meaning, default and bounds."""

from typing import Annotated, Any, get_type_hints

import msgspec
from msgspec import Meta

Weights = tuple[Annotated[float, Meta(ge=0, le=1e6)], ...]


class ParameterError(ValueError):
    """An unknown profile or parameter, or a value out of bounds; the message says which."""


def _share(text: str) -> Meta:
    return Meta(ge=0, le=1, description=text)


def _amount(text: str) -> Meta:
    return Meta(ge=0, le=1e7, description=text)


def _above(text: str) -> Meta:
    return Meta(gt=0, le=1e7, description=text)


def _count(text: str) -> Meta:
    return Meta(ge=1, le=10_000, description=text)


def _weights(length: int, text: str) -> Meta:
    return Meta(min_length=length, max_length=length, description=text)


HOURS = (2, 1, 1, 1, 1, 2, 5, 9, 13, 16, 17, 16, 14, 14, 14, 13, 12, 11, 12, 14, 15, 13, 8, 4)
# Old customers and readers of prints call when offices open, after lunch, and on Mondays.
STRANGER_HOURS = (0, 0, 0, 0, 0, 1, 3, 14, 20, 15, 9, 6, 4, 13, 10, 6, 5, 3, 2, 1, 1, 0, 0, 0)
STRANGER_WEEKDAYS = (1.7, 1.2, 1, 1, 1.1, 0.6, 0.2)
SOURCES = (
    "google ads, brand", "google ads, other", "google", "facebook ads", "newsletter", "direct",
    "bing", "a page that links here",
)  # fmt: skip
SOURCE_WEIGHTS = (14, 20, 26, 12, 6, 14, 5, 3)
SOURCE_CALLS = (1.8, 0.8, 1.0, 0.3, 0.5, 1.2, 0.9, 1.0)
DELAY_SHARES = (0.45, 0.32, 0.15, 0.08)


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One site. Delays called log-normal have a median and a sigma (of the natural logarithm)."""

    # Who comes, and when.
    visitors_per_day: Annotated[float, _above("New visitors on a usual day.")] = 700.0
    hour_weights: Annotated[Weights, _weights(24, "Visitors by local hour, from midnight.")] = HOURS
    weekday_weights: Annotated[Weights, _weights(7, "Visitors by weekday, from Monday.")] = (
        1,
        1,
        1,
        1,
        0.9,
        0.6,
        0.6,
    )
    day_sigma: Annotated[float, _amount("How much days differ: sigma of a log-normal factor.")] = (
        0.15
    )
    utc_offset_hours: Annotated[int, Meta(ge=-12, le=14, description="Local time less UTC.")] = 1
    burst_factor: Annotated[
        float, _above("Visitors during a burst (a TV spot, a newsletter), times as many.")
    ] = 1.0
    burst_every_days: Annotated[int, _count("Days from one burst to the next.")] = 3
    burst_hour: Annotated[int, Meta(ge=0, le=23, description="Local hour a burst begins.")] = 19
    burst_hours: Annotated[int, _count("How many hours a burst lasts.")] = 2
    burst_call_factor: Annotated[
        float, _amount("Calls per visit during a burst, times as many.")
    ] = 1.0
    return_probability: Annotated[
        float, _share("That a visit is followed by another of the visitor.")
    ] = 0.2
    return_same_day_share: Annotated[float, _share("Of these, on the same day.")] = 0.4
    return_gap_days: Annotated[
        float, _above("Days to the next visit otherwise: log-normal, median.")
    ] = 2.5
    return_gap_sigma: Annotated[float, _amount("Its sigma.")] = 1.0
    bot_share: Annotated[float, _share("Visitors that are robots and say so.")] = 0.02
    hidden_bot_share: Annotated[float, _share("Visitors that are robots and look like people.")] = (
        0.01
    )
    bot_pages: Annotated[
        float, _above("Pages of a robot's visit, on average; each holds a number.")
    ] = 25.0
    # What they look at. Intents: looking around, comparing, ready to buy.
    intent_shares: Annotated[
        Weights, _weights(3, "Visits that look around, compare, are ready.")
    ] = (0.7, 0.22, 0.08)
    intent_pages: Annotated[Weights, _weights(3, "Their pages on average, at least 1.")] = (
        2.2,
        6.0,
        4.0,
    )
    intent_call_factors: Annotated[Weights, _weights(3, "Their calls, times as many.")] = (
        0.25,
        1.2,
        7.0,
    )
    dwell_median_seconds: Annotated[float, _above("Time on a page: log-normal, median.")] = 35.0
    dwell_sigma: Annotated[float, _amount("Its sigma.")] = 1.1
    source_weights: Annotated[
        Weights, _weights(8, "Visitors by source, in the order of SOURCES.")
    ] = SOURCE_WEIGHTS
    source_call_factors: Annotated[Weights, _weights(8, "Their calls, times as many.")] = (
        SOURCE_CALLS
    )
    contact_call_factor: Annotated[
        float, _amount("Calls of visits that open the contact page, times.")
    ] = 2.5
    # The pool.
    pool_numbers: Annotated[int, _count("Tracking numbers of the pool.")] = 12
    hold_seconds: Annotated[
        float, _amount("How long a number is held after its visit's latest page.")
    ] = 600.0
    sticky_days: Annotated[
        float, _amount("A visitor who returns gets the same number, if free, so long.")
    ] = 7.0
    overflow: Annotated[
        str,
        Meta(
            pattern="^(share|number)$",
            description="When no number is free: `share` the one longest unseen, or show all "
            "`number`, one overflow number.",
        ),
    ] = "share"
    # Calls by who has the number on the screen, or had it.
    call_probability: Annotated[
        float, _share("Base of the probability that a visit leads to a call.")
    ] = 0.05
    open_from_hour: Annotated[int, Meta(ge=0, le=23, description="Local hour of opening.")] = 8
    open_to_hour: Annotated[int, Meta(ge=1, le=24, description="Local hour of closing.")] = 18
    closed_call_share: Annotated[
        float, _share("Of the calls outside these hours, those made all the same.")
    ] = 0.25
    delay_shares: Annotated[
        Weights, _weights(4, "Calls while browsing, soon after, later, from a saved number.")
    ] = DELAY_SHARES
    browsing_median_seconds: Annotated[
        float, _above("From a page to a call while browsing: log-normal.")
    ] = 40.0
    browsing_sigma: Annotated[float, _amount("Its sigma.")] = 1.0
    after_scale_seconds: Annotated[
        float, _above("From the last page to a call soon after: Weibull, scale.")
    ] = 420.0
    after_shape: Annotated[float, _above("Its shape; below 1 is a long tail.")] = 0.7
    later_median_minutes: Annotated[
        float, _above("The comparing shopper's delay: log-normal, median.")
    ] = 50.0
    later_sigma: Annotated[float, _amount("Its sigma.")] = 1.1
    saved_median_days: Annotated[
        float, _above("From the visit to a first call from a saved number.")
    ] = 3.0
    saved_sigma: Annotated[float, _amount("Its sigma.")] = 0.9
    stops_browsing_probability: Annotated[
        float, _share("That the pages after the call are not viewed.")
    ] = 0.7
    click_to_call_probability: Annotated[
        float, _share("A call while browsing by a click on the number.")
    ] = 0.3
    idle_click_probability: Annotated[
        float, _share("A page on which the number is clicked, but nobody calls.")
    ] = 0.003
    withheld_probability: Annotated[float, _share("That a person's number is withheld.")] = 0.07
    family_probability: Annotated[
        float, _share("That a visitor's phone is that of an earlier visitor.")
    ] = 0.04
    # What follows a call.
    missed_probability: Annotated[float, _share("That a call is not answered.")] = 0.14
    retry_probability: Annotated[float, _share("That the caller tries again soon.")] = 0.5
    retry_median_minutes: Annotated[float, _above("When: log-normal, median.")] = 4.0
    callback_probability: Annotated[
        float, _share("That the company calls back a missed caller.")
    ] = 0.3
    repeat_probability: Annotated[
        float, _share("That an answered caller calls again, number kept.")
    ] = 0.12
    repeat_median_hours: Annotated[float, _above("When: log-normal, median.")] = 30.0
    repeat_sigma: Annotated[float, _amount("Its sigma.")] = 1.3
    # Forms.
    form_probability: Annotated[float, _share("That a visit opens the form.")] = 0.04
    form_sent_share: Annotated[
        float, _share("Of these, those who send it, with a phone number.")
    ] = 0.4
    form_typo_probability: Annotated[float, _share("That the number sent is not the caller's.")] = (
        0.03
    )
    form_call_share: Annotated[float, _share("Of those who sent it, those who call.")] = 0.3
    form_call_median_minutes: Annotated[float, _above("When: log-normal, median.")] = 90.0
    form_callback_share: Annotated[
        float, _share("Of those who sent it, those who are called back.")
    ] = 0.3
    # Calls by nobody on the site.
    misdials_per_number_day: Annotated[float, _amount("Wrong numbers a day, for each number.")] = (
        0.03
    )
    printed_calls_per_day: Annotated[
        float, _amount("Calls a day to the first number, printed long ago.")
    ] = 0.4
    remembered_calls_per_day: Annotated[
        float, _amount("Calls a day to the pool by customers of old.")
    ] = 0.5
    stranger_hour_weights: Annotated[
        Weights, _weights(24, "These calls by local hour, from midnight, as they are made.")
    ] = STRANGER_HOURS
    stranger_weekday_weights: Annotated[
        Weights, _weights(7, "These calls by weekday, from Monday.")
    ] = STRANGER_WEEKDAYS
    # How the data comes.
    names_sessions: Annotated[bool, Meta(description="The tracker names sessions.")] = False
    lost_pageview_probability: Annotated[float, _share("That a page view never arrives.")] = 0.02
    untracked_share: Annotated[
        float, _share("Visitors whose tracker is blocked; they see numbers.")
    ] = 0.05
    refused_share: Annotated[float, _share("Visitors whose events say they refused analytics.")] = (
        0.04
    )
    duplicate_probability: Annotated[float, _share("That an event comes twice.")] = 0.005
    late_probability: Annotated[float, _share("That an event comes late.")] = 0.01
    late_median_minutes: Annotated[float, _above("How late: log-normal, median.")] = 30.0
    clock_skew_seconds: Annotated[
        float, Meta(ge=-3600, le=3600, description="The switch's clock less the site's.")
    ] = 1.5
    clock_jitter_seconds: Annotated[float, _amount("Sigma of what varies from call to call.")] = 0.7


HINTS = get_type_hints(Parameters, include_extras=True)
DESCRIPTIONS = {name: hint.__metadata__[0].description for name, hint in HINTS.items()}
# Weights that something is shared out by.
SHARED_OUT = (
    "hour_weights", "weekday_weights", "intent_shares", "source_weights", "delay_shares",
    "stranger_hour_weights", "stranger_weekday_weights",
)  # fmt: skip


def read_parameters(values: dict[str, Any]) -> Parameters:
    """Checks values by name. Raises ParameterError naming the parameter."""
    try:
        found = msgspec.convert(values, Parameters, strict=False)
    except msgspec.ValidationError as error:
        raise ParameterError(_readable(str(error))) from error
    for name in SHARED_OUT:
        if not sum(getattr(found, name)):
            raise ParameterError(f"{name}: at least one must be above 0")
    if found.open_from_hour >= found.open_to_hour:
        raise ParameterError("open_from_hour: must be before open_to_hour")
    return found


def _readable(message: str) -> str:
    text, _, place = message.partition(" - at ")
    name = place.strip("`").removeprefix("$").lstrip(".")
    text = text.replace("Object contains unknown field", "unknown parameter")
    return f"{name}: {text}" if name else text
