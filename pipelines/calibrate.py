"""attribeam calibrate: the model's parameters, fitted to an account's own warehouse."""

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import polars as pl

from pipelines.calibrate_words import FEWER, fit_words, fitted_configuration
from pipelines.evaluation.reading import EvaluationError, Rows, read_warehouse
from schemas.config import Account, Config, ConfigError, load_config
from transforms.calibration_account import fit_account
from transforms.calibration_contacts import find_contacts
from transforms.calibration_results import Fit
from transforms.numbers import normalise_number


class CalibrationError(Exception):
    """Nothing could be fitted or written; the message says why and what to do."""


def run_calibrate(options: argparse.Namespace) -> str:
    """Fits, writes the configuration, and says what was found.

    Raises ConfigError, EvaluationError, and CalibrationError where no account could be fitted or
    the file cannot be written.
    """
    _check_free(options.write)
    fits = calibrate(options.output, load_config(options.config))
    told = "\n".join(line for fit in fits for line in fit_words(fit))
    if all(fit.refused for fit in fits):
        raise CalibrationError(f"no account could be fitted; nothing was written\n{told}")
    write_configuration(options.config, fits, options.write)
    if options.json:
        return json.dumps([asdict(fit) for fit in fits], indent=2)
    return f"{told}\nWritten: {options.write}; use it with attribeam backfill --config\n{FEWER}"


def calibrate(warehouse: Path, config: Config) -> list[Fit]:
    """Fits each account of a warehouse by itself, in the order of their names.

    Raises EvaluationError without a warehouse, calls, or the table `pageviews`.
    """
    rows = read_warehouse(warehouse)
    if not rows.displays.height:
        raise EvaluationError(
            f"{warehouse}: has no page views with numbers; run attribeam backfill with --detail"
        )
    contacts = find_contacts(rows.displays, rows.engagements)
    return [
        fit_rows(name, config.account(name), contacts, rows)
        for name in rows.calls["account"].unique().sort()
    ]


def fit_rows(name: str, settings: Account, contacts: pl.DataFrame, rows: Rows) -> Fit:
    """The fit of one account's rows."""
    calls = rows.calls.drop("candidates").filter(pl.col("account") == name)
    static = {
        normalise_number(str(entry.number), settings.default_region)
        for entry in settings.static_numbers
    }
    return fit_account(
        name,
        settings,
        contacts.filter(pl.col("account") == name),
        calls.filter(~pl.col("tracking_number").is_in(list(static))),
    )


def write_configuration(source: Path | None, fits: Sequence[Fit], target: Path) -> None:
    """Writes the configuration with what was fitted, whole or not at all.

    Raises CalibrationError where the file is there or cannot be written.
    """
    text = fitted_configuration(source, fits)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        _check_free(target)
        partial.write_text(text, encoding="utf-8")
        load_config(partial)
        partial.replace(target)
    except OSError as error:
        raise CalibrationError(f"{target}: cannot be written: {error.strerror}") from error
    except ConfigError as error:
        raise RuntimeError(f"fitted values that no configuration can hold: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _check_free(target: Path) -> None:
    if target.exists():
        raise CalibrationError(f"{target}: is there already; name another file or remove it")
    if not target.parent.is_dir():
        raise CalibrationError(f"{target}: cannot be written: {target.parent} is no folder")
