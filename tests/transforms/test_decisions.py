"""One decision a call, the first rule that applies, by table and from events (SPEC section 9)."""

import itertools
import random
from typing import Any

import polars as pl
import pytest
from oracle.cases import BOT, CALLER, OTHER, call, engage, form, outbound, page
from tables import (
    B2,
    DEFAULTS,
    B,
    T,
    account,
    calls,
    entries,
    flow_rows,
    last_conversion,
    modelled,
    showings,
)

from schemas.config import Config
from transforms.candidates import find_candidates, find_declared
from transforms.decisions import RULES, Evidence, decide
from transforms.models import NumberPlan
from transforms.settings import DAY, HOUR, MINUTE

Row = dict[str, Any]

# Per second: a session shown the number at once, 0.02 * (0.8/180 + 0.2/1800); nobody, 0.1 a day;
# a kept number, 0.03 a day.
AT_ONCE = 9.1111111111111111e-5
NOBODY = 1.1574074074074074e-6
KEPT = 3.4722222222222222e-7
NOBODY_EXCLUDED = pl.DataFrame(schema={"account": pl.String, "caller_key": pl.String})


def decided(
    called: list[Row],
    shown: list[Row] | None = None,
    forms: list[Row] | None = None,
    config: Config = DEFAULTS,
    excluded: pl.DataFrame = NOBODY_EXCLUDED,
) -> list[Row]:
    """The decisions on some calls, in their order."""
    sent, seen = calls(*called), showings(*(shown or []))
    evidence = Evidence(
        sent,
        find_candidates(seen, modelled(sent, config)),
        find_declared(seen, modelled(sent, config), config),
        entries(*(forms or [])),
    )
    rows = decide(evidence, NumberPlan(config), config, excluded).rows
    order = [row["call_id"] for row in sent.to_dicts()]
    return sorted(rows.to_dicts(), key=lambda row: order.index(row["call_id"]))


def verdict(row: Row) -> tuple[str, str, str]:
    return row["status"], row["method"], row["reason"]


def excluding(key: str, name: str = "a") -> pl.DataFrame:
    return pl.DataFrame({"account": [name], "caller_key": [key]})


PERSON = {"caller_key": "k"}
STATIC = account(static_numbers=[{"number": B, "source": "flyer"}])
ALWAYS = account(min_probability=0.0)
NO_SAVED = account(saved_number_calls_per_day=0)


@pytest.mark.parametrize(
    ("rule", "call", "shown", "forms", "config", "excluded"),
    [
        ("excluded_caller", PERSON | {"session_id": "s"}, [{}], [{}], STATIC, excluding("k")),
        ("static_number", PERSON | {"session_id": "s"}, [{}], [{}], STATIC, excluding("l")),
        ("declared", PERSON | {"session_id": "s"}, [{}], [{}], DEFAULTS, excluding("k", "b")),
        ("declared", {"direction": "outbound", "session_id": "s"}, [], [], DEFAULTS, None),
        ("form_phone", PERSON, [{}], [{}], DEFAULTS, None),
        ("callback", PERSON | {"direction": "outbound"}, [{}], [{}], STATIC, None),
        ("outbound", PERSON | {"direction": "outbound"}, [{}], [], STATIC, None),
        ("number_pool", PERSON, [{}], [], DEFAULTS, None),
        ("no_display_in_window", PERSON, [], [], DEFAULTS, None),
        ("no_display_in_window", PERSON, [], [], ALWAYS, None),
        ("likely_unrelated", {"start": T + 30 * MINUTE}, [{}], [], DEFAULTS, None),
        ("several_candidates", {}, [{}, {"visitor_id": "w"}], [], DEFAULTS, None),
    ],
)
def test_the_first_rule_that_applies_decides(
    rule: str,
    call: Row,
    shown: list[Row],
    forms: list[Row],
    config: Config,
    excluded: pl.DataFrame | None,
) -> None:
    """Each rule of the table where those above it do not hold and, mostly, those below it do."""
    if excluded is None:
        excluded = NOBODY_EXCLUDED
    (row,) = decided([call], shown, forms, config, excluded)
    assert (row["rule"], verdict(row)) == (rule, RULES[rule])


