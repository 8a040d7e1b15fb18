"""The local warehouse: days of Parquet files and a DuckDB database of views (SPEC section 10).

A run writes aside and replaces the days it covers at the end, all or nothing (see journal.py).
"""

import json
import os
import shutil
import socket
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import filelock
import polars as pl
import pyarrow as pa

from pipelines import journal
from pipelines.journal import Move
from pipelines.output import OutputError, clear_output_errors
from pipelines.parquet import (
    count_rows,
    day_folder,
    read_columns,
    read_file,
    table_files,
    write_file,
    write_rows,
)
from pipelines.views import DATABASE, database_is_current, write_database
from schemas.columns import Table
from schemas.tables import DEAD_LETTERS, TABLES

__all__ = ["LocalWarehouse", "OutputError", "Run", "write_rows"]

LOCK = ".lock"
REPORT = "run_report.json"
READER_WAIT_SECONDS = 10.0
# Of files this small a day has at most so many that a stream appended, then they become one.
SMALL_BYTES = 4 << 20
SMALL_FILES = 32
APPENDED = "stream-"
COVERED = {"table": pl.String, "account": pl.String, "day": pl.Date}


class WarehouseHeld(OutputError):
    """Another run is writing to the warehouse; the message says who."""


class LocalWarehouse:
    """A folder with days of Parquet files, `warehouse.duckdb` and `run_report.json`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def open_run(self) -> Iterator["Run"]:
        """The one run that may write now; what it did not commit is gone when it ends.

        Finishes or cleans up what a killed run left. Raises OutputError where another run is
        writing or the folder cannot be written.
        """
        with clear_output_errors(self.folder):
            is_new = not self.folder.exists()
            with self._locked():
                try:
                    self._tidy()
                    yield Run(self.folder)
                finally:
                    self._tidy()
                    if is_new:
                        self._forget()

    def recover(self) -> None:
        """For readers: finishes the commit of a run that was killed in the middle of it.

        A run that is alive is given the moment that its commit takes.
        """
        if not journal.journal_path(self.folder).exists():
            return
        with clear_output_errors(self.folder):
            try:
                with filelock.FileLock(self.folder / LOCK, timeout=READER_WAIT_SECONDS):
                    self._tidy()
            except filelock.Timeout as error:
                raise _held(self.folder) from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(self.folder / LOCK, timeout=0)
        try:
            lock.acquire()
        except filelock.Timeout as error:
            raise _held(self.folder) from error
        try:
            holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": _now()}
            (self.folder / LOCK).write_text(json.dumps(holder), encoding="utf-8")
            yield
        finally:
            lock.release()

    def _tidy(self) -> None:
        """Leaves nothing of a run but what it committed, and that wholly."""
        journal.finish(self.folder)
        journal.clear(self.folder)

    def _forget(self) -> None:
        """Takes the folder away again where the run that made it committed nothing."""
        if {path.name for path in self.folder.iterdir()} <= {LOCK}:
            with suppress(OSError):
                (self.folder / LOCK).unlink()
                self.folder.rmdir()


class Run:
    """What one run has written aside, and the commit that puts it into place."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = uuid.uuid4().hex[:12]
        self.staging = folder / journal.STAGING / self.name
        self.staging.mkdir(parents=True)

    def staged(self) -> pl.DataFrame:
        """Rows written aside: table, account, day, rows."""
        return count_rows(self.staging)

    def existing(self) -> pl.DataFrame:
        """Rows in the warehouse as it stands: table, account, day, rows."""
        return count_rows(self.folder)

    def commit(self, replaced: pl.DataFrame, report: dict[str, Any]) -> None:
        """Replaces what the run covers (`replaced`: table, account, day) by what it staged.

        Rows of other accounts in the same days stay; a day with nothing left disappears. Dead
        letters are merged by their id instead. Raises ValueError where rows were staged that
        `replaced` does not cover: they would stand beside the old ones.
        """
        replaced = replaced.select(pl.col(name).cast(kind) for name, kind in COVERED.items())
        self._check_covered(replaced)
        moves = [move for table in TABLES.values() for move in self._complete(table, replaced)]
        self._put_in_place(moves, report)

    def _put_in_place(self, moves: list[Move], report: dict[str, Any]) -> None:
        if not database_is_current(self.folder / DATABASE):
            self._write_database()
            moves = [*moves, Move(DATABASE)]
        text = json.dumps(report, indent=2, ensure_ascii=False, default=str)
        (self.staging / REPORT).write_text(text + "\n", encoding="utf-8")
        journal.write_journal(self.folder, self.name, [*moves, Move(REPORT)])
        journal.finish(self.folder)

    def append(self, name: str, report: dict[str, Any]) -> None:
        """Puts the staged files, all named APPENDED + `name`, beside those that are there.

        Appending the same name again replaces what it appended. Small files of one day that were
        appended before become one.
        """
        fresh, gone = [], []
        for table in TABLES.values():
            for path in table_files(self.staging, table):
                place = path.relative_to(self.staging)
                fresh.append(Move(str(place)))
                small = _small_files(self.folder / place.parent, besides=place.name)
                if len(small) >= SMALL_FILES:
                    merged = path.with_name(f"{APPENDED}{name}-merged.parquet")
                    write_file(
                        merged, table, pa.concat_tables(read_file(file, table) for file in small)
                    )
                    fresh.append(Move(str(merged.relative_to(self.staging))))
                    gone += [Move(str(file.relative_to(self.folder)), False) for file in small]
        self._put_in_place([*fresh, *gone], report)

    def _write_database(self) -> None:
        """Stages the database. DuckDB reads all files that a new view finds: here it finds none."""
        apart = self.staging / "database"
        apart.mkdir()
        write_database(apart / DATABASE)
        journal.move_path(apart / DATABASE, self.staging / DATABASE)

    def _check_covered(self, replaced: pl.DataFrame) -> None:
        staged = self.staged().filter(pl.col("table") != DEAD_LETTERS.name)
        stray = staged.join(replaced, on=list(COVERED), how="anti", nulls_equal=True)
        if stray.height:
            raise ValueError(f"staged rows that the run does not replace: {stray.row(0)}")

    def _complete(self, table: Table, replaced: pl.DataFrame) -> list[Move]:
        """Adds to the staged days of a table the rows that stay, and says what to move."""
        going = _going(self.folder, self.staging, table, replaced)
        staged_days = {_day(path) for path in table_files(self.staging, table)}
        touched, work = [], []
        for day in sorted(staged_days | set(going)):
            files = sorted(day_folder(self.folder, table, day).glob("*.parquet"))
            stays = [
                _stays(file, table, going.get(day, pl.Series(dtype=pl.String))) for file in files
            ]
            if day not in staged_days and all(rows.all() for rows in stays):
                continue
            new = day_folder(self.staging, table, day)
            touched.append(new)
            work += [
                _keeper(file, new / f"kept-{self.name}-{number}.parquet", table, rows)
                for number, (file, rows) in enumerate(zip(files, stays, strict=True))
            ]
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            list(threads.map(lambda keep: keep(), work))
        return [Move(str(new.relative_to(self.staging)), fresh=new.exists()) for new in touched]


