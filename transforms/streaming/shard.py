"""One shard of a keyed stage: its state as bytes, and what blocks and time do to it.

The watermark of a shard. A runner tells a step no watermark, but fires its event-time timers once
the watermark has passed them. So each shard has a timer at every tick, and the last that fired is a
lower bound of the watermark. That is safe, since the steps use it only to close sessions, to settle
calls, to let go of state and to tell what is too late: all of it then happens later, never earlier.

Between stages it is safe too, because a timer that waits holds back the watermark of the stages
after it, and because what a shard says is stamped with the tick that it waits for, which holds the
watermark back while it is under way. So when a message is heard, the last tick of the hearing shard
is at most one after the last tick of the telling shard when it told. Each stage therefore takes off
as many ticks as there are stages before it, and no stage has let go of what an event may need that
a stage before it accepted.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import polars as pl

from transforms.steps import Tables
from transforms.streaming.packing import FORMAT, pack_change, pack_tables, unpack, unpack_state
from transforms.streaming.sharding import VERSION, newest, version_parts
from transforms.streaming.state import FILING, Change, MemoryState, change, with_columns_of
from transforms.streaming.watermark import BEGINNING

VERSIONS = "versions"
# A log is written anew when what was added is as large as what it began with, or so many blocks.
MOST_ENTRIES = 32
SMALL_BYTES = 1 << 16
MILLISECOND = 1_000


@dataclass(frozen=True)
class Pace:
    """When shards do what; all us.

    tick: between two looks at the watermark. out_of_order: how far the time of events may be behind
    the time at which they are published. kept: how long the versions of messages are remembered,
    which must be longer than anything can still be decided anew. gather: how long blocks are
    gathered, by the clock, before they are taken at once; 0: each block is taken as it comes.
    """

    tick: int
    out_of_order: int
    kept: int
    gather: int = 0


@dataclass(frozen=True)
class KeyedStage:
    """A stage and its place in the stream.

    depth: how many keyed stages are before it. epochs: of an output the input whose versions come
    first in its own, since not every shard that says a part is the same.
    """

    stage: Any
    depth: int
    pace: Pace
    clock: Callable[[], int]
    epochs: Mapping[str, str] = field(default_factory=dict)

    @property
    def schemas(self) -> dict[str, Any]:
        """The tables of a shard: the stage's and the versions of messages."""
        return {**self.stage.tables, VERSIONS: VERSION}

    @property
    def writes(self) -> bool:
        """True where the stage writes what the watermark wakes."""
        return hasattr(self.stage, "write")


class Meta(msgspec.Struct):
    """What a shard knows beside its tables.

    watermark: the last tick that fired; tick: the one that it waits for; version: how many blocks
    were taken; emitted: the last moment of writing; entries, base_bytes, tail_bytes: of the log
    what was added, and its sizes; woken: a time that the watermark has passed, up to which rows
    are to be written when blocks have been gathered. Times in us.
    """

    watermark: int = BEGINNING
    tick: int | None = None
    version: int = 0
    emitted: int = 0
    entries: int = 0
    base_bytes: int = 0
    tail_bytes: int = 0
    woken: int | None = None