def test_the_words_of_every_rule_are_those_of_the_specification() -> None:
    """Status, method and reason of SPEC section 9, one line a rule."""
    attributed = ("static_number", "declared", "form_phone", "callback", "number_pool")
    expected = {name: ("attributed", name, name) for name in (*attributed, "returning_caller")}
    for name in ("outbound", "returning_caller_unknown_origin", "no_display_in_window"):
        expected[name] = ("unattributed", "none", name)
    expected["likely_unrelated"] = ("unattributed", "none", "likely_unrelated")
    expected["excluded_caller"] = ("excluded", "none", "excluded_caller")
    expected["several_candidates"] = ("ambiguous", "none", "several_candidates")
    assert expected == RULES


def test_a_call_exactly_at_a_display() -> None:
    """One session at d = 0: p = w / (w + w_none) = 0.987456…, and nobody has the rest."""
    (row,) = decided([{}], [{}])
    assert verdict(row) == ("attributed", "number_pool", "number_pool")
    assert row["probability"] == pytest.approx(0.987456096337180130, rel=1e-14)
    assert row["none_probability"] == pytest.approx(0.0125439036628198695, rel=1e-13)
    assert row["saved_probability"] is None
    assert (row["session_id"], row["visitor_id"]) == ("session of v", "v")


def test_a_call_exactly_at_the_windows_end() -> None:
    """After 30 minutes p = 0.415…, less than nobody's; a microsecond later there is no session."""
    (row,) = decided([{"start": T + 30 * MINUTE}], [{}])
    assert verdict(row) == ("unattributed", "none", "likely_unrelated")
    assert row["probability"] == pytest.approx(0.584858513152626488, rel=1e-13)
    assert row["candidates"][0]["probability"] == pytest.approx(0.415141486847373512, rel=1e-13)
    (late,) = decided([{"start": T + 30 * MINUTE + 1}], [{}])
    assert (late["reason"], late["candidates"]) == ("no_display_in_window", [])
    assert late["probability"] == late["none_probability"] == 1.0


def test_an_ambiguous_call_names_no_session_but_tells_the_likeliest_probability() -> None:
    """Two sessions at once have 0.4968… each, which is below min_probability."""
    (row,) = decided([{}], [{"visitor_id": "w"}, {}])
    assert verdict(row) == ("ambiguous", "none", "several_candidates")
    assert row["probability"] == pytest.approx(0.496844231254733653, rel=1e-13)
    assert (row["session_id"], row["visitor_id"], row["touchpoints"]) == (None, None, None)
    assert [one["visitor_id"] for one in row["candidates"]] == ["v", "w"]


def test_min_probability_itself_is_enough() -> None:
    """With equal weights of one session and nobody p is exactly a half; 0.5 attributes."""
    level = {
        "call_probability": 1.0,
        "delay_means": [86400.0],
        "delay_weights": [1.0],
        "background_calls_per_day": 1.0,
    }
    (enough,) = decided([{}], [{}], config=account(**level))
    assert (enough["method"], enough["probability"]) == ("number_pool", 0.5)
    (more,) = decided([{}], [{}], config=account(**level, min_probability=0.500000001))
    assert (more["reason"], more["probability"]) == ("several_candidates", 0.5)


def test_ties_between_hypotheses_go_to_session_then_saved_then_none() -> None:
    """All weigh 1 a day: with a session a third each, without one a half each."""
    level = account(
        call_probability=1.0,
        delay_means=[86400.0],
        delay_weights=[1.0],
        background_calls_per_day=1.0,
        saved_number_calls_per_day=1.0,
        known_caller_factor=1.0,
        min_probability=0.3,
    )
    before = PERSON | {"start": T - DAY}
    _, row = decided([before, PERSON], [{}], config=level)
    assert (row["reason"], row["probability"]) == ("number_pool", 1 / 3)
    _, row = decided([before, PERSON], config=level)
    assert (row["reason"], row["probability"]) == ("returning_caller_unknown_origin", 0.5)


