"""Runs of the command line for tests, and what must hold of those that fail."""

import base64
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oracle.cases import CALLER, B, call, form, page
from tables import KEY, T

from transforms.settings import DAY

SECRET = base64.b64encode(KEY).decode()
ADDRESS = "anna.andersen@example.dk"
# What no message may hold: numbers and addresses as sent and as normalised, and the key.
PERSONAL = ("20202020", "20 20 20 20", "4020304", ADDRESS, "anna", "192.0.2.77", SECRET)
EVENTS = [
    page("v", 0, B, session_id="s", ip="192.0.2.77"),
    form("v", 1, "20 20 20 20", fields={"phone": "20 20 20 20", "email": ADDRESS, "name": "anna"}),
    call("c1", 2, a_number=CALLER),
    call("c2", DAY, a_number="+4540203040"),
]
BAD_CALL = {"type": "call", "account": "a", "call_id": 7.5, "a_number": CALLER, "email": ADDRESS}
NOW = f"{(T + 10 * DAY) // 1_000_000}"


@dataclass
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        """What it says went wrong; notes of progress and warnings are left out."""
        return [line for line in self.err.splitlines() if "error: " in line]


Command = Callable[..., Outcome]


def jsonl(path: Path, kind: str, *more: bytes) -> Path:
    """Writes the events of a kind, and more lines, as a file; packed where its name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    found = [json.dumps(event).encode() for event in EVENTS if event["type"] == kind]
    data = b"".join(line + b"\n" for line in [*found, *more])
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@dataclass
class Place:
    """Good input files and a warehouse that holds rows."""

    folder: Path

    @property
    def pageviews(self) -> Path:
        return self.folder / "pageviews.jsonl"

    @property
    def calls(self) -> Path:
        return self.folder / "calls.jsonl"

    @property
    def output(self) -> Path:
        return self.folder / "warehouse"

    def backfill(self, **changed: Any) -> list[str]:
        """The arguments of a backfill; what is changed replaces a good one, None leaves it out."""
        given = {"pageviews": self.pageviews, "calls": self.calls, "output": self.output}
        given |= {"now": NOW, "short_history": True} | changed
        arguments = ["backfill"]
        for name, value in given.items():
            flag = "--" + name.replace("_", "-")
            if value is True:
                arguments.append(flag)
            elif value is not None:
                arguments += [flag, str(value)]
        return arguments

    def contents(self) -> dict[str, bytes]:
        """Every file of the warehouse but its lock, with its bytes."""
        files = [path for path in self.output.rglob("*") if path.is_file()]
        return {str(path): path.read_bytes() for path in files if path.name != ".lock"}


def real(*arguments: str | Path, **changed: str) -> Outcome:
    """Runs the real command in a process of its own."""
    known = {"ATTRIBEAM_KEY": SECRET, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *map(str, arguments)],
        env=os.environ | known | changed,
        capture_output=True,
        text=True,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def assert_refused(done: Outcome, place: Place, before: dict[str, bytes], code: int) -> str:
    """One message, the right code, nothing personal, nothing changed; the message."""
    assert done.code == code, done.err
    assert len(done.errors) == 1, done.err
    assert "Traceback" not in done.err
    assert done.out == ""
    for value in PERSONAL:
        assert value not in done.err
    assert place.contents() == before
    return done.errors[0]
