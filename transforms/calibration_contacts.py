"""Contacts of visitors with numbers, and which of them were under way when calls came."""

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

DAY = 86_400_000_000
SECOND = 1_000_000
# Contacts are looked at for so long (us): what comes later is nobody's.
REACH = 4 * 3600 * SECOND


class Contacts(NamedTuple):
    """In the order of time: number (code), time and end (us; up to and not with it)."""

    number: Ints
    time: Ints
    end: Ints


class Pairs(NamedTuple):
    """Calls, and contacts that were under way when they came: places of both, age in seconds."""

    call: Ints
    contact: Ints
    delay: Floats


def find_contacts(displays: pl.DataFrame, engagements: pl.DataFrame) -> pl.DataFrame:
    """Moments at which a visitor had a number on the screen: account, visitor_id, tracking_number,
    time (us), each once.

    displays: account, visitor_id, session_id, tracking_number, time. engagements: account,
    visitor_id, session_id, time; one counts where its session's latest page showed a number.
    """
    session = ["account", "visitor_id", "session_id"]
    columns = ["account", "visitor_id", "tracking_number", "time"]
    pages = displays.select(*session, "tracking_number", "time").sort("time")
    touched = (
        engagements.select(*session, "time")
        .sort("time")
        .join_asof(pages, on="time", by=session, strategy="backward", check_sortedness=False)
        .drop_nulls("tracking_number")
    )
    return pl.concat([displays.select(columns), touched.select(columns)]).unique()


def number_code(numbers: pl.Series) -> pl.Expr:
    """`number`: the place of tracking_number among sorted numbers, null where it is not there."""
    code = pl.col("tracking_number").cast(pl.Enum(numbers), strict=False).to_physical()
    return code.cast(pl.Int64).alias("number")


def under_way(contacts: pl.DataFrame, numbers: pl.Series) -> Contacts:
    """How long contacts are under way: until the visitor's next with the number, REACH at most.

    contacts: visitor_id, tracking_number, time (us).
    """
    ordered = contacts.select(number_code(numbers), "visitor_id", "time").sort(
        "number", "visitor_id", "time"
    )
    following = pl.col("time").shift(-1).over("number", "visitor_id")
    end = pl.min_horizontal(following, pl.col("time") + REACH + 1)
    timed = ordered.with_columns(end.alias("end")).sort("time")
    return Contacts(*(timed[name].to_numpy() for name in Contacts._fields))


def find_pairs(contacts: Contacts, start: Ints) -> Pairs:
    """Each call with the contacts under way then. start: of calls, in the order of time (us)."""
    if not len(start):
        return Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    low, high = np.searchsorted(contacts.time, (start[0] - REACH, start[-1] + 1))
    first = np.searchsorted(start, contacts.time[low:high])
    counts = np.searchsorted(start, contacts.end[low:high]) - first
    contact = np.repeat(np.arange(high - low), counts)
    call = first[contact] + np.arange(len(contact)) - (np.cumsum(counts) - counts)[contact]
    contact += low
    return Pairs(call, contact, (start[call] - contacts.time[contact]) / SECOND)


def find_own_pairs(contacts: Contacts, start: Ints, called: Ints) -> Pairs:
    """The same of calls in any order, with contacts on the number called (code) alone."""
    # Numbers one after another on one line of time, further apart than anything lasts.
    span = int(contacts.end.max(initial=0) + start.max(initial=0)) + REACH
    key, asked = contacts.number * span + contacts.time, called * span + start
    order, calls = np.argsort(key, kind="stable"), np.argsort(asked, kind="stable")
    moved = contacts.number[order] * span
    line = Contacts(contacts.number[order], key[order], moved + contacts.end[order])
    found = find_pairs(line, asked[calls])
    return Pairs(calls[found.call], order[found.contact], found.delay)