def test_ties_between_sessions_go_to_the_later_contact_then_session_id_then_visitor() -> None:
    """Where delays do not count all weigh alike, and the order of arrival changes nothing."""
    flat = account(
        delay_means=[1e8], delay_weights=[1.0], background_calls_per_day=0, min_probability=0.25
    )
    shown = [
        {"visitor_id": "a", "session_id": "c"},
        {"visitor_id": "c", "session_id": "b"},
        {"visitor_id": "b", "session_id": "b"},
        {"visitor_id": "d", "session_id": "z", "display_times": [T + 1]},
    ]
    for rows in itertools.permutations(shown):
        (row,) = decided([{"start": T + 1}], list(rows), config=flat)
        assert [one["visitor_id"] for one in row["candidates"]] == ["d", "b", "c", "a"]
        assert row["visitor_id"] == "d"


def test_where_all_weights_are_zero_nobody_has_probability_one() -> None:
    """No division by zero: none is 1, the candidates 0."""
    config = account(call_probability=0, background_calls_per_day=0)
    (row,) = decided([{}], [{}], config=config)
    assert (row["none_probability"], row["reason"]) == (1.0, "likely_unrelated")
    assert [one["probability"] for one in row["candidates"]] == [0.0]


def test_the_ten_likeliest_candidates_are_told() -> None:
    """Eleven share the probability, ten are in the row, likeliest first."""
    shown = [{"visitor_id": f"v{n:02}", "display_times": [T - n * MINUTE]} for n in range(11)]
    (row,) = decided([{}], random.Random(1).sample(shown, 11))
    assert [one["visitor_id"] for one in row["candidates"]] == [f"v{n:02}" for n in range(10)]
    told = sum(one["probability"] for one in row["candidates"])
    assert told + row["none_probability"] < 1
    assert row["candidates"][1] | {"probability": 0} == {
        "session_id": "session of v01",
        "visitor_id": "v01",
        "probability": 0,
        "first_display": T - MINUTE,
        "last_display": T - MINUTE,
        "displays": 1,
        "source": None,
        "medium": None,
        "campaign": None,
        "channel": None,
    }


def test_a_saved_number_and_its_origin_over_three_calls() -> None:
    """The first call has the session; both others, days later, are from the number that was kept.

    w_saved = 0.03/86400 beside w_none = 0.001 * 0.1/86400: p = 0.03 / 0.0301 = 0.99667774…
    """
    called = [PERSON | {"start": T + day * DAY} for day in (0, 3, 9)]
    first, *later = decided(called, [{}])
    assert (first["method"], first["saved_probability"]) == ("number_pool", None)
    assert [row["earlier_calls"] for row in (first, *later)] == [0, 1, 2]
    for row in later:
        assert verdict(row) == ("attributed", "returning_caller", "returning_caller")
        assert (row["session_id"], row["candidates"]) == ("session of v", [])
        assert row["probability"] == pytest.approx(0.996677740863787375, rel=1e-13)
        assert row["none_probability"] == pytest.approx(0.00332225913621262458, rel=1e-13)


def test_the_origin_is_found_without_the_known_caller_rule() -> None:
    """One hop: the second call's own session is its candidate, though that call was decided as a
    kept number; so the third call, whose first earlier call has none, has it as its origin."""
    shown = [{"display_times": [T + DAY]}]
    first, second, third = decided([PERSON | {"start": T + day * DAY} for day in (0, 1, 2)], shown)
    assert first["reason"] == "no_display_in_window"
    assert second["reason"] == "returning_caller_unknown_origin"
    # w_saved against 0.001 w and 0.001 w_none: 0.7900558…, 0.2073106… and 0.0026335…
    assert second["probability"] == pytest.approx(0.790055830612029917, rel=1e-13)
    assert second["candidates"][0]["probability"] == pytest.approx(0.207310649952596650, rel=1e-13)
    assert (third["reason"], third["visitor_id"]) == ("returning_caller", "v")


def test_a_candidate_below_min_probability_is_no_origin() -> None:
    """Of two sessions neither is likely enough to be the first call's own."""
    called = [PERSON, PERSON | {"start": T + DAY}]
    _, second = decided(called, [{}, {"visitor_id": "w"}])
    assert second["reason"] == "returning_caller_unknown_origin"


