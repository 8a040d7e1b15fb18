"""Measure how right attribution is, on simulated sites, and write docs/accuracy.md from it.

python scripts/make_accuracy.py [--folder accuracy-data] [--from-results]

Also writes docs/simulate.md. The figures are kept in results.json of the folder; --from-results
writes the documents from them again.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from accuracy_page import page
from accuracy_runs import CONFIGURATIONS, KEY, Plan, fit_seed, measure_seed, pool_seeds

from pipelines.simulation.describe import describe
from pipelines.simulation.profiles import PROFILES

ROOT = Path(__file__).resolve().parents[1]
PLAN = Plan(
    fits={fit: range(37 + 4 * fit, 41 + 4 * fit) for fit in range(1, 6)},
    fit_days=28,
    days=14,
    profiles=tuple(PROFILES),
)
Results = dict[str, Any]
# What map is: the results of a task for each of some things, in their order.
Each = Callable[..., Iterable[Any]]


def main() -> None:
    """Measures, unless told not to, and writes the documents."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=Path("accuracy-data"))
    parser.add_argument("--from-results", action="store_true", help="write the documents only")
    options = parser.parse_args()
    kept = options.folder / "results.json"
    if not options.from_results:
        results = measure_in_processes(options.folder, PLAN)
        kept.write_text(json.dumps(results, indent=1), encoding="utf-8")
    text = page(json.loads(kept.read_text(encoding="utf-8")))
    (ROOT / "docs" / "accuracy.md").write_text(text, encoding="utf-8")
    (ROOT / "docs" / "simulate.md").write_text(describe(), encoding="utf-8")


def measure_in_processes(folder: Path, plan: Plan) -> Results:
    """Measures on all processors. One thread each: sums over threads come in no fixed order."""
    os.environ |= {"ATTRIBEAM_KEY": KEY, "POLARS_MAX_THREADS": "1"}
    # Workers are started anew, since a process with threads cannot be forked.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), context) as workers:
        return measure_all(folder, plan, workers.map)


def measure_all(folder: Path, plan: Plan, each: Each) -> Results:
    """All figures, in an emptied folder: fits, seeds in the groups of their fits, and tables of
    all seeds together."""
    began = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    fits = []
    for fit in each(partial(fit_seed, folder, plan), plan.fits):
        say(began, f"fitted to seed {fit['seed']}")
        fits.append(fit)
    pairs = [(fit, seed) for fit in fits for seed in plan.fits[fit["seed"]]]
    groups: dict[int, list[Results]] = {fit: [] for fit in plan.fits}
    for found in each(partial(measure_seed, folder, plan), *zip(*pairs, strict=True)):
        say(began, f"measured seed {found['seed']}")
        groups[found["fit"]].append(found)
    pooled = each(partial(pool_seeds, folder, plan), CONFIGURATIONS)
    return {
        "fit_days": plan.fit_days,
        "days": plan.days,
        "profiles": list(plan.profiles),
        "fits": fits,
        "groups": list(groups.values()),
        "pooled": dict(zip(CONFIGURATIONS, pooled, strict=True)),
    }


def say(began: float, what: str) -> None:
    """Progress, with the seconds that have passed."""
    print(f"{time.monotonic() - began:6.0f} s  {what}", flush=True)


if __name__ == "__main__":
    main()
