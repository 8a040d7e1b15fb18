"""make demo: example events, attributed and shown (README, first screen)."""

import os
import runpy
import sys
from base64 import b64encode
from pathlib import Path
from secrets import token_bytes

from rich.console import Console

from pipelines.cli import main as attribeam
from pipelines.summary import query_table
from pipelines.views import DATABASE
from transforms.privacy import KEY_BYTES, KEY_FILE_VARIABLE

CALLS = """
    SELECT strftime(call_start AT TIME ZONE 'UTC', '%m-%d %H:%M') AS start, account,
           caller_masked AS caller, coalesce(tracking_number, '') AS number, reason,
           round(probability, 2) AS p, source, medium, campaign, device_type AS device
    FROM conversions_latest ORDER BY call_start DESC LIMIT 15
"""
SOURCES = """
    SELECT coalesce(source, '(no session)') AS source, coalesce(medium, '') AS medium,
           sum(calls)::BIGINT AS calls, sum(qualified_calls)::BIGINT AS qualified,
           round(sum(expected_calls), 1) AS expected
    FROM conversions_by_source GROUP BY ALL ORDER BY calls DESC, expected DESC LIMIT 15
"""


def main(folder: Path) -> None:
    """Makes events in folder/events, runs the backfill into folder/warehouse, prints tables."""
    events, warehouse = folder / "events", folder / "warehouse"
    make_key(folder / "attribeam.key")
    sys.argv = ["make_examples", "--output", str(events)]
    runpy.run_path("scripts/make_examples.py", run_name="__main__")
    options = ["--config", str(events / "attribeam.toml"), "--output", str(warehouse)]
    for kind in ("pageviews", "engagements", "calls"):
        options += [f"--{kind}", *(str(path) for path in sorted(events.glob(f"{kind}*")))]
    try:
        attribeam(["backfill", *options, "--short-history"])
    except SystemExit as ended:
        if ended.code:
            raise
    console = Console()
    console.print(query_table(warehouse, "The latest calls", CALLS))
    console.print(query_table(warehouse, "Calls by source", SOURCES))
    console.print(
        f"""Next:
  .venv/bin/attribeam explain CALL_ID --output {warehouse} --config {events / "attribeam.toml"}
  .venv/bin/python -c "import duckdb; duckdb.connect('{warehouse / DATABASE}').sql('FROM pool_health').show()"
  {events / "truth.csv"} says which visit really made each call""",
        soft_wrap=True,
        highlight=False,
    )


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
