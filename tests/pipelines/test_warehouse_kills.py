"""Runs of the local warehouse that are killed in the middle of their commit."""

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from table_rows import DAY, table_rows
from warehouse_runs import NEXT, backfill, call, calls_in, conversions, covered, staged_keys

from pipelines import journal
from pipelines.warehouse import LocalWarehouse
from schemas.tables import DISPLAYS, SESSIONS, TABLES

Rows = dict[str, list[tuple[Any, ...]]]
CHILD = """
import os, signal, sys
from pathlib import Path
from pipelines.warehouse import LocalWarehouse, write_rows
from schemas.tables import TABLES
import test_warehouse_kills

WATCHED = {"open", "os.link", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"}

def commit(folder, last):
    steps = 0
    def hook(event, arguments):
        nonlocal steps
        if event in WATCHED and str(folder) in str(arguments[0]):
            steps += 1
            if steps == last:
                os.kill(os.getpid(), signal.SIGKILL)
    rows, replaced = test_warehouse_kills.second_run()
    with LocalWarehouse(folder).open_run() as run:
        for name, part in rows.items():
            write_rows(run.staging, TABLES[name], part, "part")
        sys.addaudithook(hook)
        run.commit(replaced, {"run": 2})
    return steps

for argument in sys.argv[1:]:
    folder, _, last = argument.rpartition(":")
    # Nothing has started a thread yet, so a fork is as good as a new process, and quicker.
    if os.fork() == 0:
        print(commit(Path(folder), int(last)), flush=True)
        os._exit(0)
    os.wait()
"""


def killed_commits(runs: dict[Path, int]) -> list[int]:
    """Commits the second run in each folder, by a process that is killed at that step of it.

    A step is what Python does to the file system, as its audit events tell: opening a file,
    linking, making, renaming or removing a name. Returns the steps of commits that were not killed.
    """
    here = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *(f"{folder}:{last}" for folder, last in runs.items())],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([*sys.path, here])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [int(line) for line in done.stdout.split()]


def first_run() -> dict[str, pl.DataFrame]:
    """What the warehouse holds before: two accounts, two days, two tables."""
    sessions = [{"session_id": "s1"}, {"session_id": "s2", "account": "bank"}]
    return {
        **conversions(call("1"), call("1", "bank"), call("2", day=NEXT)),
        "sessions": table_rows(SESSIONS, *sessions),
    }


def second_run() -> tuple[dict[str, pl.DataFrame], pl.DataFrame]:
    """A run that merges into a day, takes one away, adds one and adds a table."""
    rows = {
        **conversions(call("3"), call("4", day=NEXT + dt.timedelta(days=1))),
        "displays": table_rows(DISPLAYS, {"session_id": "s1"}),
    }
    gone = [
        covered("conversions", "shop", DAY, NEXT),
        covered("sessions", "bank", DAY),
    ]
    return rows, pl.concat([staged_keys(rows), *gone]).unique()


def everything(folder: Path) -> Rows:
    """All rows of all tables, and the report."""
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        rows = {
            name: connection.execute(
                f"SELECT account, {TABLES[name].partition}, columns('call_id|session_id') "
                f"FROM {name} ORDER BY ALL"
            ).fetchall()
            for name in ("conversions", "sessions", "displays")
        }
    return rows | {"report": [((folder / "run_report.json").read_text(),)]}


def test_a_run_killed_at_any_step_leaves_the_old_or_the_new_warehouse(tmp_path: Path) -> None:
    """SIGKILL at every step of a commit: a reader then finds all old or all new, and never both."""
    backfill(tmp_path / "start", first_run(), report={"run": 1})
    old = everything(tmp_path / "start")
    shutil.copytree(tmp_path / "start", tmp_path / "whole")
    (steps,) = killed_commits({tmp_path / "whole": 0})
    new = everything(tmp_path / "whole")
    assert new != old
    folders = {tmp_path / f"killed-{step}": step for step in range(1, steps + 1)}
    for folder in folders:
        shutil.copytree(tmp_path / "start", folder)
    assert killed_commits(folders) == []
    is_new = [_after_kill(folder, old, new) for folder in folders]
    assert is_new == sorted(is_new)
    assert set(is_new) == {False, True}


def _after_kill(folder: Path, old: Rows, new: Rows) -> bool:
    """Checks what readers and the next run find after a kill; true where it is the new rows."""
    is_decided = (folder / ".staging" / "journal.json").exists()
    if not is_decided:
        assert everything(folder) in (old, new)
    LocalWarehouse(folder).recover()
    found = everything(folder)
    assert found in (old, new)
    assert found == new or not is_decided
    with LocalWarehouse(folder).open_run():
        pass
    assert everything(folder) == found
    assert not (folder / ".staging").exists()
    return found == new


def test_the_next_run_works_after_a_killed_one(tmp_path: Path) -> None:
    """Whatever a killed run left, the same run again leaves what it would have left alone."""
    for name in ("killed", "other"):
        backfill(tmp_path / name, first_run(), report={"run": 1})
    killed_commits({tmp_path / "killed": 20})
    killed_commits({tmp_path / "killed": 0, tmp_path / "other": 0})
    assert everything(tmp_path / "killed") == everything(tmp_path / "other")


def test_a_commit_that_is_interrupted_once_decided_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupt while files are moved does not stop half-way: what was decided is done."""
    backfill(tmp_path, first_run(), report={"run": 1})
    move, moves = journal.move_path, []

    def interrupted(source: Path, target: Path) -> None:
        moves.append(target)
        if len(moves) == 3:
            raise KeyboardInterrupt
        move(source, target)

    monkeypatch.setattr(journal, "move_path", interrupted)
    rows, replaced = second_run()
    with pytest.raises(KeyboardInterrupt):
        backfill(tmp_path, rows, replaced, {"run": 2})
    assert json.loads((tmp_path / "run_report.json").read_text()) == {"run": 2}
    assert ("shop", "3", DAY) in calls_in(tmp_path)
    assert not (tmp_path / ".staging").exists()
