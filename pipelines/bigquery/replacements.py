"""Which days of which account a run replaces, by what, in which dataset. Pure."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import polars as pl

from pipelines.bigquery.names import Place
from pipelines.bigquery.scripts import Replacement
from pipelines.bigquery.wanted import COMMITS, State
from schemas.columns import Table
from schemas.tables import DEAD_LETTERS, TABLES

COVERED = ["table", "account", "day"]


@dataclass(frozen=True)
class LocationRun:
    """A run's part in one location: its control dataset and the accounts that lie there.

    began: since when rows that are written meanwhile are a stream's, and stay.
    """

    project: str
    run: str
    control: Place
    places: Mapping[str | None, Place]
    began: dt.datetime

    @property
    def journal(self) -> str:
        """The journal of the location."""
        return f"{self.project}.{self.control.dataset}.{COMMITS.name}"

    @property
    def keys(self) -> list[str | None]:
        """The keys that the places' rows are encrypted with."""
        return sorted({place.kms_key for place in self.places.values()}, key=lambda k: k or "")

    def staging_table(self, table: Table, kms_key: str | None) -> str:
        """The staging table of a table: rows lie under the key that their account's are under."""
        number = self.keys.index(kms_key)
        name = f"{staging_prefix(self.run)}{number}_{table.name}"
        return f"{self.project}.{self.control.dataset}.{name}"


def staging_prefix(run: str) -> str:
    """What the names of a run's staging tables begin with."""
    return f"staging_{run}_"


def split_by_location(
    project: str,
    run: str,
    places: Mapping[str | None, Place],
    controls: Iterable[Place],
    began: dt.datetime,
) -> list[LocationRun]:
    """The parts of a run; rows of no known account (None) lie in a control dataset themselves."""
    parts = []
    for control in controls:
        here = {a: p for a, p in places.items() if p.location.lower() == control.location.lower()}
        if here:
            parts.append(LocationRun(project, run, control, here, began))
    return parts


def check_covered(staged: pl.DataFrame, replaced: pl.DataFrame) -> None:
    """Raises ValueError where rows were staged that would stand beside the old ones."""
    rows = staged.filter(pl.col("table") != DEAD_LETTERS.name)
    stray = rows.join(replaced, on=COVERED, how="anti", nulls_equal=True)
    if stray.height:
        raise ValueError(f"staged rows that the run does not replace: {stray.row(0)}")


def make_replacements(
    part: LocationRun, staged: pl.DataFrame, replaced: pl.DataFrame, state: State
) -> Iterator[Replacement]:
    """One replacement for each account that has anything to replace, in the order of their names.

    staged, replaced: table, account, day. Only tables that are there (state) can have old rows.
    """
    days = _grouped(replaced.select(COVERED).unique().sort(COVERED))
    tables = _grouped(staged.select(COVERED).sort(COVERED))
    accounts = sorted(part.places, key=lambda account: (account is not None, account or ""))
    for number, account in enumerate(accounts):
        place = part.places[account]
        there = [name for name in TABLES if (place.dataset, name) in state.tables]
        yield Replacement(
            run=part.run,
            number=number,
            account=account,
            dataset=f"{part.project}.{place.dataset}",
            journal=part.journal,
            began=part.began,
            days={name: days[name, account] for name in there if (name, account) in days},
            staged={
                name: part.staging_table(TABLES[name], place.kms_key)
                for name in there
                if (name, account) in tables
            },
            columns={name: state.tables[place.dataset, name]["schema"]["fields"] for name in there},
        )


def _grouped(rows: pl.DataFrame) -> dict[tuple[str, str | None], list[Any]]:
    return {
        key: [row[2] for row in group]
        for key, group in groupby(rows.iter_rows(), key=lambda row: (row[0], row[1]))
    }
