"""The stages of the stream as stateful DoFns: state, time and shards are Beam's (SPEC section 12).

Everything is in the global window. Lateness is the stages' own matter, since runners differ in what
they do with elements behind the watermark.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import apache_beam as beam
import polars as pl
from apache_beam.coders import BytesCoder
from apache_beam.metrics.metric import Metrics
from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import (
    BagStateSpec,
    ReadModifyWriteStateSpec,
    TimerSpec,
    on_timer,
)
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from transforms.blocks import split_shards
from transforms.settings import MICROSECONDS
from transforms.stages import TableCoder
from transforms.steps import Tables
from transforms.streaming.packing import pack
from transforms.streaming.shard import KeyedStage, Shard
from transforms.streaming.sharding import split_messages

__all__ = ["KeyedStep", "ShardedStage", "SplitShards", "TableCoder", "keyed_step"]

Keys = Sequence[str | pl.Expr] | None


@dataclass
class SplitShards(beam.DoFn):
    """Splits a table by shard and packs the parts: (shard, bytes).

    keys: the columns that a row's shard goes by; None where the rows are messages, which say
    themselves whom they touch.
    """

    name: str
    keys: Keys
    shards: int

    def process(self, element: pl.DataFrame) -> Iterator[tuple[int, bytes]]:
        if self.keys is None:
            parts = split_messages(element, self.shards)
        else:
            parts = split_shards(element, self.keys, self.shards)
        for shard, rows in parts:
            yield shard, pack(self.name, rows)


@dataclass
class KeyedStep(beam.DoFn):
    """Keeps a stage's state by shard, and brings blocks and time to it: see shard.py.

    State: `log`, the tables as packed changes; `meta`; `blocks`, what is being gathered. Timers:
    `tick`, by event time, from which the shard knows its watermark; `wake`, by event time, when
    something pending is to be written; `gathered`, by the clock, when blocks have been gathered.
    What is gathered is taken before time is told, so no block meets a later watermark than it
    would have met when it came.
    """

    keyed: KeyedStage
    name: str

    LOG = beam.DoFn.StateParam(BagStateSpec("log", BytesCoder()))
    BLOCKS = beam.DoFn.StateParam(BagStateSpec("blocks", BytesCoder()))
    META = beam.DoFn.StateParam(ReadModifyWriteStateSpec("meta", BytesCoder()))
    TICK = TimerSpec("tick", TimeDomain.WATERMARK)
    WAKE = TimerSpec("wake", TimeDomain.WATERMARK)
    GATHERED = TimerSpec("gathered", TimeDomain.REAL_TIME)
    TICKS = beam.DoFn.TimerParam(TICK)
    WAKES = beam.DoFn.TimerParam(WAKE)
    GATHERS = beam.DoFn.TimerParam(GATHERED)

    def __init_subclass__(cls, timers: str) -> None:
        """Gives a stage's class timers with names of its own.

        FnApiRunner mixes up timers of one name where it fuses several stateful DoFns.
        """
        specs = {
            of: TimerSpec(f"{of.name} {timers}", of.time_domain)
            for of in (cls.TICK, cls.WAKE, cls.GATHERED)
        }
        given = {param: beam.DoFn.TimerParam(specs[of]) for of, param in cls._params().items()}
        for name in ("process", "take_gathered", "reach", "write"):
            base: Any = getattr(KeyedStep, name)
            made = FunctionType(base.__code__, base.__globals__, name)
            made.__defaults__ = tuple(
                next((own for param, own in given.items() if param is default), default)
                for default in base.__defaults__
            )
            made.__annotations__ = base.__annotations__
            setattr(cls, name, made)
        on_timer(specs[cls.TICK])(cls.reach)
        on_timer(specs[cls.WAKE])(cls.write)
        on_timer(specs[cls.GATHERED])(cls.take_gathered)

    @classmethod
    def _params(cls) -> dict[TimerSpec, Any]:
        return {cls.TICK: cls.TICKS, cls.WAKE: cls.WAKES, cls.GATHERED: cls.GATHERS}

    def process(  # noqa: PLR0917
        self,
        element: tuple[int, bytes],
        timestamp: Any = beam.DoFn.TimestampParam,
        log: Any = LOG,
        blocks: Any = BLOCKS,
        meta: Any = META,
        tick: Any = TICKS,
        wake: Any = WAKES,
        gathered: Any = GATHERS,
    ) -> Iterable[Any]:
        shard = Shard(self.keyed, meta.read(), log.read)
        armed = shard.arm(timestamp.micros)
        if armed is not None:
            tick.set(Timestamp(micros=armed))
            meta.write(shard.pack_meta())
        if not self.keyed.pace.gather:
            said = self._say(shard, [element[1]], wake)
            return self._save(shard, log, meta, said, shard.meta.tick or 0)
        blocks.add(element[1])
        self._set_gathered(gathered)
        return ()

    def take_gathered(
        self,
        log: Any = LOG,
        blocks: Any = BLOCKS,
        meta: Any = META,
        wake: Any = WAKES,
    ) -> Iterable[Any]:
        shard = Shard(self.keyed, meta.read(), log.read)
        said = [*self._say(shard, _emptied(blocks), wake), shard.write_woken()]
        self._set_wake(shard, wake)
        return self._save(shard, log, meta, said, shard.meta.tick or 0)

    def reach(  # noqa: PLR0917
        self,
        timestamp: Any = beam.DoFn.TimestampParam,
        log: Any = LOG,
        blocks: Any = BLOCKS,
        meta: Any = META,
        tick: Any = TICKS,
        wake: Any = WAKES,
    ) -> Iterable[Any]:
        shard = Shard(self.keyed, meta.read(), log.read)
        stamp = shard.meta.tick or timestamp.micros
        said = [*self._say(shard, _emptied(blocks), wake), shard.write(timestamp.micros)]
        following = shard.reach(timestamp.micros)
        if following is not None:
            tick.set(Timestamp(micros=following))
        self._note(shard)
        return self._save(shard, log, meta, said, stamp)

    def write(  # noqa: PLR0917
        self,
        timestamp: Any = beam.DoFn.TimestampParam,
        log: Any = LOG,
        blocks: Any = BLOCKS,
        meta: Any = META,
        wake: Any = WAKES,
        gathered: Any = GATHERS,
    ) -> Iterable[Any]:
        shard = Shard(self.keyed, meta.read(), log.read)
        if shard.put_off(timestamp.micros):
            meta.write(shard.pack_meta())
            self._set_gathered(gathered)
            return ()
        said = [*self._say(shard, _emptied(blocks), wake), shard.write(timestamp.micros)]
        self._set_wake(shard, wake)
        return self._save(shard, log, meta, said, shard.meta.tick or timestamp.micros)

    def _say(self, shard: Shard, blocks: list[bytes], wake: Any) -> list[Tables]:
        """What the stage says to blocks, if there are any."""
        if not blocks:
            return []
        said = shard.take(blocks)
        self._set_wake(shard, wake)
        return [said]

    def _set_gathered(self, gathered: Any) -> None:
        # On a grid: one that is set again within its time stays where it is.
        grid = self.keyed.pace.gather
        gathered.set(Timestamp(micros=(self.keyed.clock() // grid + 1) * grid))

    def _set_wake(self, shard: Shard, wake: Any) -> None:
        time = shard.wake() if self.keyed.writes else None
        if time is not None:
            wake.set(Timestamp(micros=time))

    def _save(self, shard: Shard, log: Any, meta: Any, said: list[Tables], stamp: int) -> list[Any]:
        """Keeps the shard, and gives what it says stamped with the tick that it waits for."""
        if shard.is_rewritten:
            log.clear()
        for block in shard.added:
            log.add(block)
        meta.write(shard.pack_meta())
        at = Timestamp(micros=stamp)
        return [
            TaggedOutput(name, TimestampedValue(rows, at))
            for tables in said
            for name, rows in tables.items()
            if rows.height
        ]

    def _note(self, shard: Shard) -> None:
        size = shard.meta.base_bytes + shard.meta.tail_bytes
        lag = (self.keyed.clock() - shard.meta.watermark) // MICROSECONDS
        Metrics.distribution(self.name, "state_bytes").update(size)
        Metrics.distribution(self.name, "watermark_lag_seconds").update(lag)


class ArrivalsStep(KeyedStep, timers="arrivals"):
    """The step of messages."""


class CallsStep(KeyedStep, timers="calls"):
    """The step of calls."""


class VisitorsStep(KeyedStep, timers="visitors"):
    """The step of visitors."""


class CandidatesStep(KeyedStep, timers="candidates"):
    """The step of candidates."""


class DecisionsStep(KeyedStep, timers="decisions"):
    """The step of decisions."""


class ConversionsStep(KeyedStep, timers="conversions"):
    """The step of the revisions of conversions."""


class SessionsStep(KeyedStep, timers="sessions"):
    """The step of the revisions of sessions."""


class DisplaysStep(KeyedStep, timers="displays"):
    """The step of the revisions of displays."""


STEPS: dict[str, type[KeyedStep]] = {
    "arrivals": ArrivalsStep,
    "calls": CallsStep,
    "visitors": VisitorsStep,
    "candidates": CandidatesStep,
    "decisions": DecisionsStep,
    "conversions": ConversionsStep,
    "sessions": SessionsStep,
    "displays": DisplaysStep,
}


def _emptied(bag: Any) -> list[bytes]:
    """What is in a bag, which is then empty."""
    blocks = list(bag.read())
    if blocks:
        bag.clear()
    return blocks


@dataclass
class ShardedStage(beam.PTransform[Any, Any]):
    """Brings tables of inputs, given by name, to the shards of a stage; gives outputs by name.

    name: one of STEPS. keys: of each input the columns that its shard goes
    by, None for messages.
    """

    keyed: KeyedStage
    name: str
    keys: Mapping[str, Keys]
    outputs: Sequence[str]
    shards: int

    def __post_init__(self) -> None:
        super().__init__()
        if self.shards < 1:
            raise ValueError(f"shards must be at least 1, not {self.shards}")

    def expand(self, tables: Any) -> Any:
        split = tuple(
            table
            | f"Shard {name}"
            >> beam.ParDo(SplitShards(name, self.keys[name], self.shards)).with_output_types(
                tuple[int, bytes]
            )
            for name, table in tables.items()
        )
        packed = split | beam.Flatten()
        return packed | keyed_step(self.keyed, self.name, self.outputs)


def keyed_step(keyed: KeyedStage, name: str, outputs: Sequence[str]) -> Any:
    """A stage over packed blocks by shard (shard, bytes); its tables by the names of outputs.

    name: one of STEPS, under which its metrics are kept.
    """
    step = beam.ParDo(STEPS[name](keyed, name)).with_output_types(
        pl.DataFrame, **dict.fromkeys(outputs, pl.DataFrame)
    )
    # Not its class' name, by which a running job could not be updated were that to change.
    step.label = "Step"
    return step.with_outputs(*outputs)
