"""The runs behind docs/accuracy.md: simulated sites, attributed by the real backfill, measured.

Each step is a function of a folder, a plan and seeds, so that several processes can share them.
"""

import json
import shutil
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from pipelines.backfill import Backfill, run_backfill
from pipelines.calibrate import calibrate, write_configuration
from pipelines.evaluate import PARTS, figures, score_rows, sessions_of
from pipelines.evaluation.baselines import (
    at_equal_coverage,
    choose_all,
    likeliest,
    surest,
)
from pipelines.evaluation.evidence import (
    KINDS,
    apply,
    count_evidence,
    with_evidence,
    with_factors,
)
from pipelines.evaluation.metrics import measure_by
from pipelines.evaluation.reading import Rows, read_truth, read_warehouse
from pipelines.evaluation.scoring import CALL, TOLD, list_candidates
from pipelines.simulation.profiles import read_profile
from pipelines.simulation.visitors import START_MS
from pipelines.simulation.world import simulate_account
from pipelines.simulation.writing import write_accounts
from schemas.config import load_config

# Fixed, and no secret: callers are put in order by their keys, and sums follow that order.
KEY = b64encode(b"simulated callers have no secrets".ljust(32)[:32]).decode()
NOW = (START_MS + 90 * 86_400_000) * 1000
CONFIGURATIONS = ("default", "fitted")
Results = dict[str, Any]


class Plan(NamedTuple):
    """What is measured: by the seed of a fit the seeds measured with it, days of both, profiles."""

    fits: Mapping[int, Sequence[int]]
    fit_days: int
    days: int
    profiles: Sequence[str]


def fit_seed(folder: Path, plan: Plan, seed: int) -> Results:
    """Fits every profile to a seed, without truth; counts there, with it, what evidence is worth
    (evidence.count_evidence). Leaves the fitted configuration in the folder."""
    events = make_events(folder, plan, seed, plan.fit_days)
    default, fitted = events / "attribeam.toml", fitted_configuration(folder, seed)
    warehouse = folder / f"warehouse-{seed}"
    fits = calibrate(attribute(events, default, warehouse), load_config(default))
    write_configuration(default, fits, fitted)
    rows = read_warehouse(attribute(events, fitted, warehouse))
    truth = sessions_of(weighed(score_rows(rows, read_truth(events / "truth.csv"))))
    counts = count_evidence(with_evidence(list_candidates(rows.calls), rows), truth)
    shutil.rmtree(events)
    shutil.rmtree(warehouse)
    written = [json.loads(json.dumps(fit, default=vars)) for fit in fits]
    return {"seed": seed, "fits": written, "evidence": counts.to_dicts()}


def measure_seed(folder: Path, plan: Plan, fit: Results, seed: int) -> Results:
    """The figures of every profile with both configurations. Leaves the scored calls in the
    folder."""
    events = make_events(folder, plan, seed, plan.days)
    found: Results = {"fit": fit["seed"], "seed": seed}
    fitted = fitted_configuration(folder, fit["seed"])
    for name, config in zip(CONFIGURATIONS, (events / "attribeam.toml", fitted), strict=True):
        warehouse = attribute(events, config, folder / f"warehouse-{seed}")
        rows = read_warehouse(warehouse)
        scored = score_rows(rows, read_truth(events / "truth.csv"))
        scored.drop("candidates").write_parquet(scored_calls(folder, name, seed))
        found[name] = figures_by_account(rows, scored)
    factors = with_factors(pl.DataFrame(fit["evidence"]))
    found["evidence"] = measure_evidence(rows, scored, factors)
    shutil.rmtree(events)
    shutil.rmtree(warehouse)
    return found


def pool_seeds(folder: Path, plan: Plan, configuration: str) -> Results:
    """Tables by PARTS over the calls of all seeds and profiles; removes the scored calls."""
    paths = [
        scored_calls(folder, configuration, seed) for seeds in plan.fits.values() for seed in seeds
    ]
    scored = pl.concat(map(pl.read_parquet, paths))
    for path in paths:
        path.unlink()
    return {part: measure_by(scored, part) for part in PARTS}


def fitted_configuration(folder: Path, seed: int) -> Path:
    """Where the configuration fitted to a seed is."""
    return folder / f"fitted-{seed}.toml"


def scored_calls(folder: Path, configuration: str, seed: int) -> Path:
    """Where the scored calls of a seed are."""
    return folder / f"scored-{configuration}-{seed}.parquet"


def make_events(folder: Path, plan: Plan, seed: int, days: int) -> Path:
    """Simulates the profiles; the folder of the events."""
    events = folder / f"events-{seed}"
    accounts = [
        simulate_account(name, read_profile(name, ()), days, seed) for name in plan.profiles
    ]
    write_accounts(accounts, events)
    return events


def attribute(events: Path, config: Path, output: Path) -> Path:
    """Runs the backfill into an empty folder; the warehouse."""
    shutil.rmtree(output, ignore_errors=True)
    asked = Backfill(
        pageviews=[str(events / "pageviews.jsonl")],
        engagements=[str(events / "engagements.jsonl")],
        calls=[str(events / "calls.jsonl")],
        erasures=[],
        config=config,
        output=output,
        now=NOW,
        detail=True,
    )
    run_backfill(asked)
    return output


def figures_by_account(rows: Rows, scored: pl.DataFrame) -> Results:
    """The figures of each profile."""
    candidates = list_candidates(rows.calls)
    choices = choose_all(rows.displays, rows.calls, candidates)
    parts = scored.partition_by("account", as_dict=True)
    return {str(name): figures(part, candidates, choices) for (name,), part in parts.items()}


def weighed(scored: pl.DataFrame) -> pl.DataFrame:
    """Calls that probabilities decide."""
    return scored.filter(~pl.col("method").is_in(TOLD))


def measure_evidence(rows: Rows, scored: pl.DataFrame, factors: pl.DataFrame) -> Results:
    """Wrong calls with each kind of evidence and with all, where as many calls are attributed as
    the fitted model does."""
    truth = sessions_of(weighed(scored))
    candidates = with_evidence(list_candidates(rows.calls), rows)
    candidates = candidates.join(truth.select(CALL), on=CALL, how="semi")
    size = scored.filter(pl.col("method") == "number_pool").height
    chosen = surest(likeliest(candidates), size)
    kinds: Mapping[str, list[str]] = {**{kind: [kind] for kind in KINDS}, "all": list(KINDS)}
    found = {}
    for name, used in kinds.items():
        informed = surest(likeliest(apply(candidates, factors, used)), size)
        found[name] = at_equal_coverage(informed, chosen, truth)
    return found
