"""The stream's Beam graph: Pub/Sub messages to appended rows (SPEC sections 2 and 12)."""

import hashlib
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam
import polars as pl
from apache_beam.io.gcp.pubsub import PubsubMessage, ReadFromPubSub
from apache_beam.metrics.metric import Metrics
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from apache_beam.pvalue import PCollection
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from pipelines.options import clock
from pipelines.stream_append import AppendRows, PackRows, Writer
from pipelines.stream_arrivals import MESSAGES, ArrivalsStage, PunctualCallsStage
from schemas.config import Config
from schemas.tables import DEAD_LETTERS
from transforms.privacy import load_key
from transforms.rows import dead_letter_rows
from transforms.settings import DAY, MICROSECONDS, allowed_lateness
from transforms.streaming.beam import Keys, ShardedStage, keyed_step
from transforms.streaming.calls import CALL_KEY
from transforms.streaming.flow import SOURCES, WRITTEN, make_stages
from transforms.streaming.packing import pack
from transforms.streaming.shard import KeyedStage, Pace
from transforms.streaming.visitors import VISITOR_KEY

ARRIVALS = "arrivals"
# By what an event's shard goes; messages between stages say themselves whom they touch.
EVENT_KEYS: dict[str, Keys] = {
    "call": (CALL_KEY,),
    "pageview": (VISITOR_KEY,),
    "engagement": (VISITOR_KEY,),
}
# What comes out of each stage, and how many keyed stages are before it.
OUTPUTS: dict[str, tuple[str, ...]] = {
    ARRIVALS: ("pageview", "engagement", "call", "dead_letters", "counts"),
    "calls": ("numbers", "callers", "dead_letters", "counts"),
    "visitors": ("sessions", "displays", "showings", "entries", "counts"),
    "candidates": ("found",),
    "decisions": ("conversions",),
    **{table.name: ("rows", "counts") for table in WRITTEN},
}
DEPTHS = {ARRIVALS: 0, "calls": 1, "visitors": 1, "candidates": 2, "decisions": 3} | {
    table.name: 4 for table in WRITTEN
}
# A call may be decided by the shard of one caller, then, corrected, by that of another.
EPOCHS = {"decisions": {"conversions": "calls"}}


@dataclass(frozen=True)
class StreamPlan:
    """All that the graph needs to know.

    excluded: keys of callers who never count. origin: what dead letters name, the subscription.
    shards: parts of each stage. gather_seconds: how long blocks are gathered (0: not at all).
    tick_seconds: between two looks at the watermark. secret: gives the key on a worker.
    """

    config: Config
    excluded: pl.DataFrame
    origin: str
    make_writer: Callable[[], Writer]
    shards: int = 16
    gather_seconds: float = 10.0
    tick_seconds: float = 600.0
    secret: Callable[[], bytes] = field(default=load_key, repr=False)
    clock: Callable[[], int] = clock

    @property
    def pace(self) -> Pace:
        """When shards do what."""
        accounts = [self.config.default, *self.config.accounts.values()]
        return Pace(
            tick=round(self.tick_seconds * MICROSECONDS),
            out_of_order=round(self.config.default.out_of_order_seconds * MICROSECONDS),
            kept=max(allowed_lateness(account) for account in accounts) + 2 * DAY,
            gather=round(self.gather_seconds * MICROSECONDS),
        )


@dataclass
class PackMessages(beam.DoFn):
    """Messages (id, data) of a bundle as one block a shard, at the earliest of their times."""

    shards: int

    def start_bundle(self) -> None:
        self._messages: dict[int, list[tuple[str, bytes]]] = {}
        self._earliest: dict[int, Timestamp] = {}

    def process(
        self, element: tuple[str, bytes], timestamp: Any = beam.DoFn.TimestampParam
    ) -> None:
        shard = zlib.crc32(element[0].encode()) % self.shards
        self._messages.setdefault(shard, []).append(element)
        self._earliest[shard] = min(timestamp, self._earliest.get(shard, timestamp))

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for shard, messages in self._messages.items():
            block = pack("messages", pl.DataFrame(messages, schema=MESSAGES, orient="row"))
            yield WindowedValue((shard, block), self._earliest[shard], (GlobalWindow(),))


