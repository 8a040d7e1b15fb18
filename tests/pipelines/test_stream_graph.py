"""The stream's Beam graph on the bundle-based runner, told by TestStream (SPEC sections 3, 12).

One run tells many stories, each in an account of its own, and each test looks at one of them.
"""

import gzip
import json
import random
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pipeline import PipelineVisitor
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.userstate import is_stateful_dofn
from beam_streams import (
    APPENDED,
    DAY,
    HOUR,
    KEY,
    MINUTE,
    SECOND,
    Appended,
    Story,
    finished,
    plan_of,
    typed_lines,
    with_kind,
)
from emulators.topics import make_topic
from hypothesis import strategies as st
from oracle.histories import History, histories
from oracle.vocabulary import BEGIN
from polars.testing import assert_frame_equal
from pure import run_flow
from streams import IDENTITY
from test_properties import PARTS, flow, hold_in_part
from test_stream_properties import latest_watermarks, without

from pipelines.pubsub import Subscription
from pipelines.pubsub_source import ReadMessages
from pipelines.stream_graph import build
from schemas.config import parse_config

Record = Callable[[str, object], None]
ROOT = Path(__file__).parents[2]
STATEFUL = [
    "Arrivals/Step",
    "Calls/Step/Step",
    "Visitors/Step/Step",
    "Candidates/Step/Step",
    "Decisions/Step/Step",
    "Conversions/Step/Step",
    "Sessions/Step/Step",
    "Displays/Step/Step",
    "Append conversions",
    "Append sessions",
    "Append displays",
    "Append dead_letters",
]
CONFIG = {"allowed_lateness_hours": 6, "session_max_gap_hours": 3, "lookback_days": 2}
TICK = 3 * HOUR
# 21:00, on the grid of ticks.
T = 1_790_000_000 * SECOND // DAY * DAY + 21 * HOUR
NUMBER, OTHER_NUMBER = "+4570101010", "+4570202020"
CALLER, OTHER_CALLER = "+4520202020", "+4530303030"


def page(
    account: str, visitor: str, time: int, number: str = NUMBER, **more: Any
) -> dict[str, Any]:
    return {
        "type": "pageview",
        "account": account,
        "visitor_id": visitor,
        "time": time,
        "url": "https://shop.dk/",
        "tracking_numbers": [number],
    }


def call(account: str, start: int, **more: Any) -> dict[str, Any]:
    return {
        "type": "call",
        "account": account,
        "call_id": f"call of {account}",
        "start": start,
        "end": start + MINUTE,
        "b_number": NUMBER,
        "a_number": CALLER,
        **more,
    }


# All stories are told by one run, which one worker makes.
one_run = pytest.mark.xdist_group("stories of the stream")


def session_of(visitor: str, start: int) -> str:
    return f"{visitor}-{start // 1000}"


