"""A BigQuery project as a warehouse: the same runs as pipelines/warehouse.py, days replaced there.

A run writes its rows to a folder of this machine. The commit loads them into staging tables, one
load for each table of a location, writes the journal and replaces each account's days in one
transaction (commits.py).
"""

import datetime as dt
import tempfile
import uuid
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.bigquery import commits, staging
from pipelines.bigquery.checks import (
    check_limits,
    check_places,
    largest_payloads,
    raise_found,
)
from pipelines.bigquery.commits import Commit
from pipelines.bigquery.errors import clear_service_errors
from pipelines.bigquery.limits import LIMITS
from pipelines.bigquery.names import (
    Place,
    Target,
    control_place,
    control_places,
    find_places,
    home_location,
)
from pipelines.bigquery.plan import Change
from pipelines.bigquery.recovery import DECIDED, Recovery, finish, recover
from pipelines.bigquery.replacements import (
    LocationRun,
    check_covered,
    make_replacements,
    split_by_location,
)
from pipelines.bigquery.scripts import literal, replace_script
from pipelines.bigquery.service import Service
from pipelines.bigquery.wanted import DETAIL_TABLES, State, wanted_state
from pipelines.graph import INPUT_DAYS, read_notes
from pipelines.output import clear_output_errors
from pipelines.parquet import COUNTED, count_rows, table_files
from schemas.config import Config
from schemas.tables import DEAD_LETTERS, TABLES

NOTHING = "nothing was written"
UNSURE = (
    "where the journal has taken this run, the next backfill into the project finishes it; else "
    "nothing was written"
)
# Subqueries of one statement that counts rows.
COUNTED_AT_ONCE = 200


class BigQueryWarehouse:
    """Datasets of a project; region: where this run works, None where that is not known."""

    limits = LIMITS

    def __init__(
        self, service: Service, target: Target, config: Config, region: str | None = None
    ) -> None:
        self.service = service
        self.target = target
        self.config = config
        self.region = region

    @contextmanager
    def open_run(self) -> Iterator["BigQueryRun"]:
        """A run; what it did not commit is gone when it ends.

        Does first what an interrupted run had decided. Raises OutputError where BigQuery cannot be
        had or an account of the configuration has tables that are not as they should be.
        """
        self.check(self.config.accounts)
        recovery = self.recover()
        with (
            tempfile.TemporaryDirectory(prefix="attribeam-") as folder,
            clear_output_errors(Path(folder)),
        ):
            yield BigQueryRun(self, Path(folder), recovery)

    def recover(self) -> Recovery:
        """Finishes what interrupted runs had decided, as far as it can. Raises OutputError."""
        return recover(self.service, self.limits, self.check)

    def check(self, accounts: Iterable[str]) -> tuple[dict[str, Place], State]:
        """The accounts' places, and what there is of their tables.

        Raises ConfigError and OutputError where rows of these accounts could not be written.
        """
        places, actual, _ = self._check(accounts, detail=False)
        return places, actual

    def prepare(
        self, accounts: Iterable[str], *, detail: bool, seen: State | None = None
    ) -> tuple[dict[str, Place], State]:
        """Like `check`, and makes what is missing; seen: what there was a moment ago."""
        places, actual, creations = self._check(accounts, detail=detail, seen=seen)
        self.service.apply(creations)
        made = {
            (change.path[0], change.path[1]): change.resource
            for change in creations
            if change.kind != "dataset"
        }
        return places, State(actual.datasets, actual.tables | made)

    def _check(
        self, accounts: Iterable[str], *, detail: bool, seen: State | None = None
    ) -> tuple[dict[str, Place], State, tuple[Change, ...]]:
        places = find_places(accounts, self.config, self.target)
        controls = control_places(places.values(), self.config, self.target)
        wanted = wanted_state(self.target.project, places.values(), controls)
        with clear_service_errors("checking the tables", NOTHING):
            actual, plan = check_places(
                self.service,
                wanted,
                places.values(),
                controls,
                self.region,
                detail=detail,
                seen=seen,
            )
        return places, actual, plan.creations


