"""One life of a stream: from a folder's state on, until it is killed, fails or has done its part.

python -m faults.life waits for a line: the life as JSON. What happens is told in the folder.
"""

import json
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl
from faults.channel import Channel, tell

from pipelines import journal
from pipelines.output import OutputError, clear_output_errors
from pipelines.streaming import driver, loop, outbox, segments, store
from pipelines.streaming.driver import LocalStream
from pipelines.streaming.monitor import Monitor
from pipelines.streaming.outbox import SinkBusy
from pipelines.streaming.sink import LocalSink
from pipelines.streaming.store import StateError
from schemas.config import parse_config

KEY = b"0123456789abcdef0123456789abcdef"
STATE, OUTPUT = "output/.stream", "output"
FAILED = 1
# Before or after the Nth call of what is named here a process may kill itself.
POINTS = {
    "pull": lambda stream, channel, sink: (channel, "pull"),
    "take": lambda stream, channel, sink: (stream.flow, "take"),
    "write": lambda stream, channel, sink: (stream.flow, "write"),
    "apply": lambda stream, channel, sink: (stream.store, "apply"),
    "merge": lambda stream, channel, sink: (stream.store, "merge"),
    "merge of a table": lambda stream, channel, sink: (stream.store, "_merge"),
    "commit": lambda stream, channel, sink: (stream.store, "commit"),
    "file of state": lambda stream, channel, sink: (stream.store.segments, "_write"),
    "files on disk": lambda stream, channel, sink: (segments, "sync_path"),
    "settle": lambda stream, channel, sink: (stream.store.segments, "settle"),
    "outbox": lambda stream, channel, sink: (stream.outbox, "put"),
    "outbox on disk": lambda stream, channel, sink: (outbox, "sync_path"),
    "acknowledge": lambda stream, channel, sink: (channel, "acknowledge"),
    "append": lambda stream, channel, sink: (sink, "append"),
    "journal": lambda stream, channel, sink: (journal, "write_journal"),
    "move": lambda stream, channel, sink: (journal, "move_path"),
    "moved": lambda stream, channel, sink: (journal, "finish"),
}
SINK_ERRORS = {
    "busy": SinkBusy("somebody is writing there"),
    "broken": OutputError("the folder is gone"),
}


@dataclass
class Life:
    """What a life is to be.

    folder: of the run, with messages, state and output. pulls: it ends by itself after so many.
    point, when, nth: where it kills itself (POINTS, before or after, which call). sink, sink_nth:
    "busy before", "broken after", …: how and at which append the sink fails. disk_bytes: no file
    may be larger. is_last: no faults, to the end of the messages, and drained.
    """

    folder: str
    seed: int
    pace: int
    pulls: int
    point: str = ""
    when: str = ""
    nth: int = 0
    sink: str = ""
    sink_nth: int = 0
    disk_bytes: int = 0
    is_last: bool = False

    def line(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self))


class FailingSink:
    """The local warehouse, which fails at one append: before or after its commit."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.sink = LocalSink(Path(life.folder) / OUTPUT)
        self.appends = 0

    def append(self, name: str, rows: dict[str, pl.DataFrame], report: dict[str, Any]) -> None:
        """Appends, and fails where it has to."""
        self.appends += 1
        how, _, when = self.life.sink.partition(" ")
        is_now = self.appends == self.life.sink_nth
        if is_now:
            tell(Path(self.life.folder), f"sink {self.life.sink} its commit")
        if not (is_now and when == "before"):
            self.sink.append(name, rows, report)
        if is_now:
            raise SINK_ERRORS[how]


def live(life: Life) -> int:
    """Lives it; the exit code of the command."""
    folder = Path(life.folder)
    channel = Channel(folder, life.seed, life.pace, life.is_last)
    sink = FailingSink(life)
    loop.clock = channel.clock
    loop.EMPTY_SECONDS = 0.0
    driver.MERGE_EVERY = 2  # lives are short
    if life.disk_bytes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (life.disk_bytes, resource.RLIM_INFINITY))
    try:
        with clear_output_errors(folder / STATE), store.clear_state_errors(folder / STATE):
            stream = LocalStream(folder / STATE, parse_config({}), KEY, "channel")
            if life.point:
                _arm(life, POINTS[life.point](stream, channel, sink))
            stop = _StopAfter(life.pulls, channel)
            loop.Loop(stream, channel, sink, Monitor(stream, None)).run(stop, life.is_last)
            print(json.dumps(stream.report()))
            stream.close()
    except (StateError, OutputError) as error:
        if life.disk_bytes:
            tell(folder, "full disks")
        print(error, file=sys.stderr)
        return FAILED
    return 0


class _StopAfter(threading.Event):
    """Is set once the channel has been pulled so often."""

    def __init__(self, pulls: int, channel: Channel) -> None:
        super().__init__()
        self.pulls, self.channel = pulls, channel

    def is_set(self) -> bool:
        return bool(self.pulls) and self.channel.pulls >= self.pulls


def _arm(life: Life, place: tuple[Any, str]) -> None:
    """Has the process kill itself before or after the Nth call of a method or function."""
    owner, name = place
    plain: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def deadly(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == life.nth and life.when == "before":
            _die(life)
        result = plain(*arguments, **named)
        if calls == life.nth and life.when == "after":
            _die(life)
        return result

    setattr(owner, name, deadly)


def _die(life: Life) -> None:
    tell(Path(life.folder), f"killed {life.when} {life.point}")
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    print("ready", flush=True)
    sys.exit(live(Life(**json.loads(sys.stdin.readline()))))
