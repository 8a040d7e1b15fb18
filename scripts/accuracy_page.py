"""docs/accuracy.md from the figures that scripts/make_accuracy.py measured."""

from collections.abc import Iterator
from typing import Any

from accuracy_figures import calibrated, compared, figure, own_coverage
from accuracy_format import count, mean, number, percent, table
from accuracy_judged import losses, targets
from accuracy_parts import by_part, evidence, fits, reasons
from accuracy_words import (
    CLOSING,
    EVIDENCE,
    FITTED,
    HEAD,
    LEADING,
    LOSSES,
    METRICS_HELP,
    REASONS,
    ROWS,
    RULES,
    TARGETS,
)

from pipelines.evaluation.intervals import SCOPES, Calibrated
from pipelines.evaluation.reliability import as_table, summary

Results = dict[str, Any]
CONFIGURATIONS = ("default", "fitted")
SHARES = (
    ("attributed", "attributed"),
    ("right", "right"),
    ("wrong", "wrong"),
    ("missed", "missed"),
    ("abstained", "abstained"),
    ("rightly_none", "rightly none"),
    ("precision", "precision"),
    ("recall", "recall"),
    ("log_loss", "log loss"),
    ("brier", "Brier score"),
    ("ece", "calibration error"),
)
PART_NAMES = {
    "method": "method",
    "n_candidates": "candidates in the row",
    "delay_seconds": "from the likeliest's last display to the call",
    "load": "sessions for each number in the call's hour",
}


def page(results: Results) -> str:
    """The whole document."""
    return "\n".join(_blocks(results)).rstrip() + "\n"


def _blocks(results: Results) -> Iterator[str]:
    yield _head(results)
    yield from ("## Targets\n", *targets(results), "", TARGETS)
    yield from ("## Default and fitted parameters\n", METRICS_HELP, *_profiles(results))
    yield from ("## Beside the rules of others\n", RULES, *_baselines(results))
    yield from ("## Is a probability what it says?\n", *_reliability(results))
    yield from ("### By the explanation that leads\n", LEADING)
    yield from (*_parts(results, "leads", "reliability_by_leading"), "")
    yield from ("### Of attributed rows\n", ROWS)
    yield from (*_parts(results, "method", "reliability_of_rows"), "")
    yield from ("## Where it goes wrong\n", REASONS, *reasons(results))
    for part, title in PART_NAMES.items():
        yield from (f"By {title}:\n", *by_part(results, part), "")
    yield from ("## Evidence not used yet\n", EVIDENCE, *evidence(results), "")
    yield from ("## What was fitted\n", FITTED, *fits(results), "")
    yield from ("## Losses\n", LOSSES, *losses(results), "")
    yield CLOSING


def _head(results: Results) -> str:
    pairs = [
        f"{fit['seed']} with {', '.join(str(found['seed']) for found in group)}"
        for fit, group in zip(results["fits"], results["groups"], strict=True)
    ]
    calls = sum(
        found["fitted"][name]["overall"]["calls"]
        for group in results["groups"]
        for found in group
        for name in results["profiles"]
    )
    return HEAD.format(
        fit_days=results["fit_days"],
        days=results["days"],
        pairs="; ".join(pairs),
        calls=count(calls),
    )


def _profiles(results: Results) -> Iterator[str]:
    for name in results["profiles"]:
        rows = []
        for key, title in SHARES:
            cells = [
                mean(figure(results, config, name, part, key))
                for part in ("overall", "modelled")
                for config in CONFIGURATIONS
            ]
            rows.append([title, *cells])
        heads = ["", "all calls, default", "fitted", "weighed calls, default", "fitted"]
        yield from (f"### {name}\n", *table(heads, rows), "")


def _baselines(results: Results) -> Iterator[str]:
    titles = [
        "rule", "attributes", "of these wrong", "equal coverage", "wrong: the rule",
        "attribeam, default", "attribeam, fitted", "fewer by, default", "fewer by, fitted",
    ]  # fmt: skip
    for name in results["profiles"]:
        for scope, which in SCOPES.items():
            default, fitted = (compared(results, each, name, scope) for each in CONFIGURATIONS)
            rows = []
            for rule, ours in fitted.items():
                attributed, wrong = own_coverage(results, name, rule)
                own = [count(attributed), f"{wrong / attributed:.1%}"]
                before = default[rule]
                wrongs = map(count, (ours.attributed, ours.theirs, before.ours, ours.ours))
                rows.append([rule, *own, *wrongs, percent(before.fewer), percent(ours.fewer)])
            # What a rule does by itself is the same for both: said once, of all calls.
            kept = [0, *range(3, 9)] if scope == "equal_coverage_modelled" else range(9)
            heads, *lines = [[row[place] for place in kept] for row in (titles, *rows)]
            yield from (f"### {name}: wrong calls, {which}\n", *table(heads, lines), "")


def _reliability(results: Results) -> Iterator[str]:
    for name in results["profiles"]:
        found = (calibrated(results, config, name) for config in CONFIGURATIONS)
        both = [{row["bin"]: row for row in as_table(one.sums)} if one else {} for one in found]
        rows = [
            [
                f"{place:.1f} to {place + 0.1:.1f}",
                *_bin(both[0].get(place)),
                *_bin(both[1].get(place)),
            ]
            for place in sorted({*both[0], *both[1]})
        ]
        average = ["said on average", "true"]
        heads = ["said", "default: calls", *average, "fitted: calls", *average]
        yield from (f"### {name}: reliability\n", *table(heads, rows), "")


def _bin(row: dict[str, Any] | None) -> list[str]:
    if row is None:
        return ["0", "", ""]
    return [count(row["calls"]), number(row["confidence"]), number(row["confirmed"])]


def _parts(results: Results, title: str, part: str) -> Iterator[str]:
    """What is said and true by profile and by the tables of a part."""
    rows = []
    for name in results["profiles"]:
        tables = {
            key
            for group in results["groups"]
            for found in group
            for config in CONFIGURATIONS
            for key in found[config][name][part]
        }
        for key in sorted(tables):
            both = (calibrated(results, config, name, part, key) for config in CONFIGURATIONS)
            rows.append([name, key, *(cell for found in both for cell in _said(found))])
    one = ["said on average", "true", "calibration error"]
    heads = ["profile", title, "default: calls", *one, "fitted: calls", *one]
    yield from table(heads, rows)


def _said(found: Calibrated | None) -> list[str]:
    if found is None:
        return ["0", "", "", ""]
    whole = summary(found.sums)
    return [count(whole.calls), number(whole.said), number(whole.true), mean(found.error)]
