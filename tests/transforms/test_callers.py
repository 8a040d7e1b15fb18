"""What a caller had done before: calls, forms, origins, by table (SPEC sections 8, 9)."""

from typing import Any

import polars as pl
import pytest
from tables import B2, T, calls, entries

from transforms.callers import count_earlier, find_forms, find_origins, knows_number
from transforms.settings import DAY, HOUR

Row = dict[str, Any]
WINDOW = 168 * HOUR


def known(*rows: Row) -> pl.DataFrame:
    """Calls of caller `k` with a lookback of 30 days."""
    called = calls(*({"caller_key": "k"} | row for row in rows))
    return called.with_columns(lookback=pl.lit(30 * DAY), form_window=pl.lit(WINDOW))


def earlier(*rows: Row) -> list[int | None]:
    return count_earlier(known(*rows))["earlier_calls"].to_list()


def knows(*rows: Row) -> list[bool]:
    return knows_number(known(*rows))["knows_number"].to_list()


def test_earlier_calls_are_those_before_by_start_then_call_id() -> None:
    """Of calls at one moment those of smaller call_id are earlier."""
    rows = [{"call_id": "b"}, {"call_id": "a"}, {"call_id": "c", "start": T + 1}, {"call_id": "d"}]
    assert earlier(*rows) == [1, 0, 3, 2]


def test_earlier_calls_reach_back_exactly_30_days() -> None:
    """A call 30 days before counts, one a microsecond longer ago does not."""
    assert earlier({"start": T}, {"start": T + 30 * DAY}) == [0, 1]
    assert earlier({"start": T}, {"start": T + 30 * DAY + 1}) == [0, 0]
    assert earlier({"start": T}, {"start": T}, {"start": T + DAY}, {"start": T + 31 * DAY}) == [
        0,
        1,
        2,
        1,
    ]


def test_an_outbound_call_is_never_anyones_earlier_call_but_has_earlier_ones() -> None:
    """The company's call to the customer counts the customer's calls and is not counted."""
    rows = [{}, {"start": T + 1, "direction": "outbound"}, {"start": T + 2}]
    assert earlier(*rows) == [0, 1, 1]


def test_callers_are_told_apart_by_account() -> None:
    """Calls of another caller or to another account are not earlier; of an unknown caller null."""
    rows = [
        {},
        {"start": T + 1, "caller_key": "other"},
        {"start": T + 2, "account": "b"},
        {"start": T + 3, "caller_key": None},
        {"start": T + 4, "tracking_number": B2},
    ]
    assert earlier(*rows) == [0, 0, 0, None, 1]


def test_a_caller_knows_a_number_called_within_30_days() -> None:
    """By start then call_id, of the same number, inbound alone."""
    assert knows({}, {}, {"start": T + 30 * DAY}, {"start": T + 60 * DAY + 1}) == [
        False,
        True,
        True,
        False,
    ]
    assert knows({}, {"start": T + 1, "tracking_number": B2}) == [False, False]
    assert knows({"direction": "outbound"}, {"start": T + 1}) == [False, False]
    assert knows({}, {"start": T + 1, "direction": "outbound"}) == [False, False]
    assert knows({"caller_key": None}, {"start": T + 1, "caller_key": None}) == [False, False]


def forms(rows: list[Row], *called: Row) -> list[tuple[str, int]]:
    """(call_id, number of the entry) of the calls that have an entry."""
    found = entries(*rows).with_row_index("fact")
    return find_forms(known(*called), found).select("call_id", "fact").sort("call_id").rows()


@pytest.mark.parametrize(
    ("start", "found"), [(-1, []), (0, [("c0", 0)]), (WINDOW, [("c0", 0)]), (WINDOW + 1, [])]
)
def test_a_form_counts_for_exactly_168_hours(start: int, found: list[tuple[str, int]]) -> None:
    """A call at the moment of the entry and one exactly a week later have the form."""
    assert forms([{}], {"start": T + start}) == found


def test_the_latest_entry_before_the_call_counts() -> None:
    """An entry after the call is none, of those before the latest."""
    rows = [{"time": T}, {"time": T + 2}, {"time": T + 1}, {"time": T + 6}]
    assert forms(rows, {"start": T + 5}) == [("c0", 1)]


def test_entries_at_one_moment_go_by_event_id_then_by_hash() -> None:
    """Absent first (it wins), then the greatest event_id, then the smallest hash."""
    rows = [{"event_id": "b", "hash": 2}, {"event_id": "b", "hash": 1}, {"event_id": "a"}]
    for shift in range(3):
        turned = rows[shift:] + rows[:shift]
        assert forms(turned, {}) == [("c0", turned.index(rows[1]))]
    absent = [*rows, {"event_id": None, "hash": 9}, {"event_id": None, "hash": 8}]
    assert forms(absent, {}) == [("c0", 4)]


def test_two_callers_with_one_form_both_have_it_if_they_entered_both_numbers() -> None:
    """An entry counts for the caller whose number it was, and for every call of that caller."""
    rows = [{"caller_key": "k", "visitor_id": "v"}, {"caller_key": "l", "visitor_id": "v"}]
    called = [{}, {"caller_key": "l"}, {"caller_key": "m"}, {"start": T + 5}, {"caller_key": None}]
    assert forms(rows, *called) == [("c0", 0), ("c1", 1), ("c3", 0)]


def test_a_form_of_another_account_is_not_seen() -> None:
    """Keys and forms belong to one account."""
    assert forms([{"account": "b"}], {}) == []


def origins(owners: dict[str, str], *called: Row) -> list[tuple[str, str]]:
    """(call_id, visitor of the origin); owners: of each call with an own session its visitor."""
    own = pl.DataFrame(
        [("a", call_id, fact, who) for fact, (call_id, who) in enumerate(owners.items())],
        schema=["account", "call_id", "fact", "visitor_id"],
        orient="row",
    )
    found = find_origins(knows_number(known(*called)), own)
    return found.select("call_id", "visitor_id").sort("call_id").rows()


def test_the_origin_is_the_own_session_of_the_earliest_call_that_has_one() -> None:
    """Over four calls: the first has no session, the second gives the origin to the others."""
    called = [{"start": T + day * DAY} for day in range(4)]
    assert origins({"c1": "v", "c2": "w"}, *called) == [("c2", "v"), ("c3", "v")]


def test_the_origin_is_no_later_call_nor_the_call_itself() -> None:
    """A call's own session is no origin of its own; at equal starts call_id decides."""
    assert origins({"c1": "v"}, {}, {"start": T + 1}) == []
    assert origins({"c0": "v", "c1": "w"}, {}, {}) == [("c1", "v")]
    assert origins({"c1": "w"}, {}, {}) == []


def test_the_origin_is_of_the_same_number_caller_and_lookback() -> None:
    """What is older than 30 days before the call or of another number is forgotten."""
    old = [{"start": T}, {"start": T + 20 * DAY}, {"start": T + 30 * DAY + 1}]
    assert origins({"c0": "v", "c1": "w"}, *old) == [("c1", "v"), ("c2", "w")]
    elsewhere = [{"tracking_number": B2}, {"start": T + 1}, {"start": T + 2}]
    assert origins({"c0": "v"}, *elsewhere) == []
    assert origins({"c0": "v"}, {"caller_key": "l"}, {"start": T + 1}, {"start": T + 2}) == []
