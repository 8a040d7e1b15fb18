"""make stream-demo: the example events through a real Pub/Sub server, calls and revisions shown.

python scripts/stream_demo.py FOLDER [--speed N]

The server of tests/emulators is started (Go builds it once), the events are published in their
order, some of them late, and `attribeam stream` attributes them into FOLDER/stream.
"""

import argparse
import os
import runpy
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
from rich.console import Console

from pipelines.demo import KEY_NAME, make_key
from pipelines.views import DATABASE

# The servers are the tests' own, which are no installed package.
SERVERS = runpy.run_path("tests/emulators/servers.py")
TOPIC, SUBSCRIPTION = "projects/demo/topics/events", "projects/demo/subscriptions/attribeam"
DELAY_MINUTES = 40
NEW_ROWS = """
    SELECT emitted_at, call_start, call_id, revision, status, reason, probability,
           source || '/' || medium AS came_from
    FROM conversions WHERE emitted_at > ? AND NOT is_superseded ORDER BY emitted_at, call_start
"""
Row = dict[str, Any]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--speed", type=float, default=12_000, help="seconds of events a second")
    options = parser.parse_args()
    try:
        run(options.folder, options.speed)
    except SERVERS["EmulatorMissing"] as missing:
        sys.exit(f"stream-demo: {missing}")


def run(folder: Path, speed: float) -> None:
    """Publishes, attributes and shows, until nothing more comes."""
    events, output = folder / "events", folder / "stream"
    make_key(folder / KEY_NAME)
    _python("scripts/make_examples.py", "--output", str(events)).wait()
    shutil.rmtree(output, ignore_errors=True)
    console = Console(highlight=False)
    with SERVERS["pubsub_server"](topic=TOPIC, subscription=SUBSCRIPTION) as address:
        os.environ |= {"PUBSUB_EMULATOR_HOST": address, "ATTRIBEAM_LOG": "WARNING"}
        console.print(
            f"Events come {speed:,.0f} times as fast as they happened, up to {DELAY_MINUTES} "
            "minutes late.\nA call is written when the watermark passes its start, and again when "
            "late events change its row:"
        )
        publish = ["--events", str(events), "--topic", TOPIC, "--speed", str(speed)]
        delayed = ["--delay-minutes", str(DELAY_MINUTES)]
        stream = ["stream", "--subscription", SUBSCRIPTION, "--output", str(output)]
        configured = ["--config", str(events / "attribeam.toml"), "--drain"]
        with (
            _ended(_python("scripts/publish_examples.py", *publish, *delayed)),
            _ended(_python("-m", "pipelines.cli", *stream, *configured)) as attribeam,
        ):
            show(console, output / DATABASE, attribeam)
    console.print(f"The same rows as of a backfill are in {output / DATABASE}")


def show(console: Console, database: Path, stream: subprocess.Popen[bytes]) -> None:
    """Shows rows as they arrive, until the stream has ended."""
    known: dict[str, Row] = {}
    last = datetime(1970, 1, 1, tzinfo=UTC)
    is_running, revised = True, 0
    while is_running:
        is_running = stream.poll() is None
        for row in new_rows(database, last):
            last = row["emitted_at"]
            console.print(told(row, known.get(row["call_id"])), soft_wrap=True)
            revised += row["call_id"] in known
            known[row["call_id"]] = row
        time.sleep(0.5)
    console.print(f"{len(known)} calls, {revised} revisions")


def new_rows(database: Path, since: datetime) -> list[Row]:
    """The rows of conversions written after a moment."""
    if not database.exists():
        return []
    with duckdb.connect(str(database), read_only=True) as warehouse:
        result = warehouse.execute(NEW_ROWS, [since])
        names = [column[0] for column in result.description or ()]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def told(row: Row, before: Row | None) -> str:
    """A row as a line; of a revision also what was said before."""
    start = f"{row['call_start'].astimezone(UTC):%d %H:%M}"
    line = f"{start}  {row['call_id'][:12]:12}  revision {row['revision']}  {_verdict(row)}"
    if before is None:
        return line
    return f"[bold]{line}[/bold]  (was {_verdict(before)})"


def _verdict(row: Row) -> str:
    share = "" if row["probability"] is None else f" {row['probability']:.2f}"
    return f"{row['reason']}{share} {row['came_from'] or ''}".rstrip()


def _python(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that does not outlive the demo."""
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
