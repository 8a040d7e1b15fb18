"""attribeam evaluate: a warehouse against the truth of its calls, beside the rules of others."""

import argparse
import json
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table

from pipelines.evaluation.baselines import (
    at_equal_coverage,
    choose_all,
    count_choice,
    model_order,
)
from pipelines.evaluation.metrics import measure, measure_by, reliability, with_load
from pipelines.evaluation.reading import EvaluationError, Rows, read_truth, read_warehouse
from pipelines.evaluation.scoring import CALL, TOLD, list_candidates, score

Found = dict[str, Any]
PARTS = ("method", "n_candidates", "delay_seconds", "load", "true_reason")
SHOWN = ("calls", "attributed", "right", "wrong", "missed", "abstained", "rightly_none")
RATES = ("precision", "recall", "log_loss", "brier", "ece")
WITHOUT_PAGES = "baselines and load need the table pageviews: run attribeam backfill with --detail"


def run_evaluate(options: argparse.Namespace) -> str:
    """What the command prints. Raises EvaluationError."""
    found = evaluate(read_warehouse(options.output), read_truth(options.truth))
    return json.dumps(found, indent=2) if options.json else words(found)


def evaluate(rows: Rows, truth: pl.DataFrame) -> Found:
    """All figures, overall and by account, as JSON can hold them.

    Raises EvaluationError where the truth has none of the calls.
    """
    scored = score_rows(rows, truth)
    if not scored.height:
        raise EvaluationError("the truth names none of the warehouse's inbound calls")
    candidates = list_candidates(rows.calls)
    choices = choose_all(rows.displays, rows.calls, candidates) if rows.displays.height else {}
    accounts = scored.partition_by("account", as_dict=True)
    found: Found = {
        "calls": scored.height,
        "without_truth": rows.calls.height - scored.height,
        "accounts": {
            str(name): figures(part, candidates, choices) for (name,), part in accounts.items()
        },
    }
    return found | ({} if choices else {"note": WITHOUT_PAGES})


def score_rows(rows: Rows, truth: pl.DataFrame) -> pl.DataFrame:
    """The calls that have a truth, scored, with their load."""
    scored = score(rows.calls, list_candidates(rows.calls), truth)
    return with_load(scored, rows.displays)


def figures(
    scored: pl.DataFrame, candidates: pl.DataFrame, choices: Mapping[str, pl.DataFrame]
) -> Found:
    """One account's figures: overall, `modelled` (calls that no form or switch decided), by PARTS,
    reliability of the modelled, and the baselines."""
    modelled = scored.filter(~pl.col("method").is_in(TOLD))
    true_sessions = scored.select(
        *CALL,
        pl.col("true_visitor_id").alias("visitor_id"),
        pl.col("true_session_id").alias("session_id"),
    )
    ours = model_order(scored, candidates)
    return {
        "overall": measure(scored),
        "modelled": measure(modelled),
        "reliability": reliability(modelled).to_dicts(),
        "by": {part: measure_by(scored, part) for part in PARTS},
        "baselines": {
            name: count_choice(choice, true_sessions)
            | {"equal_coverage": at_equal_coverage(ours, choice, true_sessions)}
            for name, choice in choices.items()
        },
    }


def words(found: Found) -> str:
    """The figures as tables."""
    console = Console(width=150, highlight=False)
    with console.capture() as captured:
        for name, account in found["accounts"].items():
            rows = [{"": "all"} | account["overall"], {"": "modelled"} | account["modelled"]]
            _show(console, f"{name}: shares of calls", ("", *SHOWN, *RATES), rows)
            _show(
                console,
                f"{name}: reliability of the likeliest explanation",
                ("bin", "calls", "confidence", "confirmed"),
                account["reliability"],
            )
            for part, by in account["by"].items():
                columns = (part, "calls", "attributed", "right", "wrong", *RATES)
                _show(console, f"{name}: by {part}", columns, by)
            _show(
                console,
                f"{name}: wrong calls where both attribute as many",
                ("rule", "attributed", "wrong", "at equal coverage", "the rule", "attribeam"),
                [_compared(rule, counts) for rule, counts in account["baselines"].items()],
            )
        if found["without_truth"]:
            console.print(f"{found['without_truth']} calls have no truth and were left out")
        if "note" in found:
            console.print(found["note"])
    return captured.get().rstrip()


def _compared(rule: str, counts: Found) -> Found:
    equal = counts["equal_coverage"]
    return {
        "rule": rule,
        "attributed": counts["attributed"],
        "wrong": counts["wrong"],
        "at equal coverage": equal["attributed"],
        "the rule": equal["theirs"],
        "attribeam": equal["ours"],
    }


def _show(console: Console, title: str, columns: Sequence[str], rows: Sequence[Found]) -> None:
    if not rows:
        return
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*(_cell(row[column]) for column in columns))
    console.print(table)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)
