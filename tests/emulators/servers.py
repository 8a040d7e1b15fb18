"""Real counterparts of Google's services, for tests and the local stream.

A server's binary is built once, from the Go module beside this file, into a folder of the user's
cache that is named by what the module says; servers listen on the loopback address alone.
`python tests/emulators/servers.py` builds all.
"""

import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

MODULE = Path(__file__).parent
PACKAGES = {
    "pubsub": "./pubsub",
    "bigquery": "github.com/goccy/bigquery-emulator/cmd/bigquery-emulator",
}
STOP_SECONDS = 10


class EmulatorMissing(RuntimeError):
    """A server is not built and cannot be built here, or does not start; the message says why."""


@dataclass(frozen=True)
class BigQueryAddresses:
    """Where a BigQuery server answers: REST with its scheme, gRPC as host:port."""

    project: str
    rest: str
    grpc: str


@contextmanager
def pubsub_server(
    port: int = 0,
    topic: str | None = None,
    subscription: str | None = None,
    ack_deadline_seconds: int = 10,
) -> Iterator[str]:
    """A Pub/Sub server; gives its address for PUBSUB_EMULATOR_HOST.

    It may begin with a topic and a subscription of it, and takes no deadline below the one given.
    All is in memory: a server that is started again holds nothing and counts message ids from m0
    again, so acknowledge what is held before it is stopped. It keeps every message it ever had.
    """
    flags = [f"-port={port}", f"-ack-deadline-seconds={ack_deadline_seconds}"]
    flags += [f"-topic={topic}"] if topic else []
    flags += [f"-subscription={subscription}"] if subscription else []
    with _running([str(binary("pubsub")), *flags], lines=1) as [address]:
        yield address


@contextmanager
def bigquery_server(project: str = "test") -> Iterator[BigQueryAddresses]:
    """A BigQuery server for one project, empty; its data is gone when it ends.

    Its REST port is chosen here: with port 0 it sends uploads to port 0.
    """
    rest_port = f"--port={_free_port()}"
    flags = [f"--project={project}", "--host=127.0.0.1", rest_port, "--grpc-port=0"]
    with _running([str(binary("bigquery")), *flags], lines=2) as printed:
        rest, grpc = (re.sub(r".* ", "", line) for line in printed)
        yield BigQueryAddresses(project, f"http://{rest}", grpc)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def binary(name: str) -> Path:
    """The path of a server's binary, which is built where it is not in the cache yet.

    Raises:
        EmulatorMissing: There is no Go, or it cannot build the server.
    """
    built = _cache() / name
    if built.exists():
        return built
    go = shutil.which("go")
    if go is None:
        raise EmulatorMissing(f"the {name} server needs Go to be built: install Go 1.25 or later")
    built.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(built.with_suffix(".lock")):
        if not built.exists():
            _build(go, name, built)
    return built


def _build(go: str, name: str, built: Path) -> None:
    # Aside, then moved: whoever finds the name finds a whole binary.
    with tempfile.TemporaryDirectory(dir=built.parent) as aside:
        made = Path(aside) / name
        done = subprocess.run(
            [go, "build", "-trimpath", "-ldflags=-s -w", "-o", made, PACKAGES[name]],
            cwd=MODULE,
            env=os.environ | {"CGO_ENABLED": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode:
            why = done.stdout.strip()[-1000:]
            raise EmulatorMissing(f"Go could not build the {name} server: {why}")
        made.rename(built)


def _cache() -> Path:
    """A folder of the user's cache for this state of the Go module."""
    files = [MODULE / "go.mod", MODULE / "go.sum", *sorted(MODULE.glob("*/*.go"))]
    state = hashlib.sha256()
    for file in files:
        state.update(f"{file.relative_to(MODULE)}\0".encode() + file.read_bytes())
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "attribeam" / "emulators" / state.hexdigest()[:16]


@contextmanager
def _running(command: Sequence[str], lines: int) -> Iterator[list[str]]:
    """A process and the first lines it prints, which say where it listens."""
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            printed = [process.stdout.readline().strip() for _ in range(lines)]
            if not all(printed):
                errors.seek(0)
                why = errors.read().strip()[-1000:]
                raise EmulatorMissing(f"{Path(command[0]).name} server did not start: {why}")
            yield printed
        finally:
            _stop(process)


def _stop(process: "subprocess.Popen[str]") -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()


def main() -> None:
    """Builds all servers and prints where they are."""
    for name in PACKAGES:
        print(f"{name}: in the cache or built, which takes minutes once …", file=sys.stderr)
        try:
            print(binary(name))
        except EmulatorMissing as missing:
            sys.exit(f"emulators: {missing}")


if __name__ == "__main__":
    main()
