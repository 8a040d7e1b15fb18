"""Several evaluations (of seeds, of months) as one, each figure with its interval."""

from collections.abc import Sequence
from typing import Any

from pipelines.evaluation.bootstrap import Groups, Mean
from pipelines.evaluation.intervals import (
    SCOPES,
    Figures,
    calibrate_over,
    compare,
    mean_figure,
    names_of,
)
from pipelines.evaluation.reliability import summary

Found = dict[str, Any]


def combine(found: Sequence[Found]) -> Found:
    """Results of evaluate.evaluate together, as JSON can hold them."""
    names = sorted({name for one in found for name in one["accounts"]})
    notes = [one["note"] for one in found if "note" in one]
    together: Found = {
        "warehouses": len(found),
        "calls": sum(one["calls"] for one in found),
        "without_truth": sum(one["without_truth"] for one in found),
        "accounts": {
            name: _account([one["accounts"][name] for one in found if name in one["accounts"]])
            for name in names
        },
    }
    return together | ({"note": notes[0]} if notes else {})


def _account(found: Sequence[Figures]) -> Found:
    """One account's figures; of rules only those that could be compared everywhere."""
    groups = [found]
    rules = [rule for rule in found[0]["baselines"] if all(rule in f["baselines"] for f in found)]
    return {
        "warehouses": len(found),
        **{
            part: {key: _bounds(mean_figure(groups, part, key)) for key in found[0][part]}
            for part in ("overall", "modelled")
        },
        "calibration": _calibrated(groups, "reliability"),
        "calibration_by_leading": _calibrated_by(groups, "reliability_by_leading"),
        "calibration_of_rows": _calibrated_by(groups, "reliability_of_rows"),
        "baselines": {
            rule: {scope: _compared(groups, rule, scope) for scope in SCOPES} for rule in rules
        },
    }


def _calibrated_by(groups: Groups[Figures], part: str) -> Found:
    return {name: _calibrated(groups, part, name) for name in names_of(groups, part)}


def _calibrated(groups: Groups[Figures], part: str, name: str | None = None) -> Found | None:
    found = calibrate_over(groups, part, name)
    return found and summary(found.sums)._asdict() | {"ece": _bounds(found.error)}


def _compared(groups: Groups[Figures], rule: str, scope: str) -> Found:
    found = compare(groups, rule, scope)
    return found._asdict() | {"fewer": _bounds(found.fewer)}


def _bounds(value: Mean | None) -> dict[str, float] | None:
    return value and value._asdict()
