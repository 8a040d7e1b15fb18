"""Pull, take, acknowledge, ship, until told to stop or, to drain, until nothing more comes."""

import logging
import sqlite3
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

from pipelines.options import clock
from pipelines.output import explain_output_error
from pipelines.pubsub import Message, Subscription
from pipelines.streaming.driver import LocalStream
from pipelines.streaming.monitor import Monitor
from pipelines.streaming.outbox import Sink, SinkBusy
from pipelines.streaming.store import StateError
from transforms.settings import MICROSECONDS

LOG = logging.getLogger(__name__)
BATCH_MESSAGES = 20_000
PULL_SECONDS = 0.5
# So long nothing must have come before a drain takes the subscription to be empty.
EMPTY_SECONDS = 5.0
RETRY_SECONDS = 1.0


class Loop:
    """The endless work of a local stream."""

    def __init__(
        self, stream: LocalStream, subscription: Subscription, sink: Sink, monitor: Monitor
    ) -> None:
        self.stream, self.subscription, self.sink, self.monitor = (
            stream,
            subscription,
            sink,
            monitor,
        )
        self._busy = ""
        # Ids of messages that could not be taken; they come again and must not hold up the others.
        self._failing: set[str] = set()

    def run(self, stop: threading.Event, drain: bool) -> None:
        """Works until `stop` is set, or with `drain` until the subscription is empty.

        Raises SourceError, StateError, OutputError; what was not acknowledged comes again.
        """
        last = time.monotonic()
        while not stop.is_set():
            messages = self.subscription.pull(BATCH_MESSAGES, PULL_SECONDS)
            began = time.monotonic()
            # While the server is away, silence does not mean that nothing happened.
            self.work(messages, self.subscription.is_full or self.subscription.is_away)
            self.monitor.after_batch(time.monotonic() - began)
            if messages or not self.subscription.is_empty:
                last = time.monotonic()
            elif drain and time.monotonic() - last > EMPTY_SECONDS:
                self.stream.drain(clock())
                break
        self._ship_all(stop)
        # What wrote no rows has been counted since the last of them.
        with suppress(SinkBusy):
            self.sink.append("report", {}, self.stream.report())
        self.monitor.tell()

    def work(self, messages: Sequence[Message], is_behind: bool) -> None:
        """Takes a batch, acknowledges it, ships its rows. is_behind: more messages may wait."""
        now = clock()
        out_of_order = round(self.stream.config.default.out_of_order_seconds * MICROSECONDS)
        failing = [message for message in messages if message.id in self._failing]
        usual = [message for message in messages if message.id not in self._failing]
        is_old = bool(usual) and min(m.publish_time_us for m in usual) < now - out_of_order
        done = self._take(usual, now, is_behind or is_old)
        for message in failing:
            done += self._take([message], now, True)
        if done:
            self.subscription.acknowledge(done)
        if len(done) < len(messages):
            taken = set(done)
            self.subscription.let_go([message for message in messages if message not in taken])
        self._ship()

    def _take(self, messages: Sequence[Message], now: int, backlog: bool) -> list[Message]:
        """The messages that were taken: all but those that the stream fails on, one by one."""
        try:
            self.stream.take(messages, now, backlog)
        except (StateError, sqlite3.Error, OSError):
            raise
        except Exception as error:
            explained = explain_output_error(error, self.stream.store.folder)
            if explained is not None:
                raise explained from error
            if len(messages) <= 1:
                if not messages:
                    raise
                LOG.error(
                    "message %s cannot be processed (%s); it is left to the subscription, whose "
                    "dead-letter topic should take it",
                    messages[0].id,
                    type(error).__name__,
                )
                self._failing.add(messages[0].id)
                return []
            half = len(messages) // 2
            return [
                *self._take(messages[:half], now, True),
                *self._take(messages[half:], now, backlog),
            ]
        self._failing.difference_update(message.id for message in messages)
        return list(messages)

    def _ship(self) -> None:
        """Ships what is waiting; while the warehouse is busy the rows stay."""
        if not self.stream.outbox.waiting():
            return  # the report is a look at all counts
        try:
            self.stream.outbox.ship(self.sink, self.stream.report())
            self._busy = ""
        except SinkBusy as busy:
            if str(busy) != self._busy:
                LOG.warning("%s; %d rows wait", busy, self.stream.outbox.waiting())
            self._busy = str(busy)

    def _ship_all(self, stop: threading.Event) -> None:
        """Ships what is waiting, again and again unless the stream has to stop at once."""
        self._ship()
        while self.stream.outbox.waiting() and not stop.wait(RETRY_SECONDS):
            self._ship()
