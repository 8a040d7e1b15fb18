"""Times: RFC 3339 with an offset, or a number (SPEC 3)."""

from __future__ import annotations

import datetime
import re
from fractions import Fraction
from typing import Any

from oracle.settings import MICROS
from oracle.wire import trim

EARLIEST = 946_684_800 * MICROS  # 2000-01-01
LATEST = 4_102_444_800 * MICROS  # 2100-01-01

RFC_3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))",
    re.ASCII,
)
EPOCH = datetime.datetime(1970, 1, 1)


class BadTimeError(Exception):
    """Text or a number that is no time, or one out of range."""


class NotATimeError(Exception):
    """Neither text nor a number."""


def read_time(value: Any) -> int:
    """UTC microseconds, 2000-01-01 <= t < 2100-01-01."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise NotATimeError
    micros = _from_text(trim(value)) if isinstance(value, str) else _from_number(value)
    if not EARLIEST <= micros < LATEST:
        raise BadTimeError
    return micros


def _from_number(value: int | float) -> int:
    """Seconds below 1e11, milliseconds below 1e14, else microseconds; rounded."""
    try:
        exact = Fraction(value)
    except (OverflowError, ValueError):
        raise BadTimeError from None
    if exact < 10**11:
        return round(exact * 1_000_000)
    if exact < 10**14:
        return round(exact * 1_000)
    return round(exact)


def _from_text(text: str) -> int:
    """RFC 3339; fractions longer than microseconds are cut."""
    match = RFC_3339.fullmatch(text)
    if match is None:
        raise BadTimeError
    *date_and_time, fraction, sign, hours, minutes = match.groups()
    try:
        moment = datetime.datetime(*map(int, date_and_time))  # type: ignore[arg-type]
    except ValueError:
        raise BadTimeError from None
    micros = (moment - EPOCH) // datetime.timedelta(microseconds=1)
    micros += int((fraction or "")[:6].ljust(6, "0"))
    if sign is None:
        return micros
    if int(hours) > 23 or int(minutes) > 59:
        raise BadTimeError
    offset = (int(hours) * 3600 + int(minutes) * 60) * MICROS
    return micros - offset if sign == "+" else micros + offset
