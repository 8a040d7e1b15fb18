"""`attribeam explain`: one call in words."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from table_rows import DAY, NOON, table_rows
from warehouse_runs import backfill, call, conversions

from pipelines.explain import ExplainError, explain
from pipelines.explain_words import DECISION_RULES
from schemas.config import Config, parse_config
from schemas.tables import DISPLAYS
from transforms.decisions import RULES

MINUTE = dt.timedelta(minutes=1)
NUMBER = "+4570000001"
CONFIG = parse_config(
    {
        "accounts": {
            "shop": {
                "pools": [{"name": "web", "numbers": ["70 00 00 01"], "match_window_minutes": 20}]
            }
        }
    }
)
DEFAULTS = parse_config({})


def candidate(session: str, probability: float, minutes: float, **more: Any) -> dict[str, Any]:
    last = NOON - minutes * MINUTE
    shown = {"first_display": last - MINUTE, "last_display": last, "displays": 2}
    source = {"source": "google", "medium": "cpc", "channel": "Paid Search"}
    who = {"session_id": session, "visitor_id": f"visitor of {session}"}
    return who | shown | source | {"probability": probability} | more


ATTRIBUTED = call(
    "c1",
    status="attributed",
    method="number_pool",
    reason="number_pool",
    probability=0.8,
    none_probability=0.05,
    candidates=[candidate("s1", 0.8, 2.5), candidate("s2", 0.15, 12, displays=1, source="bing")],
    session_id="s1",
    visitor_id="visitor of s1",
    session_start=NOON - 5 * MINUTE,
    source="google",
    medium="cpc",
    campaign="spring",
    keyword="shoes",
    channel="Paid Search",
    source_rule="click_id",
    rule_set="1-abc",
    landing_url="https://shop.dk/?gclid=1",
    referrer="https://www.google.com/",
    touchpoints=[
        {"session_id": "s0", "session_start": NOON - 60 * MINUTE, "source": "(direct)"},
        {"session_id": "s1", "session_start": NOON - 5 * MINUTE, "source": "google"},
    ],
    caller_key="k" * 32,
    caller_masked="+45…12",
    caller_country="DK",
    earlier_calls=0,
    call_status="answered",
    talk_seconds=65.0,
    is_qualified=True,
    destination_number="+4533000000",
)


def explained(folder: Path, *rows: dict[str, Any], config: Config = CONFIG) -> str:
    """The explanation of the last of some calls."""
    backfill(folder, conversions(*rows))
    return explain(rows[-1]["call_id"], folder, config)


def test_an_attributed_call_is_told_from_caller_to_source(tmp_path: Path) -> None:
    """Caller, who had the number, delays and probabilities, the rule, the source, the way there."""
    assert explained(tmp_path, ATTRIBUTED).splitlines()[:-1] == [
        "Call c1 of account shop",
        "  inbound, 2025-03-01 12:00:00 UTC, answered",
        "  tracking number +4570000001, forwarded to +4533000000",
        "  65 seconds of talk",
        "  qualified",
        "The caller",
        f"  +45…12 (DK), key {'k' * 32}",
        "  first call to this account within 30 days",
        "Who had the number on the screen (window: 20 minutes, pool web)",
        "  1.  80.0%  session s1 of visitor visitor of s1: google / cpc",
        "     showed it 2 times, first 2025-03-01 11:56:30 UTC, last 2025-03-01 11:57:30 UTC, "
        "2 min 30 s before the call",
        "  2.  15.0%  session s2 of visitor visitor of s2: bing / cpc",
        "     showed it once, first 2025-03-01 11:47:00 UTC, last 2025-03-01 11:48:00 UTC, "
        "12 min before the call",
        "       5.0%  nobody on the site (misdialled, a printed number)",
        "The decision: attributed (number_pool)",
        "  Of all explanations the first session above is the likeliest, 80.0%: at least 50% "
        "(min_probability).",
        "  Session s1 of visitor visitor of s1.",
        "The source",
        "  google / cpc, campaign spring, keyword shoes: Paid Search",
        "  because the landing URL carried a click id of a paid ad (rule click_id, rule set 1-abc)",
        "  landing page https://shop.dk/?gclid=1",
        "  referrer https://www.google.com/",
        "The visitor's way there (touchpoints, oldest first; 2)",
        "  - 2025-03-01 11:00:00 UTC: (direct) / unknown (no channel), session s0",
        "  - 2025-03-01 11:55:00 UTC: google / unknown (no channel), session s1",
    ]


def test_the_callers_earlier_calls_are_listed(tmp_path: Path) -> None:
    """Earlier inbound calls within lookback_days, the latest first, with what was decided."""
    caller = {"caller_key": "k", "caller_masked": "+45…12"}
    other = {"caller_key": "other"}
    before = [
        call("old", **caller, call_start=NOON - 31 * 1440 * MINUTE),
        call("first", **caller, call_start=NOON - 120 * MINUTE, source="bing", medium="organic"),
        call("second", **caller, call_start=NOON - 60 * MINUTE, tracking_number="+4570000009"),
        call("outbound", **caller, call_start=NOON - 30 * MINUTE, direction="outbound"),
        call("foreign", **other, call_start=NOON - 30 * MINUTE),
        call("later", **caller, call_start=NOON + MINUTE),
    ]
    kept = call(
        "now",
        **caller,
        earlier_calls=3,
        status="attributed",
        method="returning_caller",
        reason="returning_caller",
        probability=0.9,
        none_probability=0.1,
        saved_probability=0.9,
        session_id="s1",
        visitor_id="v1",
    )
    text = explained(tmp_path, *before, kept)
    assert "3 earlier calls to this account within 30 days" in text
    assert "(of which 2 are in this warehouse)" in text
    assert [line.strip() for line in text.splitlines() if ", call " in line] == [
        "- 2025-03-01 11:00:00 UTC to +4570000009: unattributed (no_display_in_window), "
        "call second",
        "- 2025-03-01 10:00:00 UTC to +4570000001: unattributed (no_display_in_window, "
        "bing / organic), call first",
    ]
    assert "90.0%  the caller had kept the number from an earlier call to it" in text
    assert "the session behind the earliest of those earlier calls" in text


def test_a_call_without_candidates_says_who_showed_the_number_last(tmp_path: Path) -> None:
    """Where nobody had the number in the window, the last display before it is told."""
    shown = [
        {"session_id": "s1", "last_display": NOON - 130 * MINUTE},
        {"session_id": "s2", "last_display": NOON - 300 * MINUTE},
        {"session_id": "s3", "last_display": NOON + MINUTE},
        {"session_id": "s4", "last_display": NOON - MINUTE, "tracking_number": "+4570000002"},
    ]
    displays = table_rows(DISPLAYS, *shown)
    rows = conversions(call("c1", probability=1.0, none_probability=1.0))
    backfill(tmp_path, {"displays": displays} | rows)
    text = explain("c1", tmp_path, DEFAULTS)
    assert "the last to show it before that: session s1, 2 h 10 min before the call" in text
    assert "window: 30 minutes, no configured pool" in text
    assert "No session had shown +4570000001 or used a page with it in the 30 minutes" in text
    assert "withheld or unknown" in text


def test_a_session_that_used_the_page_later_is_said_to_have(tmp_path: Path) -> None:
    """A candidate whose last display is older than the window is one by a click or a form."""
    rows = [candidate("s1", 0.5, 15), candidate("s2", 0.4, 25)]
    lines = explained(tmp_path, call("c1", candidates=rows)).splitlines()
    used = [n for n, line in enumerate(lines) if "used a page with it later" in line]
    assert len(used) == 1
    assert "25 min before the call" in lines[used[0] - 1]


def test_sessions_beyond_the_ten_shown_are_summed_up(tmp_path: Path) -> None:
    """Where more than ten sessions share a number the rest is one line."""
    shown = [candidate(f"s{n}", 0.05, n + 1) for n in range(10)]
    row = call(
        "c1",
        status="ambiguous",
        reason="several_candidates",
        probability=0.05,
        none_probability=0.1,
        candidates=shown,
    )
    text = explained(tmp_path, row)
    assert "40.0%  other sessions together" in text
    assert "No explanation is likely enough: the likeliest session has 5.0%" in text


@pytest.mark.parametrize(("asked", "is_told"), [(0.9, True), (0.8, False)])
def test_a_row_of_another_configuration_is_said_to_be_one(
    tmp_path: Path, asked: float, is_told: bool
) -> None:
    """An attributed call is not said to reach a min_probability that it does not reach."""
    text = explained(tmp_path, ATTRIBUTED, config=parse_config({"min_probability": asked}))
    told = "Another configuration decided this row: the given one's min_probability is 90%."
    assert (told in text) == is_told
    assert ("80.0%: at least 80% (min_probability)." in text) != is_told
    assert "at least 90%" not in text


@pytest.mark.parametrize(("asked", "is_told"), [(0.5, False), (0.4, True)])
def test_a_row_left_open_by_another_configuration_is_said_to_be_one(
    tmp_path: Path, asked: float, is_told: bool
) -> None:
    """Nobody is one of the explanations that could have been likely enough."""
    row = call("c1", reason="several_candidates", probability=0.3, none_probability=0.45)
    text = explained(tmp_path, row, config=parse_config({"min_probability": asked}))
    assert ("Another configuration decided this row" in text) == is_told


def test_a_declared_session_that_nobody_knows_is_said(tmp_path: Path) -> None:
    """A session that the switch named and no page showed leaves the row without a source."""
    row = call(
        "c1",
        status="attributed",
        method="declared",
        reason="declared",
        probability=1.0,
        session_id="x",
        session_start=None,
    )
    text = explained(tmp_path, row)
    assert "The switch named the session itself (x)" in text
    assert "no session of that id had shown the number in the 24 hours before" in text


def test_an_outbound_call_has_no_part_on_displays(tmp_path: Path) -> None:
    """Nobody calls from a page there, so nothing is said of who had the number."""
    text = explained(tmp_path, call("c1", direction="outbound", reason="outbound"))
    assert "Who had the number" not in text
    assert "The company made this call" in text


@pytest.mark.parametrize("reason", [reason for _, _, reason in RULES.values()])
def test_every_rule_has_its_words(tmp_path: Path, reason: str) -> None:
    """Whatever decided a call, its explanation can be written."""
    row = call("c1", reason=reason, probability=0.5)
    assert f"({reason})" in explained(tmp_path, row)


def test_the_words_are_those_of_the_rules() -> None:
    """There are words for each rule of the decision and for no other."""
    assert set(DECISION_RULES) == {reason for _, _, reason in RULES.values()}


def test_json_has_the_row_and_the_words(tmp_path: Path) -> None:
    """For a script: the row, the earlier calls and the same lines, times as RFC 3339."""
    backfill(tmp_path, conversions(ATTRIBUTED))
    found = json.loads(explain("c1", tmp_path, CONFIG, as_json=True))
    assert found["call"]["call_start"] == "2025-03-01T12:00:00+00:00"
    assert found["call"]["call_date"] == DAY.isoformat()
    assert found["call"]["candidates"][0]["probability"] == 0.8
    assert found["earlier_calls"] == []
    assert "\n".join(found["words"]) == explain("c1", tmp_path, CONFIG)


def test_one_id_in_several_accounts_asks_for_the_account(tmp_path: Path) -> None:
    """Two accounts may use the same call_id; then one has to be named."""
    backfill(tmp_path, conversions(call("c1"), call("c1", "bank")))
    with pytest.raises(ExplainError, match=r"choose one with --account: bank, shop"):
        explain("c1", tmp_path, DEFAULTS)
    assert explain("c1", tmp_path, DEFAULTS, "bank").startswith("Call c1 of account bank")
    with pytest.raises(ExplainError, match=r"account 'zoo'; accounts that have it: bank, shop"):
        explain("c1", tmp_path, DEFAULTS, "zoo")


def test_an_unknown_call_and_an_empty_folder_are_clear_errors(tmp_path: Path) -> None:
    """The error says what is missing and what to do."""
    with pytest.raises(ExplainError, match="no warehouse there; make one with attribeam backfill"):
        explain("c1", tmp_path, DEFAULTS)
    backfill(tmp_path, conversions(call("c1")))
    with pytest.raises(ExplainError, match=r"call 'c2': not in .*check the id"):
        explain("c2", tmp_path, DEFAULTS)
