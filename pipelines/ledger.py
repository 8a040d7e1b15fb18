"""The ledger: what became of every event read, so that none is lost unseen (SPEC section 10)."""

from collections import defaultdict
from typing import Any

import polars as pl

KINDS = ("pageview", "engagement", "call", "erasure")
PARTS = ("accepted", "duplicates", "dead_letters", "no_consent")


def make_ledger(counts: pl.DataFrame) -> dict[str, Any]:
    """Counters of a run: by kind of event, by table, dropped fields.

    counts: kind, name, count; kind is an event's kind or a table. An erasure that was read is
    accepted: nothing later can refuse it.
    """
    totals: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for kind, name, count in counts.iter_rows():
        totals[kind][name] += count
    kinds = [*KINDS, *(["unknown"] if "unknown" in totals else [])]
    return {
        "ledger": {kind: {name: totals[kind][name] for name in ("read", *PARTS)} for kind in kinds},
        "rows": {
            table: {name: totals[table][name] for name in ("written", "expired", "outside")}
            for table in ("conversions", "sessions", "displays", "pageviews", "engagements")
        },
        "dead_letters": _named(totals, "dead_letter."),
        "dropped": {
            kind: fields for kind in KINDS if (fields := _with_prefix(totals[kind], "dropped."))
        },
    }


def _with_prefix(counts: dict[str, int], prefix: str) -> dict[str, int]:
    found = {name.removeprefix(prefix): n for name, n in counts.items() if name.startswith(prefix)}
    return dict(sorted(found.items()))


def _named(totals: dict[str, dict[str, int]], prefix: str) -> dict[str, int]:
    codes: dict[str, int] = defaultdict(int)
    for counts in totals.values():
        for code, count in _with_prefix(counts, prefix).items():
            codes[code] += count
    return dict(sorted(codes.items()))


def imbalances(report: dict[str, Any]) -> list[str]:
    """The kinds whose sums do not add up; none in a run that lost nothing."""
    wrong = [
        f"{kind}: read {counts['read']}, but {sum(counts[name] for name in PARTS)} accounted for"
        for kind, counts in report["ledger"].items()
        if counts["read"] != sum(counts[name] for name in PARTS)
    ]
    accepted = report["ledger"]["call"]["accepted"]
    decided = sum(report["rows"]["conversions"].values())
    if accepted != decided:
        wrong.append(f"conversions: {accepted} calls accepted, but {decided} decided")
    return wrong
