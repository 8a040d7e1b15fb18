"""Golden cases of candidates and decisions, from the sentences of SPEC 8 and 9."""

from __future__ import annotations

import hashlib
import hmac
import math

import pytest

from oracle.cases import (
    B2,
    CALLER,
    KEY,
    OTHER,
    B,
    T,
    account,
    call,
    decided,
    engage,
    form,
    outbound,
    page,
    run,
)
from oracle.settings import DAY, HOUR, MINUTE


def test_a_call_exactly_at_the_display_has_the_density_of_no_delay() -> None:
    row = decided(page("v", 0, B), call("c", 0))
    weight, none = 0.02 * (0.8 / 180 + 0.2 / 1800), 0.1 / 86400
    assert row["probability"] == pytest.approx(weight / (weight + none), rel=1e-12)
    assert row["none_probability"] == pytest.approx(none / (weight + none), rel=1e-12)
    assert (row["method"], row["saved_probability"]) == ("number_pool", None)


def test_the_window_ends_after_exactly_30_minutes() -> None:
    inside = decided(page("v", 0, B), call("c", 30 * MINUTE))
    outside = decided(page("v", 0, B), call("c", 30 * MINUTE + 1))
    assert len(inside["candidates"]) == 1
    assert (outside["candidates"], outside["reason"]) == ([], "no_display_in_window")
    assert outside["probability"] == outside["none_probability"] == 1


def test_an_engagement_on_the_page_that_showed_the_number_renews_the_display() -> None:
    row = decided(page("v", 0, B), engage("v", HOUR), call("c", 90 * MINUTE))
    (one,) = row["candidates"]
    assert (one["first_display"], one["last_display"], one["displays"]) == (T, T, 1)
    other = page("v", MINUTE, B2)
    assert decided(page("v", 0, B), other, engage("v", HOUR), call("c", HOUR))["candidates"] == []


def test_of_pageviews_at_equal_times_one_that_showed_the_number_is_enough() -> None:
    row = decided(page("v", 0, B), page("v", 0, B2), engage("v", HOUR), call("c", HOUR))
    assert len(row["candidates"]) == 1


def test_what_comes_after_the_call_does_not_count() -> None:
    row = decided(page("v", 1, B), engage("v", 0), call("c", 0))
    assert row["candidates"] == []


def test_of_one_visitors_sessions_only_the_one_displayed_last_is_a_candidate() -> None:
    pages = page("v", 0, B, session_id="b"), page("v", 5, B, session_id="a"), page("v", 5, B)
    (one,) = decided(*pages, call("c", 10))["candidates"]
    assert one["session_id"] == "a"


def test_of_more_than_1000_candidates_the_latest_1000_share_the_probability() -> None:
    pages = [page(f"v{at:04}", 0 if at == 1000 else 1, B) for at in range(1001)]
    row = decided(*pages, call("c", 1))
    weight, none = 0.02 * (0.8 / 180 + 0.2 / 1800), 0.1 / 86400
    assert row["probability"] == pytest.approx(weight / (1000 * weight + none), rel=1e-9)
    assert [one["visitor_id"] for one in row["candidates"]] == [f"v{at:04}" for at in range(10)]
    assert row["reason"] == "several_candidates"


def test_two_equal_candidates_are_ambiguous_and_the_row_names_neither() -> None:
    row = decided(page("w", 0, B), page("v", 0, B), call("c", 0))
    assert (row["status"], row["method"], row["session_id"]) == ("ambiguous", "none", None)
    assert [one["visitor_id"] for one in row["candidates"]] == ["v", "w"]


def test_where_all_weights_are_zero_none_is_1() -> None:
    config = {"call_probability": 0, "background_calls_per_day": 0}
    row = decided(page("v", 0, B), call("c", 0), config=config)
    assert (row["none_probability"], row["reason"]) == (1, "likely_unrelated")


def test_the_parameters_of_a_pool_hold_on_the_days_it_is_valid() -> None:
    pool = {"name": "p", "numbers": ["70101010"], "match_window_minutes": 1}
    for limit, found in (("2026-03-02", 1), ("2026-03-03", 0)):
        config = account(pools=[pool | {"valid_to": limit}])
        row = decided(page("v", 0, B), call("c", MINUTE + 1), config=config)
        assert len(row["candidates"]) == found


