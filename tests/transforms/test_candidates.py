"""Which sessions showed the number before the call, by table (SPEC sections 8, 9)."""

from typing import Any

import polars as pl
import pytest
from tables import B2, DEFAULTS, T, account, calls, modelled, showings

from schemas.config import Config
from transforms.candidates import MAX_CANDIDATES, find_candidates, find_declared
from transforms.settings import DAY, HOUR, MINUTE

Row = dict[str, Any]


def candidates(shown: list[Row], call: Row, config: Config = DEFAULTS) -> list[tuple[str, int]]:
    """(session_id, last contact in microseconds after T) of a call's candidates, in order."""
    found = find_candidates(showings(*shown), modelled(calls(call), config))
    return [(row["session_id"], row["last_contact"] - T) for row in found.to_dicts()]


def declared(shown: list[Row], call: Row, config: Config = DEFAULTS) -> list[tuple[str, int]]:
    """(visitor_id, session start in microseconds after T) of a call's declared session."""
    found = find_declared(showings(*shown), modelled(calls(call), config), config)
    return [(row["visitor_id"], row["session_start"] - T) for row in found.to_dicts()]


def at(*times: int, **more: Any) -> Row:
    return {"display_times": [T + time for time in times], **more}


@pytest.mark.parametrize(
    ("start", "found"),
    [
        (-1, []),
        (0, [("session of v", 0)]),
        (30 * MINUTE, [("session of v", 0)]),
        (30 * MINUTE + 1, []),
    ],
)
def test_the_window_goes_from_the_display_to_exactly_30_minutes_later(
    start: int, found: list[tuple[str, int]]
) -> None:
    """A call exactly at the display and one exactly at the window's end have the candidate."""
    assert candidates([at(0)], {"start": T + start}) == found


def test_the_last_contact_is_the_latest_at_or_before_the_call() -> None:
    """During browsing, displays and engagements after the call do not count."""
    shown = at(0, 10, 50, engaged_times=[T + 20, T + 40])
    for start, last in ((5, 0), (10, 10), (39, 20), (40, 40), (60, 50)):
        assert candidates([shown], {"start": T + start}) == [("session of v", last)]


def test_an_engagement_renews_the_window() -> None:
    """Half an hour counts from the last engagement on the page that shows the number."""
    shown = at(0, engaged_times=[T + HOUR])
    assert candidates([shown], {"start": T + 90 * MINUTE}) == [("session of v", HOUR)]
    assert candidates([shown], {"start": T + 90 * MINUTE + 1}) == []
    assert candidates([shown], {"start": T + HOUR - 1}) == []


def test_first_and_last_display_and_their_number_reach_back_beyond_the_window() -> None:
    """Displays older than the window are counted, those after the call are not."""
    shown = at(0, 2 * HOUR, 2 * HOUR + 5, 3 * HOUR)
    found = find_candidates(showings(shown), modelled(calls({"start": T + 2 * HOUR + 6})))
    assert found.select("first_display", "last_display", "displays").rows() == [
        (T, T + 2 * HOUR + 5, 3)
    ]


def test_only_sessions_of_the_same_number_and_account_are_candidates() -> None:
    """Another account's session with the same number is none, nor is one with another number."""
    shown = [at(0, account="b"), at(0, tracking_number=B2)]
    assert candidates(shown, {}) == []


def test_a_number_reused_while_the_first_visitor_still_browses_has_two_candidates() -> None:
    """Both visitors who had the number on the page compete, the later contact first."""
    first = at(0, 20 * MINUTE, visitor_id="v")
    second = at(10 * MINUTE, visitor_id="w")
    found = candidates([first, second], {"start": T + 25 * MINUTE})
    assert found == [("session of v", 20 * MINUTE), ("session of w", 10 * MINUTE)]


def test_a_bot_holding_a_number_is_never_a_candidate() -> None:
    """Only the person beside the robot may have called."""
    shown = [at(0, visitor_id="bot", is_bot=True), at(0, visitor_id="w")]
    assert candidates(shown, {}) == [("session of w", 0)]


def test_an_outbound_call_has_no_candidates() -> None:
    """Nobody on the site made a call that the company made."""
    assert candidates([at(0)], {"direction": "outbound"}) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (at(1, session_id="b"), at(0, session_id="a", session_start=T + 9)),
        (at(0, session_id="b", session_start=T), at(0, session_id="a", session_start=T - 1)),
        (at(0, session_id="a"), at(0, session_id="b")),
    ],
    ids=["latest contact", "later start", "smaller session_id"],
)
def test_of_one_visitors_sessions_one_is_a_candidate(one: Row, other: Row) -> None:
    """The latest contact wins, then the later start, then the smaller session_id."""
    for shown in ([one, other], [other, one]):
        assert [name for name, _ in candidates(shown, {"start": T + 5})] == [one["session_id"]]


