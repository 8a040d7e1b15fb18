"""Order, duplicates and sessions of visits, by table (SPEC sections 3, 5)."""

import random
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tables import DEFAULTS, T, account, engagements, pageviews

from schemas.config import Config
from transforms.settings import DAY, HOUR, MINUTE
from transforms.visits import drop_duplicates, number_sessions, order_visits

Row = dict[str, Any]
SECOND = 1_000_000


def session_numbers(
    pages: list[Row], clicks: list[Row] | None = None, config: Config = DEFAULTS
) -> list[tuple[int, int]]:
    """(microseconds after T, number of the session) of every visit, in order."""
    visits = order_visits(pageviews(*pages), engagements(*(clicks or [])))
    numbered = number_sessions(visits, config).sort("time", "rank")
    return [(time - T, number) for time, number in numbered.select("time", "session").iter_rows()]


def at(*times: int, **more: Any) -> list[Row]:
    return [{"time": T + time, **more} for time in times]


def test_pageviews_come_before_engagements_of_the_same_moment() -> None:
    """At equal times the page is there before the click on it."""
    ordered = order_visits(pageviews(*at(SECOND, 0)), engagements(*at(0, SECOND)))
    assert ordered.select("time", "rank", "row").rows() == [
        (T, 0, 1),
        (T, 1, 0),
        (T + SECOND, 0, 0),
        (T + SECOND, 1, 1),
    ]


def test_equal_times_go_by_event_id_absent_last_then_by_hash() -> None:
    """The smallest event_id is first, those without one last, among them the smallest hash."""
    rows = [
        {"event_id": None, "hash": 9},
        {"event_id": "b", "hash": 1},
        {"event_id": None, "hash": 3},
        {"event_id": "a", "hash": 2**64 - 1},
        {"event_id": "a", "hash": 7},
    ]
    ordered = order_visits(pageviews(*rows), engagements())
    assert ordered.select("event_id", "hash").rows() == [
        ("a", 7),
        ("a", 2**64 - 1),
        ("b", 1),
        (None, 3),
        (None, 9),
    ]


def test_equal_times_are_ordered_alike_from_every_order_of_arrival() -> None:
    """Ties of many visitors at one moment have one order, whatever came first."""
    rows = [
        {"visitor_id": visitor, "event_id": event, "hash": number}
        for visitor in ("v", "w", "x")
        for number, event in enumerate([None, "a", "b", None, "c"])
    ]
    wanted = order_visits(pageviews(*rows), engagements()).drop("row")
    for number in range(20):
        random.Random(number).shuffle(rows)
        assert_frame_equal(order_visits(pageviews(*rows), engagements()).drop("row"), wanted)


def test_the_same_event_counts_once_and_the_smallest_hash_stays() -> None:
    """One (account, visitor, event_id, time) is one event."""
    rows = [{"event_id": "e", "hash": number} for number in (5, 3, 4)]
    kept = drop_duplicates(order_visits(pageviews(*rows), engagements()))
    assert kept["hash"].to_list() == [3]


def test_without_event_id_the_hash_is_the_identity() -> None:
    """Two equal hashes are one event, two different ones are two."""
    rows = [{"hash": number} for number in (5, 3, 5)]
    kept = drop_duplicates(order_visits(pageviews(*rows), engagements()))
    assert kept["hash"].to_list() == [3, 5]


@pytest.mark.parametrize(
    "other",
    [{"account": "b"}, {"visitor_id": "w"}, {"time": T + 1}, {"event_id": "f"}, {"event_id": None}],
)
def test_events_that_differ_in_one_part_of_the_identity_are_two(other: Row) -> None:
    """Account, visitor, event_id and time all belong to the identity."""
    rows = [{"event_id": "e", "hash": 1}, {"event_id": "e", "hash": 1} | other]
    assert drop_duplicates(order_visits(pageviews(*rows), engagements())).height == 2


def test_a_pageview_and_an_engagement_are_never_duplicates() -> None:
    """Duplicates are found for each type by itself."""
    same = {"event_id": "e", "hash": 1}
    assert drop_duplicates(order_visits(pageviews(same), engagements(same))).height == 2


def test_a_gap_of_exactly_30_minutes_does_not_start_a_session() -> None:
    """A pageview more than 30 minutes after the previous event starts one; 30 do not."""
    assert session_numbers(at(0, 30 * MINUTE)) == [(0, 0), (30 * MINUTE, 0)]
    assert session_numbers(at(0, 30 * MINUTE + 1)) == [(0, 0), (30 * MINUTE + 1, 1)]


def test_an_engagement_after_a_gap_belongs_to_the_session_before_it() -> None:
    """Only a pageview is the start of a visit; the gap to it is counted from the engagement."""
    found = session_numbers(at(0, HOUR + 30 * MINUTE, 2 * HOUR + 1), at(HOUR))
    assert [number for _, number in found] == [0, 0, 0, 1]


def test_the_visitors_first_event_starts_a_session_even_as_an_engagement() -> None:
    """An engagement that came first has a session that the next pageview joins."""
    assert session_numbers(at(MINUTE), at(0)) == [(0, 0), (MINUTE, 0)]


def test_a_derived_session_silent_for_more_than_24_hours_is_over_for_engagements_too() -> None:
    """After exactly 24 hours an engagement still belongs to it, a microsecond later no more."""
    assert session_numbers(at(0), at(DAY)) == [(0, 0), (DAY, 0)]
    assert session_numbers(at(0), at(DAY + 1)) == [(0, 0), (DAY + 1, 1)]


def test_a_given_session_silent_for_more_than_24_hours_starts_anew() -> None:
    """One session_id may name several sessions; hours of silence do not split it, a day does."""
    times = (0, DAY, 2 * DAY + 1)
    assert session_numbers(at(*times, session_id="s")) == list(zip(times, (0, 0, 1), strict=True))


def test_given_and_derived_sessions_of_a_visitor_do_not_touch() -> None:
    """Inactivity is counted among the events without a session id alone."""
    pages = [*at(0, 31 * MINUTE), *at(20 * MINUTE, session_id="s")]
    found = dict(session_numbers(pages))
    assert len({found[0], found[31 * MINUTE], found[20 * MINUTE]}) == 3


def test_one_session_id_of_two_visitors_names_two_sessions() -> None:
    """Sessions belong to one account and visitor."""
    pages = [{"session_id": "s"} | who for who in ({}, {"visitor_id": "w"}, {"account": "b"})]
    visits = number_sessions(order_visits(pageviews(*pages), engagements()), DEFAULTS)
    assert sorted(visits["session"].to_list()) == [0, 1, 2]


def test_the_gaps_are_the_accounts_own() -> None:
    """`session_gap_minutes` and `session_max_gap_hours` may be set per account."""
    config = account(session_gap_minutes=10, session_max_gap_hours=1)
    assert session_numbers(at(0, 10 * MINUTE + 1), config=config)[1][1] == 1
    assert session_numbers(at(0), at(HOUR + 1), config=config)[1][1] == 1
    pages = at(0, 10 * MINUTE + 1, account="b")
    assert session_numbers(pages, config=config)[1][1] == 0


def test_no_events_make_no_sessions() -> None:
    """Empty tables go through every function."""
    visits = drop_duplicates(order_visits(pageviews(), engagements()))
    numbered = number_sessions(visits, DEFAULTS)
    assert (numbered.height, numbered.schema["session"]) == (0, pl.UInt32)