@dataclass
class Count(beam.DoFn):
    """Adds tables of counts (kind, name, count) to Beam's counters."""

    def process(self, element: pl.DataFrame) -> None:
        for kind, name, count in element.iter_rows():
            Metrics.counter(kind, name).inc(count)


@dataclass
class CountStatus(beam.DoFn):
    """Counts the rows of conversions by status."""

    def process(self, element: pl.DataFrame) -> None:
        for status, count in element["status"].value_counts().iter_rows():
            Metrics.counter("status", status).inc(count)


def build(
    pipeline: beam.Pipeline, plan: StreamPlan, messages: PCollection[tuple[str, bytes]]
) -> None:
    """Adds the whole stream, from messages (id, data) at their publish times, to a pipeline.

    The names of the transforms are what a running job is updated by: they do not change.
    """
    stages = keyed_stages(plan)
    arrived = (
        messages
        | "Pack messages"
        >> beam.ParDo(PackMessages(plan.shards)).with_output_types(tuple[int, bytes])
        | "Arrivals" >> keyed_step(stages.pop(ARRIVALS), ARRIVALS, OUTPUTS[ARRIVALS])
    )
    said: dict[tuple[str | None, str], PCollection[pl.DataFrame]] = {
        (None, name): arrived[name] for name in OUTPUTS[ARRIVALS]
    }
    for name, keyed in stages.items():
        given = {table: said[source] for table, source in SOURCES[name].items()}
        keys = {table: EVENT_KEYS.get(table) for table in given}
        outputs = given | name.title() >> ShardedStage(
            keyed, name, keys, OUTPUTS[name], plan.shards
        )
        said |= {(name, output): outputs[output] for output in OUTPUTS[name]}
    _write(plan, said)
    _count(said)


def message_of(message: PubsubMessage) -> tuple[str, bytes]:
    """Id and data of a message; where a runner tells no id the data gives it."""
    return message.message_id or hashlib.sha256(message.data).hexdigest(), message.data


def run_stream_pipeline(plan: StreamPlan, options: PipelineOptions) -> Any:
    """Starts the stream as a Beam pipeline, and gives the runner's result without waiting for it.

    options: Beam's own, with the runner. The subscription is the plan's origin.
    """
    options.view_as(StandardOptions).streaming = True
    pipeline = beam.Pipeline(options=options)
    messages = (
        pipeline
        | "Read" >> ReadFromPubSub(subscription=plan.origin, with_attributes=True)
        | "Take id and data" >> beam.Map(message_of).with_output_types(tuple[str, bytes])
    )
    build(pipeline, plan, messages)
    return pipeline.run()


def keyed_stages(plan: StreamPlan) -> dict[str, KeyedStage]:
    """All keyed stages by name, in the order in which a message goes through them."""
    arrivals = ArrivalsStage(plan.config, plan.secret, plan.origin, plan.clock)
    stages = {ARRIVALS: arrivals, **make_stages(plan.config, plan.excluded)}
    stages["calls"] = PunctualCallsStage(stages["calls"], plan.clock)
    return {
        name: KeyedStage(stage, DEPTHS[name], plan.pace, plan.clock, EPOCHS.get(name, {}))
        for name, stage in stages.items()
    }


def _write(plan: StreamPlan, said: dict[tuple[str | None, str], PCollection[pl.DataFrame]]) -> None:
    letters = (
        (said[None, "dead_letters"], said["calls", "dead_letters"])
        | "All dead letters" >> beam.Flatten()
        | "Dead letter rows" >> beam.Map(dead_letter_rows).with_output_types(pl.DataFrame)
    )
    rows = {table.name: said[table.name, "rows"] for table in WRITTEN}
    for table, written in {**rows, DEAD_LETTERS.name: letters}.items():
        _ = (
            written
            | f"Pack {table}" >> beam.ParDo(PackRows(table)).with_output_types(tuple[int, bytes])
            | f"Append {table}"
            >> beam.ParDo(AppendRows(plan.make_writer, plan.pace.gather, plan.clock))
        )


def _count(said: dict[tuple[str | None, str], PCollection[pl.DataFrame]]) -> None:
    counts = tuple(table for (_, name), table in said.items() if name == "counts")
    _ = counts | "All counts" >> beam.Flatten() | "Count" >> beam.ParDo(Count())
    _ = said["conversions", "rows"] | "Count by status" >> beam.ParDo(CountStatus())
