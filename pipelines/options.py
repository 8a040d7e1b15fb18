"""The command line's options (SPEC section 13)."""

import argparse
import datetime as dt
import importlib.metadata
import re
import time
from pathlib import Path

from pipelines.options_accuracy import add_calibrate, add_evaluate, add_simulate
from pipelines.options_bigquery import add_expire, add_tables
from pipelines.options_command import Commands, add_command, local_warehouse
from pipelines.options_deploy import add_deploy_check
from pipelines.options_stream import add_stream
from transforms.decode_times import time_of_number, time_of_text

# Exit codes, besides 0.
FAILED, USAGE, DEAD_LETTERS = 1, 2, 3
FILES = "files, folders or globs: .jsonl, .jsonl.gz, .jsonl.zst, .parquet; local or gs://"
BACKFILL_EXAMPLES = """examples:
  attribeam backfill --pageviews events/pageviews --calls events/calls.jsonl --output warehouse
  attribeam backfill --pageviews 'p/2026-0[4-6]*.jsonl.gz' --engagements e/ --calls c/ \\
      --config attribeam.toml --from 2026-06-01 --to 2026-07-01 --output warehouse
Options of Beam may follow: --runner, --direct_num_workers, …
"""
REPORT_EXAMPLES = """examples:
  attribeam report --output warehouse --html calls.html
  attribeam report --output bigquery://my-project --account shop --html shop.html
"""


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands; `command` says which was given."""
    parser = argparse.ArgumentParser(
        prog="attribeam",
        description="Joins calls to the browsing sessions that saw the number called.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _backfill(commands)
    add_stream(commands)
    _explain(commands)
    _doctor(commands)
    _report(commands)
    add_tables(commands)
    add_expire(commands, _moment)
    add_simulate(commands)
    add_evaluate(commands)
    add_calibrate(commands)
    add_deploy_check(commands)
    return parser


def version() -> str:
    """The version installed."""
    try:
        return importlib.metadata.version("attribeam")
    except importlib.metadata.PackageNotFoundError:
        return "of unknown version: not installed"


def backfill_flags() -> set[str]:
    """The options of `attribeam backfill`."""
    backfill = _backfill(argparse.ArgumentParser().add_subparsers())
    return set(re.findall(r"--[a-z-]+", backfill.format_usage()))


def _backfill(commands: Commands) -> argparse.ArgumentParser:
    backfill = add_command(
        commands,
        "backfill",
        "attribute the calls in files of events and write a warehouse",
        BACKFILL_EXAMPLES,
        description="Attributes calls from files of events; replaces the days it covers.",
    )
    add = backfill.add_argument
    add("--pageviews", nargs="+", required=True, metavar="PATH", help=f"pageviews; {FILES}")
    add("--calls", nargs="+", required=True, metavar="PATH", help="calls; likewise")
    add("--engagements", nargs="+", default=[], metavar="PATH", help="clicks and forms; likewise")
    add("--erasures", nargs="+", default=[], metavar="PATH", help="erasure requests; likewise")
    add("--config", type=Path, metavar="FILE", help="TOML configuration (defaults without one)")
    add(
        "--output",
        required=True,
        metavar="DIR",
        help="folder of the warehouse, or bigquery://PROJECT[/LOCATION]",
    )
    add("--from", dest="first", type=_day, metavar="DAY", help="first UTC day of calls to write")
    add("--to", dest="end", type=_day, metavar="DAY", help="the day after the last to write")
    add("--detail", action="store_true", help="also write the tables pageviews and engagements")
    add("--max-dead-letters", type=_count, metavar="N", help="exit 3 and write nothing above N")
    add("--keep-expired", action="store_true", help="also write days that have already expired")
    add("--short-history", action="store_true", help="replace days from input that begins late")
    add("--now", type=_moment, metavar="TIME", help="the moment that expiry goes by (the clock)")
    add("--shards", type=_positive, metavar="N", help="parts to cut each stage into (by size)")
    add("--json", action="store_true", help="print the run's report as JSON")
    return backfill


def _explain(commands: Commands) -> None:
    explain = add_command(
        commands,
        "explain",
        "say in words why a call was decided as it was",
        "example:\n  attribeam explain call-4711 --output warehouse",
    )
    explain.add_argument("call_id", metavar="CALL_ID")
    add = explain.add_argument
    add("--output", required=True, type=local_warehouse, metavar="DIR", help="the warehouse")
    explain.add_argument("--config", type=Path, metavar="FILE", help="the run's configuration")
    explain.add_argument("--account", metavar="NAME", help="where several have a call of this id")
    explain.add_argument("--json", action="store_true", help="print JSON")


def _doctor(commands: Commands) -> None:
    doctor = add_command(
        commands,
        "doctor",
        "check Python, versions, key, configuration, input and output",
        "example:\n  attribeam doctor --config attribeam.toml --output warehouse",
    )
    doctor.add_argument("--config", type=Path, metavar="FILE", help="configuration to check")
    doctor.add_argument(
        "--pageviews", nargs="+", default=[], metavar="PATH", help="a sample is read"
    )
    doctor.add_argument("--engagements", nargs="+", default=[], metavar="PATH", help="likewise")
    doctor.add_argument("--calls", nargs="+", default=[], metavar="PATH", help="likewise")
    doctor.add_argument("--output", metavar="DIR", help="folder to be written to")
    doctor.add_argument("--json", action="store_true", help="print JSON")


def _report(commands: Commands) -> None:
    report = add_command(
        commands,
        "report",
        "write one HTML file that shows what a warehouse holds",
        REPORT_EXAMPLES,
    )
    report.add_argument(
        "--output",
        required=True,
        metavar="DIR",
        help="folder of the warehouse, or bigquery://PROJECT[/LOCATION]",
    )
    report.add_argument(
        "--html",
        type=Path,
        metavar="FILE",
        help="where to write (DIR/report.html; for BigQuery report.html in the current folder)",
    )
    report.add_argument("--account", metavar="NAME", help="only this account (default: all)")


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day; write 2026-06-30") from None


def _moment(text: str) -> int:
    """A time as events give it (RFC 3339 or epoch), in microseconds."""
    found = time_of_text(text)
    if found is None and text.replace(".", "", 1).isdigit():
        found = time_of_number(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write 2026-06-30T12:00:00Z")
    return found


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of dead letters")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be at least 1")
    return int(text)


def clock() -> int:
    """The moment by the clock, us."""
    return time.time_ns() // 1000