def test_equal_contacts_go_by_session_id_then_visitor() -> None:
    """Ties have one order from every order of the input."""
    shown = [
        at(0, visitor_id="z", session_id="same"),
        at(0, visitor_id="y", session_id="same"),
        at(0, visitor_id="x", session_id="zzz"),
        at(1, visitor_id="w", session_id="zzzz"),
    ]
    for rows in (shown, shown[::-1], [shown[2], shown[0], shown[3], shown[1]]):
        found = find_candidates(showings(*rows), modelled(calls({"start": T + 1})))
        assert found["visitor_id"].to_list() == ["w", "y", "z", "x"]


def test_at_most_the_1000_latest_are_candidates() -> None:
    """Of 1,001 the one with the earliest contact is left out, of ties the last by session_id."""
    earliest = at(0, visitor_id="a", session_id="a")
    others = [at(1, visitor_id=f"v{n:04}", session_id=f"s{n:04}") for n in range(MAX_CANDIDATES)]
    found = find_candidates(showings(earliest, *others), modelled(calls({"start": T + 1})))
    assert found["session_id"].to_list() == [f"s{n:04}" for n in range(MAX_CANDIDATES)]
    more = at(1, visitor_id="b", session_id="s0500b")
    found = find_candidates(showings(more, *others), modelled(calls({"start": T + 1})))
    assert (found.height, found["session_id"][-1]) == (MAX_CANDIDATES, "s0998")


def test_the_window_is_the_pools_on_the_day_of_the_call() -> None:
    """T is noon of 2 March UTC: the pool is valid that day and not on the next."""
    pool = {"name": "p", "numbers": ["70 10 10 10"], "match_window_minutes": 24 * 60}
    config = account(pools=[pool | {"valid_from": "2026-03-02", "valid_to": "2026-03-03"}])
    midnight = T + 12 * HOUR
    assert len(candidates([at(0)], {"start": midnight - 1}, config)) == 1
    assert candidates([at(0)], {"start": midnight}, config) == []


def test_a_fractional_window_is_exact_to_the_microsecond() -> None:
    """0.1 minutes are six seconds, no more and no less."""
    config = account(match_window_minutes=0.1)
    assert len(candidates([at(0)], {"start": T + 6_000_000}, config)) == 1
    assert candidates([at(0)], {"start": T + 6_000_001}, config) == []


def test_each_call_has_its_own_candidates() -> None:
    """Several calls to several numbers do not mix."""
    shown = showings(at(0), at(0, visitor_id="w", tracking_number=B2))
    called = calls({}, {"tracking_number": B2}, {"account": "b"}, {"start": T + HOUR})
    found = find_candidates(shown, modelled(called)).select("call_id", "visitor_id")
    assert sorted(found.rows()) == [("c0", "v"), ("c1", "w")]


@pytest.mark.parametrize(
    ("start", "found"), [(-1, []), (0, [("v", 0)]), (DAY, [("v", 0)]), (DAY + 1, [])]
)
def test_a_declared_session_displayed_the_number_at_most_24_hours_before(
    start: int, found: list[tuple[str, int]]
) -> None:
    """Both ends of the window belong to it."""
    call = {"start": T + start, "session_id": "session of v"}
    assert declared([at(0)], call) == found


def test_an_engagement_does_not_make_a_session_declared_for_longer() -> None:
    """The declared window counts from the display alone."""
    shown = at(0, engaged_times=[T + HOUR])
    assert declared([shown], {"start": T + DAY + 1, "session_id": "session of v"}) == []


def test_of_several_sessions_of_the_declared_id_the_one_displayed_last_counts() -> None:
    """Then the smallest visitor_id; what was displayed after the call does not count."""
    shown = [
        at(0, visitor_id="c", session_id="s"),
        at(5, 20, visitor_id="b", session_id="s"),
        at(5, visitor_id="a", session_id="s", session_start=T + 1),
    ]
    for rows in (shown, shown[::-1]):
        assert declared(rows, {"start": T + 10, "session_id": "s"}) == [("a", 1)]
        assert declared(rows, {"start": T + 20, "session_id": "s"}) == [("b", 5)]


def test_a_declared_session_may_be_a_bots() -> None:
    """The switch knows better than the user agent."""
    assert declared([at(0, is_bot=True)], {"session_id": "session of v"}) == [("v", 0)]


def test_an_outbound_call_may_declare_its_session() -> None:
    """The session that displayed the company's number is found for it too."""
    call = {"direction": "outbound", "session_id": "session of v"}
    assert declared([at(0)], call) == [("v", 0)]


def test_a_declared_session_of_another_number_is_unknown() -> None:
    """No page of it showed the number called."""
    assert declared([at(0, tracking_number=B2)], {"session_id": "session of v"}) == []


def test_no_showings_and_no_calls_give_no_rows_of_the_same_columns() -> None:
    """Empty tables go through every function."""
    full = find_candidates(showings({}), modelled(calls({})))
    for shown, called in ((showings(), calls({})), (showings({}), calls())):
        found = find_candidates(shown, modelled(called))
        assert (found.height, found.schema) == (0, full.schema)
        assert find_declared(shown, modelled(called), DEFAULTS).schema == full.schema
    assert full.schema["displays"] == pl.Int64
