"""Tables of docs/accuracy.md: where it goes wrong, what evidence is worth, what was fitted."""

from collections.abc import Iterator
from typing import Any

import polars as pl
from accuracy_format import bounds, count, number, percent, share, table

from pipelines.evaluation.bootstrap import over_seeds
from pipelines.evaluation.evidence import KINDS, with_factors

Results = dict[str, Any]


def reasons(results: Results) -> Iterator[str]:
    """Outcomes by what really happened, the commonest first."""
    default, fitted = (
        {row["true_reason"]: row for row in results["pooled"][config]["true_reason"]}
        for config in ("default", "fitted")
    )
    rows = [
        [
            f"`{reason}`",
            count(row["calls"]),
            *(
                share(found[reason][key])
                for found in (default, fitted)
                for key in ("right", "wrong")
            ),
            share(row["missed"]),
            share(row["abstained"]),
        ]
        for reason, row in sorted(fitted.items(), key=lambda item: -item[1]["calls"])
    ]
    heads = [
        "what really happened", "calls", "default: right", "wrong", "fitted: right", "wrong",
        "missed", "abstained",
    ]  # fmt: skip
    yield from (*table(heads, rows), "")


def by_part(results: Results, part: str) -> Iterator[str]:
    """Outcomes by one of evaluate.PARTS, fitted parameters."""
    shares = ("attributed", "right", "wrong", "precision", "recall")
    rows = [
        [row[part], count(row["calls"]), *(share(row[key]) for key in shares), number(row["ece"])]
        for row in results["pooled"]["fitted"][part]
    ]
    yield from table([part, "calls", *shares, "calibration error"], rows)


def evidence(results: Results) -> Iterator[str]:
    """How many wrong calls each kind of evidence removes; the factors are those of all fits'
    candidates together."""
    counts = pl.concat([pl.DataFrame(fit["evidence"]) for fit in results["fits"]])
    whole = counts.group_by("kind", "value", maintain_order=True).sum()
    factors: dict[str, list[str]] = {}
    for row in with_factors(whole).sort("kind", "value").iter_rows(named=True):
        factors.setdefault(row["kind"], []).append(f"{row['value']}: {row['factor']:.2f}")
    rows = []
    for kind in (*KINDS, "all"):
        groups = [[seed["evidence"][kind] for seed in group] for group in results["groups"]]
        removed = over_seeds(groups, _removed)
        ours, theirs = (
            sum(seed[side] for group in groups for seed in group) for side in ("ours", "theirs")
        )
        words = KINDS.get(kind, "**all of these**")
        cells = [count(theirs), count(ours), percent(removed)]
        rows.append([words, ", ".join(factors.get(kind, ())), *cells])
    heads = ["evidence", "true / expected", "wrong without", "wrong with it", "removed"]
    yield from table(heads, rows)


def _removed(counts: Any) -> float:
    return 1 - sum(seed["ours"] for seed in counts) / max(sum(seed["theirs"] for seed in counts), 1)


def fits(results: Results) -> Iterator[str]:
    """What was fitted to each profile and seed."""
    found = [(fit["seed"], one) for fit in results["fits"] for one in fit["fits"]]
    rows = [
        [one["account"], str(seed), *_fit(one)]
        for seed, one in sorted(found, key=lambda pair: (pair[1]["account"], pair[0]))
    ]
    heads = [
        "profile", "seed", "calls", "call_probability", "delay_weights at delay_means",
        "background_calls_per_day", "saved_number_calls_per_day", "known_caller_factor",
        "held-out log-probability",
    ]  # fmt: skip
    yield from table(heads, rows)


def _fit(fit: dict[str, Any]) -> list[str]:
    if fit["refused"]:
        return [fit["refused"], "", "", "", "", "", ""]
    delays = zip(fit["delay_weights"], fit["delay_means"], strict=True)
    rate, factor = fit["saved"][:2]
    return [
        count(fit["calls"]),
        bounds(fit["call_probability"]),
        ", ".join(f"{weight[0]:.2f} at {mean[0]:.0f} s" for weight, mean in delays),
        bounds(fit["background"]),
        bounds(rate),
        bounds(factor),
        " → ".join(f"{value:.3f}" for value in fit["held_out"]),
    ]
