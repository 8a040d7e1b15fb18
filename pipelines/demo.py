"""make demo: example events, attributed and shown (README, first screen)."""

import os
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from secrets import token_bytes

import duckdb
from rich.console import Console

from pipelines.cli import main as attribeam
from pipelines.reporting.tables_calls import NO_SOURCE
from pipelines.summary import query_table
from pipelines.views import DATABASE
from transforms.privacy import KEY_BYTES, KEY_FILE_VARIABLE

KEY_NAME = "attribeam.key"
CALLS = """
    SELECT strftime(call_start AT TIME ZONE 'UTC', '%d %H:%M') AS "day, UTC", account, reason,
           round(probability, 2) AS p, source || '/' || medium AS "source/medium", campaign
    FROM conversions_latest WHERE status = 'attributed' ORDER BY call_start DESC LIMIT 15
"""
SOURCES = f"""
    SELECT coalesce(source, '{NO_SOURCE}') AS source, coalesce(medium, '') AS medium,
           sum(calls)::BIGINT AS calls, sum(qualified_calls)::BIGINT AS qualified,
           round(sum(expected_calls), 1) AS expected
    FROM conversions_by_source GROUP BY ALL ORDER BY calls DESC, expected DESC LIMIT 15
"""


def main(folder: Path) -> None:
    """Makes events in folder/events, a warehouse and its report in folder/warehouse, shows both."""
    events, warehouse = folder / "events", folder / "warehouse"
    make_key(folder / KEY_NAME)
    make_events = [sys.executable, "scripts/make_examples.py", "--output", str(events)]
    subprocess.run(make_events, check=True)  # noqa: S603 - our own script
    options = ["--config", str(events / "attribeam.toml"), "--output", str(warehouse)]
    for kind in ("pageviews", "engagements", "calls"):
        options += [f"--{kind}", *(str(path) for path in sorted(events.glob(f"{kind}*")))]
    _run("backfill", *options, "--short-history")
    console = Console()
    console.print(query_table(warehouse, "The latest attributed calls", CALLS))
    console.print(query_table(warehouse, "Calls by source", SOURCES))
    _run("report", "--output", str(warehouse))
    print(f"""Open it in a browser: it shows all of this and more, and needs no network.
Next, why a call was decided as it was, and any query on the views:
  .venv/bin/attribeam explain {_a_call(warehouse)} --output {warehouse} \\
      --config {events / "attribeam.toml"}
  .venv/bin/python -c "import duckdb
duckdb.connect('{warehouse / DATABASE}').sql('FROM pool_health').show()"
{events / "truth.csv"} says which visit really made each call. How often that was found:
  .venv/bin/attribeam evaluate --output {warehouse} \\
      --truth {events / "truth.csv"}""")


def _run(*arguments: str) -> None:
    """Runs a command; ends the demo where it fails."""
    try:
        attribeam(arguments)
    except SystemExit as ended:
        if ended.code:
            raise


def _a_call(warehouse: Path) -> str:
    """A call that several sessions may have made."""
    sql = "SELECT call_id FROM conversions_latest ORDER BY len(candidates) DESC, call_id LIMIT 1"
    with duckdb.connect(str(warehouse / DATABASE), read_only=True) as connection:
        return str(connection.sql(sql).fetchall()[0][0])


def make_key(path: Path) -> None:
    """Makes a secret key for the demo where there is none, and has this process use it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_text(b64encode(token_bytes(KEY_BYTES)).decode() + "\n", encoding="utf-8")
        path.chmod(0o600)
    os.environ[KEY_FILE_VARIABLE] = str(path)
    os.environ.pop("ATTRIBEAM_KEY", None)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
