"""Four sites that differ: the profiles of `attribeam simulate`, as data."""

import difflib
from collections.abc import Sequence
from typing import Any

import msgspec

from pipelines.simulation.parameters import ParameterError, Parameters, read_parameters

# What differs from the defaults of Parameters.
PROFILES: dict[str, dict[str, Any]] = {
    "quiet_shop": {
        "visitors_per_day": 260.0,
        "pool_numbers": 8,
        "call_probability": 0.09,
        "delay_shares": (0.5, 0.3, 0.12, 0.08),
        "misdials_per_number_day": 0.04,
        "remembered_calls_per_day": 1.0,
    },
    "busy_retailer": {
        "visitors_per_day": 2600.0,
        "return_probability": 0.25,
        "pool_numbers": 18,
        "hold_seconds": 300.0,
        "call_probability": 0.02,
        "after_scale_seconds": 300.0,
        "weekday_weights": (1, 1, 1, 1, 1.1, 1.3, 1.2),
        "open_to_hour": 20,
        "names_sessions": True,
        "misdials_per_number_day": 0.05,
        "printed_calls_per_day": 2.0,
        "remembered_calls_per_day": 5.0,
    },
    "insurance": {
        "visitors_per_day": 800.0,
        "return_probability": 0.4,
        "intent_shares": (0.5, 0.38, 0.12),
        "dwell_median_seconds": 60.0,
        "pool_numbers": 25,
        "hold_seconds": 1800.0,
        "call_probability": 0.06,
        "delay_shares": (0.25, 0.3, 0.25, 0.2),
        "later_median_minutes": 80.0,
        "repeat_probability": 0.35,
        "family_probability": 0.12,
        "form_probability": 0.1,
        "hour_weights": (
            1, 1, 0, 0, 1, 3, 8, 14, 18, 20, 20, 18, 16, 17, 18, 16, 13, 9, 7, 8, 8, 6, 3, 2,
        ),
        "weekday_weights": (1.2, 1.1, 1, 1, 0.9, 0.4, 0.4),
        "open_to_hour": 17,
        "remembered_calls_per_day": 3.0,
    },
    "campaign_peak": {
        "visitors_per_day": 700.0,
        "burst_factor": 14.0,
        "burst_call_factor": 0.6,
        "source_weights": (8, 12, 14, 34, 12, 12, 5, 3),
        "pool_numbers": 10,
        "overflow": "number",
        "call_probability": 0.05,
        "open_to_hour": 22,
        "printed_calls_per_day": 1.0,
    },
}  # fmt: skip


def read_profile(name: str, settings: Sequence[str]) -> Parameters:
    """A profile with `name=value` settings over it; a value is JSON, or a word.

    Raises ParameterError for an unknown profile or parameter, or a value out of bounds.
    """
    if name not in PROFILES:
        raise ParameterError(f"unknown profile {name!r}; there are {', '.join(PROFILES)}")
    return read_parameters(PROFILES[name] | dict(map(_setting, settings)))


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    known = Parameters.__struct_fields__
    if not equals:
        raise ParameterError(f"{text!r}: write name=value, such as pool_numbers=20")
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else "; see docs/simulate.md"
        raise ParameterError(f"unknown parameter {name!r}{hint}")
    try:
        return name, msgspec.json.decode(value)
    except msgspec.DecodeError:
        return name, value