class Shard:
    """A shard while something is done to it; `log` is read when its tables are needed.

    meta: the bytes of pack_meta, None of a shard that is new.
    """

    def __init__(
        self, keyed: KeyedStage, meta: bytes | None, log: Callable[[], Iterable[bytes]]
    ) -> None:
        self.keyed = keyed
        self.meta = msgspec.msgpack.decode(meta[1:], type=Meta) if meta else Meta()
        self.added: list[bytes] = []
        self.is_rewritten = False
        self._log = log
        self._state: MemoryState | None = None

    @property
    def state(self) -> MemoryState:
        """The shard's tables."""
        if self._state is None:
            self._state = unpack_state(self.keyed.schemas, self._log())
        return self._state

    @property
    def watermark(self) -> int:
        """What the step is told: no event before it that is accepted comes any more (us)."""
        reached = self.meta.watermark
        if reached == BEGINNING:
            return BEGINNING
        pace = self.keyed.pace
        return reached - pace.out_of_order - self.keyed.depth * pace.tick

    def pack_meta(self) -> bytes:
        """What it knows beside its tables, as bytes."""
        return bytes((FORMAT,)) + msgspec.msgpack.encode(self.meta)

    def arm(self, timestamp: int) -> int | None:
        """The tick to wait for where none is waited for, else None.

        timestamp: of the element that came (us); not before the watermark, so neither is the tick.
        """
        if self.meta.tick is not None:
            return None
        tick = self.keyed.pace.tick
        self.meta.tick = max(self.meta.watermark + tick, -(-timestamp // tick) * tick)
        return self.meta.tick

    def take(self, blocks: Iterable[bytes]) -> Tables:
        """What the step says to packed blocks of inputs; messages with VERSION."""
        self.meta.version += 1
        inputs, heard = self._inputs(blocks)
        outcome = self.keyed.stage(self.state, inputs, self.watermark)
        self._apply({**outcome.changes, **heard})
        return {name: self._with_version(name, rows) for name, rows in outcome.outputs.items()}

    def reach(self, time: int) -> int | None:
        """Notes that the watermark has passed a time; the next tick to wait for.

        None where none is needed: a tick that the clock has not reached fires only when a pipeline
        is drained.
        """
        self.meta.watermark = max(self.meta.watermark, time)
        before = {name: rows.height for name, rows in self.state.tables.items()}
        self.state.expire(self.watermark)
        if any(rows.height < before[name] for name, rows in self.state.tables.items()):
            self._rewrite()
        following = self.meta.watermark + self.keyed.pace.tick
        self.meta.tick = following if time <= self.keyed.clock() else None
        return self.meta.tick

    def put_off(self, time: int) -> bool:
        """True where what a time has woken is written when blocks have been gathered.

        Evidence comes by ways of different lengths: of a call that was corrected the row would
        else be written before its candidates are known. Not so when a pipeline is drained, which
        the clock tells: then nothing may wait for it.
        """
        if not self.keyed.pace.gather or time > self.keyed.clock():
            return False
        self.meta.woken = max(time, self.meta.woken or time)
        return True

    def write_woken(self) -> Tables:
        """The rows whose writing was put off."""
        time, self.meta.woken = self.meta.woken, None
        return {} if time is None else self.write(time)

    def write(self, time: int) -> Tables:
        """The rows that the watermark, having passed a time, has woken; not after reach(time),
        which lets go of what should have been written."""
        if not self.keyed.writes:
            return {}
        self.meta.emitted = max(self.keyed.clock(), self.meta.emitted + 1)
        reached = time - self.keyed.pace.out_of_order
        outcome = self.keyed.stage.write(self.state, reached, self.meta.emitted)
        self._apply(outcome.changes)
        return dict(outcome.outputs)

    def wake(self) -> int | None:
        """When the watermark wakes the first of what is pending."""
        due = self.state.tables["pending"]["due"].min()
        if not isinstance(due, int):
            return None
        pace = self.keyed.pace
        grid = max(pace.gather, MILLISECOND)
        return max(-(-(due + 1 + pace.out_of_order) // grid) * grid, 0)

    def _inputs(self, blocks: Iterable[bytes]) -> tuple[Tables, dict[str, Change]]:
        """The inputs of the step, and what to remember of the versions heard."""
        parts: dict[str, list[pl.DataFrame]] = {name: [] for name in self.keyed.stage.inputs}
        for block in blocks:
            name, rows = unpack(block)
            parts[name].append(rows)
        inputs, heard = {}, []
        for name, schema in self.keyed.stage.inputs.items():
            sent = pl.concat(parts[name], how="diagonal") if parts[name] else None
            if sent is not None and "version" in sent.columns:
                sent, versions = self._newest(name, sent)
                heard.append(versions)
            rows = pl.DataFrame(schema=schema) if sent is None else with_columns_of(sent, schema)
            inputs[name] = rows
        if not heard:
            return inputs, {}
        versions = pl.concat(heard)
        return inputs, {VERSIONS: change(versions, cleared=versions["part"])}

    def _newest(self, name: str, sent: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The messages of an input that are news, and their versions to remember."""
        known = self._known(name, sent)
        news = newest(sent, known)
        pace = self.keyed.pace
        due = max(self.meta.watermark, self.meta.tick or BEGINNING) + pace.kept
        versions = news.filter(~pl.col("is_old")).select(
            "epoch",
            "version",
            version_parts(name).alias("part"),
            pl.lit(due, pl.Int64).alias("due"),
        )
        return news, versions

    def _known(self, name: str, rows: pl.DataFrame) -> pl.DataFrame:
        """The versions heard of the parts of some rows: part, epoch, version."""
        placed = rows.select("part", version_parts(name).alias("_place")).unique()
        kept = self.state.tables[VERSIONS].select(*VERSION, pl.col("part").alias("_place"))
        return placed.join(kept, on="_place").drop("_place")

    def _with_version(self, name: str, rows: pl.DataFrame) -> pl.DataFrame:
        if "part" not in rows.columns:
            return rows
        version = pl.lit(self.meta.version, pl.Int64).alias("version")
        source = self.keyed.epochs.get(name)
        if source is None:
            return rows.with_columns(pl.lit(0, pl.Int64).alias("epoch"), version)
        known = self._known(source, rows).select("part", pl.col("version").alias("epoch"))
        told = rows.join(known, on="part", how="left", maintain_order="left")
        return told.with_columns(pl.col("epoch").fill_null(0), version)

    def _apply(self, changes: Mapping[str, Change]) -> None:
        told = {
            name: Change(
                with_columns_of(of.rows, {**self.keyed.schemas[name], **FILING}), of.cleared
            )
            for name, of in changes.items()
        }
        self.state.apply(told)
        blocks = [block for name, of in told.items() for block in pack_change(name, of)]
        self.added.extend(blocks)
        self.meta.entries += len(blocks)
        self.meta.tail_bytes += sum(map(len, blocks))
        largest = max(self.meta.base_bytes, SMALL_BYTES)
        if self.meta.entries > MOST_ENTRIES or self.meta.tail_bytes > largest:
            self._rewrite()

    def _rewrite(self) -> None:
        self.added = pack_tables(self.state.tables)
        self.is_rewritten = True
        self.meta.base_bytes = sum(map(len, self.added))
        self.meta.entries = self.meta.tail_bytes = 0
