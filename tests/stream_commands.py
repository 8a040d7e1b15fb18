"""`attribeam stream` as a process beside a test, and what is published to it."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emulators.topics import Topic

# Far more than anything awaited takes on a busy machine; nothing waits for its end.
LIMIT_SECONDS = 240


class Running:
    """A stream that is running; what it prints goes to files."""

    def __init__(self, folder: Path, topic: Topic | None, *options: str, **env: str) -> None:
        self.output = folder / "output"
        self.state = self.output / ".stream"
        subscription = topic.subscription if topic else "projects/test/subscriptions/none"
        command = [sys.executable, "-m", "pipelines.cli", "stream", "--json"]
        command += ["--subscription", subscription, "--output", str(self.output), *options]
        address = {"PUBSUB_EMULATOR_HOST": topic.address} if topic else {}
        self._said, self._printed = folder / "stderr", folder / "stdout"
        with self._said.open("ab") as errors, self._printed.open("wb") as printed:
            self.process = subprocess.Popen(
                command, stdout=printed, stderr=errors, env=os.environ | address | env
            )

    def wait(self, seconds: float = LIMIT_SECONDS) -> int:
        """The exit code, once it has ended."""
        return self.process.wait(seconds)

    def stop(self) -> int:
        """The exit code after a SIGTERM."""
        self.process.terminate()
        return self.wait()

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    def said(self) -> str:
        """All that streams in this folder have logged."""
        return self._said.read_text()

    def report(self) -> dict[str, Any]:
        """The report that it printed."""
        return json.loads(self._printed.read_text())

    def until(self, holds: Callable[[], Any]) -> None:
        """Waits until something holds; fails where the stream ends before."""
        end = time.monotonic() + LIMIT_SECONDS
        while not holds():
            assert self.process.poll() is None, f"it has ended: {self.said()}"
            assert time.monotonic() < end, f"it never came to hold: {self.said()}"
            time.sleep(0.05)


@contextmanager
def running(folder: Path, topic: Topic | None, *options: str, **env: str) -> Iterator[Running]:
    """A stream that does not outlive the test."""
    stream = Running(folder, topic, *options, **env)
    try:
        yield stream
    finally:
        if stream.process.poll() is None:
            stream.kill()


def drained(folder: Path, topic: Topic, *options: str, **env: str) -> dict[str, Any]:
    """The report of a run that ends when nothing more comes."""
    with running(folder, topic, "--drain", *options, **env) as stream:
        assert stream.wait() == 0, stream.said()
        return stream.report()


def in_messages(lines: Sequence[bytes], draw: random.Random) -> list[bytes]:
    """Lines in any order, in messages of one line up to a hundred; a tenth of them comes twice."""
    shuffled = draw.sample(lines, len(lines))
    made = []
    while shuffled:
        size = draw.choice((1, 1, 5, 100))
        made.append(b"\n".join(shuffled[:size]))
        del shuffled[:size]
    made += draw.sample(made, len(made) // 10)
    return draw.sample(made, len(made))
