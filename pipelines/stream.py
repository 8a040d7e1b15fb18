"""attribeam stream: Pub/Sub in, revised conversions out, on this machine (SPEC section 12)."""

import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.output import clear_output_errors
from pipelines.pubsub import Subscription, check_name
from pipelines.streaming.driver import LocalStream
from pipelines.streaming.loop import Loop
from pipelines.streaming.monitor import Monitor
from pipelines.streaming.sink import open_sink
from pipelines.streaming.store import clear_state_errors
from schemas.config import load_config
from transforms.privacy import load_key


@dataclass(frozen=True)
class Stream:
    """What was asked for; state: the folder that the stream's memory is kept in."""

    subscription: str
    output: str
    state: Path
    config: Path | None = None
    drain: bool = False
    metrics_port: int | None = None


def run_stream(asked: Stream) -> dict[str, Any]:
    """Runs until a signal ends it, or until it has drained; the report at the end.

    Raises ConfigError, KeyMissing, SourceError, StateError, OutputError. Nothing is lost: what was
    not committed was not acknowledged, and what was is shipped at the next start.
    """
    check_name(asked.subscription)
    config = load_config(asked.config)
    sink = open_sink(asked.output, config)
    key = load_key()
    with (
        clear_output_errors(asked.state),
        clear_state_errors(asked.state),
        closing(LocalStream(asked.state, config, key, asked.subscription)) as stream,
        Subscription(asked.subscription) as subscription,
        Monitor(stream, asked.metrics_port) as monitor,
        _stopped_by_signals() as stop,
    ):
        Loop(stream, subscription, sink, monitor).run(stop, asked.drain)
        return stream.report()


@contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set; the batch at work is finished first."""
    stop = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stop.set())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