def test_a_saved_number_is_a_returning_caller_with_the_session_of_the_first_call() -> None:
    first = page("v", 0, B, session_id="s"), call("c1", 0, a_number=CALLER)
    row = decided(*first, call("c2", 7 * DAY, a_number=CALLER))
    saved, none = 0.03 / 86400, 0.1 / 86400 * 0.001
    assert row["method"] == "returning_caller"
    assert row["probability"] == pytest.approx(saved / (saved + none), rel=1e-12)
    assert (row["session_id"], row["earlier_calls"], row["is_first_call"]) == ("s", 1, False)


def test_the_origin_is_the_own_session_of_the_earliest_earlier_call_that_has_one() -> None:
    calls = [call(f"c{at}", at * DAY, a_number=CALLER) for at in range(4)]
    row = decided(page("v", DAY, B), page("w", 2 * DAY, B), *calls)
    assert (row["method"], row["visitor_id"]) == ("returning_caller", "v")


def test_a_repeat_call_without_an_origin_is_of_unknown_origin() -> None:
    row = decided(call("c1", 0, a_number=CALLER), call("c2", DAY, a_number=CALLER))
    assert row["reason"] == "returning_caller_unknown_origin"
    assert (row["status"], row["session_id"]) == ("unattributed", None)


def test_a_session_of_the_origins_visitor_is_not_made_less_likely() -> None:
    first = page("v", 0, B), call("c1", 0, a_number=CALLER)
    own = decided(*first, page("v", DAY, B), call("c2", DAY, a_number=CALLER))
    other = decided(*first, page("w", DAY, B), call("c2", DAY, a_number=CALLER))
    weight = 0.02 * (0.8 / 180 + 0.2 / 1800)
    rest = [0.1 / 86400 * 0.001, 0.03 / 86400]
    assert own["probability"] == pytest.approx(weight / math.fsum([weight, *rest]), rel=1e-12)
    assert own["method"] == "number_pool"
    assert other["method"] == "returning_caller"


def test_the_earlier_call_must_be_to_the_same_number_and_within_30_days() -> None:
    first = page("v", 0, B2), call("c1", 0, B2, a_number=CALLER)
    elsewhere = decided(*first, call("c2", DAY, a_number=CALLER))
    assert (elsewhere["saved_probability"], elsewhere["earlier_calls"]) == (None, 1)
    edge = decided(*first, call("c2", 30 * DAY, B2, a_number=CALLER))
    late = decided(*first, call("c2", 30 * DAY + 1, B2, a_number=CALLER))
    assert (edge["method"], edge["earlier_calls"]) == ("returning_caller", 1)
    assert (late["saved_probability"], late["earlier_calls"]) == (None, 0)


def test_calls_at_one_time_are_in_the_order_of_call_id() -> None:
    calls = call("b", 0, a_number=CALLER), call("a", 0, a_number=CALLER)
    rows = {row["call_id"]: row["earlier_calls"] for row in run(*calls).conversions}
    assert rows == {"a": 0, "b": 1}


def test_a_withheld_caller_has_no_earlier_calls_and_no_key() -> None:
    row = decided(call("c1", 0, a_number="sip:Anonymous@x"), call("c2", 1, a_number="+266696687"))
    assert (row["earlier_calls"], row["is_first_call"], row["caller_key"]) == (None, None, None)


def test_the_caller_key_is_the_hmac_of_account_zero_byte_number() -> None:
    expected = hmac.new(KEY, b"a\0" + CALLER.encode(), hashlib.sha256).hexdigest()[:32]
    row = decided(call("c", 0, a_number="tel:20 20 20 20"))
    assert (row["caller_key"], row["caller_country"]) == (expected, "DK")
    assert row["conversion_id"] == hashlib.sha256(b"a\0c").hexdigest()[:32]


def test_the_rules_apply_in_the_order_of_the_table() -> None:
    static = [{"number": B, "source": "flyer"}]
    events = page("v", 0, B, session_id="s"), form("w", 0)
    last = call("c", 1, a_number=CALLER, session_id="s")
    excluded = decided(*events, last, config=account(excluded_callers=["20202020"]))
    on_static = decided(*events, last, config=account(static_numbers=static))
    declared = decided(*events, last)
    with_form = decided(*events, call("c", 1, a_number=CALLER))
    plain = decided(*events, call("c", 1, a_number=OTHER))
    rows = [excluded, on_static, declared, with_form, plain]
    assert [row["reason"] for row in rows] == [
        "excluded_caller",
        "static_number",
        "declared",
        "form_phone",
        "number_pool",
    ]
    assert [row["probability"] for row in rows[:4]] == [None, 1, 1, 0.99]
    assert all(len(row["candidates"]) == 1 for row in rows)