def _going(
    folder: Path, staging: Path, table: Table, replaced: pl.DataFrame
) -> dict[date, pl.Series]:
    """By day, the accounts (dead letters: the ids) whose old rows go."""
    if table is DEAD_LETTERS:
        ids = read_columns(table_files(staging, table), ["dead_letter_id"]).collect().to_series()
        days = {_day(path) for path in table_files(folder, table)}
        return dict.fromkeys(days, ids.unique()) if ids.len() else {}
    parts = replaced.filter(pl.col("table") == table.name).partition_by("day", as_dict=True)
    return {day: part["account"].unique() for (day,), part in parts.items()}


def _stays(file: Path, table: Table, going: pl.Series) -> pl.Series:
    """For each row of a file whether it stays."""
    key = "dead_letter_id" if table is DEAD_LETTERS else "account"
    keys = read_columns([file], [key]).collect().to_series()
    return ~keys.is_in(going.implode(), nulls_equal=True)


def _keeper(source: Path, target: Path, table: Table, stays: pl.Series) -> Callable[[], None]:
    """What carries the staying rows over: the file itself where all stay, nothing where none do."""
    if stays.all():
        return partial(_link, source, target)
    if stays.any():
        return partial(_filter, source, target, table, stays)
    return lambda: None


def _filter(source: Path, target: Path, table: Table, stays: pl.Series) -> None:
    write_file(target, table, read_file(source, table).filter(stays.to_arrow()))


def _link(source: Path, target: Path) -> None:
    """A second name of a file that never changes; a copy where the file system has none."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _small_files(folder: Path, besides: str) -> list[Path]:
    """The small files of a day that streams appended, by name."""
    files = (path for path in folder.glob(f"{APPENDED}*.parquet") if path.name != besides)
    return sorted(path for path in files if path.stat().st_size < SMALL_BYTES)


def _day(path: Path) -> date:
    return date.fromisoformat(path.parent.name.partition("=")[2])


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _held(folder: Path) -> WarehouseHeld:
    """Says who writes to the folder now."""
    try:
        holder = json.loads((folder / LOCK).read_text(encoding="utf-8"))
        who = f"process {holder['pid']} on {holder['host']} since {holder['since']}"
    except (OSError, ValueError, KeyError):
        who = "another process"
    return WarehouseHeld(
        f"{folder}: {who} is writing there; wait until it has ended or choose another --output"
    )
