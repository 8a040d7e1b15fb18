"""attribeam evaluate: warehouses against the truth of their calls, beside the rules of others."""

import argparse
import json
import sys
from collections.abc import Mapping
from typing import Any

import polars as pl

from pipelines.evaluation.baselines import (
    at_equal_coverage,
    choose_all,
    count_choice,
    model_order,
)
from pipelines.evaluation.intervals import SCOPES
from pipelines.evaluation.metrics import measure, measure_by, with_load
from pipelines.evaluation.reading import EvaluationError, Rows, read_truth, read_warehouse
from pipelines.evaluation.reliability import of_rows, reliability, tables_by
from pipelines.evaluation.scoring import CALL, SESSION, TOLD, list_candidates, score
from pipelines.evaluation.several import combine
from pipelines.evaluation.words import words, words_of_several
from schemas.config import ConfigError

Found = dict[str, Any]
PARTS = ("method", "n_candidates", "delay_seconds", "load", "true_reason")
# With a smaller share of true sessions known, the truth is taken for that of other events.
LEAST_KNOWN = 0.05
WITHOUT_PAGES = "baselines and load need the table pageviews: run attribeam backfill with --detail"


def run_evaluate(options: argparse.Namespace) -> str:
    """What the command prints; a warning goes to stderr.

    Raises ConfigError where truths and warehouses are no pairs, EvaluationError.
    """
    if len(options.output) != len(options.truth):
        raise ConfigError("as many --truth as --output are needed, in the same order")
    found = []
    for output, path in zip(options.output, options.truth, strict=True):
        rows, truth = read_warehouse(output), read_truth(path)
        found.append(evaluate(rows, truth))
        share = known_share(rows, truth)
        if share is not None and share < LEAST_KNOWN:
            print(
                f"attribeam: warning: {path}: {share:.0%} of the calls' true sessions are known to "
                f"{output}; does it belong to these events?",
                file=sys.stderr,
            )
    if len(found) == 1:
        return json.dumps(found[0], indent=2) if options.json else words(found[0])
    together = combine(found)
    return json.dumps(together, indent=2) if options.json else words_of_several(together)


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


def known_share(rows: Rows, truth: pl.DataFrame) -> float | None:
    """Of the calls' true sessions: how many are candidates of any call, attributed, or displayed a
    number; None where no call has one."""
    session = ["account", *SESSION]
    told = truth.join(rows.calls, on=CALL, how="semi").select(session).drop_nulls().unique()
    seen = (list_candidates(rows.calls), rows.calls, rows.displays)
    known = pl.concat([part.select(session).cast(pl.String) for part in seen])
    return told.join(known, on=session, how="semi").height / told.height if told.height else None


def score_rows(rows: Rows, truth: pl.DataFrame) -> pl.DataFrame:
    """The calls that have a truth, scored, with their load."""
    scored = score(rows.calls, list_candidates(rows.calls), truth)
    return with_load(scored, rows.displays)


def figures(
    scored: pl.DataFrame, candidates: pl.DataFrame, choices: Mapping[str, pl.DataFrame]
) -> Found:
    """One account's figures: overall, `modelled` (calls that no form or switch decided), by PARTS,
    the baselines, and reliability: of the modelled, in all and by the explanation that leads, and
    of attributed rows by method."""
    modelled = scored.filter(~pl.col("method").is_in(TOLD))
    ours = model_order(scored, candidates)
    sessions = dict(zip(SCOPES, map(sessions_of, (scored, modelled)), strict=True))
    return {
        "overall": measure(scored),
        "modelled": measure(modelled),
        "reliability": reliability(modelled),
        "reliability_by_leading": tables_by(modelled, "leading"),
        "reliability_of_rows": tables_by(of_rows(scored), "method"),
        "by": {part: measure_by(scored, part) for part in PARTS},
        "baselines": {
            name: count_choice(choice, sessions_of(scored))
            | {scope: at_equal_coverage(ours, choice, true) for scope, true in sessions.items()}
            for name, choice in choices.items()
        },
    }


def sessions_of(scored: pl.DataFrame) -> pl.DataFrame:
    """CALL and SESSION of the truth."""
    return scored.select(
        *CALL,
        pl.col("true_visitor_id").alias("visitor_id"),
        pl.col("true_session_id").alias("session_id"),
    )
