"""The stream without Pub/Sub and without disk: blocks of events through the stages, in memory."""

from collections import Counter
from collections.abc import Mapping, Sequence

import polars as pl
from pure import IDENTITY, Counts

from pipelines.graph import decoded_counts
from schemas.config import Config
from transforms.decode import DecodeSettings, decode_block
from transforms.decode_block import Block, Decoded
from transforms.models import excluded_callers
from transforms.steps import Tables
from transforms.streaming.flow import Flow, make_stages
from transforms.streaming.revisions import NEVER
from transforms.streaming.state import Change, MemoryState

LINE_KINDS = {"pageview": "pageviews", "engagement": "engagements", "call": "calls"}
Line = tuple[str | None, bytes]


class MemoryStates:
    """The states of all stages in memory."""

    def __init__(self, stages: Mapping[str, object]) -> None:
        self.states = {name: MemoryState(stage.tables) for name, stage in stages.items()}  # type: ignore[attr-defined]

    def of(self, stage: str) -> MemoryState:
        return self.states[stage]

    def apply(self, stage: str, changes: Mapping[str, Change]) -> None:
        self.states[stage].apply(changes)

    def expire(self, watermark: int) -> None:
        for state in self.states.values():
            state.expire(watermark)

    def rows(self) -> int:
        """How many rows are kept in all."""
        return sum(
            table.height for state in self.states.values() for table in state.tables.values()
        )


class MemoryStream:
    """A stream that is given blocks and watermarks by hand, and keeps every row it writes."""

    def __init__(self, config: Config, key: bytes, now: int) -> None:
        stages = make_stages(config, excluded_callers(config, key))
        self.states = MemoryStates(stages)
        self.flow = Flow(stages, self.states)
        self.settings = DecodeSettings(config, key, now)
        self.emitted: dict[str, list[pl.DataFrame]] = {name: [] for name in IDENTITY}
        self.late: list[pl.DataFrame] = []
        self.counts: Counts = Counter()
        self.watermark = -(1 << 62)
        self.clock = now

    def take(self, lines: Sequence[Line]) -> None:
        """Decodes lines and brings their events in."""
        for kind in {kind for kind, _ in lines}:
            data = b"\n".join(line for of, line in lines if of == kind)
            decoded = decode_block(Block(data, kind, "stream"), self.settings)
            self._count(decoded_counts(decoded))
            self.take_events(decoded)

    def take_events(self, decoded: Decoded) -> None:
        events = {name: getattr(decoded, table) for name, table in LINE_KINDS.items()}
        outcome = self.flow.take(events, self.watermark)
        self.late.append(outcome["late"])
        self._count(outcome["counts"])

    def advance(self, watermark: int) -> None:
        """Moves the watermark on; what it wakes is written, what it settles is dropped."""
        self.watermark = max(self.watermark, watermark)
        self.clock += 1
        rows = self.flow.write(self.watermark, self.clock)
        for table, kept in self.emitted.items():
            kept.append(rows[table])
        self._count(rows["counts"])
        self.states.expire(self.watermark)

    def drain(self) -> None:
        self.advance(NEVER)

    def rows(self, table: str) -> pl.DataFrame:
        """Every row written, in order."""
        return pl.concat(self.emitted[table])

    def latest(self) -> Tables:
        """Of each id the latest row, without superseded and deleted ones."""
        return {name: latest_rows(name, self.rows(name)) for name in IDENTITY}

    def _count(self, counts: pl.DataFrame) -> None:
        for kind, name, count in counts.iter_rows():
            self.counts[kind, name] += count


def latest_rows(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    """The row of each id with the greatest emitted_at, then revision; none that is gone."""
    flag = "is_superseded" if table == "conversions" else "is_deleted"
    last = rows.sort("emitted_at", "revision", maintain_order=True).unique(
        IDENTITY[table], keep="last", maintain_order=True
    )
    return last.filter(~pl.col(flag))
