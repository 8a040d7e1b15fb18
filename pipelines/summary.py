"""What a run did, as tables for a person."""

from pathlib import Path
from typing import Any

import duckdb
from rich.console import Console
from rich.table import Table

from pipelines.views import DATABASE

BY_DECISION = """
    SELECT status, reason, count(*) AS calls
    FROM conversions_latest GROUP BY ALL ORDER BY calls DESC, reason
"""


def print_summary(report: dict[str, Any], output: Path | str) -> None:
    """Prints the ledger, what was decided in the warehouse as it now stands, and where it is.

    output: a local warehouse's folder, or bigquery://…, which is not asked for its calls.
    """
    console = Console()
    console.print(_ledger(report))
    if isinstance(output, Path):
        console.print(query_table(output, "Calls in the warehouse by decision", BY_DECISION))
    written = report["rows"]["conversions"]
    console.print(
        f"{written['written']} conversions written, {written['expired']} of expired days and "
        f"{written['outside']} outside --from and --to left out; {report['seconds']} s",
        soft_wrap=True,
    )
    place = output / DATABASE if isinstance(output, Path) else output
    console.print(f"Warehouse: {place}", soft_wrap=True)


def print_stream_summary(report: dict[str, Any], output: str) -> None:
    """Prints what a stream has done since its state began, and where its rows are."""
    console = Console()
    console.print(_ledger(report))
    rows = report["rows"]["conversions"]
    console.print(
        f"{rows['written']} calls written, {rows['waiting']} waiting for the watermark",
        soft_wrap=True,
    )
    console.print(f"Warehouse: {output}", soft_wrap=True)


def _ledger(report: dict[str, Any]) -> Table:
    names = ("read", "accepted", "duplicates", "dead_letters", "no_consent")
    table = Table(title="Events", title_justify="left")
    table.add_column("kind")
    for name in names:
        table.add_column(name.replace("_", " "), justify="right")
    for kind, counts in report["ledger"].items():
        if counts["read"]:
            table.add_row(kind, *(f"{counts[name]:,}" for name in names))
    return table


def query_table(folder: Path, title: str, sql: str) -> Table:
    """The result of a query on a warehouse, as a table for the terminal."""
    with duckdb.connect(str(folder / DATABASE), read_only=True) as warehouse:
        result = warehouse.sql(sql)
        table = Table(title=title, title_justify="left")
        for name, kind in zip(result.columns, result.types, strict=True):
            is_number = str(kind) in ("BIGINT", "HUGEINT", "DOUBLE", "DECIMAL", "INTEGER")
            table.add_column(name.replace("_", " "), justify="right" if is_number else "left")
        for row in result.fetchall():
            table.add_row(*("" if value is None else str(value) for value in row))
    return table
