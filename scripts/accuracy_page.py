"""docs/accuracy.md from the figures that scripts/make_accuracy.py measured."""

from collections.abc import Iterator
from typing import Any

from accuracy_figures import fewer, figure, own_coverage, pooled_error, wrong_of
from accuracy_format import bounds, count, mean, number, percent, share, table
from accuracy_words import (
    CLOSING,
    EVIDENCE,
    FITTED,
    HEAD,
    LOSSES,
    METRICS_HELP,
    REASONS,
    RULES,
    TARGETS,
)

from pipelines.evaluation.bootstrap import Mean, mean_of_seeds
from pipelines.evaluation.evidence import KINDS

Results = dict[str, Any]
TARGET_ECE = 0.03
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
    setup = results["setup"]
    calls = sum(
        seed["fitted"][name]["overall"]["calls"]
        for seed in results["by_seed"]
        for name in results["profiles"]
    )
    yield HEAD.format(
        fit_seed=setup["fit_seed"],
        fit_days=setup["fit_days"],
        seeds=", ".join(map(str, setup["seeds"])),
        days=setup["days"],
        calls=f"{calls:,}",
    )
    yield from ("## Targets\n", *_targets(results), "", TARGETS)
    yield from ("## Default and fitted parameters\n", METRICS_HELP, *_profiles(results))
    yield from ("## Beside the rules of others\n", RULES, *_baselines(results))
    yield from ("## Is a probability what it says?\n", *_reliability(results))
    yield from ("## Where it goes wrong\n", REASONS, *_reasons(results))
    for part, title in PART_NAMES.items():
        yield from (f"By {title}:\n", *_by(results, part), "")
    yield from ("## Evidence not used yet\n", EVIDENCE, *_evidence(results), "")
    yield from ("## What was fitted\n", FITTED, *_fits(results), "")
    yield from ("## Losses\n", LOSSES, *_losses(results), "")
    yield CLOSING


def _targets(results: Results) -> Iterator[str]:
    rows = []
    for name in results["profiles"]:
        error, chance = pooled_error(results, "fitted", name)
        wrong = wrong_of(results, "fitted", name)
        lost = [rule for rule, (ours, theirs, _) in wrong.items() if ours >= theirs]
        better = [key for key in ("log_loss", "brier", "ece") if _is_better(results, name, key)]
        rows.append(
            [
                name,
                mean(pooled_error(results, "default", name)[0]),
                f"{mean(error)}: {_met(error)}",
                number(chance),
                mean(figure(results, "fitted", name, "modelled", "ece")),
                mean(figure(results, "fitted", name, "overall", "ece")),
                "met" if not lost else f"**missed** against {', '.join(lost)}",
                "met" if len(better) == 3 else f"**missed** ({', '.join(better) or 'none'} better)",
            ]
        )
    titles = [
        "profile",
        "calibration error, default",
        f"fitted: at most {TARGET_ECE}",
        "by chance alone",
        "fitted, one seed at a time",
        "the same with calls told by forms",
        "fewer wrong calls than every rule at equal coverage",
        "fitted closer to the truth (log loss, Brier, calibration error)",
    ]
    yield from table(titles, rows)


def _met(value: Mean | None) -> str:
    return "met" if value is not None and value.value <= TARGET_ECE else "**missed**"


def _is_better(results: Results, name: str, key: str) -> bool:
    before, after = (
        figure(results, config, name, "modelled", key) for config in ("default", "fitted")
    )
    return before is not None and after is not None and after.value < before.value


def _profiles(results: Results) -> Iterator[str]:
    for name in results["profiles"]:
        rows = []
        for key, title in SHARES:
            cells = [
                mean(figure(results, config, name, part, key))
                for part in ("overall", "modelled")
                for config in ("default", "fitted")
            ]
            rows.append([title, *cells])
        yield from (f"### {name}\n",)
        heads = ["", "all calls, default", "fitted", "weighed calls, default", "fitted"]
        yield from (*table(heads, rows), "")


def _baselines(results: Results) -> Iterator[str]:
    titles = [
        "rule", "attributes", "of these wrong", "equal coverage", "wrong: the rule",
        "attribeam, default", "attribeam, fitted", "fewer by, fitted",
    ]  # fmt: skip
    for name in results["profiles"]:
        default, fitted = (wrong_of(results, config, name) for config in ("default", "fitted"))
        rows = []
        for rule, (ours, theirs, size) in fitted.items():
            attributed, wrong = own_coverage(results, name, rule)
            spared = mean_of_seeds([fewer(seed, name, rule) for seed in results["by_seed"]])
            cells = map(count, (size, theirs, default[rule][0], ours))
            share = f"{wrong / attributed:.1%}"
            rows.append([rule, count(attributed), share, *cells, percent(spared)])
        yield from (f"### {name}: wrong calls\n", *table(titles, rows), "")


