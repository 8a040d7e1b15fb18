"""Rows of the output tables, by table (SPEC section 10)."""

import datetime as dt
import hashlib
from typing import Any

import polars as pl
import pytest
from tables import DEFAULTS, NOW, B, T, account, calls, modelled, pageviews, showings, visits_of

from schemas.config import Config
from schemas.rules import rule_set
from schemas.stages import ENTRIES
from schemas.tables import CONVERSIONS, DISPLAYS, SESSIONS
from transforms.candidates import find_candidates, find_declared
from transforms.decisions import Evidence, decide
from transforms.displays import daily_displays, find_displays, find_engaged, find_showings
from transforms.models import NumberPlan
from transforms.rows import conversion_rows, display_rows, session_rows
from transforms.sessions import sessionize
from transforms.settings import DAY, HOUR

Row = dict[str, Any]
SECOND = 1_000_000
NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)


def conversions(
    *called: Row, shown: pl.DataFrame | None = None, config: Config = DEFAULTS
) -> list[Row]:
    """The rows of some calls, in their order."""
    sent, seen = calls(*called), showings() if shown is None else shown
    candidates = find_candidates(seen, modelled(sent, config))
    declared = find_declared(seen, modelled(sent, config), config)
    evidence = Evidence(sent, candidates, declared, pl.DataFrame(schema=ENTRIES))
    nobody = pl.DataFrame(schema={"account": pl.String, "caller_key": pl.String})
    decided = decide(evidence, NumberPlan(config), config, nobody).rows
    return conversion_rows(decided, config, NOW).sort("call_id").to_dicts()


def conversion(call: Row, config: Config = DEFAULTS) -> Row:
    (row,) = conversions(call, config=config)
    return row


def test_a_row_has_the_columns_and_types_of_the_table() -> None:
    """The one definition of the table is what comes out, in its order."""
    sent = calls({})
    empty = pl.DataFrame(CONVERSIONS.arrow_schema().empty_table()).schema
    candidates = find_candidates(showings({}), modelled(sent))
    evidence = Evidence(sent, candidates, candidates.clear(), pl.DataFrame(schema=ENTRIES))
    nobody = pl.DataFrame(schema={"account": pl.String, "caller_key": pl.String})
    rows = conversion_rows(
        decide(evidence, NumberPlan(DEFAULTS), DEFAULTS, nobody).rows, DEFAULTS, NOW
    )
    assert rows.schema == empty


def test_what_every_row_of_a_backfill_says() -> None:
    """Revision 1, not superseded, final 72 hours after the start, emitted now, the rules named."""
    row = conversion({"call_id": "c"})
    expected = {
        "conversion_id": hashlib.sha256(b"a\0c").hexdigest()[:32],
        "revision": 1,
        "is_superseded": False,
        "final_at": NOON + dt.timedelta(hours=72),
        "emitted_at": NOON + dt.timedelta(days=1),
        "call_date": dt.date(2026, 3, 2),
        "call_start": NOON,
        "rule_set": rule_set(),
    }
    assert {name: row[name] for name in expected} == expected
    late = conversion({}, account(allowed_lateness_hours=1))
    assert late["final_at"] == NOON + dt.timedelta(hours=1)


def test_ids_of_accounts_and_calls_do_not_run_into_each_other() -> None:
    """Account "a" with call "bc" is not account "ab" with call "c"; letters beyond ASCII hash."""
    one, other = conversions({"call_id": "bc"}, {"account": "ab", "call_id": "c"})
    assert one["conversion_id"] != other["conversion_id"]
    nordic = conversion({"account": "ø", "call_id": "☎"})
    assert nordic["conversion_id"] == hashlib.sha256("ø\0☎".encode()).hexdigest()[:32]


@pytest.mark.parametrize(("time", "day"), [(12 * HOUR - 1, 2), (12 * HOUR, 3)])
def test_the_call_date_is_the_utc_day_of_the_start(time: int, day: int) -> None:
    """The last microsecond before midnight and midnight."""
    assert conversion({"start": T + time})["call_date"] == dt.date(2026, 3, day)


@pytest.mark.parametrize(
    ("times", "ring", "talk", "duration"),
    [
        ({"ring": 2, "answer": 10, "end": 70}, 8.0, 60.0, 70.0),
        ({"ring": 2, "end": 30}, 28.0, None, 30.0),
        ({"answer": 10, "end": 30}, None, 20.0, 30.0),
        ({"ring": 2, "answer": 10}, 8.0, None, None),
        ({"ring": 2}, None, None, None),
        ({}, None, None, None),
        ({"end": 0}, None, None, 0.0),
    ],
)
def test_seconds_are_null_where_a_time_is_missing(
    times: Row, ring: float | None, talk: float | None, duration: float | None
) -> None:
    """ring = (answer, else end) - ring; talk = end - answer; duration = end - start."""
    row = conversion({name: T + value * SECOND for name, value in times.items()})
    assert (row["ring_seconds"], row["talk_seconds"], row["duration_seconds"]) == (
        ring,
        talk,
        duration,
    )


def test_seconds_are_exact_however_many_calls_stand_beside() -> None:
    """460,612,926 microseconds are 460.612926 s in a table of one call and of two."""
    call = {"end": T + 460_612_926}
    alone, (beside, _) = conversion(call), conversions(call, {})
    assert alone["duration_seconds"] == 460.612926
    assert beside["duration_seconds"] == 460.612926