def test_the_origins_visitor_on_the_site_again_is_not_made_less_likely() -> None:
    """w / (w + 0.001 w_none + w_saved) = 0.9961908…, all others keep the factor."""
    called = [PERSON, PERSON | {"start": T + DAY}]
    again = {"display_times": [T + DAY], "session_id": "again"}
    _, row = decided(called, [{}, again])
    assert (row["method"], row["session_id"]) == ("number_pool", "again")
    assert row["probability"] == pytest.approx(0.996190885967021425, rel=1e-13)


def test_a_declared_or_form_session_comes_before_the_likeliest_as_origin() -> None:
    """A call's own session is its declared one if known, else its form's, else its likeliest."""
    shown = [{}, {"visitor_id": "w", "display_times": [T - HOUR]}]
    later = PERSON | {"start": T + DAY}
    named = PERSON | {"session_id": "session of w"}
    assert decided([named, later], shown)[1]["visitor_id"] == "w"
    unknown = PERSON | {"session_id": "nobody's"}
    assert decided([unknown, later], shown)[1]["visitor_id"] == "v"
    filled = [{"visitor_id": "x", "session_id": "f", "time": T}]
    window = account(form_window_hours=1)
    found = decided([PERSON, later], shown, filled, window)
    assert [row["session_id"] for row in found] == ["f", "f"]
    assert [row["reason"] for row in found] == ["form_phone", "returning_caller"]


def test_a_repeat_without_a_rate_of_kept_numbers_is_not_one() -> None:
    """With no calls from kept numbers w_saved stands at zero and nobody is the likeliest."""
    _, row = decided([PERSON, PERSON | {"start": T + DAY}], config=NO_SAVED)
    assert (row["saved_probability"], row["none_probability"]) == (0.0, 1.0)
    assert row["reason"] == "no_display_in_window"


def test_a_form_takes_the_candidate_of_its_visitor_else_its_own_session() -> None:
    """The visitor who entered the number is known, and which session made the call if one did."""
    filled = [{"time": T - HOUR}]
    candidate = decided([PERSON], [{}, {"visitor_id": "w"}], filled)[0]
    assert (candidate["session_id"], candidate["probability"]) == ("session of v", 0.99)
    other = decided([PERSON], [{"visitor_id": "w"}], filled)[0]
    assert (other["session_id"], other["visitor_id"]) == ("form session", "v")


def test_two_callers_with_one_form() -> None:
    """Two people share a browser: each number leads to the visitor, an unentered one does not."""
    filled = [{"time": T - 2}, {"time": T - 1, "caller_key": "l"}]
    called = [{"caller_key": key} for key in ("k", "l", "m")]
    rows = decided(called, [], filled)
    assert [row["method"] for row in rows] == ["form_phone", "form_phone", "none"]
    assert [row["visitor_id"] for row in rows] == ["v", "v", None]


def test_a_caller_who_is_unknown_has_neither_forms_nor_earlier_calls() -> None:
    """earlier_calls is null, no kept number stands, and two withheld calls are not one caller's."""
    rows = decided([{}, {"start": T + DAY}], [{}], [{"caller_key": "k"}])
    assert [row["earlier_calls"] for row in rows] == [None, None]
    assert [row["saved_probability"] for row in rows] == [None, None]
    assert [row["reason"] for row in rows] == ["number_pool", "no_display_in_window"]


def test_a_declared_session_that_no_page_showed_is_unknown() -> None:
    """The rule holds with probability 1; the id is kept apart and there is no session."""
    (row,) = decided([{"session_id": "ghost"}], [{}])
    assert verdict(row) == ("attributed", "declared", "declared")
    assert (row["probability"], row["given_session_id"]) == (1.0, "ghost")
    assert (row["session_id"], row["visitor_id"], row["is_bot"]) == (None, None, None)
    assert row["none_probability"] == pytest.approx(NOBODY / (AT_ONCE + NOBODY), rel=1e-13)


def test_candidates_and_probabilities_are_told_whatever_the_rule() -> None:
    """An excluded inbound call has them all; an outbound one none."""
    called = [PERSON, PERSON | {"start": T + 1, "direction": "outbound"}]
    first, second = decided(called, [{}], excluded=excluding("k"))
    assert (verdict(first), len(first["candidates"])) == (RULES["excluded_caller"], 1)
    assert first["none_probability"] == pytest.approx(0.0125439036628198695, rel=1e-13)
    assert (second["candidates"], second["none_probability"]) == ([], None)
    assert second["saved_probability"] is None
    assert second["probability"] is None


