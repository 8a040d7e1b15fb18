"""Simulated accounts as files: the normal input, a configuration, and the truth aside."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from pipelines.simulation.events import TRUTH, pool_numbers
from pipelines.simulation.world import Account

PAGEVIEW = (
    "account", "visitor_id", "session_id", "time", "url", "referrer", "title", "user_agent", "ip",
    "tracking_numbers", "consent",
)  # fmt: skip
ENGAGEMENT = (
    "account", "visitor_id", "session_id", "time", "kind", "name", "fields", "callback_requested",
    "consent",
)  # fmt: skip
CALL = (
    "account", "call_id", "start", "ring", "answer", "end", "a_number", "b_number", "c_number",
    "direction", "status",
)  # fmt: skip
CONFIGURATION, TRUTH_FILE = "attribeam.toml", "truth.csv"


def write_accounts(accounts: Sequence[Account], folder: Path) -> None:
    """Writes pageviews.jsonl, engagements.jsonl, calls.jsonl, attribeam.toml and truth.csv.

    All appear at once, under a new name of the folder. Raises FileExistsError where the folder is
    there and not empty, OSError where it cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(str(folder))
    partial = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        partial.mkdir(parents=True)
        _write(accounts, partial)
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write(accounts: Sequence[Account], folder: Path) -> None:
    for name, columns in (("pageviews", PAGEVIEW), ("engagements", ENGAGEMENT), ("calls", CALL)):
        tables = [getattr(account, name).select("arrival_ms", *columns) for account in accounts]
        events = pl.concat(tables).sort("arrival_ms", maintain_order=True)
        events.select(columns).write_ndjson(folder / f"{name}.jsonl")
    truth = pl.concat([account.truth for account in accounts])
    truth.select(TRUTH).write_csv(folder / TRUTH_FILE)
    text = "".join(_configuration(account) for account in accounts)
    (folder / CONFIGURATION).write_text(text, encoding="utf-8")


def _configuration(account: Account) -> str:
    """An account's part of attribeam.toml; the overflow number is a pool of its own."""
    numbers = pool_numbers(account.parameters)
    size = account.parameters.pool_numbers
    pools = [("website", numbers[:size]), ("overflow", numbers[size:])]
    return f"""\
[accounts.{account.name}]
own_domains = ["{account.name.replace("_", "-")}.example"]
retention_days = 36500  # the days are long past

""" + "".join(_pool(account.name, pool, held) for pool, held in pools if held)


def _pool(account: str, name: str, numbers: list[str]) -> str:
    lines = "".join(f'    "{number}",\n' for number in numbers)
    return f"""\
[[accounts.{account}.pools]]
name = "{name}"
numbers = [
{lines}]

"""
