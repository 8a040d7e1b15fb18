"""What the stream writes, revision by revision, and what it keeps (SPEC section 12)."""

import json
from typing import Any

import pytest
from oracle.cases import B2, CALLER, KEY, B, T, call, form, page
from streams import IDENTITY, MemoryStream
from tables import DEFAULTS, account

from transforms.settings import DAY, HOUR, MINUTE

Row = dict[str, Any]
NOW = T + 60 * DAY
LATENESS = 72 * HOUR


@pytest.fixture
def stream() -> MemoryStream:
    return MemoryStream(DEFAULTS, KEY, NOW)


def take(stream: MemoryStream, *events: Row) -> None:
    stream.take([(None, json.dumps(event).encode()) for event in events])


def written(stream: MemoryStream, table: str, *columns: str) -> list[tuple[Any, ...]]:
    """All rows that were ever written, in the order of writing, then of revision."""
    rows = stream.rows(table).sort("emitted_at", "revision", maintain_order=True)
    return list(rows.select(columns).iter_rows())


def test_a_call_is_written_once_the_watermark_has_passed_its_start(stream: MemoryStream):
    """Not before, and once."""
    take(stream, page("v", 0, B), call("c", MINUTE))
    stream.advance(T + MINUTE)
    assert written(stream, "conversions", "call_id") == []
    stream.advance(T + MINUTE + 1)
    stream.advance(T + HOUR)
    assert written(stream, "conversions", "call_id", "revision", "reason") == [
        ("c", 1, "number_pool")
    ]


def test_nothing_is_written_when_nothing_changed(stream: MemoryStream):
    """Duplicates, and events that change no decision, write no revision."""
    events = [page("v", 0, B, event_id="e", session_id="s"), call("c", MINUTE)]
    take(stream, *events)
    stream.advance(T + 2 * DAY)
    before = {table: stream.rows(table).height for table in IDENTITY}
    take(stream, *events)
    take(stream, page("other", 0, B2), call("c", MINUTE, sequence=1))
    stream.advance(T + 2 * DAY + 1)
    assert stream.rows("conversions").height == before["conversions"]
    assert written(stream, "sessions", "visitor_id", "revision") == [("v", 1), ("other", 1)]


@pytest.mark.parametrize(
    ("late", "reason"),
    [
        (page("w", MINUTE - 1, B), "number_pool"),
        (form("w", 0), "form_phone"),
        (call("earlier", -HOUR, B, a_number=CALLER), "returning_caller_unknown_origin"),
    ],
)
def test_what_comes_late_and_changes_the_decision_writes_the_next_revision(
    stream: MemoryStream, late: Row, reason: str
):
    """A late pageview, a late form, an earlier call that came late."""
    take(stream, page("v", 0, B), call("c", MINUTE, a_number=CALLER))
    stream.advance(T + HOUR)
    take(stream, late)
    stream.advance(T + HOUR + 1)
    rows = stream.rows("conversions").filter(call_id="c").sort("revision")
    assert rows["revision"].to_list() == [1, 2]
    assert rows["reason"].to_list()[-1] == reason
    assert rows["emitted_at"].is_sorted()


def test_what_changes_back_before_it_is_written_was_never_there(stream: MemoryStream):
    """From A to B to A between two watermarks: no revision."""
    stream_of = (("answered", 0), ("missed", 1), ("answered", 2))
    first, *others = (call("c", 0, status=status, sequence=n) for status, n in stream_of)
    take(stream, first)
    stream.advance(T + 1)
    for other in others:
        take(stream, other)
    stream.advance(T + HOUR)
    assert written(stream, "conversions", "call_status", "revision") == [("answered", 1)]


def test_a_corrected_call_is_revised(stream: MemoryStream):
    """Each version that was written stays, the next follows."""
    for sequence, status in enumerate(["answered", "missed", "busy"]):
        take(stream, call("c", 0, status=status, sequence=sequence))
        stream.advance(T + HOUR + sequence)
    assert written(stream, "conversions", "call_status", "revision") == [
        ("answered", 1),
        ("missed", 2),
        ("busy", 3),
    ]


def test_a_call_that_moves_to_another_day_is_superseded_in_the_old(stream: MemoryStream):
    """The old day gets a row n + 1 that says so, the new day n + 2; the view shows the new one."""
    take(stream, call("c", 0))
    stream.advance(T + HOUR)
    take(stream, call("c", DAY, sequence=1))
    stream.advance(T + HOUR + 1)
    days = written(stream, "conversions", "call_date", "revision", "is_superseded")
    old = days[0][0]
    assert days == [(old, 1, False)]
    stream.advance(T + DAY + 1)
    days = written(stream, "conversions", "call_date", "revision", "is_superseded")
    new = days[-1][0]
    assert new != old
    assert days == [(old, 1, False), (old, 2, True), (new, 3, False)]
    assert stream.latest()["conversions"]["call_date"].to_list() == [new]


