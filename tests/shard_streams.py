"""The stream's shards without Beam: every block between them may be overtaken by any other.

Time is as Beam has it: the watermark of a stage is held back by the ticks that shards of the stages
before it wait for, and by the stamps of the blocks that are under way to it.
"""

import random
from dataclasses import dataclass, field

import polars as pl

from pipelines.stream_graph import (
    ARRIVALS,
    EVENT_KEYS,
    MESSAGES,
    StreamPlan,
    keyed_stages,
)
from schemas.tables import CONVERSIONS, DISPLAYS, SESSIONS
from transforms.blocks import split_shards
from transforms.steps import Tables
from transforms.streaming.flow import SOURCES
from transforms.streaming.packing import pack
from transforms.streaming.shard import Shard
from transforms.streaming.sharding import split_messages

BEGINNING, END = -(1 << 62), 1 << 62


@dataclass
class Kept:
    """What a runner keeps of a shard."""

    meta: bytes | None = None
    log: list[bytes] = field(default_factory=list)
    wake: int | None = None


@dataclass
class ShardStream:
    """All shards of all stages, with what is under way between them."""

    plan: StreamPlan
    draw: random.Random

    def __post_init__(self) -> None:
        self.stages = keyed_stages(self.plan)
        self.kept = {name: [Kept() for _ in range(self.plan.shards)] for name in self.stages}
        self.under_way: list[tuple[str, int, bytes, int]] = []
        self.watermark = BEGINNING
        self.rows: dict[str, list[pl.DataFrame]] = {}
        self.letters: list[pl.DataFrame] = []

    def send(self, messages: list[tuple[str, bytes]], at: int) -> None:
        """Puts messages, published at a time, on their way to a shard."""
        block = pack("messages", pl.DataFrame(messages, schema=MESSAGES, orient="row"))
        self.under_way.append((ARRIVALS, self.draw.randrange(self.plan.shards), block, at))

    def work(self, steps: int) -> None:
        """Does something that may happen now, so many times or until nothing may."""
        for _ in range(steps):
            timers = self._timers()
            if not self.under_way and not timers:
                return
            if timers and (not self.under_way or self.draw.random() < 0.5):
                self._fire(*self.draw.choice(timers))
            else:
                place = self.draw.randrange(len(self.under_way))
                self._deliver(*self.under_way.pop(place))

    def reached(self, stage: str) -> int:
        """The watermark of a stage."""
        before = self._before(stage)
        ticks = [
            Shard(self.stages[s], k.meta, list).meta.tick for s in before for k in self.kept[s]
        ]
        stamps = [at for to, _, _, at in self.under_way if to == stage or to in before]
        return min([self.watermark, *(tick for tick in ticks if tick is not None), *stamps])

    def _tick(self, stage: str, kept: Kept) -> int | None:
        return Shard(self.stages[stage], kept.meta, list).meta.tick

    def _before(self, stage: str) -> set[str]:
        if stage == ARRIVALS:
            return set()
        sources = {source or ARRIVALS for source, _ in SOURCES[stage].values()}
        return sources.union(*(self._before(source) for source in sources))

    def _timers(self) -> list[tuple[str, int, str, int]]:
        found = []
        for stage, shards in self.kept.items():
            reached = self.reached(stage)
            for number, kept in enumerate(shards):
                for kind, time in (("tick", self._tick(stage, kept)), ("wake", kept.wake)):
                    if time is not None and time <= reached:
                        found.append((stage, number, kind, time))
        return found

    def _fire(self, stage: str, number: int, kind: str, time: int) -> None:
        kept = self.kept[stage][number]
        shard = Shard(self.stages[stage], kept.meta, lambda: kept.log)
        if shard.keyed.writes:
            self.rows.setdefault(stage, []).append(shard.write(time)["rows"])
        if kind == "tick":
            shard.reach(time)
        self._keep(kept, shard)

    def _deliver(self, stage: str, number: int, block: bytes, at: int) -> None:
        kept = self.kept[stage][number]
        shard = Shard(self.stages[stage], kept.meta, lambda: kept.log)
        shard.arm(at)
        said = shard.take([block])
        self._keep(kept, shard)
        self._send_on(stage, said, shard.meta.tick)

    def _keep(self, kept: Kept, shard: Shard) -> None:
        kept.log = shard.added if shard.is_rewritten else kept.log + shard.added
        kept.meta = shard.pack_meta()
        if shard.keyed.writes:
            kept.wake = shard.wake()

    def _send_on(self, stage: str, said: Tables, at: int) -> None:
        if "dead_letters" in said:
            self.letters.append(said["dead_letters"])
        source = None if stage == ARRIVALS else stage
        for to, inputs in SOURCES.items():
            for name, origin in inputs.items():
                if origin[0] == source and origin[1] in said:
                    for number, rows in self._split(name, said[origin[1]]):
                        self.under_way.append((to, number, pack(name, rows), at))

    def _split(self, name: str, rows: pl.DataFrame) -> list[tuple[int, pl.DataFrame]]:
        keys = EVENT_KEYS.get(name)
        if keys is None:
            return list(split_messages(rows, self.plan.shards))
        return list(split_shards(rows, keys, self.plan.shards))

    def all_rows(self, table: str) -> pl.DataFrame:
        """Every row written."""
        tables = {t.name: t for t in (CONVERSIONS, SESSIONS, DISPLAYS)}
        empty = pl.DataFrame(tables[table].arrow_schema().empty_table())
        return pl.concat([empty, *self.rows.get(table, [])])