def _reliability(results: Results) -> Iterator[str]:
    for name in results["profiles"]:
        both = [
            {row["bin"]: row for row in results["pooled"][config]["profiles"][name]["reliability"]}
            for config in ("default", "fitted")
        ]
        rows = []
        for place in sorted({*both[0], *both[1]}):
            cells = [f"{place:.1f} to {place + 0.1:.1f}"]
            for found in both:
                row = found.get(place)
                cells += (
                    [count(row["calls"]), f"{row['confidence']:.3f}", f"{row['confirmed']:.3f}"]
                    if row
                    else ["0", "", ""]
                )
            rows.append(cells)
        heads = [
            "said",
            "default: calls",
            "said on average",
            "true",
            "fitted: calls",
            "said on average",
            "true",
        ]
        yield from (f"### {name}: reliability\n", *table(heads, rows), "")


def _reasons(results: Results) -> Iterator[str]:
    default, fitted = (
        {row["true_reason"]: row for row in results["pooled"][config]["by"]["true_reason"]}
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
        "what really happened",
        "calls",
        "default: right",
        "wrong",
        "fitted: right",
        "wrong",
        "missed",
        "abstained",
    ]
    yield from (*table(heads, rows), "")


def _by(results: Results, part: str) -> Iterator[str]:
    rows = [
        [
            row[part],
            count(row["calls"]),
            *(share(row[key]) for key in ("attributed", "right", "wrong", "precision", "recall")),
            number(row["ece"]),
        ]
        for row in results["pooled"]["fitted"]["by"][part]
    ]
    heads = [
        part,
        "calls",
        "attributed",
        "right",
        "wrong",
        "precision",
        "recall",
        "calibration error",
    ]
    yield from table(heads, rows)


def _evidence(results: Results) -> Iterator[str]:
    factors: dict[str, list[str]] = {}
    for row in results["learned"]:
        factors.setdefault(row["kind"], []).append(f"{row['value']}: {row['factor']:.2f}")
    rows = []
    for kind in (*KINDS, "all"):
        counts = [seed[kind] for seed in results["evidence"]]
        ours, theirs = (sum(count[side] for count in counts) for side in ("ours", "theirs"))
        removed = mean_of_seeds([1 - count["ours"] / max(count["theirs"], 1) for count in counts])
        words = KINDS.get(kind, "**all of these**")
        rows.append(
            [
                words,
                ", ".join(factors.get(kind, ())),
                count(theirs),
                count(ours),
                percent(removed),
            ]
        )
    heads = ["evidence", "true / expected", "wrong without", "wrong with it", "removed"]
    yield from table(heads, rows)


def _fits(results: Results) -> Iterator[str]:
    rows = []
    for fit in results["fits"]:
        if fit["refused"]:
            rows.append([fit["account"], fit["refused"], "", "", "", "", "", "", ""])
            continue
        rate, factor = fit["saved"][:2]
        rows.append(
            [
                fit["account"],
                count(fit["calls"]),
                bounds(fit["call_probability"]),
                ", ".join(f"{mean[0]:.0f} s" for mean in fit["delay_means"]),
                ", ".join(f"{weight[0]:.2f}" for weight in fit["delay_weights"]),
                bounds(fit["background"]),
                bounds(rate),
                bounds(factor),
                " → ".join(f"{value:.3f}" for value in fit["held_out"]),
            ]
        )
    heads = [
        "profile", "calls", "call_probability", "delay_means", "delay_weights",
        "background_calls_per_day", "saved_number_calls_per_day", "known_caller_factor",
        "held-out log-probability",
    ]  # fmt: skip
    yield from table(heads, rows)


def _losses(results: Results) -> Iterator[str]:
    for name in results["profiles"]:
        for key, title in (("recall", "recall"), ("attributed", "share attributed")):
            before, after = (
                figure(results, config, name, "overall", key) for config in ("default", "fitted")
            )
            if before and after and after.value < before.value:
                falls = f"{title} falls from {before.value:.2f} to {after.value:.2f}"
                yield f"- {name}: {falls} with fitted parameters."
        error, _ = pooled_error(results, "fitted", name)
        if error.value > TARGET_ECE:
            above = f"{error.value:.3f}, above {TARGET_ECE}"
            yield f"- {name}: calibration error of weighed calls {above}."
        for config in ("default", "fitted"):
            for rule, (ours, theirs, _) in wrong_of(results, config, name).items():
                if ours >= theirs:
                    counts = f"{rule} makes {theirs} wrong calls, attribeam {ours}"
                    yield f"- {name}, {config} parameters: {counts}."
        default, fitted = (wrong_of(results, config, name) for config in ("default", "fitted"))
        worse = [rule for rule in fitted if fitted[rule][0] > default[rule][0]]
        if worse:
            counts = ", ".join(f"{rule}: {default[rule][0]} → {fitted[rule][0]}" for rule in worse)
            yield f"- {name}: at the coverage of these rules fitting costs wrong calls: {counts}."
