"""Pub/Sub as the source of a Beam pipeline, on a runner that has no such source of its own.

For FnApiRunner in tests; Dataflow reads Pub/Sub itself. A message is acknowledged when the bundle
that read it is done, and what it left beyond is in the runner's memory alone. FnApiRunner does not
follow a source's watermark: event-time timers in the source's own stage fire after each bundle,
and what comes after a GroupByKey runs when the input has ended.
"""

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam
from apache_beam.coders import Coder
from apache_beam.io.unbounded_source import (
    CheckpointMark,
    ReadFromUnboundedSource,
    UnboundedReader,
    UnboundedSource,
)
from apache_beam.pvalue import PBegin, PCollection
from apache_beam.utils.timestamp import MAX_TIMESTAMP, Timestamp

from pipelines.pubsub import Message, Subscription, check_name
from transforms.streaming.watermark import Watermark

MAX_MESSAGES = 10_000  # in a bundle
PULL_SECONDS = 0.2
SECOND_US = 1_000_000
OUT_OF_ORDER_US, IDLE_US = 60 * SECOND_US, 30 * SECOND_US

# By name. A bundle is finalized after its reader was closed, so readers cannot own them.
_OPEN: dict[str, Subscription] = {}


@dataclass
class ReadMessages(beam.PTransform[Any, Any]):
    """Messages as (id, data, publish time in us), each at its publish time.

    The watermark follows publish times as SPEC section 12 has it for events. A message comes more
    than once where it could not be acknowledged.

    Args:
        subscription: `projects/P/subscriptions/S`.
        stop_after_idle_seconds: Ends the input, and with it time, when nothing has come for so
            long and the server says that nothing is there; None reads for ever.

    Raises:
        SourceError: The name is no subscription's, or the subscription cannot be read.
    """

    subscription: str
    stop_after_idle_seconds: float | None = None

    def __post_init__(self) -> None:
        super().__init__()
        check_name(self.subscription)

    def expand(self, pbegin: PBegin) -> PCollection[tuple[str, bytes, int]]:
        source = MessageSource(self.subscription, self.stop_after_idle_seconds)
        reading = ReadFromUnboundedSource(
            source, poll_interval=0.0, max_records_per_bundle=MAX_MESSAGES
        )
        return pbegin | "Pull" >> reading.with_output_types(tuple[str, bytes, int])


@dataclass(frozen=True)
class MessageSource(UnboundedSource):
    """A subscription to be read by one reader."""

    subscription: str
    stop_after_idle_seconds: float | None

    def split(self, desired_num_splits: int, options: Any = None) -> list[UnboundedSource]:
        return [self]

    def create_reader(self, options: Any, checkpoint_mark: Any) -> "MessageReader":
        return MessageReader(self)

    def get_checkpoint_mark_coder(self) -> Coder:
        return NothingCoder()


@dataclass
class Delivered(CheckpointMark):
    """Messages to acknowledge once their bundle is done; is_last: nothing comes after them."""

    subscription: str
    messages: list[Message] = field(default_factory=list)
    is_last: bool = False

    def finalize_checkpoint(self) -> None:
        subscription = _OPEN.get(self.subscription)
        if subscription is not None:
            subscription.acknowledge(self.messages)
            if self.is_last:
                _close(self.subscription)


class NothingCoder(Coder):
    """A mark as nothing: Pub/Sub itself knows what to deliver next."""

    def encode(self, value: Delivered) -> bytes:
        return b""

    def decode(self, encoded: bytes) -> Delivered:
        return Delivered("")

    def is_deterministic(self) -> bool:
        return True


class MessageReader(UnboundedReader):
    """Gives messages one by one, which it pulls by many."""

    def __init__(self, source: MessageSource) -> None:
        self._source = source
        self._waiting: deque[Message] = deque()
        self._delivered: list[Message] = []
        self._current: Message | None = None
        self._pulled = Watermark()
        self._watermark_us = self._pulled.value
        self._busy = time.monotonic()
        self._is_over = False

    def start(self) -> bool:
        return self.advance()

    def advance(self) -> bool:
        if not self._waiting:
            self._pull()
        if self._waiting:
            self._current = self._waiting.popleft()
            self._delivered.append(self._current)
        else:
            self._current = None
        if not self._waiting:
            # Not before: what waits may be older than the watermark of its pull.
            self._watermark_us = self._pulled.value
        return self._current is not None

    def get_current(self) -> tuple[str, bytes, int]:
        assert self._current is not None
        return self._current.id, self._current.data, self._current.publish_time_us

    def get_current_timestamp(self) -> Timestamp:
        assert self._current is not None
        return Timestamp(micros=self._current.publish_time_us)

    def get_watermark(self) -> Timestamp:
        return MAX_TIMESTAMP if self._is_over else Timestamp(micros=self._watermark_us)

    def get_checkpoint_mark(self) -> Delivered:
        delivered, self._delivered = self._delivered, []
        return Delivered(self._source.subscription, delivered, self._is_over)

    def close(self) -> None:
        if not self._is_over:  # else the last mark still has to be acknowledged
            _close(self._source.subscription)

    def _pull(self) -> None:
        name = self._source.subscription
        subscription = _OPEN.get(name) or _OPEN.setdefault(name, Subscription(name))
        messages = subscription.pull(MAX_MESSAGES, PULL_SECONDS)
        self._waiting.extend(messages)
        latest_us = max((message.publish_time_us for message in messages), default=None)
        self._pulled = self._pulled.seen(
            latest_us, time.time_ns() // 1000, subscription.is_full, OUT_OF_ORDER_US, IDLE_US
        )
        if messages:
            self._busy = time.monotonic()
        limit = self._source.stop_after_idle_seconds
        is_idle = limit is not None and time.monotonic() - self._busy >= limit
        self._is_over = is_idle and subscription.is_empty


def _close(name: str) -> None:
    subscription = _OPEN.pop(name, None)
    if subscription is not None:
        subscription.close()
