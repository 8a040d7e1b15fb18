"""Configuration: defaults, overrides per account and per pool, validity (SPEC 8, 13)."""

from __future__ import annotations

import datetime
from typing import Any

Settings = dict[str, Any]

DEFAULTS: Settings = {
    "session_gap_minutes": 30,
    "session_max_gap_hours": 24,
    "lookback_days": 30,
    "declared_window_hours": 24,
    "form_window_hours": 168,
    "allowed_lateness_hours": 72,
    "qualified_seconds": 30,
    "assume_answered": False,
    "match_window_minutes": 30,
    "call_probability": 0.02,
    "delay_means": [180, 1800],
    "delay_weights": [0.8, 0.2],
    "background_calls_per_day": 0.1,
    "saved_number_calls_per_day": 0.03,
    "known_caller_factor": 0.001,
    "min_probability": 0.5,
    "identity_probability": 0.99,
    "retention_days": 60,
    "default_region": "DK",
    "own_domains": [],
    "ignored_referrers": [],
    "excluded_callers": [],
    "static_numbers": [],
    "pools": [],
}

POOL_KEYS = (
    "match_window_minutes",
    "call_probability",
    "delay_means",
    "delay_weights",
    "background_calls_per_day",
    "saved_number_calls_per_day",
    "known_caller_factor",
    "min_probability",
    "identity_probability",
)

MICROS = 1_000_000
MINUTE = 60 * MICROS
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def account_settings(config: Settings, account: str) -> Settings:
    """The defaults, overridden by the top level, overridden by `[accounts.NAME]` (SPEC 13)."""
    settings = dict(DEFAULTS)
    settings.update({key: value for key, value in config.items() if key != "accounts"})
    settings.update(config.get("accounts", {}).get(account, {}))
    return settings


def utc_day(micros: int) -> str:
    """The UTC day of a time, as YYYY-MM-DD."""
    epoch = datetime.date(1970, 1, 1)
    return (epoch + datetime.timedelta(days=micros // DAY)).isoformat()


def valid_on(entry: Settings, day: str) -> bool:
    """`valid_from` inclusive, `valid_to` exclusive, TOML dates or quoted (SPEC 13)."""
    begins, ends = entry.get("valid_from"), entry.get("valid_to")
    if begins is not None and day < str(begins):
        return False
    return ends is None or day < str(ends)
