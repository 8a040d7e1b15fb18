"""Golden cases of sessions and rows, from the sentences of SPEC 5 and 10."""

from __future__ import annotations

from typing import Any

import pytest

from oracle.cases import (
    B2,
    BOT,
    CALLER,
    B,
    Json,
    T,
    call,
    decided,
    engage,
    form,
    page,
    run,
)
from oracle.settings import DAY, HOUR, MICROS, MINUTE, Settings


def sessions_of(*events: Json, config: Settings | None = None) -> list[tuple[Any, ...]]:
    return [
        (row["session_id"], row["session_start"] - T, row["pageviews"], row["engagements"])
        for row in run(*events, config=config).sessions
    ]


def test_a_gap_of_exactly_30_minutes_continues_a_session_and_a_microsecond_more_ends_it() -> None:
    gap = 30 * MINUTE
    first, later = page("v", 0), f"v-{(T + gap + 1) // 1000}"
    assert sessions_of(first, page("v", gap)) == [(f"v-{T // 1000}", 0, 2, 0)]
    assert sessions_of(first, page("v", gap + 1)) == [
        (f"v-{T // 1000}", 0, 1, 0),
        (later, gap + 1, 1, 0),
    ]


def test_an_engagement_belongs_to_the_session_before_it_up_to_24_hours() -> None:
    assert sessions_of(page("v", 0), engage("v", DAY)) == [(f"v-{T // 1000}", 0, 1, 1)]
    starts = [one[1] for one in sessions_of(page("v", 0), engage("v", DAY + 1))]
    assert starts == [0, DAY + 1]


def test_the_gap_of_a_pageview_counts_from_an_engagement_too() -> None:
    events = page("v", 0), engage("v", 50 * MINUTE), page("v", 80 * MINUTE)
    assert sessions_of(*events) == [(f"v-{T // 1000}", 0, 2, 1)]


def test_the_visitors_first_event_starts_a_session_even_an_engagement() -> None:
    assert sessions_of(engage("v", 0), page("v", MINUTE)) == [(f"v-{T // 1000}", 0, 1, 1)]


def test_a_pageview_comes_before_an_engagement_at_the_same_time() -> None:
    events = engage("v", HOUR), page("v", HOUR), page("v", 0)
    assert [one[1:] for one in sessions_of(*events)] == [(0, 1, 0), (HOUR, 1, 1)]


def test_one_session_id_names_two_sessions_after_more_than_24_hours_of_silence() -> None:
    events = [page("v", at, session_id="s") for at in (0, DAY, 2 * DAY + 1)]
    assert sessions_of(*events) == [("s", 0, 2, 0), ("s", 2 * DAY + 1, 1, 0)]


def test_events_with_and_without_a_session_id_do_not_touch_each_other() -> None:
    events = page("v", 0), page("v", 20 * MINUTE, session_id="s"), page("v", 40 * MINUTE)
    assert [one[1] for one in sessions_of(*events)] == [0, 20 * MINUTE, 40 * MINUTE]


def test_the_entry_is_the_earliest_pageview_then_the_smallest_event_id_absent_last() -> None:
    pages = [page("v", 0, title=title, event_id=title) for title in ("c", "b")]
    rows = run(page("v", 0, title="a", event_id=None), *pages, page("v", 1, event_id="a")).sessions
    assert [row["entry_page"] for row in rows] == ["b"]


def test_a_session_without_a_pageview_has_null_columns_and_is_no_bot() -> None:
    (row,) = run(engage("v", 0)).sessions
    assert (row["source"], row["channel"], row["device_type"], row["is_bot"]) == (
        None,
        None,
        None,
        False,
    )


def test_touchpoints_are_the_visitors_sessions_of_30_days_at_most_20_this_one_last() -> None:
    times = [0, 1, *range(DAY, 21 * DAY, DAY), 30 * DAY]
    pages = [page("v", at, *([B] if at == 30 * DAY else [])) for at in times]
    row = decided(*pages, call("c", 30 * DAY))
    starts = [one["session_start"] - T for one in row["touchpoints"]]
    assert starts == [*range(2 * DAY, 21 * DAY, DAY), 30 * DAY]
    few = decided(page("v", 0), page("v", 30 * DAY, B), call("c", 30 * DAY))
    none = decided(page("v", 0), page("v", 30 * DAY + 1, B), call("c", 30 * DAY + 1))
    assert (len(few["touchpoints"]), len(none["touchpoints"])) == (2, 1)


def test_bots_keep_their_session_but_are_never_candidates_touchpoints_or_form_entries() -> None:
    bot = page("v", 0, B, user_agent=BOT), form("v", 1)
    row = decided(*bot, page("v", HOUR, B), call("c", HOUR, a_number=CALLER))
    assert [one["is_bot"] for one in run(*bot).sessions] == [True]
    assert (row["method"], len(row["candidates"]), len(row["touchpoints"])) == ("number_pool", 1, 1)


def test_a_declared_session_may_be_a_bot_and_is_not_its_own_touchpoint() -> None:
    row = decided(page("v", 0, B, user_agent=BOT, session_id="s"), call("c", 1, session_id="s"))
    assert (row["visitor_id"], row["is_bot"], row["touchpoints"]) == ("v", True, [])


@pytest.mark.parametrize(
    ("fields", "status", "qualified"),
    [
        ({"answer": 5, "end": 35}, "answered", True),
        ({"answer": 5, "end": 34}, "answered", False),
        ({"status": "answered", "ring": 5, "end": 35}, "answered", True),
        ({"status": "answered", "end": 30}, "answered", True),
        ({"status": "missed", "answer": 0, "end": 99}, "missed", False),
        ({"end": 99}, None, None),
        ({"answer": 5}, "answered", False),
        ({}, None, False),
    ],
)
def test_a_qualified_call_is_answered_and_lasts_30_seconds(
    fields: Any, status: Any, qualified: Any
) -> None:
    times = {name: T + value * MICROS for name, value in fields.items() if name != "status"}
    row = decided(call("c", 0, **(fields | times)))
    assert (row["call_status"], row["is_qualified"]) == (status, qualified)


def test_without_answer_times_calls_may_be_assumed_answered() -> None:
    last = call("c", 0, end=T + 30 * MICROS)
    assert decided(last, config={"assume_answered": True})["is_qualified"] is True


def test_displays_have_one_row_a_session_number_and_utc_day() -> None:
    pages = page("v", 0, B, B), page("v", 11 * HOUR, B, B2), page("v", 12 * HOUR, B)
    joined = [one | {"session_id": "s"} for one in pages]
    rows = run(*joined).displays
    assert [(row["tracking_number"], row["display_date"], row["displays"]) for row in rows] == [
        (B, "2026-03-02", 2),
        (B, "2026-03-03", 1),
        (B2, "2026-03-02", 1),
    ]