def test_a_decision_is_the_same_alone_and_beside_others() -> None:
    """To the last bit: other calls in the table show in no probability of a call."""
    config = account(background_calls_per_day=5)
    mine, shown = {"start": T + 7 * MINUTE, "call_id": "mine"}, [{}]
    (alone,) = decided([mine], shown, config=config)
    crowd = [{"start": T + DAY, "call_id": f"other {n}"} for n in range(8)]
    beside = decided([mine, *crowd], shown, config=config)[0]
    assert beside["none_probability"] == alone["none_probability"]
    assert beside["probability"] == alone["probability"]


def test_a_pool_has_an_identity_probability_of_its_own() -> None:
    """`identity_probability` is one of the parameters that a pool may set."""
    pool = {"name": "p", "numbers": [B], "identity_probability": 0.7}
    config = account(pools=[pool], identity_probability=0.8)
    rows = decided([PERSON, PERSON | {"tracking_number": B2}], [], [{}], config)
    assert [row["probability"] for row in rows] == [0.7, 0.8]


# From events to rows, where several steps must agree.


def test_a_number_reused_while_the_first_visitor_still_browses() -> None:
    """The earlier visitor's engagement keeps the number; both compete and neither is certain."""
    story = (page("v", 0, B), page("w", 9 * MINUTE, B), engage("v", 10 * MINUTE))
    row = last_conversion(*story, call("c", 10 * MINUTE))
    told = {one["visitor_id"]: one["probability"] for one in row["candidates"]}
    # w(0), w(60 s) and nobody: 0.5762530…, 0.4164266…, 0.0073202…
    assert told["v"] == pytest.approx(0.576253019074431693, rel=1e-12)
    assert told["w"] == pytest.approx(0.416426693589765059, rel=1e-12)
    assert (row["visitor_id"], row["reason"]) == ("v", "number_pool")


def test_a_call_during_browsing_with_displays_after_it() -> None:
    """What the visitor sees after the call changes neither the probability nor the candidate."""
    before = (page("v", 0, B), call("c", MINUTE))
    after = (page("v", 2 * MINUTE, B), engage("v", 3 * MINUTE), page("w", MINUTE + 1, B))
    alone, again = last_conversion(*before), last_conversion(*after, *before)
    assert again["candidates"] == alone["candidates"]
    assert (alone["candidates"][0]["displays"], again["probability"]) == (1, alone["probability"])


def test_a_session_silent_for_more_than_24_hours_is_two() -> None:
    """The given id comes back after a day: the call belongs to the session that came back."""
    pages = [page("v", at, B, session_id="s") for at in (0, DAY + 1)]
    row = last_conversion(*pages, call("c", DAY + 1, session_id="s"))
    assert (row["reason"], row["session_id"]) == ("declared", "s")
    assert (row["session_start"].hour, row["session_start"].microsecond) == (12, 1)
    assert len(row["candidates"]) == 1
    assert len(row["touchpoints"]) == 2


def test_a_declared_session_that_no_page_showed_keeps_its_id_in_the_row() -> None:
    """The row has the id and no other session columns."""
    row = last_conversion(page("v", 0, B2, session_id="s"), call("c", 1, B, session_id="s"))
    assert (row["session_id"], row["method"], row["probability"]) == ("s", "declared", 1.0)
    columns = ("visitor_id", "session_start", "source", "is_bot", "landing_url")
    assert [row[name] for name in columns] == [None] * 5


def test_a_bot_holding_a_number_gives_it_to_nobody() -> None:
    """The robot keeps its session and display, and the call is the person's alone."""
    story = (page("b", 0, B, user_agent=BOT), form("b", 1), page("v", 0, B))
    rows = flow_rows(*story, call("c", 1, a_number=CALLER))
    (row,) = rows["conversions"]
    assert [one["visitor_id"] for one in row["candidates"]] == ["v"]
    assert (row["method"], row["visitor_id"]) == ("number_pool", "v")
    assert [one["is_bot"] for one in rows["sessions"]] == [True, False]
    assert [one["visitor_id"] for one in rows["displays"]] == ["b", "v"]