def test_a_call_that_moves_before_it_is_written_leaves_nothing_behind(stream: MemoryStream):
    """No day was told of it, so none has to be told."""
    take(stream, call("c", 0), call("c", DAY, sequence=1))
    stream.drain()
    assert written(stream, "conversions", "revision", "is_superseded") == [(1, False)]


def test_sessions_that_late_events_merge_leave_tombstones(stream: MemoryStream):
    """The session that is gone is marked deleted, with its displays; the other is revised."""
    take(stream, page("v", 0, B), page("v", 40 * MINUTE, B))
    stream.advance(T + 2 * HOUR)
    take(stream, page("v", 20 * MINUTE, B2))
    stream.advance(T + 2 * HOUR + 1)
    first = stream.rows("sessions")["session_start"].min()
    for table in ("sessions", "displays"):
        rows = stream.rows(table)
        gone = rows.filter("is_deleted")
        assert gone["revision"].to_list() == [2]
        assert (gone["session_start"] > first).all()
        latest = stream.latest()[table]
        assert latest["session_start"].unique().to_list() == [first]
    assert stream.latest()["sessions"]["pageviews"].to_list() == [3]


def test_a_session_that_comes_back_is_revised_after_its_tombstone(stream: MemoryStream):
    """Deleted and there again: three revisions, and the latest is no tombstone."""
    pages = {
        name: page("v", at * MINUTE, B, event_id=name)
        for name, at in {"a": 0, "b": 40, "c": 20, "d": -15}.items()
    }
    take(stream, pages["a"], pages["b"])
    stream.advance(T + 2 * HOUR)
    take(stream, pages["c"])
    stream.advance(T + 2 * HOUR + 1)
    take(stream, pages["d"])
    stream.drain()
    latest = stream.latest()["sessions"]
    assert latest["pageviews"].to_list() == [4]
    assert not latest["is_deleted"].any()


def test_a_session_is_written_when_it_is_over_for_now(stream: MemoryStream):
    """Once the watermark is the gap behind its last event, not with every event."""
    take(stream, page("v", 0, B))
    take(stream, page("v", 10 * MINUTE, B))
    stream.advance(T + 40 * MINUTE)
    assert stream.rows("sessions").is_empty()
    stream.advance(T + 40 * MINUTE + 1)
    assert written(stream, "sessions", "pageviews", "revision") == [(2, 1)]


def test_a_row_does_not_change_after_it_is_final(stream: MemoryStream):
    """A correction after the lateness is told as late and changes nothing."""
    take(stream, call("c", 0))
    stream.advance(T + LATENESS + 1)
    take(stream, call("c", 0, sequence=1, status="missed"))
    stream.drain()
    assert [late["call_id"].to_list() for late in stream.late] == [[], ["c"]]
    assert written(stream, "conversions", "revision") == [(1,)]


STORY = [
    page("v", 0, B, session_id="s"),
    page("v", 10 * MINUTE, B),
    page("w", HOUR, B2),
    form("v", 20 * MINUTE),
    call("c", 30 * MINUTE, a_number=CALLER),
    call("d", 40 * MINUTE, session_id="s"),
    call("d", 50 * MINUTE, session_id="s", sequence=1),
    call("e", HOUR, CALLER, a_number=B, direction="outbound"),
]


@pytest.mark.parametrize("lateness_hours", [1, 72])
def test_nothing_is_kept_for_ever(lateness_hours: int):
    """Once the watermark has passed every window and the lateness, no row of state is left."""
    stream = MemoryStream(account(allowed_lateness_hours=lateness_hours), KEY, NOW)
    take(stream, *STORY)
    stream.advance(T + DAY)
    assert stream.states.rows() > len(STORY)
    stream.advance(T + 30 * DAY + lateness_hours * HOUR + 2 * HOUR)
    kept = {
        f"{name}.{table}": rows.height
        for name, state in stream.states.states.items()
        for table, rows in state.tables.items()
        if rows.height
    }
    assert kept == {}


def test_state_becomes_smaller_as_its_time_passes():
    """What the lateness alone asks for goes long before what touchpoints and callers ask for."""
    stream = MemoryStream(DEFAULTS, KEY, NOW)
    take(stream, *STORY)
    sizes = []
    for days in (1, 5, 12, 34):
        stream.advance(T + days * DAY)
        sizes.append(stream.states.rows())
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == len(sizes)
    assert sizes[-1] == 0
