"""What docs/accuracy.md judges: the issue's targets, and what got worse or missed them."""

from collections.abc import Iterator, Mapping
from typing import Any

from accuracy_figures import calibrated, compared, figure
from accuracy_format import mean, number, table

from pipelines.evaluation.bootstrap import Mean
from pipelines.evaluation.intervals import SCOPES, Calibrated, Compared
from pipelines.evaluation.reliability import chance_error, summary

Results = dict[str, Any]
TARGET_ECE = 0.03
# Fewer calls than this of a kind say nothing about their calibration.
FEWEST_CALLS = 100
CLOSER = ("log_loss", "brier", "ece")


def targets(results: Results) -> Iterator[str]:
    """The targets by profile, met or missed."""
    rows = []
    for name in results["profiles"]:
        before, after = (calibrated(results, config, name) for config in ("default", "fitted"))
        better = [key for key in CLOSER if _is_better(results, name, key)]
        rows.append(
            [
                name,
                mean(before and before.error),
                f"{mean(after and after.error)}: {_met(after)}",
                number(after and chance_error(after.sums)),
                mean(figure(results, "fitted", name, "modelled", "ece")),
                mean(figure(results, "fitted", name, "overall", "ece")),
                *(_against(compared(results, "fitted", name, scope)) for scope in SCOPES),
                "met"
                if len(better) == len(CLOSER)
                else f"**missed** ({', '.join(better) or 'none'} better)",
            ]
        )
    titles = [
        "profile",
        "calibration error, default",
        f"fitted: at most {TARGET_ECE}",
        "by chance alone",
        "fitted, one seed at a time",
        "the same with calls told by forms",
        *(f"fewer wrong calls than every rule at equal coverage: {of}" for of in SCOPES.values()),
        "fitted closer to the truth (log loss, Brier, calibration error)",
    ]
    yield from table(titles, rows)


def _met(found: Calibrated | None) -> str:
    return "met" if found and found.error.value <= TARGET_ECE else "**missed**"


def _against(rules: Mapping[str, Compared]) -> str:
    """Whether there are fewer wrong calls than each rule has, and surely so."""
    lost = [rule for rule, found in rules.items() if found.ours >= found.theirs]
    if lost:
        return f"**missed** against {', '.join(lost)}"
    unsure = [rule for rule, found in rules.items() if found.fewer.low <= 0]
    return f"met, not surely against {', '.join(unsure)}" if unsure else "met"


def _is_better(results: Results, name: str, key: str) -> bool:
    before, after = _both(results, name, "modelled", key)
    return before is not None and after is not None and after.value < before.value


def _both(results: Results, name: str, part: str, key: str) -> list[Mean | None]:
    return [figure(results, config, name, part, key) for config in ("default", "fitted")]


def losses(results: Results) -> Iterator[str]:
    """What got worse with fitted parameters, or missed a target, one line each."""
    for name in results["profiles"]:
        for key, title in (("recall", "recall"), ("attributed", "share attributed")):
            before, after = _both(results, name, "overall", key)
            if before and after and after.value < before.value:
                falls = f"{title} falls from {before.value:.2f} to {after.value:.2f}"
                yield f"- {name}: {falls} with fitted parameters."
        yield from _miscalibrated(results, name)
        for scope, calls in SCOPES.items():
            yield from _outdone(results, name, scope, calls)


def _miscalibrated(results: Results, name: str) -> Iterator[str]:
    whole = calibrated(results, "fitted", name)
    if whole and whole.error.value > TARGET_ECE:
        above = f"{whole.error.value:.3f}, above {TARGET_ECE}"
        yield f"- {name}: calibration error of weighed calls {above}."
    for part, of in (
        ("reliability_by_leading", "likeliest: {}"),
        ("reliability_of_rows", "rows of {}"),
    ):
        keys = {key for g in results["groups"] for seed in g for key in seed["fitted"][name][part]}
        for key in sorted(keys):
            found = calibrated(results, "fitted", name, part, key)
            if not found or found.error.value <= TARGET_ECE:
                continue
            of_all = summary(found.sums)
            if of_all.calls >= FEWEST_CALLS:
                said = f"{of_all.said:.2f} is said on average and {of_all.true:.2f} true"
                error = f"calibration error {found.error.value:.3f}"
                yield f"- {name}, {of.format(key)}: {said}, {error}."


def _outdone(results: Results, name: str, scope: str, calls: str) -> Iterator[str]:
    """Rules that make no more wrong calls, and where fitting costs wrong calls."""
    default, fitted = (compared(results, each, name, scope) for each in ("default", "fitted"))
    for config, rules in (("default", default), ("fitted", fitted)):
        for rule, found in rules.items():
            if found.ours >= found.theirs:
                counts = f"{rule} makes {found.theirs} wrong, attribeam {found.ours}"
                yield f"- {name}, {calls}, {config} parameters: {counts}."
    worse = [
        f"{rule}: {default[rule].ours} → {fitted[rule].ours}"
        for rule in fitted
        if fitted[rule].ours > default[rule].ours
    ]
    if worse:
        at = "at the coverage of these rules fitting costs wrong calls"
        yield f"- {name}, {calls}: {at}: {', '.join(worse)}."
