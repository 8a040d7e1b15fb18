"""What a fit of the model needs of an account: which contacts were under way when calls came.

A contact is a moment at which a visitor had a number on the screen: a display, or an engagement on
a page with it. It is under way until the visitor's next contact with the number, and for as long as
is looked back. The model of SPEC section 8 says at what rate contacts make calls, by their age.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

DAY = 86_400_000_000
SECOND = 1_000_000
# Ages and gaps are kept by parts of equal ratio, in seconds.
EDGES = np.geomspace(0.5, 4e5, 241)
MIDDLES = np.sqrt(EDGES[1:] * EDGES[:-1])
# More calls than this say little more and cost time: of more, every n-th is taken.
MOST_CALLS = 5_000


@dataclass(frozen=True)
class Evidence:
    """Calls of an account, or of one pool's numbers; days are counted from the first contact's.

    own_call, own_delay (seconds): for each call and contact under way then on the number called.
    ages: contacts under way on any number, by call and part of EDGES. call_day, call_row (place
    among the calls given). gaps: contacts by day and part of how long they were under way.
    numbers: that were displayed. calls_per_day: all calls, also those left out of the evidence.
    """

    own_call: Ints
    own_delay: Floats
    ages: Floats
    call_day: Ints
    call_row: Ints
    gaps: Floats
    numbers: int
    calls_per_day: Floats

    @property
    def days(self) -> int:
        """How many days there are."""
        return len(self.gaps)

    @property
    def calls(self) -> int:
        """How many calls the evidence holds."""
        return len(self.call_day)


def gather_evidence(
    contacts: pl.DataFrame, calls: pl.DataFrame, reach_minutes: float, most: int = MOST_CALLS
) -> Evidence:
    """The evidence of one account's contacts and calls.

    contacts: visitor_id, tracking_number, time (us). calls: tracking_number, start (us). A contact
    is under way for `reach_minutes` at most. Calls before the day of the first contact or to
    numbers never displayed are left out. Raises ValueError without contacts.
    """
    if not contacts.height:
        raise ValueError("no contacts")
    numbers = pl.Enum(contacts["tracking_number"].unique().sort())
    code = pl.col("tracking_number").cast(numbers, strict=False).to_physical().cast(pl.Int64)
    ordered = contacts.select(
        code.alias("number"),
        pl.col("visitor_id").rank("dense").cast(pl.Int64).alias("visitor"),
        "time",
    ).sort("number", "visitor", "time")
    first_day = int(ordered["time"].to_numpy().min()) // DAY
    asked = (
        calls.select(code.alias("number"), "start")
        .with_row_index("row")
        .filter(pl.col("number").is_not_null() & (pl.col("start") >= first_day * DAY))
        .sort("start", "row")
    )
    latest = max(ordered["time"].to_numpy().max(), asked["start"].to_numpy().max(initial=0))
    until = (int(latest) // DAY + 1) * DAY
    following = pl.col("time").shift(-1).over("number", "visitor").fill_null(until)
    end = pl.min_horizontal(following, pl.col("time") + round(reach_minutes * 60 * SECOND) + 1)
    under_way = ordered.with_columns(end.clip(None, until).alias("end"))
    days = until // DAY - first_day
    chosen = asked.gather_every(1 + asked.height // (most + 1))
    return Evidence(
        *_pairs(under_way, chosen),
        call_day=chosen["start"].to_numpy() // DAY - first_day,
        call_row=chosen["row"].to_numpy().astype(np.int64),
        gaps=_gaps(under_way, first_day, days),
        numbers=ordered["number"].n_unique(),
        calls_per_day=_daily(asked["start"].to_numpy(), first_day, days),
    )


def _pairs(under_way: pl.DataFrame, asked: pl.DataFrame) -> tuple[Ints, Floats, Floats]:
    """Contacts under way when calls came: from their time on, before their end."""
    start, time = asked["start"].to_numpy(), under_way["time"].to_numpy()
    first = np.searchsorted(start, time, side="left")
    counts = np.searchsorted(start, under_way["end"].to_numpy(), side="left") - first
    contact = np.repeat(np.arange(len(counts)), counts)
    call = first[contact] + np.arange(len(contact)) - (np.cumsum(counts) - counts)[contact]
    delay = (start[call] - time[contact]) / SECOND
    is_own = under_way["number"].to_numpy()[contact] == asked["number"].to_numpy()[call]
    shape = (len(start), len(MIDDLES))
    ages = np.bincount(call * shape[1] + _part(delay), minlength=shape[0] * shape[1])
    return call[is_own], delay[is_own], ages.reshape(shape).astype(float)


def _part(seconds: Floats) -> Ints:
    return np.clip(np.searchsorted(EDGES, seconds) - 1, 0, len(MIDDLES) - 1)


def _gaps(under_way: pl.DataFrame, first_day: int, days: int) -> Floats:
    part = _part((under_way["end"] - under_way["time"]).to_numpy() / SECOND)
    day = under_way["time"].to_numpy() // DAY - first_day
    table = np.bincount(day * len(MIDDLES) + part, minlength=days * len(MIDDLES))
    return table.reshape(days, len(MIDDLES)).astype(float)


def _daily(times: Ints, first_day: int, days: int) -> Floats:
    return np.bincount(times // DAY - first_day, minlength=days).astype(float)


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
