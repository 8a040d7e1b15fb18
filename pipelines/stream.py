"""attribeam stream: Pub/Sub in, revised conversions out, on this machine (SPEC section 12)."""

import logging
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

LOG = logging.getLogger(__name__)
# So long a signal lets the batch at work go on; ten seconds is what supervisors wait.
PATIENCE_SECONDS = 3.0


class BatchGivenUp(BaseException):
    """A signal came, and the batch at work took too long."""


@dataclass(frozen=True)
class Stream:
    """What was asked for; state: the folder that the stream's memory is kept in; region: where this
    machine is, which `allowed_locations` may ask for."""

    subscription: str
    output: str
    state: Path
    config: Path | None = None
    drain: bool = False
    metrics_port: int | None = None
    region: str | None = None


def run_stream(asked: Stream) -> dict[str, Any]:
    """Runs until a signal ends it, or until it has drained; the report at the end.

    Raises ConfigError, KeyMissing, SourceError, StateError, OutputError. Nothing is lost: what was
    not committed was not acknowledged, and what was is shipped at the next start.
    """
    check_name(asked.subscription)
    config = load_config(asked.config)
    sink = open_sink(asked.output, config, asked.region)
    key = load_key()
    with (
        clear_output_errors(asked.state),
        clear_state_errors(asked.state),
        closing(LocalStream(asked.state, config, key, asked.subscription)) as stream,
        Subscription(asked.subscription) as subscription,
        Monitor(stream, asked.metrics_port) as monitor,
        _stopped_by_signals() as stop,
    ):
        try:
            Loop(stream, subscription, sink, monitor).run(stop, asked.drain)
        except BatchGivenUp:
            LOG.warning("stopped in the middle of a batch, which comes again at the next start")
        return stream.report()


@contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set; the batch at work is finished first.

    Raises BatchGivenUp where that takes longer than PATIENCE_SECONDS.
    """
    stop = threading.Event()

    def be_told(*_: object) -> None:
        stop.set()
        signal.setitimer(signal.ITIMER_REAL, PATIENCE_SECONDS)

    def give_up(*_: object) -> None:
        raise BatchGivenUp

    handlers = {signal.SIGTERM: be_told, signal.SIGINT: be_told, signal.SIGALRM: give_up}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield stop
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