class BigQueryRun:
    """What one run has written aside, and the commit that puts it into BigQuery."""

    def __init__(self, warehouse: BigQueryWarehouse, folder: Path, recovery: Recovery) -> None:
        self.warehouse = warehouse
        self.service = warehouse.service
        self.name = uuid.uuid4().hex[:12]
        self.began = dt.datetime.now(dt.UTC)
        self.staging = folder
        self.recovery = recovery
        self._accounts: frozenset[str] = frozenset()
        self._seen: State | None = None

    def staged(self) -> pl.DataFrame:
        """Rows written aside: table, account, day, rows."""
        return count_rows(self.staging)

    def existing(self) -> pl.DataFrame:
        """Rows in BigQuery of the accounts of the run's input: table, account, day, rows."""
        noted = read_notes(self.staging, "days", INPUT_DAYS)["account"]
        self._accounts = frozenset(noted.drop_nulls())
        places, actual = self.warehouse.check(self._accounts)
        self._seen = actual
        counted: list[tuple[Any, ...]] = []
        with clear_service_errors("counting the rows that are there", NOTHING):
            for location, queries in self._counts(places, actual).items():
                for at in range(0, len(queries), COUNTED_AT_ONCE):
                    sql = "\nUNION ALL\n".join(queries[at : at + COUNTED_AT_ONCE])
                    counted += [tuple(row.values()) for row in self.service.query(sql, location)]
        return pl.DataFrame(counted, schema=COUNTED, orient="row")

    def commit(self, replaced: pl.DataFrame, report: dict[str, Any]) -> None:
        """Replaces what the run covers (`replaced`: table, account, day) by what it staged.

        As in the local warehouse; all checks come before the first row. Adds a warning to the
        report where days are written that the service removes at once. Raises ConfigError and
        OutputError; ValueError where rows were staged that `replaced` does not cover.
        """
        staged = self.staged()
        check_covered(staged, replaced)
        largest = largest_payloads(table_files(self.staging, DEAD_LETTERS))
        raise_found([*check_limits(replaced, largest, self.warehouse.limits)])
        parts, state = self._prepare(staged, replaced)
        with clear_service_errors("loading staging tables", NOTHING):
            for part in parts:
                self._load(part, staged)
        decided = [self._decide(part, staged, replaced, state) for part in parts]
        with clear_service_errors("writing the journal", UNSURE):
            for part, found in zip(parts, decided, strict=True):
                commits.decide(self.service, found, part.control.dataset, part.control.location)
        with clear_service_errors("replacing the days of accounts", DECIDED):
            for part, found in zip(parts, decided, strict=True):
                failed = finish(self.service, found, part.control.dataset, part.control.location)
                if failed:
                    raise next(iter(failed.values()))
        warnings = [*self.recovery.warnings, *self._expired(staged, parts)]
        report.setdefault("warnings", []).extend(warnings)

    def _prepare(
        self, staged: pl.DataFrame, replaced: pl.DataFrame
    ) -> tuple[list[LocationRun], State]:
        """Makes what is missing, and the run's parts by location."""
        warehouse, target = self.warehouse, self.warehouse.target
        accounts: Collection[str | None] = {*staged["account"], *replaced["account"]}
        self.recovery.check(accounts)
        detail = not staged.filter(pl.col("table").is_in(DETAIL_TABLES)).is_empty()
        known = {account for account in accounts if account is not None}
        seen = self._seen if known <= self._accounts else None
        places, state = warehouse.prepare(known, detail=detail, seen=seen)
        everyone: dict[str | None, Place] = dict(places.items())
        if None in accounts:
            home = home_location(warehouse.config, target)
            everyone[None] = control_place(home, warehouse.config)
        controls = control_places(places.values(), warehouse.config, target)
        return split_by_location(target.project, self.name, everyone, controls, self.began), state

    def _load(self, part: LocationRun, staged: pl.DataFrame) -> None:
        for name, (number, kms_key) in product(
            staged["table"].unique().sort(), enumerate(part.keys)
        ):
            accounts = [a for a, place in part.places.items() if place.kms_key == kms_key]
            file = self.staging / f"{part.control.dataset}-{number}-{name}.parquet"
            if staging.merge_files(self.staging, TABLES[name], accounts, file):
                staging.load(
                    self.service,
                    file,
                    TABLES[name],
                    part.staging_table(TABLES[name], kms_key),
                    location=part.control.location,
                    job_id=f"attribeam-{part.run}-{part.control.dataset}-{number}-{name}",
                    kms_key=kms_key,
                )
            file.unlink()

    def _decide(
        self, part: LocationRun, staged: pl.DataFrame, replaced: pl.DataFrame, state: State
    ) -> list[Commit]:
        from_json = self.service.is_emulator
        return [
            Commit(part.run, r.number, r.account, replace_script(r, from_json=from_json))
            for r in make_replacements(part, staged, replaced, state)
        ]

    def _counts(self, places: dict[str, Place], actual: State) -> dict[str, list[str]]:
        """By location, a query for each table that is there."""
        queries: dict[str, list[str]] = {}
        for account, place in places.items():
            for name, table in TABLES.items():
                if (place.dataset, name) in actual.tables:
                    queries.setdefault(place.location, []).append(
                        f"SELECT '{name}', {literal(account)}, {table.partition}, COUNT(*) "
                        f"FROM `{self.service.project}.{place.dataset}.{name}` "
                        f"GROUP BY {table.partition}"
                    )
        return queries

    def _expired(self, staged: pl.DataFrame, parts: Iterable[LocationRun]) -> list[str]:
        """Says how many staged rows are of days that the service removes by its clock."""
        today = dt.datetime.now(dt.UTC).date()
        keep = {a: p.retention_days for part in parts for a, p in part.places.items()}
        gone = sum(
            row["rows"]
            for row in staged.iter_rows(named=True)
            if row["day"] + dt.timedelta(days=keep[row["account"]]) <= today
        )
        if not gone:
            return []
        return [f"BigQuery removes {gone} of the rows at once: their days expired (retention_days)"]
