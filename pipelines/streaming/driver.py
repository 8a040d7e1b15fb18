"""The loop of a local stream: messages to committed state and rows, then acknowledged (SPEC 12).

A batch of messages changes nothing, or everything in one transaction: state, watermark, counts,
rows. Only then is it acknowledged. A message that comes again is recognised by its events.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.graph import decoded_counts
from pipelines.pubsub import Message
from pipelines.streaming.counters import Counters
from pipelines.streaming.outbox import Outbox
from pipelines.streaming.store import Store
from schemas.config import Config
from schemas.rules import rule_set
from schemas.tables import DEAD_LETTERS
from transforms.decode import DecodeSettings, decode_block, message_block
from transforms.decode_event import TIME_FIELD
from transforms.models import excluded_callers
from transforms.rows import dead_letter_rows
from transforms.settings import MICROSECONDS
from transforms.steps import COUNTS, Tables
from transforms.streaming.flow import WRITTEN, Flow, make_stages
from transforms.streaming.lateness import REDELIVERED, TABLES, in_time, late_counts, late_letters
from transforms.streaming.revisions import NEVER
from transforms.streaming.watermark import BEGINNING, Watermark

# Segments are looked through for what can be merged after so many batches.
MERGE_EVERY = 8


class LocalStream:
    """The state of a stream in a folder, and what batches of messages do to it.

    origin: what dead letters name as their origin, the subscription. Raises StateError where the
    folder cannot be used.
    """

    def __init__(self, folder: Path, config: Config, key: bytes, origin: str) -> None:
        stages = make_stages(config, excluded_callers(config, key))
        self.store = Store(folder, stages)
        self.outbox = Outbox(self.store)
        self.counters = Counters(self.store)
        self.flow = Flow(stages, self.store)
        self.config, self.key, self.origin = config, key, origin
        # How long it was quiet is known from now on: what came meanwhile may still be waiting.
        known = Watermark(**self.store.recall("watermark", {}))
        self.watermark = replace(known, quiet_since=BEGINNING)
        self._emitted = int(self.store.recall("emitted", 0))
        self.store.database.execute(
            "CREATE TABLE IF NOT EXISTS letters (id TEXT PRIMARY KEY, at INTEGER NOT NULL)"
        )
        self.store.commit()
        self._batches = 0

    def take(self, messages: Sequence[Message], clock: int, backlog: bool) -> None:
        """Does all that a batch of messages brings about, and commits it.

        clock: now, us. backlog: more messages are waiting than these. After an exception the state
        is as it was before.
        """
        before = self.watermark
        try:
            latest = self._take_events(messages, clock) if messages else None
            before, self.watermark = self.watermark, self._seen(latest, clock, backlog)
            if not messages and before == self.watermark:
                return
            self._write(self.watermark.value, clock)
            self.store.expire(self.watermark.value)
            self._note()
            self._batches += 1
            if self._batches % MERGE_EVERY == 0:
                self.store.merge()
            self.store.commit()
        except BaseException:
            self.store.rollback()
            self.watermark = before
            raise

    def drain(self, clock: int) -> None:
        """Writes all that still waits for the watermark, and commits it."""
        self._write(NEVER, clock)
        self.watermark = replace(self.watermark, value=max(self.watermark.value, clock))
        self.store.expire(self.watermark.value)
        self._note()
        self.store.commit()

    def report(self) -> dict[str, Any]:
        """The run's report: the ledger, the watermark, what is waiting."""
        return self.counters.ledger() | {
            "watermark": self.watermark.value,
            "rule_set": rule_set(),
            "warnings": [],
        }

    def close(self) -> None:
        """Closes the state; what is not committed is gone."""
        self.store.close()

    def _take_events(self, messages: Sequence[Message], clock: int) -> int | None:
        """Brings the messages' events into the state; the latest event time, None without any."""
        settings = DecodeSettings(self.config, self.key, clock)
        block = message_block([(message.id, message.data) for message in messages], self.origin)
        decoded = decode_block(block, settings)
        counts = [decoded_counts(decoded)]
        events, late = in_time(decoded, settings, self.watermark.value)
        taken = self.flow.take(events, self.watermark.value)
        late["call"] += taken["late"].height
        letters = [decoded.dead_letters]
        if late.total():
            letters.append(late_letters(block, settings, self.watermark.value, taken["late"]))
            counts.append(late_counts(late))
        self._put_letters(pl.concat(letters), clock)
        self.counters.add(pl.concat([*counts, taken["counts"]]))
        return _latest_time(events)

    def _seen(self, latest: int | None, clock: int, backlog: bool) -> Watermark:
        settings = self.config.default
        out_of_order, idle = (
            round(seconds * MICROSECONDS)
            for seconds in (settings.out_of_order_seconds, settings.idle_seconds)
        )
        return self.watermark.seen(latest, clock, backlog, out_of_order, idle)

    def _write(self, watermark: int, clock: int) -> None:
        """Puts the rows that the watermark has woken into the outbox."""
        # Of two rows of one id the later has the later moment, whatever the clock does.
        self._emitted = max(clock, self._emitted + 1)
        rows = self.flow.write(watermark, self._emitted)
        self.counters.add(rows["counts"])
        for table in WRITTEN:
            self.outbox.put(table.name, rows[table.name])
        self.counters.add(_decision_counts(rows["conversions"]))

    def _put_letters(self, letters: pl.DataFrame, clock: int) -> None:
        """Puts dead letters into the outbox, each once however often its message comes."""
        execute = self.store.database.execute
        fresh = [
            execute("INSERT OR IGNORE INTO letters VALUES (?, ?)", (id_, clock)).rowcount > 0
            for id_ in letters["dead_letter_id"]
        ]
        execute("DELETE FROM letters WHERE at < ?", (clock - REDELIVERED,))
        self.outbox.put(
            DEAD_LETTERS.name, dead_letter_rows(letters.filter(pl.Series(fresh, dtype=pl.Boolean)))
        )

    def _note(self) -> None:
        self.store.note("watermark", asdict(self.watermark))
        self.store.note("emitted", self._emitted)


def _latest_time(events: Tables) -> int | None:
    times = [events[kind][TIME_FIELD[kind]].max() for kind in TABLES]
    known = [time for time in times if isinstance(time, int)]
    return max(known) if known else None


def _decision_counts(conversions: pl.DataFrame) -> pl.DataFrame:
    """How many rows were written with each status: kind `status`."""
    rows = [
        ("status", status, count)
        for status, count in conversions["status"].value_counts().iter_rows()
    ]
    return pl.DataFrame(rows, schema=COUNTS, orient="row")
