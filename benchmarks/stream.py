"""Measure the local stream: from messages in hand to rows in the warehouse, as its state grows.

python benchmarks/stream.py [FOLDER] [--live N …] [--json]

The events of generate.py (made into FOLDER where absent) come in the order of their time, one a
message. Nothing is ever late, so every session stays live; at each number of live sessions batches
of several sizes are timed. Pub/Sub itself is not part of it: tests/emulators' server takes a core.
"""

import argparse
import heapq
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from measure import machine

from pipelines.pubsub import Message
from pipelines.streaming.driver import LocalStream
from pipelines.streaming.sink import LocalSink
from schemas.config import load_config

HERE = Path(__file__).resolve().parent
LIVE = (10_000, 100_000, 1_000_000)
# How many batches of so many messages are timed.
TIMED = {100: 30, 1_000: 20, 10_000: 5, 40_000: 2}
FILLING = 40_000
SESSIONS_PER_PAGEVIEW = 0.27
KINDS = {"pageviews": "pageview", "engagements": "engagement", "calls": "call"}
TIME = re.compile(rb'"(?:time|start)":"([^"]+)"')
# Longer than the events go back.
NEVER_LATE = "allowed_lateness_hours = 2400\n"


@dataclass
class Timing:
    """Batches of one size at one size of the state; seconds: from messages in hand to rows."""

    live_sessions: int
    batch: int
    events_per_second: float
    events_per_core_second: float
    p50_s: float
    p99_s: float
    state_bytes_per_session: float


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("bench-data/stream"))
    parser.add_argument("--live", type=int, nargs="+", default=LIVE)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    make_events(options.folder, max(options.live))
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="work-") as work:
        timings = run(options.folder, Path(work), sorted(options.live))
    print(json.dumps(machine()) if options.json else machine())
    for timing in timings:
        print(json.dumps(vars(timing)) if options.json else _line(timing))


def make_events(folder: Path, live: int) -> None:
    """Events of a little more sessions than are to be live, once."""
    pageviews = round(1.2 * live / SESSIONS_PER_PAGEVIEW) + 200_000
    facts = folder / "facts.json"
    if facts.exists() and json.loads(facts.read_text(encoding="utf-8"))["pageviews"] >= pageviews:
        return
    generate = [sys.executable, str(HERE / "generate.py"), str(folder)]
    subprocess.run([*generate, "--pageviews", str(pageviews)], check=True)


def run(folder: Path, work: Path, live: list[int]) -> list[Timing]:
    """The timings at each number of live sessions, in order."""
    config = work / "attribeam.toml"
    given = (folder / "attribeam.toml").read_text(encoding="utf-8")
    config.write_text(NEVER_LATE + given, encoding="utf-8")
    stream = LocalStream(work / "state", load_config(config), bytes(32), "benchmark")
    sink = LocalSink(work / "warehouse")
    messages = read_messages(folder)
    timings = []
    for wanted in live:
        while live_sessions(stream) < wanted:
            take(stream, sink, list(islice(messages, FILLING)))
        for batch, times in TIMED.items():
            timings.append(
                timed(stream, sink, [list(islice(messages, batch)) for _ in range(times)])
            )
            print(_line(timings[-1]), file=sys.stderr, flush=True)
    stream.close()
    return timings


def timed(stream: LocalStream, sink: LocalSink, batches: list[list[Message]]) -> Timing:
    """Takes batches, with the time that each takes."""
    began = time.process_time()
    seconds = [take(stream, sink, batch) for batch in batches]
    cores = time.process_time() - began
    events = sum(len(batch) for batch in batches)
    live = live_sessions(stream)
    return Timing(
        live,
        len(batches[0]),
        events / sum(seconds),
        events / cores,
        median(seconds),
        sorted(seconds)[round(0.99 * (len(seconds) - 1))],
        stream.store.size_bytes() / live,
    )


def take(stream: LocalStream, sink: LocalSink, messages: list[Message]) -> float:
    """Takes a batch and ships its rows; the seconds that it took."""
    began = time.perf_counter()
    stream.take(messages, time.time_ns() // 1000, backlog=False)
    stream.outbox.ship(sink, stream.report())
    return time.perf_counter() - began


def live_sessions(stream: LocalStream) -> int:
    """How many sessions the state knows."""
    query = (
        'SELECT COUNT(*) FROM (SELECT part FROM "sessions.written.due" '
        'UNION SELECT part FROM "sessions.pending.due")'
    )
    return int(stream.store.database.execute(query).fetchone()[0])


def read_messages(folder: Path) -> Iterator[Message]:
    """The events of all files in the order of their time, one a message."""
    streams = []
    for name, kind in KINDS.items():
        streams.append(_typed(sorted(folder.glob(f"{name}*.jsonl")), kind.encode()))
    now = time.time_ns() // 1000
    for number, (_, line) in enumerate(heapq.merge(*streams)):
        yield Message(str(number), line, now, "")


def _typed(files: list[Path], kind: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(time as text, line with its type) of each line, in order; files follow one another."""
    for file in files:
        lines = file.read_bytes().splitlines()
        timed_lines = sorted((_time(line), line) for line in lines)
        yield from ((when, b'{"type":"%s",' % kind + line[1:]) for when, line in timed_lines)


def _time(line: bytes) -> bytes:
    found = TIME.search(line)
    assert found, "an event of the benchmark has a time"
    return found[1]


def _line(timing: Timing) -> str:
    values: dict[str, Any] = vars(timing)
    return "  ".join(
        f"{name} {value:,.3f}".rstrip("0").rstrip(".") for name, value in values.items()
    )


if __name__ == "__main__":
    main()
