"""Faults: a stream that is killed, fails and is fed badly, until so many faults have happened.

PYTHONPATH=.:tests python -m faults.run [--faults 200] [--seed 1] [--calls 3000]

Each life of the stream is a process of its own. At the end the warehouse must hold the rows of a
backfill of the same events: no conversion missing, none twice, and a ledger that adds up.
"""

import argparse
import json
import os
import pickle
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
from faults.channel import ACKNOWLEDGED, MESSAGES, tell, told
from faults.events import arrivals, messages
from faults.life import KEY, OUTPUT, POINTS, STATE, Life
from pure import run_flow
from stream_runs import assert_latest, assert_no_double, warehouse_rows

from pipelines.ledger import imbalances
from pipelines.warehouse import REPORT
from schemas.config import parse_config
from transforms.settings import DAY

ROOT = Path(__file__).resolve().parents[2]
DEATHS = ("killed", "sink", "full disks")
PULLS_PER_FAULT = 3
LONGEST_LIFE_SECONDS = 300


class FaultRun:
    """A run in a folder: lives of one stream, one after another, from a seed."""

    def __init__(self, folder: Path, calls: int, faults: int, seed: int) -> None:
        self.folder, self.faults, self.seed = folder, faults, seed
        self.draw = random.Random(seed)
        self.events = arrivals(calls, seed)
        come = messages(self.events, seed)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MESSAGES).write_bytes(pickle.dumps(come))
        self.pace = max(1, len(come) // (PULLS_PER_FAULT * faults))
        self.lives = 0

    def run(self) -> dict[str, Any]:
        """Lives until there were faults enough, then to the end; the stream's last report."""
        waiting = _born()
        while self.count() < self.faults:
            life = self._next_life()
            process, waiting = waiting, _born()
            self._live(process, life)
        last = Life(str(self.folder), self.seed, 10 * self.pace, 0, is_last=True)
        report, errors = self._live(waiting, last)
        assert waiting.returncode == 0, errors
        return json.loads(report.splitlines()[-1])

    def count(self) -> int:
        """How often the stream was killed or failed."""
        return sum(n for what, n in told(self.folder).items() if what.startswith(DEATHS))

    def _next_life(self) -> Life:
        draw = self.draw
        self.lives += 1
        life = Life(str(self.folder), draw.randrange(1 << 30), self.pace, draw.randint(2, 8))
        kind = draw.random()
        if kind < 0.65:
            life.point = draw.choice(sorted(POINTS))
            life.when = draw.choice(("before", "after"))
            life.nth = draw.randint(1, 4)
        elif kind < 0.85:
            life.sink = f"{draw.choice(('busy', 'broken'))} {draw.choice(('before', 'after'))}"
            life.sink_nth = draw.randint(1, 3)
        elif kind < 0.93:
            life.disk_bytes = draw.choice((4, 16, 64, 256)) << 10
        return life

    def _live(self, process: "subprocess.Popen[str]", life: Life) -> tuple[str, str]:
        """Has a process live a life; a life without a fault of its own may be killed any time."""
        is_plain = not (life.point or life.sink or life.disk_bytes or life.is_last)
        process.stdin.write(life.line() + "\n")
        process.stdin.flush()
        try:
            seconds = 2 * self.draw.random() if is_plain else LONGEST_LIFE_SECONDS
            output, errors = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            assert is_plain, f"a life does not end: {life}"
            tell(self.folder, "killed at a random moment")
            process.kill()
            output, errors = process.communicate()
        unexpected = process.returncode not in (0, -9) and not (life.sink or life.disk_bytes)
        assert not unexpected, f"{life}: {errors}"
        assert "Traceback" not in errors, f"{life}: {errors}"
        return output, errors


def _born() -> "subprocess.Popen[str]":
    """A process that is ready for a life; importing takes a while."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    return subprocess.Popen(
        [sys.executable, "-m", "faults.life"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    )


def check(run: FaultRun, report: Mapping[str, Any]) -> None:
    """Asserts that nothing is missing, nothing double, and all accounted for."""
    lines = [line for _, line in run.events]
    output = run.folder / OUTPUT
    now = run.events[-1][0] + DAY
    expected, _ = run_flow([(None, lines)], parse_config({}), KEY, now)
    assert_no_double(output)
    assert_latest(output, expected)
    assert imbalances(dict(report)) == []
    assert report["rows"]["conversions"]["waiting"] == 0
    assert report["dead_letters"] == {}, report["dead_letters"]
    assert json.loads((output / REPORT).read_text())["ledger"] == report["ledger"]
    for strays in (STATE + "/outbox", OUTPUT + "/.staging"):
        assert list((run.folder / strays).glob("*")) == []


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--faults", type=int, default=200, help="kills and failures (200)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--calls", type=int, default=3000, help="about so many calls (3000)")
    parser.add_argument("--folder", type=Path, help="keep everything there")
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as aside:
        folder = options.folder or Path(aside)
        run = FaultRun(folder, options.calls, options.faults, options.seed)
        report = run.run()
        check(run, report)
        _print(run, report, time.monotonic() - began)


def _print(run: FaultRun, report: Mapping[str, Any], seconds: float) -> None:
    counts = told(run.folder)
    for what, count in sorted(counts.items()):
        print(f"{count:6} {what}")
    read: Counter[str] = Counter()
    for of in report["ledger"].values():
        read.update(of)
    rows = warehouse_rows(run.folder / OUTPUT)["conversions"]
    again = len((run.folder / ACKNOWLEDGED).read_text().split())
    print(
        f"{run.count()} faults in {run.lives + 1} lives, {seconds:.0f} s: "
        f"{len(run.events):,} events, {read['read']:,} read ({again:,} messages acknowledged), "
        f"{rows['conversion_id'].n_unique():,} calls in {rows.height:,} revisions; "
        "nothing is missing, nothing double, the ledger adds up"
    )


if __name__ == "__main__":
    pl.Config.set_tbl_rows(20)
    main()
