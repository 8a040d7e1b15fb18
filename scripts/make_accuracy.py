"""Measure how right attribution is, on simulated sites, and write docs/accuracy.md from it.

python scripts/make_accuracy.py [--folder accuracy-data] [--from-results]

Every profile is simulated with a seed for fitting and with other seeds for measuring. The real
backfill attributes each, with the default parameters and with those that `attribeam calibrate`
fitted to the first seed. Also writes docs/simulate.md. The figures are kept in results.json of the
folder; --from-results writes the documents from them again.
"""

import argparse
import json
import os
import secrets
import shutil
import time
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
from accuracy_page import page

from pipelines.backfill import Backfill, run_backfill
from pipelines.calibrate import calibrate, write_configuration
from pipelines.evaluate import PARTS, figures, score_rows
from pipelines.evaluation.baselines import (
    at_equal_coverage,
    choose_all,
    likeliest,
    surest,
)
from pipelines.evaluation.evidence import KINDS, apply, learn, with_evidence
from pipelines.evaluation.metrics import measure, measure_by, reliability
from pipelines.evaluation.reading import Rows, read_truth, read_warehouse
from pipelines.evaluation.scoring import CALL, TOLD, list_candidates
from pipelines.simulate import simulate
from pipelines.simulation.describe import describe
from pipelines.simulation.profiles import PROFILES
from pipelines.simulation.visitors import START_MS
from schemas.config import load_config

ROOT = Path(__file__).resolve().parents[1]
FIT_SEED, FIT_DAYS = 1, 28
SEEDS, DAYS = (21, 22, 23, 24, 25), 14
NOW = (START_MS + 90 * 86_400_000) * 1000
Results = dict[str, Any]


def main() -> None:
    """Measures, unless told not to, and writes the documents."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("accuracy-data"))
    parser.add_argument("--from-results", action="store_true", help="write the documents only")
    options = parser.parse_args()
    kept = options.folder / "results.json"
    if not options.from_results:
        shutil.rmtree(options.folder, ignore_errors=True)
        results = measure_all(options.folder)
        kept.write_text(json.dumps(results, indent=1), encoding="utf-8")
    text = page(json.loads(kept.read_text(encoding="utf-8")))
    (ROOT / "docs" / "accuracy.md").write_text(text, encoding="utf-8")
    (ROOT / "docs" / "simulate.md").write_text(describe(), encoding="utf-8")


def measure_all(folder: Path) -> Results:
    """All figures: fits, figures by seed, configuration and profile, pooled tables, evidence."""
    began = time.monotonic()
    os.environ["ATTRIBEAM_KEY"] = b64encode(secrets.token_bytes(32)).decode()
    events = make_events(folder, FIT_SEED, FIT_DAYS)
    default = events / "attribeam.toml"
    fits = calibrate(attribute(events, default, folder / "fit"), load_config(default))
    fitted = folder / "fitted.toml"
    write_configuration(default, fits, fitted)
    learned = learn_evidence(read_warehouse(attribute(events, fitted, folder / "fit")), events)
    say(began, "fitted")
    by_seed: list[Results] = []
    scored: dict[str, list[pl.DataFrame]] = {"default": [], "fitted": []}
    removed: list[Results] = []
    for seed in SEEDS:
        events = make_events(folder, seed, DAYS)
        of_seed: Results = {}
        for name, config in (("default", default), ("fitted", fitted)):
            rows = read_warehouse(attribute(events, config, folder / "warehouse"))
            found = score_rows(rows, read_truth(events / "truth.csv"))
            scored[name].append(found.drop("candidates"))
            of_seed[name] = figures_by_account(rows, found)
        removed.append(measure_evidence(rows, found, learned))
        by_seed.append(of_seed)
        shutil.rmtree(events)
        say(began, f"seed {seed}")
    shutil.rmtree(folder / "warehouse")
    return {
        "setup": {"fit_seed": FIT_SEED, "fit_days": FIT_DAYS, "seeds": SEEDS, "days": DAYS},
        "profiles": list(PROFILES),
        "fits": [json.loads(json.dumps(fit, default=vars)) for fit in fits],
        "by_seed": by_seed,
        "pooled": {name: pool(pl.concat(parts)) for name, parts in scored.items()},
        "learned": learned.to_dicts(),
        "evidence": removed,
        "seconds": round(time.monotonic() - began),
    }


def say(began: float, what: str) -> None:
    """Progress, with the seconds that have passed."""
    print(f"{time.monotonic() - began:6.0f} s  {what}", flush=True)


def make_events(folder: Path, seed: int, days: int) -> Path:
    """Simulates every profile; the folder of the events."""
    events = folder / f"events-{seed}"
    simulate(days, seed, None, [], events)
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


def pool(scored: pl.DataFrame) -> Results:
    """Tables over the calls of all seeds: of each profile, and by PARTS over all."""
    modelled = scored.filter(~pl.col("method").is_in(TOLD))
    by_profile = modelled.partition_by("account", as_dict=True)
    return {
        "overall": measure(scored),
        "by": {part: measure_by(scored, part) for part in PARTS},
        "profiles": {
            str(name): {"modelled": measure(part), "reliability": reliability(part).to_dicts()}
            for (name,), part in by_profile.items()
        },
    }


def true_sessions(scored: pl.DataFrame) -> pl.DataFrame:
    """CALL and SESSION of calls that the model weighs."""
    return scored.filter(~pl.col("method").is_in(TOLD)).select(
        *CALL,
        pl.col("true_visitor_id").alias("visitor_id"),
        pl.col("true_session_id").alias("session_id"),
    )


def learn_evidence(rows: Rows, events: Path) -> pl.DataFrame:
    """What the evidence is worth, from the seed for fitting and its truth."""
    scored = score_rows(rows, read_truth(events / "truth.csv"))
    return learn(with_evidence(list_candidates(rows.calls), rows), true_sessions(scored))


def measure_evidence(rows: Rows, scored: pl.DataFrame, learned: pl.DataFrame) -> Results:
    """Wrong calls with each kind of evidence and with all, where as many calls are attributed as
    the fitted model does."""
    truth = true_sessions(scored)
    candidates = with_evidence(list_candidates(rows.calls), rows)
    candidates = candidates.join(truth.select(CALL), on=CALL, how="semi")
    size = scored.filter(pl.col("method") == "number_pool").height
    chosen = surest(likeliest(candidates), size)
    kinds: Mapping[str, list[str]] = {**{kind: [kind] for kind in KINDS}, "all": list(KINDS)}
    found = {}
    for name, used in kinds.items():
        informed = surest(likeliest(apply(candidates, learned, used)), size)
        found[name] = at_equal_coverage(informed, chosen, truth)
    return found


if __name__ == "__main__":
    main()
