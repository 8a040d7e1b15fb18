"""What attribeam evaluate prints: figures as tables."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table as Grid

from pipelines.evaluation.intervals import SCOPES
from pipelines.evaluation.reliability import Table, as_sums, summary

Found = dict[str, Any]
SHOWN = ("calls", "attributed", "right", "wrong", "missed", "abstained", "rightly_none")
RATES = ("precision", "recall", "log_loss", "brier", "ece")
SUMMARY = ("calls", "said", "true", "ece")
COMPARED = ("rule", "both attribute", "wrong: the rule", "attribeam")
LEADING = "said and true of the likeliest explanation, by which it is"
ROWS = "said and true of attributed rows' sessions, by method"
# A table: title, columns, rows.
Part = tuple[str, Sequence[str], Sequence[Found]]


def words(found: Found) -> str:
    """The figures of one warehouse."""
    parts = [part for name, account in found["accounts"].items() for part in _one(name, account)]
    return _written(found, parts)


def words_of_several(found: Found) -> str:
    """The figures of several warehouses, with intervals."""
    parts = [part for name, account in found["accounts"].items() for part in _many(name, account)]
    return _written(found, parts)


def _one(name: str, account: Found) -> Iterator[Part]:
    rows = [{"": "all"} | account["overall"], {"": "modelled"} | account["modelled"]]
    yield f"{name}: shares of calls", ("", *SHOWN, *RATES), rows
    bins = ("bin", "calls", "confidence", "confirmed")
    yield f"{name}: reliability of the likeliest explanation", bins, account["reliability"]
    for key, title in (("reliability_by_leading", LEADING), ("reliability_of_rows", ROWS)):
        yield f"{name}: {title}", ("", *SUMMARY), _summaries(account[key])
    for part, by in account["by"].items():
        yield f"{name}: by {part}", (part, "calls", "attributed", "right", "wrong", *RATES), by
    own = ("rule", "attributed", "wrong")
    rows = [{"rule": rule} | counts for rule, counts in account["baselines"].items()]
    yield f"{name}: rules as they are", own, rows
    for scope, title in SCOPES.items():
        rows = _compared(account, scope)
        yield f"{name}: wrong where both attribute as many, {title}", COMPARED, rows


def _summaries(tables: Mapping[str, Table]) -> list[Found]:
    return [{"": name} | summary(as_sums(table))._asdict() for name, table in tables.items()]


def _many(name: str, account: Found) -> Iterator[Part]:
    head = f"{name}, {account['warehouses']} warehouses"
    both = account["overall"], account["modelled"]
    rows = [{"": key, "all": both[0][key], "modelled": both[1][key]} for key in (*SHOWN, *RATES)]
    yield f"{head}: means, 95% intervals", ("", "all", "modelled"), rows
    leading = {"all": account["calibration"]} | account["calibration_by_leading"]
    for found, title in ((leading, LEADING), (account["calibration_of_rows"], ROWS)):
        rows = [{"": part} | counts for part, counts in found.items() if counts]
        yield f"{head}: {title}", ("", *SUMMARY), rows
    for scope, title in SCOPES.items():
        rows = _compared(account, scope)
        titles = (*COMPARED, "fewer by")
        yield f"{head}: wrong where both attribute as many, {title}", titles, rows


def _compared(account: Found, scope: str) -> list[Found]:
    """Rules beside attribeam; of several warehouses also how many fewer calls it has wrong."""
    return [
        {"rule": rule, "both attribute": counts[scope]["attributed"]}
        | {"wrong: the rule": counts[scope]["theirs"], "attribeam": counts[scope]["ours"]}
        | {"fewer by": counts[scope].get("fewer")}
        for rule, counts in account["baselines"].items()
    ]


def _written(found: Found, parts: Sequence[Part]) -> str:
    console = Console(width=150, highlight=False)
    with console.capture() as captured:
        for title, columns, rows in parts:
            if rows:
                grid = Grid(*columns, title=title, title_justify="left")
                for row in rows:
                    grid.add_row(*(_cell(row[column]) for column in columns))
                console.print(grid)
        if found["without_truth"]:
            console.print(f"{found['without_truth']} calls have no truth and were left out")
        if "note" in found:
            console.print(found["note"])
    return captured.get().rstrip()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return f"{value['value']:.3f} ({value['low']:.3f} to {value['high']:.3f})"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
