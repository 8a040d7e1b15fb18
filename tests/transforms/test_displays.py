"""Displays, engagements on them, and what calls can reach, by table (SPEC sections 8, 10)."""

from typing import Any

import polars as pl
import pytest
from tables import B2, B, T, calls, engagements, pageviews, showings, showings_of, visits_of

from transforms.displays import (
    daily_displays,
    find_displays,
    find_engaged,
    slice_of,
    within_reach,
)
from transforms.settings import DAY, HOUR, MINUTE

Row = dict[str, Any]


def shown(time: int, *numbers: str, **more: Any) -> Row:
    return {"time": T + time, "tracking_numbers": list(numbers), **more}


def contacts(pages: list[Row], clicks: list[int]) -> list[tuple[str, int]]:
    """(number, microseconds after T) of the engagements with a number on the page."""
    visits = visits_of(pageviews(*pages), engagements(*({"time": T + at} for at in clicks)))
    engaged = find_engaged(visits.visits, find_displays(visits)).sort("tracking_number", "time")
    return [(str(number), time - T) for _, number, time in engaged.iter_rows()]


def test_every_number_of_a_pageview_is_a_display() -> None:
    """Pages with none, one and several numbers give that many displays, in order of time."""
    pages = [shown(2, B2, B), {"time": T + 1}, shown(0, B), shown(3)]
    found = find_displays(visits_of(pageviews(*pages)))
    rows = found.select(pl.col("tracking_number").cast(pl.String), pl.col("time") - T).rows()
    assert rows == [(B, 0), (B2, 2), (B, 2)]


def test_no_page_shows_a_number() -> None:
    """Without a tracking number anywhere there are no displays and no showings."""
    visits = visits_of(pageviews({}, shown(1)))
    assert (find_displays(visits).height, showings_of(visits).height) == (0, 0)


def test_an_engagement_counts_while_its_page_shows_the_number() -> None:
    """The page is the latest at or before the engagement; the next page without ends it."""
    pages = [shown(0, B), shown(10)]
    assert contacts(pages, [0, 9, 10, 11]) == [(B, 0), (B, 9)]


def test_an_engagement_before_any_page_touches_no_number() -> None:
    """What comes before the first pageview of the session saw nothing."""
    assert contacts([shown(5, B)], [4]) == []


def test_of_pages_at_equal_times_each_counts() -> None:
    """Where two pages opened at one moment, an engagement is on both."""
    pages = [shown(0, B, event_id="x"), shown(0, B2, event_id="y"), shown(0, event_id="z")]
    assert contacts(pages, [1]) == [(B, 1), (B2, 1)]


def test_a_showing_gathers_all_of_a_session_and_number() -> None:
    """Display times, engaged times, first and last display, last contact, once per number."""
    pages = [shown(0, B), shown(5, B, B2), shown(9)]
    clicks = engagements({"time": T + 7}, {"time": T + 3}, {"time": T + 10})
    found = showings_of(visits_of(pageviews(*pages), clicks)).sort("tracking_number").to_dicts()
    assert found == [
        {
            "session": 0,
            "tracking_number": B,
            "display_times": [T, T + 5],
            "first_display": T,
            "last_display": T + 5,
            "engaged_times": [T + 3, T + 7],
            "last_contact": T + 7,
        },
        {
            "session": 0,
            "tracking_number": B2,
            "display_times": [T + 5],
            "first_display": T + 5,
            "last_display": T + 5,
            "engaged_times": [T + 7],
            "last_contact": T + 7,
        },
    ]


def test_displays_are_counted_by_utc_day_around_midnight() -> None:
    """The last microsecond of a day is of that day, midnight of the next; T is noon."""
    midnight = 12 * HOUR
    times = (midnight - HOUR, midnight - 1, midnight, midnight + 5, midnight + DAY)
    pages = [shown(at, B, session_id="s") for at in times]
    daily = daily_displays(showings_of(visits_of(pageviews(*pages)))).sort("day")
    first_day = T // DAY
    assert daily.select("day", "displays", "first_display", "last_display").rows() == [
        (first_day, 2, T + midnight - HOUR, T + midnight - 1),
        (first_day + 1, 2, T + midnight, T + midnight + 5),
        (first_day + 2, 1, T + midnight + DAY, T + midnight + DAY),
    ]


def reached(showing: Row, called: list[Row], minutes: int = 30) -> list[int]:
    """The hours (after that of T) of calls for which a showing travels."""
    table = (
        showings(showing)
        .drop("slice")
        .with_columns(
            session=pl.lit(0, pl.UInt32),
            horizon=pl.lit(minutes * MINUTE),
            declared_horizon=pl.lit(24 * HOUR),
        )
    )
    return sorted(hour - T // HOUR for hour in within_reach(table, calls(*called))["slice"])


def test_a_showing_travels_to_every_hour_of_calls_it_may_explain() -> None:
    """T is the full hour; a showing of its last minutes reaches into the next hour."""
    times = [T, T + 50 * MINUTE]
    called = [{"start": T + at * MINUTE} for at in (55, 60, 79)]
    assert reached({"display_times": times}, called) == [0, 1]


@pytest.mark.parametrize(
    ("start", "hours"),
    [(-1, []), (0, [0]), (30 * MINUTE, [0]), (30 * MINUTE + 1, [])],
)
def test_a_showing_no_call_can_come_from_stays(start: int, hours: list[int]) -> None:
    """Calls before the first display and after the window's end do not fetch it."""
    assert reached({}, [{"start": T + start}]) == hours


def test_other_numbers_and_accounts_do_not_fetch_a_showing() -> None:
    """A call reaches the showings of its own account and number only."""
    assert reached({}, [{"tracking_number": B2}, {"account": "b"}]) == []


def test_a_call_that_names_its_session_fetches_it_for_a_day() -> None:
    """A declared session is looked for 24 hours back, whatever the match window."""
    called = [{"start": T + 24 * HOUR, "session_id": "session of v"}]
    assert reached({}, called) == [24]
    assert reached({}, [called[0] | {"session_id": "other"}]) == []


def test_an_engagement_carries_a_showing_on() -> None:
    """The window is counted from the last contact, not from the last display."""
    called = [{"start": T + 2 * HOUR}]
    assert reached({"engaged_times": [T + 90 * MINUTE]}, called) == [2]


def test_a_slice_is_an_hour() -> None:
    """The last microsecond of an hour is in it, the next full hour is not."""
    times = pl.DataFrame({"start": [T, T + HOUR - 1, T + HOUR]})
    assert times.select(slice_of("start"))["slice"].to_list() == [
        T // HOUR,
        T // HOUR,
        T // HOUR + 1,
    ]
