"""Moving finished files into place, so that whoever comes next finishes or undoes a killed run.

A commit first writes all new files aside, then this journal, and only then moves. The journal says
what to move where; every move can be repeated, so finishing is doing the whole list again.
"""

import json
import os
import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

STAGING = ".staging"
JOURNAL = "journal.json"
RETIRED = ".retired"


@dataclass(frozen=True)
class Move:
    """Puts a run's path in place of the warehouse's; without `fresh` only takes the old away."""

    path: str
    fresh: bool = True


def journal_path(folder: Path) -> Path:
    """Where the journal of a warehouse lies while a commit is under way."""
    return folder / STAGING / JOURNAL


def write_journal(folder: Path, run: str, moves: list[Move]) -> None:
    """Decides a commit: from here on the new files count, even if the process dies.

    The new files reach the disk before the journal, and the journal is whole or absent.
    """
    fresh = [folder / STAGING / run / move.path for move in moves if move.fresh]
    _sync(path for new in fresh for path in (new, *new.glob("*")))
    text = json.dumps({"run": run, "moves": [asdict(move) for move in moves]})
    aside = folder / STAGING / f"{JOURNAL}.new"
    aside.write_text(text, encoding="utf-8")
    _sync([aside])
    move_path(aside, journal_path(folder))
    _sync([folder / STAGING])


def finish(folder: Path) -> None:
    """Does what the journal says, as often as needed, then removes it."""
    if not journal_path(folder).exists():
        return
    entry = json.loads(journal_path(folder).read_text(encoding="utf-8"))
    run = folder / STAGING / entry["run"]
    moves = [Move(**move) for move in entry["moves"]]
    for move in moves:
        _apply(folder, run, move)
    _sync({folder, *((folder / move.path).parent for move in moves)})
    journal_path(folder).unlink()


def clear(folder: Path) -> None:
    """Removes what a run left aside: what it did not commit, and what its commit replaced."""
    shutil.rmtree(folder / STAGING, ignore_errors=True)


def move_path(source: Path, target: Path) -> None:
    """One atomic step; a file replaces the file that is there."""
    os.replace(source, target)


def _apply(folder: Path, run: Path, move: Move) -> None:
    """One move. What is already done is told by what is where, so it can be repeated."""
    fresh, place, retired = run / move.path, folder / move.path, run / RETIRED / move.path
    pending = fresh.exists() if move.fresh else not retired.exists()
    if not pending:
        return
    if place.is_dir() or (place.exists() and not move.fresh):
        retired.parent.mkdir(parents=True, exist_ok=True)
        move_path(place, retired)
    if move.fresh:
        place.parent.mkdir(parents=True, exist_ok=True)
        move_path(fresh, place)


def _sync(paths: Iterable[Path]) -> None:
    """Makes files and folders survive a power cut."""
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(sync_path, paths))


def sync_path(path: Path) -> None:
    """Makes a file or folder survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
