"""What may not be read or written is named; nothing personal is written."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from cli_runs import (
    PERSONAL,
    SECRET,
    Command,
    Outcome,
    Place,
    assert_refused,
    real,
)

from pipelines.warehouse import LocalWarehouse


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that every user may enter, which pytest's are not."""
    folder = Path(tempfile.mkdtemp(prefix="attribeam-test-"))
    folder.chmod(0o755)
    yield folder
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(folder)


AS_NOBODY = """
import contextlib, os, sys
from pipelines.cli import main
both = sys.argv[1:]
between = both.index("--")
with contextlib.redirect_stdout(None):
    try:
        main(both[:between])
    except SystemExit as ended:
        print("is cold" if ended.code else "is warm", file=sys.stderr)
os.getuid() or os.setuid(65534)
main(both[between + 1 :])
"""


def as_nobody(warm: list[str], arguments: list[str]) -> Outcome:
    """Runs a command as a user without privileges.

    The process runs it elsewhere with all of them first (`warm`), so that everything it needs is
    loaded: Python itself may stand where nobody else may read.
    """
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, *warm, "--", *arguments],
        env=os.environ | {"ATTRIBEAM_KEY": SECRET, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "is warm" in done.stderr, done.stderr
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("name", ["warehouse", "new"])
def test_an_output_that_may_not_be_written_is_named(
    name: str, place: Place, made: Path, public: Path
) -> None:
    """Exit 1 for a warehouse and for a new folder in a place without permission."""
    warm, place = place, Place(Path(shutil.copytree(made, public / "place")))
    output = place.folder / name
    before = place.contents()
    allow(place.folder, files=0o444, folders=0o555)
    done = as_nobody(warm.backfill(), place.backfill(output=output))
    message = assert_refused(done, place, before, 1)
    assert "no permission to write there" in message
    assert str(output) in message


def test_an_input_that_may_not_be_read_is_named(place: Place, made: Path, public: Path) -> None:
    """Exit 1 with the file and the reason."""
    warm, place = place, Place(Path(shutil.copytree(made, public / "place")))
    allow(place.folder, files=0o666, folders=0o777)
    place.calls.chmod(0o000)
    before = place.contents()
    done = as_nobody(warm.backfill(), place.backfill())
    message = assert_refused(done, place, before, 1)
    assert f"{place.calls}: cannot be read: Permission denied" in message


def test_a_report_that_may_not_be_written_is_named(place: Place, made: Path, public: Path) -> None:
    """Exit 1: a warehouse may be read without being written, so the report must go elsewhere."""
    warm, place = place, Place(Path(shutil.copytree(made, public / "place")))
    allow(place.folder, files=0o444, folders=0o555)
    before = place.contents()
    done = as_nobody(*(["report", "--output", str(one.output)] for one in (warm, place)))
    message = assert_refused(done, place, before, 1)
    assert "report.html: the report cannot be written there (Permission denied)" in message


def allow(folder: Path, files: int, folders: int) -> None:
    for path in [folder, *folder.rglob("*")]:
        path.chmod(folders if path.is_dir() else files)


def test_an_output_that_is_a_file_is_refused(place: Place, attribeam: Command) -> None:
    """Exit 1: --output names a folder."""
    before = place.contents()
    done = attribeam(*place.backfill(output=place.calls))
    assert "--output must name a folder" in assert_refused(done, place, before, 1)


def test_an_output_that_another_run_writes_is_refused(place: Place) -> None:
    """Exit 1: the message says who holds the warehouse."""
    with LocalWarehouse(place.output).open_run():
        before = place.contents()
        done = real(*place.backfill())
        message = assert_refused(done, place, before, 1)
    assert f"process {os.getpid()} on" in message


def test_the_rows_hold_no_raw_personal_value(place: Place) -> None:
    """Neither a number nor an address that was sent stands in any file of the warehouse."""
    with duckdb.connect(str(place.output / "warehouse.duckdb"), read_only=True) as warehouse:
        told = "".join(
            str(warehouse.sql(f"SELECT * FROM {table}").fetchall())
            for table in ("conversions", "sessions", "displays", "dead_letters")
        )
    assert "+45…20" in told
    for value in PERSONAL:
        assert value not in told
    report = (place.output / "run_report.json").read_text()
    assert not [value for value in PERSONAL if value in report]
