"""Columns of RFC 3339 texts to microseconds, as far as laid out as usual (SPEC section 3)."""

import numpy as np
import polars as pl

from transforms.decode_times import FIRST, LAST, SECOND

_DIGITS = [0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18]
_SIGNS = {4: "-", 7: "-", 13: ":", 16: ":"}
_SEPARATOR = 10
_FRACTION = 20
_ZONE_BYTES = {True: 1, False: 6}  # Z, or as +01:00
_MONTH_DAYS = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], np.int64)
_NONE = -1


def times_of_texts(texts: pl.Series) -> pl.Series:
    """Microseconds of texts that are RFC 3339 times of an ordinary second and in range.

    Null for all others, times or not: transforms.decode_times has to say what they are.
    """
    lengths = texts.str.len_bytes().fill_null(0).to_numpy()
    micros = np.full(len(texts), _NONE, np.int64)
    for length in np.unique(lengths):
        if length < _FRACTION:
            continue
        rows = np.flatnonzero(lengths == length)
        array = texts.gather(rows).to_arrow(compat_level=pl.CompatLevel.oldest())
        offsets = np.frombuffer(array.buffers()[1], np.int64)[array.offset :]
        content = np.frombuffer(array.buffers()[2], np.uint8)[offsets[0] :]
        chars = content[: len(rows) * length].reshape(len(rows), length)
        in_utc = (chars[:, -1] | 0x20) == ord("z")
        for utc in (True, False):
            chosen = in_utc == utc
            if chosen.any():
                micros[rows[chosen]] = _read(np.ascontiguousarray(chars[chosen].T), utc)
    return pl.Series(texts.name, micros).set(pl.Series(micros == _NONE), None)


def _read(chars: np.ndarray, utc: bool) -> np.ndarray:
    """Microseconds of times of one layout, a row a character; _NONE where it is another."""
    length = len(chars)
    zone = length - _ZONE_BYTES[utc]
    digits = [*_DIGITS, *range(_FRACTION, zone)]
    signs = dict(_SIGNS)
    if zone > _FRACTION:
        signs[_FRACTION - 1] = "."
    elif zone != _FRACTION - 1:
        return np.full(chars.shape[1], _NONE)
    if not utc:
        digits += [zone + 1, zone + 2, zone + 4, zone + 5]
        signs[zone + 3] = ":"
    values = chars - ord("0")  # unsigned: what is no digit becomes more than 9
    good = (values[digits] <= 9).all(axis=0)
    for place, sign in signs.items():
        good &= chars[place] == ord(sign)
    good &= ((chars[_SEPARATOR] | 0x20) == ord("t")) | (chars[_SEPARATOR] == ord(" "))
    moments, in_calendar = _moments(values)
    fractions = np.zeros(chars.shape[1], np.int64)
    for place in range(6):
        at = _FRACTION + place
        fractions = fractions * 10 + (values[at] if at < zone else 0)
    micros = moments * SECOND + fractions
    if not utc:
        offsets, in_day = _offsets(values, chars[zone], zone)
        micros -= offsets * SECOND
        good &= in_day & ((chars[zone] == ord("+")) | (chars[zone] == ord("-")))
    good &= in_calendar & (micros >= FIRST) & (micros < LAST)
    return np.where(good, micros, _NONE)


def _number(values: np.ndarray, *places: int) -> np.ndarray:
    number = values[places[0]].astype(np.int64)
    for place in places[1:]:
        number = number * 10 + values[place]
    return number


def _moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Seconds since 1970 as the clock reads, and whether there is such a day and time of day."""
    year, month, day = _number(values, 0, 1, 2, 3), _number(values, 5, 6), _number(values, 8, 9)
    hour, minute, second = (_number(values, at, at + 1) for at in (11, 14, 17))
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    days_in_month = _MONTH_DAYS[np.minimum(month, 12)] + (leap & (month == 2))
    good = (month >= 1) & (month <= 12) & (day >= 1) & (day <= days_in_month)
    good &= (hour <= 23) & (minute <= 59) & (second <= 59)
    # Days of the civil calendar, with years that begin in March.
    shifted = year - (month <= 2)
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    days = 365 * shifted + shifted // 4 - shifted // 100 + shifted // 400 + of_year - 719_468
    return ((days * 24 + hour) * 60 + minute) * 60 + second, good


def _offsets(values: np.ndarray, sign: np.ndarray, zone: int) -> tuple[np.ndarray, np.ndarray]:
    """Seconds ahead of UTC, and whether they are hours and minutes of a day."""
    hours = _number(values, zone + 1, zone + 2)
    minutes = _number(values, zone + 4, zone + 5)
    seconds = (hours * 60 + minutes) * 60
    return np.where(sign == ord("-"), -seconds, seconds), (hours <= 23) & (minutes <= 59)
