"""The loop of a local stream, batch by batch: what fails, what waits, what moves the watermark."""

import json
import logging
import os
import random
import signal
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from faults.events import DAY, HOUR, MINUTE, SECOND, Event, arrivals
from oracle.cases import KEY
from pure import run_flow
from stream_runs import assert_latest, assert_no_double, warehouse_rows

from pipelines import stream as command
from pipelines.ledger import imbalances
from pipelines.pubsub import Message
from pipelines.streaming import loop
from pipelines.streaming.driver import LocalStream
from pipelines.streaming.loop import Loop
from pipelines.streaming.monitor import Monitor
from pipelines.streaming.sink import LocalSink
from pipelines.streaming.store import StateError, clear_state_errors
from pipelines.warehouse import REPORT
from schemas.config import parse_config
from transforms.streaming.watermark import BEGINNING

NOW = 1_772_452_800 * SECOND
DEFAULTS = parse_config({})


class Script:
    """A subscription that delivers what it is told to; None: the server is away."""

    def __init__(self, pulls: Sequence[Sequence[Message] | None] = ()) -> None:
        self.pulls = list(pulls)
        self.is_full = self.is_away = self.is_empty = False
        self.acknowledged: list[str] = []
        self.left: list[str] = []

    def pull(self, max_messages: int, seconds: float) -> list[Message]:
        del max_messages, seconds
        now = self.pulls.pop(0) if self.pulls else []
        self.is_away = now is None
        self.is_empty = now == []
        return list(now or [])

    def acknowledge(self, messages: Sequence[Message]) -> None:
        self.acknowledged += [message.id for message in messages]

    def let_go(self, messages: Sequence[Message]) -> None:
        self.left += [message.id for message in messages]


class Place:
    """A stream in a folder, whose clock is set by hand."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.output, self.now = folder / "output", NOW
        monkeypatch.setattr(loop, "clock", lambda: self.now)
        self.script = Script()
        self.open()

    def open(self) -> None:
        """Starts it, also again."""
        self.stream = LocalStream(self.output / ".stream", DEFAULTS, KEY, "script")
        monitor = Monitor(self.stream, None)
        self.loop = Loop(self.stream, self.script, LocalSink(self.output), monitor)  # type: ignore[arg-type]

    def work(self, *messages: Message, is_behind: bool = False) -> None:
        self.loop.work(messages, is_behind)

    def drain(self) -> dict[str, Any]:
        """Writes all there is; the report."""
        self.stream.drain(self.now)
        self.loop.run(_set(), drain=False)
        return self.stream.report()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    made = Place(tmp_path, monkeypatch)
    yield made
    made.stream.close()


def _set() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


def message(number: object, *events: Event | bytes, published: int = NOW) -> Message:
    lines = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in events]
    return Message(f"m{number}", b"\n".join(lines), published, f"ack {number}")


def call(call_id: str, start: int, **more: Any) -> Event:
    event = {"type": "call", "account": "shop", "call_id": call_id, "start": start}
    return event | {"b_number": "+4570101010", "a_number": "+4520202020"} | more


def page(time: int) -> Event:
    event = {"type": "pageview", "account": "shop", "visitor_id": "v", "time": time}
    return event | {"url": "https://shop.example/", "tracking_numbers": ["+4570101010"]}


def calls(place: Place) -> list[str]:
    return sorted(warehouse_rows(place.output)["conversions"]["call_id"])


def test_a_message_that_always_fails_blocks_no_other(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """The others are taken and acknowledged, it is not, and that is said without its content."""
    stage = place.stream.flow.stages["calls"]

    def step(state: Any, inputs: Any, watermark: int) -> Any:
        if "poison" in inputs["call"]["call_id"]:
            raise ValueError("+4531415926")
        return stage(state, inputs, watermark)

    monkeypatch.setattr(step, "inputs", stage.inputs, raising=False)
    monkeypatch.setitem(place.stream.flow.stages, "calls", step)
    sent = [message(n, call(f"c{n}", NOW - HOUR)) for n in range(6)]
    sent.insert(3, message("p", call("poison", NOW - HOUR, a_number="+4531415926")))
    place.work(*sent)
    assert place.script.acknowledged == [f"m{n}" for n in range(6)]
    assert place.script.left == ["mp"]
    [said] = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert said.startswith("message mp cannot be processed (ValueError)")
    assert "31415926" not in caplog.text
    report = place.drain()
    assert calls(place) == [f"c{n}" for n in range(6)]
    assert imbalances(report) == []


def test_a_full_database_is_no_message_s_fault(place: Place):
    """It ends the stream in words, acknowledges nothing, and loses nothing once there is room."""
    sent = [message(n, page(NOW - HOUR + n), call(f"c{n}", NOW - MINUTE)) for n in range(400)]
    [pages] = place.stream.store.database.execute("PRAGMA page_count").fetchone()
    place.stream.store.database.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StateError, match="free space"), clear_state_errors(place.output):
        place.work(*sent)
    assert place.script.acknowledged == []
    place.stream.close()
    place.open()
    place.work(*sent)
    assert len(place.script.acknowledged) == 400
    assert imbalances(place.drain()) == []
    assert len(calls(place)) == 400


@pytest.mark.parametrize("seed", [1, 2])
def test_a_backlog_of_days_may_come_in_any_order(place: Place, seed: int):
    """Four days of events and more, some of them fresh: none is too late, rows are a backfill's."""
    lines = [line for _, line in arrivals(30, seed, NOW - 6 * DAY)]
    draw = random.Random(seed)
    draw.shuffle(lines)
    place.now = NOW + DAY
    backlog = [message(n, line, published=NOW) for n, line in enumerate(lines)]
    fresh = message("fresh", page(place.now), published=place.now)
    while backlog:
        place.work(*backlog[:40], fresh)
        del backlog[:40]
    report = place.drain()
    expected, _ = run_flow(
        [(None, [*lines, json.dumps(page(place.now)).encode()])], DEFAULTS, KEY, place.now
    )
    assert report["dead_letters"] == {}
    assert imbalances(report) == []
    assert_no_double(place.output)
    assert_latest(place.output, expected)


