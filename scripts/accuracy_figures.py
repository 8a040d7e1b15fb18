"""Figures of docs/accuracy.md: what was measured, by configuration and profile."""

from typing import Any

from pipelines.evaluation.bootstrap import Groups, Mean
from pipelines.evaluation.intervals import (
    Calibrated,
    Compared,
    calibrate_over,
    compare,
    mean_figure,
)

Results = dict[str, Any]


def groups_of(results: Results, config: str, name: str) -> Groups[Results]:
    """A profile's figures by seed, in groups of one fit."""
    return [[seed[config][name] for seed in group] for group in results["groups"]]


def figure(results: Results, config: str, name: str, part: str, key: str) -> Mean | None:
    """The mean over seeds of a figure of one configuration, profile and part."""
    return mean_figure(groups_of(results, config, name), part, key)


def compared(results: Results, config: str, name: str, scope: str) -> dict[str, Compared]:
    """By rule, over all seeds: wrong calls of attribeam and of the rule at equal coverage."""
    groups = groups_of(results, config, name)
    return {rule: compare(groups, rule, scope) for rule in groups[0][0]["baselines"]}


def calibrated(
    results: Results, config: str, name: str, part: str = "reliability", table: str | None = None
) -> Calibrated | None:
    """The reliability of weighed calls, or of another part's table, all seeds' calls together."""
    return calibrate_over(groups_of(results, config, name), part, table)


def own_coverage(results: Results, name: str, rule: str) -> tuple[int, int]:
    """Calls that a rule attributes as it likes, and how many of them are wrong."""
    groups = groups_of(results, "fitted", name)
    counts = [seed["baselines"][rule] for group in groups for seed in group]
    return sum(c["attributed"] for c in counts), sum(c["wrong"] for c in counts)
