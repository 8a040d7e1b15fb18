"""Times: RFC 3339 with an offset, or a number, as UTC microseconds (SPEC section 3)."""

import datetime as dt
import re
from decimal import Context, Decimal, InvalidOperation

SECOND = 1_000_000
FIRST = 946_684_800 * SECOND  # 2000-01-01, inclusive
LAST = 4_102_444_800 * SECOND  # 2100-01-01, exclusive
SECONDS_BELOW = 10**11
MILLISECONDS_BELOW = 10**14

_EPOCH = dt.datetime(1970, 1, 1)
_RFC_3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})"
    r"(?:\.([0-9]+))?(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)


def time_of_text(text: str) -> int | None:
    """Microseconds of an RFC 3339 time; None where it is none or out of range.

    Fractions beyond microseconds are cut; second 60 (a leap second) is the second that follows.
    """
    match = _RFC_3339.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    fraction, sign, offset_hours, offset_minutes = match.groups()[6:]
    try:
        moment = dt.datetime(year, month, day, hour, minute, min(second, 59))
    except ValueError:
        return None
    if second > 60 or int(offset_hours or 0) > 23 or int(offset_minutes or 0) > 59:
        return None
    offset = int(offset_hours or 0) * 3600 + int(offset_minutes or 0) * 60
    micros = (moment - _EPOCH) // dt.timedelta(microseconds=1) + (second == 60) * SECOND
    micros += int((fraction or "")[:6].ljust(6, "0"))
    return in_range(micros - offset * SECOND if sign != "-" else micros + offset * SECOND)


def time_of_number(text: str) -> int | None:
    """Microseconds of a JSON number: seconds, milliseconds or microseconds by its size.

    Rounded to the nearest, halves to even; None where it is out of range.
    """
    # Exact: a context of the number's own length, since the default one would round first.
    context = Context(prec=len(text) + 32)
    try:
        number = Decimal(text, context)
    except InvalidOperation:
        return None
    if not 0 < number < LAST:
        return None
    if number < SECONDS_BELOW:
        number = context.multiply(number, Decimal(SECOND))
    elif number < MILLISECONDS_BELOW:
        number = context.multiply(number, Decimal(1000))
    return in_range(int(number.to_integral_value(context=context)))


def in_range(micros: int) -> int | None:
    """The time where 2000-01-01 <= t < 2100-01-01, else None."""
    return micros if FIRST <= micros < LAST else None