@pytest.mark.parametrize(
    ("call", "status", "qualified"),
    [
        ({"answer": 5, "end": 35}, "answered", True),
        ({"answer": 5, "end": 34.999999}, "answered", False),
        ({"status": "answered", "ring": 5, "end": 35}, "answered", True),
        ({"status": "answered", "ring": 5, "end": 34}, "answered", False),
        ({"status": "answered", "end": 30}, "answered", True),
        ({"status": "voicemail", "answer": 0, "end": 90}, "voicemail", False),
        ({"end": 90}, None, None),
        ({"answer": 5}, "answered", False),
        ({}, None, False),
        ({"direction": "outbound", "answer": 0, "end": 90}, "answered", False),
    ],
)
def test_a_qualified_call_is_answered_and_lasts_30_seconds(
    call: Row, status: str | None, qualified: bool | None
) -> None:
    """From the answer, else the ring, else the start; null where it is not known."""
    given = call.keys() & {"ring", "answer", "end"}
    row = conversion(call | {name: T + round(call[name] * SECOND) for name in given})
    assert (row["call_status"], row["is_qualified"]) == (status, qualified)


def test_a_switch_without_answer_times_may_be_trusted() -> None:
    """With assume_answered a call of unknown status counts by its length, its status stays null."""
    config = account(assume_answered=True, qualified_seconds=60)
    long, short = ({"end": T + seconds * SECOND} for seconds in (60, 59))
    assert conversion(long, config)["is_qualified"] is True
    assert conversion(long, config)["call_status"] is None
    assert conversion(short, config)["is_qualified"] is False
    assert conversion(long | {"status": "busy"}, config)["is_qualified"] is False


def test_the_first_call_is_known_only_of_known_callers() -> None:
    """earlier_calls and is_first_call are null for a withheld number."""
    rows = conversions({"caller_key": "k"}, {"caller_key": "k", "start": T + 1}, {})
    assert [(row["earlier_calls"], row["is_first_call"]) for row in rows] == [
        (0, True),
        (1, False),
        (None, None),
    ]


def test_times_inside_candidates_and_touchpoints_are_moments() -> None:
    """Nested times are timestamps in UTC like all others."""
    touch = {"session_id": "s", "session_start": T - DAY, "source": "x"}
    shown = showings({"touchpoints": [touch], "source": "google", "session_id": "s"})
    (row,) = conversions({}, shown=shown)
    assert (row["session_start"], row["source"], row["session_id"]) == (NOON, "google", "s")
    assert row["touchpoints"] == [
        {
            "session_id": "s",
            "session_start": NOON - dt.timedelta(days=1),
            "source": "x",
            "medium": None,
            "campaign": None,
            "channel": None,
        }
    ]
    assert row["candidates"][0]["first_display"] == row["candidates"][0]["last_display"] == NOON


def test_a_declared_session_that_is_unknown_leaves_its_id_alone() -> None:
    """A call decided otherwise does not show the id it carries in place of a session."""
    entry = {"number": B, "source": "flyer"}
    assert conversion({"session_id": "ghost"})["session_id"] == "ghost"
    static = conversion({"session_id": "ghost"}, account(static_numbers=[entry]))
    assert (static["session_id"], static["source"], static["source_rule"]) == (
        None,
        "flyer",
        "static_number",
    )


def test_session_rows_have_the_day_of_the_start() -> None:
    """A session over midnight is of the day on which it began."""
    pages = pageviews({"time": T + 12 * HOUR - 1}, {"time": T + 12 * HOUR})
    rows = session_rows(sessionize(visits_of(pages), DEFAULTS), NOW)
    assert rows.schema == pl.DataFrame(SESSIONS.arrow_schema().empty_table()).schema
    (row,) = rows.to_dicts()
    assert row["session_date"] == dt.date(2026, 3, 2)
    assert row["session_end"] == dt.datetime(2026, 3, 3, tzinfo=dt.UTC)
    assert (row["revision"], row["is_deleted"]) == (1, False)
    assert row["emitted_at"] == NOON + dt.timedelta(days=1)


def test_display_rows_are_one_a_session_number_and_utc_day() -> None:
    """Two displays before midnight and one after it are two rows of one session."""
    times = (12 * HOUR - 2, 12 * HOUR - 1, 12 * HOUR)
    pages = pageviews(*({"time": T + at, "tracking_numbers": [B]} for at in times))
    visits = visits_of(pages)
    displays = find_displays(visits)
    daily = daily_displays(find_showings(displays, find_engaged(visits.visits, displays)))
    rows = display_rows(daily, sessionize(visits, DEFAULTS), NOW)
    assert rows.schema == pl.DataFrame(DISPLAYS.arrow_schema().empty_table()).schema
    midnight = dt.datetime(2026, 3, 3, tzinfo=dt.UTC)
    start = midnight - dt.timedelta(microseconds=2)
    told = rows.sort("display_date").select(
        "display_date", "session_start", "first_display", "last_display", "displays"
    )
    assert told.rows() == [
        (dt.date(2026, 3, 2), start, start, midnight - dt.timedelta(microseconds=1), 2),
        (dt.date(2026, 3, 3), start, midnight, midnight, 1),
    ]