def test_equal_start_times() -> None:
    """Calls, sessions and displays of one moment have one result from every order of events."""
    story = [
        *(page(visitor, 0, B, session_id=name) for visitor in "vw" for name in "st"),
        *(call(name, 0, a_number=CALLER) for name in "cab"),
    ]
    wanted = flow_rows(*story)
    assert [row["earlier_calls"] for row in wanted["conversions"]] == [0, 1, 2]
    assert [one["visitor_id"] for one in wanted["conversions"][0]["candidates"]] == ["v", "w"]
    assert {one["session_id"] for one in wanted["conversions"][0]["candidates"]} == {"s"}
    for number in range(5):
        shuffle = random.Random(number)
        assert flow_rows(*story, shards=3, block_lines=2, shuffle=shuffle) == wanted


@pytest.mark.parametrize(
    "spelling", ["70 10 10 10", "+45 70 10 10 10", "tel:+4570101010", "0045 70101010"]
)
def test_national_and_international_spellings_of_one_number(spelling: str) -> None:
    """The page, the call, the form and the caller may each spell a number in their way."""
    story = (page("v", 0, spelling), form("w", 0, "20202020"), call("c1", 0, B))
    row = last_conversion(*story, call("c2", 1, spelling, a_number="0045 20 20 20 20"))
    assert (row["tracking_number"], row["method"], row["visitor_id"]) == (B, "form_phone", "w")
    assert [one["visitor_id"] for one in row["candidates"]] == ["v"]


def test_midnight_utc() -> None:
    """A visit and its call on both sides of midnight: one session, two days, one candidate."""
    midnight = 12 * HOUR
    story = (page("v", midnight - 1, B), page("v", midnight, B))
    rows = flow_rows(*story, call("c", midnight - 1), call("d", midnight))
    assert [str(row["call_date"]) for row in rows["conversions"]] == ["2026-03-02", "2026-03-03"]
    assert [str(row["session_date"]) for row in rows["sessions"]] == ["2026-03-02"]
    assert [str(row["display_date"]) for row in rows["displays"]] == ["2026-03-02", "2026-03-03"]
    assert [row["candidates"][0]["displays"] for row in rows["conversions"]] == [1, 2]
    assert [row["method"] for row in rows["conversions"]] == ["number_pool", "number_pool"]


def test_a_callback_takes_the_session_of_the_form() -> None:
    """The company calls back the number that was entered; the tracking number is its own."""
    story = (page("v", 0, B, session_id="s"), form("v", 1, session_id="s"))
    row = last_conversion(*story, outbound("c", HOUR))
    assert (row["method"], row["session_id"], row["probability"]) == ("callback", "s", 0.99)
    assert (row["tracking_number"], row["candidates"]) == (B, [])
    assert last_conversion(*story, outbound("c", HOUR, OTHER))["reason"] == "outbound"


def test_a_static_number_brings_its_own_source() -> None:
    """The row has the source, medium, campaign and channel of the number and no session."""
    entry = {"number": "70101010", "source": "flyer", "campaign": "spring", "medium": "print"}
    row = last_conversion(page("v", 0, B), call("c", 0), config=account(static_numbers=[entry]))
    columns = ("source", "medium", "campaign", "source_rule", "session_id", "probability")
    assert [row[name] for name in columns] == [
        "flyer",
        "print",
        "spring",
        "static_number",
        None,
        1.0,
    ]
    assert len(row["candidates"]) == 1
    assert last_conversion(call("c", 0), config=STATIC)["medium"] == "(not set)"


def test_an_excluded_caller_is_excluded_however_the_number_is_spelt() -> None:
    """The configuration's spelling and the call's are compared as numbers; accounts apart."""
    config = account(excluded_callers=["20 20 20 20"])
    mine = last_conversion(page("v", 0, B), call("c", 0, a_number="+4520202020"), config=config)
    assert verdict(mine) == RULES["excluded_caller"]
    assert (mine["probability"], mine["is_qualified"]) == (None, False)
    other = last_conversion(call("c", 0, account="b", a_number="20202020"), config=config)
    assert other["status"] == "unattributed"