@pytest.fixture(scope="module")
def told() -> Appended:
    """All stories in one run of three parts: in time, late, too late."""
    midnight = T + 3 * HOUR
    form = {"type": "engagement", "kind": "action", "fields": {"phone": CALLER}}
    twice = call("settled", T + 6 * HOUR, sequence=1)
    story = Story()
    story.send(
        page("early", "v", T),
        call("early", T + MINUTE),
        call("late", T + MINUTE),
        page("repeated", "v", T),
        call("repeated", T + MINUTE),
        page("reused", "v1", T),
        call("reused", T + MINUTE, call_id="first"),
        page("corrected", "v1", T, NUMBER),
        page("corrected", "v2", T, OTHER_NUMBER),
        call("corrected", T + MINUTE),
        page("handed over", "v", T),
        call("handed over", T + MINUTE),
        call("moved", T + MINUTE),
        {**form, "account": "form", "visitor_id": "v", "time": T - HOUR, "fields": {}},
        call("form", T + MINUTE),
        page("merged", "v", T - HOUR),
        page("merged", "v", T - 20 * MINUTE),
        page("settled", "v", T),
        call("settled", T + MINUTE),
        b'{"type":"call"',
        at=T + 2 * MINUTE,
    )
    # A second before the first calls may be written.
    story.reach(T + 2 * MINUTE - SECOND)
    story.send(page("early", "w", T + MINUTE - SECOND), at=T + 2 * MINUTE)
    story.reach(T + HOUR)
    story.send(
        page("late", "v", T),
        page("reused", "v2", T + HOUR),
        call("reused", T + HOUR + MINUTE, call_id="second", a_number=OTHER_CALLER),
        call("corrected", T + MINUTE, b_number=OTHER_NUMBER, sequence=1),
        call("handed over", T + MINUTE, a_number=OTHER_CALLER, sequence=1),
        call("moved", midnight + MINUTE, sequence=1),
        {**form, "account": "form", "visitor_id": "v", "time": T},
        page("merged", "v", T - 40 * MINUTE),
        at=T + HOUR + MINUTE,
    )
    # As they came before, message ids and all.
    story.deliver([("m4", json.dumps(page("repeated", "v", T)).encode())], T + HOUR + MINUTE)
    story.deliver([("m20", b'{"type":"call"')], T + HOUR + MINUTE)
    story.send(call("repeated", T + MINUTE), at=T + HOUR + MINUTE)
    story.reach(T + 4 * HOUR)
    story.reach(T + 12 * HOUR + MINUTE)
    late = T + 12 * HOUR + 2 * MINUTE
    story.send(page("early", "late", T + 5 * HOUR), at=late)
    story.deliver([("again", json.dumps(twice).encode())], late)
    story.deliver([("again", json.dumps(twice).encode())], late)
    story.reach(T + 16 * HOUR)
    return story.run(
        plan_of("stories", CONFIG, T + 17 * HOUR, shards=2, tick_seconds=TICK // SECOND)
    )


def revisions(told: Appended, account: str) -> list[tuple[Any, ...]]:
    rows = told.rows("conversions").filter(account=account)
    return rows.select("revision", "status", "session_id").rows()


@one_run
def test_a_call_waits_for_the_watermark(told: Appended):
    """What comes before the watermark has passed a call's start is in its first and only row."""
    assert revisions(told, "early") == [(1, "attributed", session_of("w", T + MINUTE - SECOND))]


@one_run
def test_a_late_pageview_writes_a_revision(told: Appended):
    """A call is written without a session, then with the one that came late."""
    assert revisions(told, "late") == [
        (1, "unattributed", None),
        (2, "attributed", session_of("v", T)),
    ]


@one_run
def test_what_comes_again_writes_nothing(told: Appended):
    """Messages and events that come twice leave one row of the call and one of the session."""
    assert revisions(told, "repeated") == [(1, "attributed", session_of("v", T))]
    assert told.rows("sessions").filter(account="repeated").height == 1


@one_run
def test_a_reused_number_goes_to_who_has_it(told: Appended):
    """Two calls to one number go to the visitors who saw it last before each."""
    latest = told.latest("conversions").filter(account="reused").sort("call_id")
    assert latest.select("call_id", "session_id").rows() == [
        ("first", session_of("v1", T)),
        ("second", session_of("v2", T + HOUR)),
    ]


@one_run
def test_a_corrected_call_is_decided_anew(told: Appended):
    """A later version of a call, to another number, goes to another visitor.

    Nothing is gathered here, so there may be a row from before the new candidates were known.
    """
    first, *_, last = revisions(told, "corrected")
    assert first == (1, "attributed", session_of("v1", T))
    assert last[1:] == ("attributed", session_of("v2", T))


@one_run
def test_a_call_with_another_caller_has_the_newer_row(told: Appended):
    """The shard of the caller that a call had has no say any more."""
    first, *later = told.rows("conversions").filter(account="handed over").iter_rows(named=True)
    assert later[-1]["session_id"] == session_of("v", T)
    assert {row["caller_key"] for row in later} == {later[-1]["caller_key"]}
    assert later[-1]["caller_key"] != first["caller_key"]


@one_run
def test_a_call_that_moves_to_another_day_leaves_the_old_one(told: Appended):
    """The old day gets a superseded row, the new day the call."""
    rows = told.rows("conversions").filter(account="moved")
    days = rows["call_date"].to_list()
    assert rows.select("revision", "is_superseded").rows() == [(1, False), (2, True), (3, False)]
    assert days[0] == days[1] < days[2]
    assert told.latest("conversions").filter(account="moved").height == 1


@one_run
def test_a_late_form_attributes_the_call(told: Appended):
    """A number entered before the call, heard of after its row, decides it."""
    rows = told.rows("conversions").filter(account="form")
    assert rows.select("revision", "reason").rows() == [
        (1, "no_display_in_window"),
        (2, "form_phone"),
    ]


@one_run
def test_sessions_that_late_events_merge_leave_a_deleted_row(told: Appended):
    """Two sessions become one: of the second a row says that it is gone."""
    rows = told.rows("sessions").filter(account="merged")
    assert rows["is_deleted"].sum() == 1
    assert told.latest("sessions").filter(account="merged")["pageviews"].to_list() == [3]


@one_run
def test_what_comes_too_late_is_a_dead_letter(told: Appended):
    """A pageview and the correction of a settled call, each once, and no row changes for them."""
    letters = told.rows("dead_letters").filter(code="too_late").sort("event_type")
    assert letters.select("account", "event_type").rows() == [
        ("settled", "call"),
        ("early", "pageview"),
    ]
    assert revisions(told, "settled") == [(1, "attributed", session_of("v", T))]
    assert told.rows("sessions").filter(visitor_id="late").is_empty()


@one_run
def test_a_poison_message_is_a_dead_letter_once(told: Appended):
    """A message that comes again gives the dead letter that it gave before, so not again."""
    letters = told.rows("dead_letters").filter(code="not_json")
    assert letters["message_id"].to_list() == ["m20"]


# --- histories -----------------------------------------------------------------------------------


def equals_backfill(history: History, seed: int) -> None:
    """A history in any order and batches, with watermarks anywhere inside the lateness."""
    draw = random.Random(seed)
    lines = typed_lines(history)
    draw.shuffle(lines)
    lines += draw.sample(lines, len(lines) // 4)
    bounds = latest_watermarks(lines, parse_config(history["config"]))
    story, watermark, place = Story(), BEGIN - DAY, 0
    while place < len(lines):
        size = draw.randint(2, 8)
        batch = lines[place : place + size]
        messages = [(f"m{place + number}", line) for number, (_, line) in enumerate(batch)]
        story.deliver(messages, watermark)
        place += size
        # TestStream wants whole milliseconds, and each time more of them.
        reached = bounds[min(place, len(lines) - 1)] // 1_000 * 1_000 - HOUR
        if place < len(lines) and watermark < reached and draw.random() < 0.5:
            watermark = reached
            story.reach(watermark)
    story.reach(BEGIN + 80 * DAY)
    clock, tick = BEGIN + 60 * DAY, 10 * DAY // SECOND
    plan = plan_of("history", history["config"], clock, shards=2, tick_seconds=tick)
    told = story.run(plan)
    rows, _ = flow(history)
    for table in IDENTITY:
        latest = told.latest(table)
        assert_frame_equal(without(latest, table), without(rows[table], table), check_exact=True)


@pytest.mark.parametrize("part", PARTS[:2])
def test_the_graph_leaves_the_rows_of_the_backfill(part: int, record_property: Record) -> None:
    """Latest rows equal the backfill's, but for revision and emitted_at."""
    drawn = (histories(malformed=False), st.integers(0, 1 << 30))
    hold_in_part(equals_backfill, part, record_property, 0.07, *drawn)


def test_gathered_blocks_leave_the_same_rows():
    """With processing-time timers, which take blocks and write rows, the call is the session's."""
    clock = T + HOUR
    story = Story().wait(clock // SECOND - 60)
    story.send(page("shop", "v", T), call("shop", T + MINUTE), at=T + 2 * MINUTE).wait(120)
    story.wait(120).reach(T + 10 * MINUTE).wait(120).reach(T + 2 * HOUR)
    told = story.run(plan_of("gathered", CONFIG, clock, shards=1, gather_seconds=5))
    assert revisions(told, "shop")[-1][1:] == ("attributed", session_of("v", T))


# --- the real server -----------------------------------------------------------------------------


def test_messages_of_a_real_server_become_the_rows_of_the_backfill(
    pubsub_address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """On FnApiRunner, example events through Pub/Sub, many to a message and some of them twice:
    rows and counts are the backfill's, and every message is acknowledged."""
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", pubsub_address)
    make = [sys.executable, "scripts/make_examples.py", "--days", "1", "--end", "2026-06-01"]
    subprocess.run([*make, "--output", str(tmp_path)], cwd=ROOT, check=True, capture_output=True)
    lines = example_lines(tmp_path)
    topic = make_topic(pubsub_address, ack_deadline_seconds=60)
    again = random.Random(1).sample(lines, len(lines) // 10)
    data = [line for _, line in [*lines, *again]]
    topic.publish([b"\n".join(data[place : place + 50]) for place in range(0, len(data), 50)])
    config = tomllib.loads((tmp_path / "attribeam.toml").read_text())
    now = time.time_ns() // 1000
    plan = plan_of("server", config, now, shards=2, tick_seconds=600)
    APPENDED["server"] = []
    pipeline = beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions(["--streaming"]))
    read = pipeline | ReadMessages(topic.subscription, stop_after_idle_seconds=1)
    messages = read | beam.Map(lambda message: message[:2]).with_output_types(tuple[str, bytes])
    build(pipeline, plan, messages)
    told = finished(pipeline, "server")
    inputs = [(None, [line for _, line in lines])]
    rows, counts = run_flow(inputs, plan.config, KEY, now)
    for table in IDENTITY:
        latest = told.latest(table)
        assert_frame_equal(without(latest, table), without(rows[table], table), check_exact=True)
    for kind in ("pageview", "engagement", "call"):
        assert told.counts[kind, "accepted"] == counts[kind, "accepted"]
    written = rows["conversions"]["status"].value_counts().rows()
    assert {status: told.counts["status", status] for status, _ in written} == dict(written)
    with Subscription(topic.subscription) as subscription:
        assert subscription.pull(10, 1) == []


def example_lines(folder: Path) -> list[tuple[str, bytes]]:
    """The lines of a folder of example events, with their kinds in them."""
    contents = {
        "pageview": gzip.decompress((folder / "pageviews.jsonl.gz").read_bytes()),
        "engagement": (folder / "engagements.jsonl").read_bytes(),
        "call": (folder / "calls.jsonl").read_bytes(),
    }
    return [
        (kind, with_kind(line, kind))
        for kind, content in contents.items()
        for line in content.splitlines()
    ]


# --- names ---------------------------------------------------------------------------------------


def test_the_names_of_what_keeps_state_do_not_change():
    """A running job is updated by the names of its transforms, so these are for ever."""
    pipeline = beam.Pipeline(options=PipelineOptions(streaming=True))
    messages = pipeline | beam.Create([("m", b"")]).with_output_types(tuple[str, bytes])
    build(pipeline, plan_of("names", {}, T), messages)
    stateful = []

    class Visitor(PipelineVisitor):
        def visit_transform(self, transform_node: Any) -> None:
            transform = transform_node.transform
            if isinstance(transform, beam.ParDo) and is_stateful_dofn(transform.dofn):
                stateful.append(transform_node.full_label)

    pipeline.visit(Visitor())
    assert stateful == STATEFUL
