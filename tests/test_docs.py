"""Generated documents: current, and complete."""

import json
import subprocess
import sys
from pathlib import Path

import msgspec

from pipelines.views import VIEWS, view_sql
from schemas.columns import Column
from schemas.config import Account, Pool, Settings, StaticNumber
from schemas.tables import TABLES

ROOT = Path(__file__).parents[1]


def test_generated_documents_are_current() -> None:
    """What is generated from tables and configuration has been generated since they changed."""
    done = subprocess.run(
        [sys.executable, "scripts/make_docs.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_column_is_described_in_both_places() -> None:
    """The data dictionary and the BigQuery schema describe every column of every table."""
    page = (ROOT / "docs" / "columns.md").read_text(encoding="utf-8")
    for table in TABLES.values():
        schema = json.loads((ROOT / f"schemas/bigquery/{table.name}.json").read_text("utf-8"))
        assert [column["name"] for column in schema] == list(table.names)
        assert all(_described(column) for column in table.columns)
        assert all(f"| `{name}` |" in page for name in table.names)


def _described(column: Column) -> bool:
    return bool(column.description.strip()) and all(map(_described, column.fields))


def test_every_key_of_the_configuration_is_documented() -> None:
    """Each key stands in docs/configuration.md with its default."""
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    for kind in (Settings, Account, Pool, StaticNumber):
        for field in msgspec.structs.fields(kind):
            assert f"| `{field.name}`" in page, field.name
    assert "| `match_window_minutes`\\* | `30` |" in page
    assert "| `delay_means`\\* | `[180, 1800]` |" in page


def test_every_view_says_what_it_is() -> None:
    """Each view begins with a comment that names its columns, and the dictionary shows it."""
    page = (ROOT / "docs" / "columns.md").read_text(encoding="utf-8")
    for name in VIEWS:
        assert view_sql(name).startswith("-- ")
        assert "-- Columns:" in view_sql(name)
        assert f"### {name}\n" in page
