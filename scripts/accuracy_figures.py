"""Figures of docs/accuracy.md, out of what was measured by seed."""

from collections.abc import Callable
from typing import Any

import polars as pl

from pipelines.evaluation.bootstrap import Mean, mean_of_seeds, over_seeds
from pipelines.evaluation.metrics import chance_error, pool_tables, table_error

Results = dict[str, Any]


def seeds_of(results: Results, read: Callable[[Results], float | None]) -> Mean | None:
    """The mean over seeds of a figure; None where a seed has none."""
    values = [read(seed) for seed in results["by_seed"]]
    known = [value for value in values if value is not None]
    return mean_of_seeds(known) if len(known) == len(values) else None


def figure(results: Results, config: str, name: str, part: str, key: str) -> Mean | None:
    """The mean over seeds of a figure of one configuration, profile and part."""
    return seeds_of(results, lambda seed: seed[config][name][part][key])


def wrong_of(results: Results, config: str, name: str) -> dict[str, tuple[int, int, int]]:
    """By rule, over all seeds: wrong calls of attribeam and of the rule, and calls of both."""
    found: dict[str, tuple[int, int, int]] = {}
    for seed in results["by_seed"]:
        for rule, counts in seed[config][name]["baselines"].items():
            equal, before = counts["equal_coverage"], found.get(rule, (0, 0, 0))
            found[rule] = (
                before[0] + equal["ours"],
                before[1] + equal["theirs"],
                before[2] + equal["attributed"],
            )
    return found


def own_coverage(results: Results, name: str, rule: str) -> tuple[int, int]:
    """Calls that a rule attributes as it likes, and how many of them are wrong."""
    counts = [seed["fitted"][name]["baselines"][rule] for seed in results["by_seed"]]
    return sum(c["attributed"] for c in counts), sum(c["wrong"] for c in counts)


def fewer(seed: Results, name: str, rule: str) -> float:
    """How much fewer wrong calls attribeam makes at equal coverage, of one seed."""
    equal = seed["fitted"][name]["baselines"][rule]["equal_coverage"]
    return 1 - equal["ours"] / max(equal["theirs"], 1)


def pooled_error(results: Results, config: str, name: str) -> tuple[Mean, float | None]:
    """The calibration error of weighed calls, all seeds' calls together; and that of chance."""
    tables = [pl.DataFrame(seed[config][name]["reliability"]) for seed in results["by_seed"]]
    error = over_seeds(tables, lambda drawn: table_error(pool_tables(drawn)) or 0.0, 500)
    return error, chance_error(pool_tables(tables))
