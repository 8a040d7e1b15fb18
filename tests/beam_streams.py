"""The stream's Beam graph in tests: messages and watermarks in, the rows that were appended out."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from unittest import mock

import apache_beam as beam
import polars as pl
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner
from apache_beam.testing.test_stream import TestStream
from apache_beam.transforms import core
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp
from oracle.histories import History
from streams import LINE_KINDS, latest_rows

from pipelines.stream_graph import StreamPlan, build
from schemas.config import parse_config
from schemas.tables import TABLES
from transforms.models import excluded_callers

KEY = b"k" * 32
ORIGIN = "projects/p/subscriptions/events"
SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3_600 * SECOND, 86_400 * SECOND

# What was appended, by the name of a run; DoFns are pickled, so they name what they write to.
APPENDED: dict[str, list[tuple[str, pl.DataFrame]]] = {}


@dataclass(frozen=True)
class Keep:
    """A writer of rows to a list in this process; called, it gives itself."""

    run: str

    def __call__(self) -> "Keep":
        return self

    def append(self, table: str, rows: pl.DataFrame) -> None:
        APPENDED.setdefault(self.run, []).append((table, rows))


@dataclass(frozen=True)
class Clock:
    """A clock that stands still (us)."""

    now: int

    def __call__(self) -> int:
        return self.now


@dataclass(frozen=True)
class Given:
    """A key that is given."""

    key: bytes = field(default=KEY, repr=False)

    def __call__(self) -> bytes:
        return self.key


@dataclass(frozen=True)
class Appended:
    """What a run appended, in order, and its counters by (kind, name)."""

    appended: list[tuple[str, pl.DataFrame]]
    counts: dict[tuple[str, str], int]

    def rows(self, table: str) -> pl.DataFrame:
        parts = [rows for name, rows in self.appended if name == table]
        empty = pl.DataFrame(TABLES[table].arrow_schema().empty_table())
        return pl.concat([empty, *parts])

    def latest(self, table: str) -> pl.DataFrame:
        return latest_rows(table, self.rows(table))

    def revisions(self, call_id: str) -> list[tuple[Any, ...]]:
        """Of a call's rows in order: revision, is_superseded, status, session_id."""
        rows = self.rows("conversions").filter(call_id=call_id)
        return rows.select("revision", "is_superseded", "status", "session_id").rows()


def plan_of(run: str, config: dict[str, Any], clock: int, **pace: Any) -> StreamPlan:
    """A plan that appends to APPENDED; at once and in three shards unless told otherwise."""
    parsed = parse_config(config)
    given = {"shards": 3, "gather_seconds": 0, "tick_seconds": 3_600} | pace
    return StreamPlan(
        config=parsed,
        excluded=excluded_callers(parsed, KEY),
        origin=ORIGIN,
        make_writer=Keep(run),
        secret=Given(),
        clock=Clock(clock),
        **given,
    )


class Story:
    """Messages and watermarks for TestStream, one after the other; all times in us."""

    def __init__(self) -> None:
        self.stream = TestStream()
        self._messages = 0

    def send(self, *events: dict[str, Any] | bytes, at: int) -> "Story":
        """Events as one message each, published at a time."""
        messages = []
        for event in events:
            data = event if isinstance(event, bytes) else json.dumps(event).encode()
            self._messages += 1
            messages.append((f"m{self._messages}", data))
        return self.deliver(messages, at)

    def deliver(self, messages: Sequence[tuple[str, bytes]], at: int) -> "Story":
        """Messages with their ids, as a subscription delivers them."""
        stamp = Timestamp(micros=at)
        self.stream.add_elements([TimestampedValue(message, stamp) for message in messages])
        return self

    def reach(self, watermark: int) -> "Story":
        self.stream.advance_watermark_to(Timestamp(micros=watermark))
        return self

    def wait(self, seconds: float) -> "Story":
        self.stream.advance_processing_time(seconds)
        return self

    def run(self, plan: StreamPlan) -> Appended:
        """Runs the graph on the bundle-based runner."""
        run = plan.make_writer.run
        APPENDED[run] = []
        pipeline = beam.Pipeline(
            runner=BundleBasedDirectRunner(), options=PipelineOptions(streaming=True)
        )
        build(pipeline, plan, pipeline | self.stream.with_output_types(tuple[str, bytes]))
        with signatures_read_once():
            return finished(pipeline, run)


@contextmanager
def signatures_read_once() -> Iterator[None]:
    """Spares the bundle-based runner what takes most of its time: for every bundle it reads the
    parameters of all methods of a DoFn again."""
    read = core.get_function_arguments

    @cache
    def read_once(kind: type, method: str) -> Any:
        return read(kind.__new__(kind), method)

    def reading(dofn: Any, method: str) -> Any:
        is_ours = type(dofn).__module__.startswith(("pipelines.", "transforms."))
        return read_once(type(dofn), method) if is_ours else read(dofn, method)

    with mock.patch.object(core, "get_function_arguments", reading):
        yield


def with_kind(line: bytes, kind: str) -> bytes:
    """A line of a file of one kind, which in a stream has to say its type."""
    try:
        event = json.loads(line)
    except ValueError:
        return line
    if not isinstance(event, dict) or "type" in event:
        return line
    return json.dumps({"type": kind} | event).encode()


def typed_lines(history: History) -> list[tuple[str, bytes]]:
    """The events of a history, in the order of their kinds, as a stream has them."""
    return [
        (kind, json.dumps(event | {"type": kind}).encode())
        for kind in LINE_KINDS
        for event in history[kind]
    ]


def finished(pipeline: beam.Pipeline, run: str) -> Appended:
    """Runs a pipeline to its end."""
    result = pipeline.run()
    result.wait_until_finish()
    counters = result.metrics().query()["counters"]
    counts = {(c.key.metric.namespace, c.key.metric.name): c.result for c in counters}
    return Appended(APPENDED.pop(run), counts)