def test_a_static_number_has_its_own_source_and_no_session_columns() -> None:
    static = [{"number": "70101010", "source": "flyer", "valid_from": "2026-03-02"}]
    row = decided(page("v", 0, B), call("c", 0), config=account(static_numbers=static))
    assert (row["source"], row["medium"], row["source_rule"]) == (
        "flyer",
        "(not set)",
        "static_number",
    )
    assert (row["channel"], row["session_id"], row["is_bot"]) == ("Unassigned", None, None)
    static[0]["valid_from"] = "2026-03-03"
    later = decided(page("v", 0, B), call("c", 0), config=account(static_numbers=static))
    assert later["method"] == "number_pool"


def test_a_declared_session_displayed_the_number_at_most_24_hours_before() -> None:
    shown = page("v", 0, B, session_id="s")
    known = decided(shown, call("c", DAY, session_id="s"))
    unknown = decided(shown, call("c", DAY + 1, session_id="s"))
    other = decided(shown, call("c", 0, B2, session_id="s"))
    assert (known["visitor_id"], unknown["visitor_id"], other["visitor_id"]) == ("v", None, None)
    assert unknown["session_id"] == other["session_id"] == "s"
    assert (unknown["status"], unknown["probability"]) == ("attributed", 1)


def test_of_several_declared_sessions_the_one_displayed_last_then_the_smallest_visitor() -> None:
    pages = [page(who, at, B, session_id="s") for who, at in (("a", 0), ("c", 1), ("b", 1))]
    assert decided(*pages, call("x", 2, session_id="s"))["visitor_id"] == "b"


def test_two_callers_with_one_form_and_the_latest_of_two_entries_counts() -> None:
    entries = form("v", 0), form("w", 1), form("v", 2, OTHER)
    mine = decided(*entries, call("c", HOUR, a_number=CALLER))
    theirs = decided(*entries, call("c", HOUR, a_number=OTHER))
    assert (mine["visitor_id"], theirs["visitor_id"]) == ("w", "v")


def test_a_form_counts_for_168_hours_and_not_before_it_was_sent() -> None:
    hours = 168 * HOUR
    reasons = [
        decided(form("v", at), call("c", hours, a_number=CALLER))["reason"]
        for at in (0, -1, hours, hours + 1)
    ]
    other = "no_display_in_window"
    assert reasons == ["form_phone", other, "form_phone", other]


def test_of_entries_at_one_time_an_absent_event_id_goes_first_then_the_greatest() -> None:
    entries = [form(who, 0, event_id=name) for who, name in (("u", "1"), ("v", "2"))]
    last = call("c", 0, a_number=CALLER)
    assert decided(*entries, last)["visitor_id"] == "v"
    assert decided(*entries, form("w", 0, event_id=None), last)["visitor_id"] == "w"


def test_the_form_session_is_the_visitors_candidate_else_the_session_of_the_entry() -> None:
    events = form("v", 0, session_id="old"), page("v", HOUR, B, session_id="new")
    assert decided(*events, call("c", HOUR, a_number=CALLER))["session_id"] == "new"
    assert decided(*events, call("c", 0, a_number=CALLER))["session_id"] == "old"


def test_an_outbound_call_is_a_callback_or_unattributed_and_has_no_hypotheses() -> None:
    back = decided(form("v", 0, session_id="s"), page("v", 0, B), outbound("c", HOUR))
    other = decided(page("v", 0, B), outbound("c", 0))
    assert (back["method"], back["session_id"], back["probability"]) == ("callback", "s", 0.99)
    assert (other["reason"], other["probability"], other["candidates"]) == ("outbound", None, [])
    assert (back["none_probability"], back["tracking_number"]) == (None, B)


def test_an_outbound_call_is_never_anyones_earlier_call() -> None:
    row = decided(outbound("c1", 0), call("c2", 1, a_number=CALLER))
    back = decided(call("c1", 0, a_number=CALLER), outbound("c2", 1))
    assert (row["earlier_calls"], back["earlier_calls"]) == (0, 1)
