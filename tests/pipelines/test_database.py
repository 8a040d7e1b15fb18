"""warehouse.duckdb: its views find the rows beside it, wherever the folder lies."""

import datetime as dt
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from warehouse_runs import backfill, call, conversions

from pipelines.views import VIEWS, database_is_current, duckdb_type, write_database
from schemas.tables import CONVERSIONS, TABLES

POOL = {"status": "attributed", "method": "number_pool", "source": "google"}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory is not the warehouse's."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")


def query(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_every_view_is_there_and_empty_without_files(tmp_path: Path) -> None:
    """A warehouse without any rows has all tables and views, with their types."""
    write_database(tmp_path / "warehouse.duckdb")
    for name in (*TABLES, *VIEWS):
        assert query(tmp_path, f"SELECT * FROM {name}") == []
    for name, table in TABLES.items():
        described = query(
            tmp_path,
            "SELECT column_name, replace(replace(column_type, '\"', ''), ' WITH TIME ZONE', 'TZ') "
            f"FROM (DESCRIBE {name})",
        )
        assert described == [(column.name, duckdb_type(column)) for column in table.columns]


@pytest.mark.parametrize("name", ["plain", "with space", "a [odd] n*me", "quo'te"])
def test_the_folder_can_move_and_be_read_from_anywhere(tmp_path: Path, name: str) -> None:
    """Opened by its path from any working directory, before and after a move, it has its rows."""
    backfill(tmp_path / "old", conversions(call("1")))
    assert query(tmp_path / "old", "SELECT call_id FROM conversions_latest") == [("1",)]
    shutil.move(tmp_path / "old", tmp_path / name)
    assert query(tmp_path / name, "SELECT call_id FROM conversions_latest") == [("1",)]


def test_it_can_be_opened_by_a_relative_path(tmp_path: Path) -> None:
    """A relative path to the database serves as well as an absolute one."""
    backfill(tmp_path / "out", conversions(call("1")))
    with duckdb.connect("../out/warehouse.duckdb", read_only=True) as connection:
        assert connection.execute("SELECT call_id FROM conversions").fetchall() == [("1",)]


@pytest.fixture
def attached(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection without a database of its own to which a warehouse with call 1 is attached."""
    backfill(tmp_path / "out", conversions(call("1")))
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{tmp_path}/out/warehouse.duckdb' AS w (READ_ONLY)")
        yield connection


def test_attached_it_reads_from_the_working_directory(
    tmp_path: Path, attached: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attached to another connection it counts paths from the working directory, or fails."""
    with pytest.raises(duckdb.InvalidInputException, match="SET VARIABLE attribeam_folder"):
        attached.execute("SELECT COUNT(*) FROM w.conversions")
    monkeypatch.chdir(tmp_path / "out")
    assert attached.execute("SELECT call_id FROM w.conversions_latest").fetchall() == [("1",)]


def test_attached_it_can_be_told_where_it_is(
    tmp_path: Path, attached: duckdb.DuckDBPyConnection
) -> None:
    """`SET VARIABLE attribeam_folder` says where an attached warehouse lies."""
    attached.execute(f"SET VARIABLE attribeam_folder = '{tmp_path}/out'")
    assert attached.execute("SELECT call_id FROM w.conversions_latest").fetchall() == [("1",)]


def test_an_open_connection_sees_the_next_run(tmp_path: Path) -> None:
    """A BI tool that keeps the database open reads the new days without opening it again."""
    backfill(tmp_path / "out", conversions(call("1")))
    with duckdb.connect(str(tmp_path / "out/warehouse.duckdb"), read_only=True) as connection:
        backfill(tmp_path / "out", conversions(call("2")))
        assert connection.execute("SELECT call_id FROM conversions").fetchall() == [("2",)]


def test_the_database_is_only_rewritten_when_its_views_change(tmp_path: Path) -> None:
    """A current database keeps its file; one of other views, or a broken one, is replaced."""
    path = tmp_path / "out" / "warehouse.duckdb"
    backfill(tmp_path / "out", conversions(call("1")))
    first = path.stat().st_ino
    backfill(tmp_path / "out", conversions(call("2")))
    assert path.stat().st_ino == first
    path.write_bytes(b"broken")
    assert not database_is_current(path)
    backfill(tmp_path / "out", conversions(call("3")))
    assert query(tmp_path / "out", "SELECT call_id FROM conversions") == [("3",)]


def test_the_views_need_no_time_zone(tmp_path: Path) -> None:
    """Days are UTC days whatever zone the reader's machine is in."""
    late = dt.datetime(2025, 3, 1, 23, 30, tzinfo=dt.UTC)
    backfill(tmp_path / "out", conversions(call("1", call_start=late, **POOL)))
    script = (
        "import sys, duckdb; c = duckdb.connect(sys.argv[1], read_only=True)\n"
        "print(c.execute('SELECT day FROM conversions_by_source').fetchall())"
    )
    said = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "out" / "warehouse.duckdb"],
        env=os.environ | {"TZ": "Pacific/Kiritimati"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == "[(datetime.date(2025, 3, 1),)]\n"


def test_conversions_are_described_as_their_table(tmp_path: Path) -> None:
    """The views of tables have the tables' columns in the tables' order."""
    write_database(tmp_path / "warehouse.duckdb")
    described = query(tmp_path, "SELECT column_name FROM (DESCRIBE conversions_latest)")
    assert [name for (name,) in described] == [*CONVERSIONS.names, "is_final"]
