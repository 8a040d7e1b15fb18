"""Figures of one account over several seeds, with intervals, out of evaluate.figures of each."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from pipelines.evaluation.bootstrap import Groups, Mean, mean_of_seeds, over_seeds
from pipelines.evaluation.reliability import Sums, Table, as_sums, sums_error

Figures = dict[str, Any]
# The comparisons at equal coverage: of all calls, and of those that probabilities decide.
SCOPES = {"equal_coverage": "all calls", "equal_coverage_modelled": "weighed calls"}


class Compared(NamedTuple):
    """A rule and attribeam over all seeds, where both attribute as many calls: how many these are,
    how many of each are wrong, and the share of the rule's wrong calls that attribeam spares."""

    attributed: int
    theirs: int
    ours: int
    fewer: Mean


class Calibrated(NamedTuple):
    """Reliability over all seeds: summed bins, and the calibration error with its interval."""

    sums: Sums
    error: Mean


def mean_figure(groups: Groups[Figures], part: str, key: str) -> Mean | None:
    """The mean over seeds of a figure (metrics.measure) of a part; None where a seed has none."""
    values = [[figures[part][key] for figures in group] for group in groups]
    if any(value is None for group in values for value in group):
        return None
    return mean_of_seeds(values)


def compare(groups: Groups[Figures], rule: str, scope: str) -> Compared:
    """attribeam beside a rule at equal coverage, in one of SCOPES."""
    equal = [[figures["baselines"][rule][scope] for figures in group] for group in groups]
    counts = [count for group in equal for count in group]
    fewer = over_seeds(equal, lambda drawn: 1 - _sum(drawn, "ours") / max(_sum(drawn, "theirs"), 1))
    attributed, theirs, ours = (_sum(counts, key) for key in ("attributed", "theirs", "ours"))
    return Compared(attributed, theirs, ours, fewer)


def _sum(counts: Iterable[dict[str, int]], key: str) -> int:
    return sum(count[key] for count in counts)


def calibrate_over(
    groups: Groups[Figures], part: str = "reliability", name: str | None = None
) -> Calibrated | None:
    """The reliability of all seeds' calls together, of a table or of one that a part names; None
    where there are no calls."""
    sums = [[as_sums(_table(figures, part, name)) for figures in group] for group in groups]
    whole = np.sum([of_seed for group in sums for of_seed in group], axis=0)
    if not whole.any():
        return None
    # Seeds drawn again may have no call of a rare kind: then there is no error either.
    error = over_seeds(sums, lambda drawn: sums_error(np.sum(drawn, axis=0)) or 0.0)
    return Calibrated(whole, error)


def _table(figures: Figures, part: str, name: str | None) -> Table:
    return figures[part] if name is None else figures[part].get(name, ())


def names_of(groups: Groups[Figures], part: str) -> list[str]:
    """The names under a part in any seed, in order."""
    return sorted({name for group in groups for figures in group for name in figures[part]})