def test_what_came_while_the_stream_was_down_is_not_too_late(place: Place):
    """A start after days is no silence of days: the backlog may take a while to arrive."""
    place.work(message(1, page(NOW - HOUR), call("c1", NOW - MINUTE)))
    place.stream.close()
    place.now += 4 * DAY
    place.open()
    place.work()
    place.now += 29 * SECOND
    place.work()
    place.work(message(2, call("c2", NOW + MINUTE), published=NOW + MINUTE))
    assert place.drain()["dead_letters"] == {}
    assert calls(place) == ["c1", "c2"]


def test_an_outage_is_no_silence_and_ends_no_drain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """While the server is away the watermark stands, and a drain waits for it to be back."""
    monkeypatch.setattr(loop, "EMPTY_SECONDS", 0.0)
    place = Place(tmp_path, monkeypatch)
    seen: list[int] = []
    monkeypatch.setattr(
        loop, "clock", lambda: seen.append(place.stream.watermark.value) or NOW + len(seen) * HOUR
    )
    place.script.pulls = [*[None] * 5, [message(1, call("c1", NOW - HOUR))]]
    place.loop.run(threading.Event(), drain=True)
    assert seen[:6] == [BEGINNING] * 6
    assert calls(place) == ["c1"]
    place.stream.close()


def test_a_clock_that_jumps_changes_no_row(place: Place):
    """By hours, in both directions, with silence in between: nothing is lost or double."""
    lines = [line for _, line in arrivals(40, 3, NOW - 6 * DAY)]
    draw = random.Random(3)
    sent = [message(n, line) for n, line in enumerate(lines)]
    while sent:
        place.now = NOW + draw.randrange(-8 * HOUR, 8 * HOUR)
        place.work(*sent[:30], is_behind=True)
        del sent[:30]
        place.work(is_behind=True)
    place.now = NOW + 8 * HOUR
    report = place.drain()
    expected, _ = run_flow([(None, lines)], DEFAULTS, KEY, place.now)
    assert imbalances(report) == []
    assert_no_double(place.output)
    assert_latest(place.output, expected)


def test_a_drained_stream_goes_on(place: Place):
    """What comes after a drain revises what was written, until it is final."""
    place.work(message(1, page(NOW - HOUR), call("c1", NOW - HOUR + MINUTE)))
    place.drain()
    place.work(message(2, call("c1", NOW - HOUR + MINUTE, sequence=1, status="missed")))
    place.drain()
    rows = warehouse_rows(place.output)["conversions"].sort("revision")
    assert rows["revision"].to_list() == [1, 2]
    assert rows["call_status"].to_list() == [None, "missed"]
    assert rows["emitted_at"].is_sorted()


def test_the_report_counts_what_wrote_no_rows(place: Place):
    """At its end a run leaves its whole ledger beside the rows."""
    events = (page(NOW - HOUR), call("c1", NOW - HOUR + MINUTE))
    place.work(message(1, *events))
    place.drain()
    place.work(message(2, *events))
    place.loop.run(_set(), drain=False)
    left = json.loads((place.output / REPORT).read_text())
    assert left["ledger"] == place.stream.report()["ledger"]
    assert left["ledger"]["call"]["duplicates"] == 1


def test_a_signal_gives_up_a_batch_that_takes_too_long(monkeypatch: pytest.MonkeyPatch):
    """A SIGTERM lets the batch go on for a while only, and afterwards all signals are as before."""
    monkeypatch.setattr(command, "PATIENCE_SECONDS", 0.01)
    before = signal.getsignal(signal.SIGTERM)

    def endless() -> None:
        with command._stopped_by_signals() as stop:
            os.kill(os.getpid(), signal.SIGTERM)
            while stop.wait(60):
                pass

    with pytest.raises(command.BatchGivenUp):
        endless()
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_batch_that_is_given_up_has_changed_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
):
    """It is not acknowledged, and taken again as if for the first time."""
    sent = message(1, page(NOW - HOUR), call("c1", NOW - MINUTE))

    def given_up(*_: object) -> None:
        raise command.BatchGivenUp

    with monkeypatch.context() as patched:
        patched.setattr(place.stream.flow, "write", given_up)
        with pytest.raises(command.BatchGivenUp):
            place.work(sent)
    assert place.script.acknowledged == []
    place.work(sent)
    report = place.drain()
    assert report["ledger"]["call"]["read"] == 1
    assert calls(place) == ["c1"]


def test_sqlite_errors_name_what_to_do(tmp_path: Path):
    """A state that is broken or in use is told apart from one without room."""
    for error, words in (
        (sqlite3.OperationalError("database is locked"), "another stream is using this state"),
        (sqlite3.OperationalError("database or disk is full"), "free space"),
        (sqlite3.DatabaseError("file is not a database"), "no state of a stream"),
    ):
        with pytest.raises(StateError, match=words), clear_state_errors(tmp_path):
            raise error
