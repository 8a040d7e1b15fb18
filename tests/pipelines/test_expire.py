"""attribeam expire: days whose time is over leave the local warehouse, wholly or not at all."""

import datetime as dt
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from table_rows import DAY, table_rows
from warehouse_runs import NEXT, backfill, call, calls_in, conversions, warehouse_files

from pipelines.cli import main
from pipelines.expire import expire
from pipelines.output import OutputError
from pipelines.warehouse import LocalWarehouse
from schemas.config import parse_config
from schemas.tables import DEAD_LETTERS, DISPLAYS

CONFIG = parse_config({"retention_days": 10, "accounts": {"bank": {"retention_days": 30}}})
CALLS = conversions(call("1"), call("2", "bank"), call("3", day=NEXT))


def at(days: float) -> int:
    """The moment so many days after DAY began, us."""
    return int((dt.datetime.combine(DAY, dt.time(), dt.UTC).timestamp() + days * 86_400) * 1e6)


def test_a_day_goes_when_its_time_is_over(tmp_path: Path) -> None:
    """retention_days after it began, not a microsecond before; the next day stays."""
    backfill(tmp_path, conversions(call("1"), call("3", day=NEXT)))
    before = warehouse_files(tmp_path)
    assert expire(tmp_path, CONFIG, at(10) - 1).text() == "nothing has expired"
    assert warehouse_files(tmp_path) == before
    gone = expire(tmp_path, CONFIG, at(10))
    assert gone.rows.rows() == [("conversions", "shop", DAY, 1)]
    assert calls_in(tmp_path) == [("shop", "3", NEXT)]
    assert not (tmp_path / "conversions" / f"call_date={DAY}").exists()


def test_each_account_has_its_own_time(tmp_path: Path) -> None:
    """Rows of other accounts in the same file stay as they are."""
    backfill(tmp_path, CALLS)
    expire(tmp_path, CONFIG, at(12))
    assert calls_in(tmp_path) == [("bank", "2", DAY)]
    expire(tmp_path, CONFIG, at(30))
    assert calls_in(tmp_path) == []


def test_every_table_expires(tmp_path: Path) -> None:
    """Displays and dead letters too, also those of no known account; the moment is said."""
    accounts = ("shop", None, "bank")
    letters = [{"dead_letter_id": str(n), "account": a} for n, a in enumerate(accounts)]
    rows = {
        "displays": table_rows(DISPLAYS, {}, {}),
        "dead_letters": table_rows(DEAD_LETTERS, *letters),
    }
    backfill(tmp_path, rows)
    gone = expire(tmp_path, CONFIG, at(11))
    assert gone.text().splitlines() == [
        f"dead_letters, no account: 1 rows of 1 days, {DAY} to {DAY}",
        f"dead_letters, shop: 1 rows of 1 days, {DAY} to {DAY}",
        f"displays, shop: 2 rows of 1 days, {DAY} to {DAY}",
    ]
    assert gone.json()["rows"] == 4
    with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT account FROM dead_letters").fetchall() == [("bank",)]


CHILD = """
import os, signal, sys
from pathlib import Path
from pipelines.expire import expire
from schemas.config import parse_config

folder, now, last = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
moves = 0
def hook(event, arguments):
    global moves
    if event == "os.rename" and str(folder) in str(arguments[0]):
        moves += 1
        if moves == last:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
settings = {"retention_days": 10, "accounts": {"bank": {"retention_days": 30}}}
expire(folder, parse_config(settings), now)
"""


@pytest.mark.parametrize(
    ("step", "left"),
    [
        (1, {("bank", "2", DAY), ("shop", "1", DAY), ("shop", "3", NEXT)}),
        (2, {("bank", "2", DAY)}),
        (3, {("bank", "2", DAY)}),
    ],
)
def test_a_killed_run_is_whole(tmp_path: Path, step: int, left: set[object]) -> None:
    """Before the journal's rename nothing has gone; after it whoever comes next finishes."""
    backfill(tmp_path, CALLS)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path), str(at(12)), str(step)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    LocalWarehouse(tmp_path).recover()
    assert {*calls_in(tmp_path)} == left


def test_a_folder_without_a_warehouse_is_told(tmp_path: Path) -> None:
    """Nothing is made there."""
    with pytest.raises(OutputError, match="no warehouse there"):
        expire(tmp_path / "none", CONFIG, at(12))
    assert [*tmp_path.iterdir()] == []


def test_the_command_says_what_went(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the configuration and the moment given; as JSON where asked."""
    backfill(tmp_path / "out", CALLS)
    config = tmp_path / "attribeam.toml"
    config.write_text("retention_days = 5\n[accounts.bank]\nretention_days = 30\n")
    asked = ["expire", "--output", str(tmp_path / "out"), "--config", str(config)]
    with pytest.raises(SystemExit) as ended:
        main([*asked, "--now", "2025-03-06T00:00:00Z", "--json"])
    assert ended.value.code == 0
    assert json.loads(capsys.readouterr().out) == {
        "rows": 1,
        "days": [{"table": "conversions", "account": "shop", "day": str(DAY), "rows": 1}],
    }


def test_bigquery_is_not_expired_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    """The service does it, by the tables' expiration."""
    with pytest.raises(SystemExit) as ended:
        main(["expire", "--output", "bigquery://project"])
    assert ended.value.code == 2
    assert "BigQuery removes expired days by itself" in capsys.readouterr().err
