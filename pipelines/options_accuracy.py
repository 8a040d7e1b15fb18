"""Options of the commands that measure how right attribution is."""

import argparse
from pathlib import Path

from pipelines.options_command import Commands, add_command, local_warehouse

MOST_DAYS = 3_650


def add_simulate(commands: Commands) -> None:
    """`attribeam simulate`."""
    simulate = add_command(
        commands,
        "simulate",
        "make events of sites with a number pool, and the truth about their calls",
        "example:\n  attribeam simulate --days 14 --seed 1 --profile quiet_shop "
        "--set pool_numbers=4 --output simulated",
        description="Writes pageviews.jsonl, engagements.jsonl, calls.jsonl, attribeam.toml and "
        "truth.csv. Parameters and profiles: docs/simulate.md.",
    )
    add = simulate.add_argument
    add("--days", type=_days, required=True, metavar="N", help="how many days")
    add("--seed", type=_seed, required=True, metavar="S", help="the result depends on it alone")
    add("--profile", metavar="NAME", help="one site only (each profile as an account of its name)")
    add(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter; may be repeated",
    )
    add("--output", type=Path, required=True, metavar="DIR", help="a new or empty folder")
    add("--json", action="store_true", help="print the counts as JSON")


def add_evaluate(commands: Commands) -> None:
    """`attribeam evaluate`."""
    evaluate = add_command(
        commands,
        "evaluate",
        "measure warehouses against the truth of their calls",
        "examples:\n  attribeam evaluate --output warehouse --truth simulated/truth.csv\n"
        "  attribeam evaluate --output w1 --truth t1.csv --output w2 --truth t2.csv",
        description="Shares right, wrong, missed and abstained, calibration, and the rules that "
        "others use on the same calls (these need backfill --detail). Several warehouses, each "
        "with its truth, are taken together: means with 95% intervals by drawing them again.",
    )
    add = evaluate.add_argument
    for name, kind, metavar, what in (
        ("--output", local_warehouse, "DIR", "a warehouse; may be repeated"),
        (
            "--truth",
            Path,
            "FILE",
            "its truth, call to session: .csv, .parquet; one for each warehouse",
        ),
    ):
        add(name, type=kind, required=True, action="append", metavar=metavar, help=what)
    add("--json", action="store_true", help="print the figures as JSON")


def add_calibrate(commands: Commands) -> None:
    """`attribeam calibrate`."""
    calibrate = add_command(
        commands,
        "calibrate",
        "fit the model's parameters to a warehouse, without truth",
        "example:\n  attribeam calibrate --output warehouse --config attribeam.toml "
        "--write fitted.toml",
        description="Fits each account's parameters to its own calls and page views (backfill "
        "--detail) and writes a configuration with them, their bounds and what they rest on.",
    )
    add = calibrate.add_argument
    add("--output", type=local_warehouse, required=True, metavar="DIR", help="the warehouse")
    add("--config", type=Path, metavar="FILE", help="the run's configuration (defaults)")
    add("--write", type=Path, required=True, metavar="FILE", help="a new file to write")
    add("--json", action="store_true", help="print what was found as JSON")


def _days(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= MOST_DAYS:
        raise argparse.ArgumentTypeError(f"{text!r} must be a number of days from 1 to {MOST_DAYS}")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number of at least 0")
    return int(text)
