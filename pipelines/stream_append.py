"""The sink of the stream on Beam: rows gathered to large appends."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import apache_beam as beam
import polars as pl
from apache_beam.coders import BytesCoder
from apache_beam.metrics.metric import Metrics
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, TimerSpec, on_timer
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import Timestamp

from transforms.streaming.packing import pack, unpack


class Writer(Protocol):
    """Where rows go, from any thread; it may be given the same rows again after a failure."""

    def append(self, table: str, rows: pl.DataFrame) -> None:
        """Appends rows to a table, and returns once they are kept."""
        ...


@dataclass
class AppendRows(beam.DoFn):
    """Gathers packed rows for so long (us, by the clock), then appends them at once.

    State: `rows`, which are durable before they are appended: after a failure the same rows, with
    their revision and emitted_at, are appended again. Timers: `gathered`, by the clock; `last`, at
    the end of time, which comes when a pipeline is drained. make_writer: gives this process's
    writer, which the DoFns of all tables and threads share.
    """

    make_writer: Callable[[], Writer]
    gather: int
    clock: Callable[[], int]

    ROWS = beam.DoFn.StateParam(BagStateSpec("rows", BytesCoder()))
    GATHERED = TimerSpec("gathered", TimeDomain.REAL_TIME)
    LAST = TimerSpec("last", TimeDomain.WATERMARK)
    GATHERS = beam.DoFn.TimerParam(GATHERED)
    LASTS = beam.DoFn.TimerParam(LAST)

    def process(
        self,
        element: tuple[int, bytes],
        rows: Any = ROWS,
        gathered: Any = GATHERS,
        last: Any = LASTS,
    ) -> None:
        if not self.gather:
            self._append([element[1]])
            return
        rows.add(element[1])
        gathered.set(Timestamp(micros=(self.clock() // self.gather + 1) * self.gather))
        last.set(GlobalWindow().max_timestamp())

    @on_timer(GATHERED)
    def append_gathered(self, rows: Any = ROWS) -> None:
        self._append(list(rows.read()))
        rows.clear()

    @on_timer(LAST)
    def append_last(self, rows: Any = ROWS) -> None:
        self._append(list(rows.read()))
        rows.clear()

    def _append(self, blocks: list[bytes]) -> None:
        if not blocks:
            return
        table, _ = unpack(blocks[0])
        rows = pl.concat([unpack(block)[1] for block in blocks])
        # Asked for where rows come, not in setup: so an error of it is told with the step, too.
        self.make_writer().append(table, rows)
        Metrics.counter(table, "appended").inc(rows.height)


@dataclass
class PackRows(beam.DoFn):
    """Packs rows of a table under one key, so that they are gathered."""

    table: str

    def process(self, element: pl.DataFrame) -> Iterator[tuple[int, bytes]]:
        yield 0, pack(self.table, element)
