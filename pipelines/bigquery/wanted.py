"""What BigQuery should hold for an account, as the resources of its REST reference. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from pipelines.bigquery.names import Place
from pipelines.bigquery.views import bigquery_view
from pipelines.views import VIEWS, view_sql
from schemas.columns import Table, day, integer, moment, text
from schemas.tables import ACCOUNT, DEAD_LETTERS, TABLES

Resource = dict[str, Any]

DAY_MILLISECONDS = 86_400_000
TIME_TRAVEL_HOURS = 48
STAGING_DAYS = 7
LABEL = {"application": "attribeam"}
DETAIL_TABLES = ("pageviews", "engagements")

INSTRUCTIONS = Table(
    "instructions",
    "Who changed how long rows are kept, on whose word: one row per change, kept without end.",
    "instructed_date",
    ("setting",),
    (
        ACCOUNT,
        day("instructed_date", "The UTC day of the change."),
        moment("instructed_at", "When the change was made.", "REQUIRED"),
        text("setting", "What was changed.", "REQUIRED"),
        text("old_value", "Its value before; null where it had none."),
        text("new_value", "Its value since.", "REQUIRED"),
        text("instruction", "The written reference given for it.", "REQUIRED"),
    ),
)
COMMITS = Table(
    "commits",
    "Journal of backfills: what a run replaces for each account, and that it has been done.",
    "committed_date",
    ("run", "account"),
    (
        text("run", "The run.", "REQUIRED"),
        text("account", "The account; null for rows of no known account."),
        day("committed_date", "The UTC day."),
        moment("committed_at", "When this was decided or done.", "REQUIRED"),
        text("state", "decided, or done.", "REQUIRED"),
        text("script", "The transaction that replaces the account's days."),
        integer("number", "Number of the account in the run.", "REQUIRED"),
    ),
)


@dataclass(frozen=True)
class State:
    """Datasets by name and tables (views are tables) by (dataset, name)."""

    datasets: dict[str, Resource] = field(default_factory=dict)
    tables: dict[tuple[str, str], Resource] = field(default_factory=dict)


def wanted_state(project: str, places: Iterable[Place], controls: Iterable[Place]) -> State:
    """Datasets, tables (detail tables too) and views of accounts, and the control datasets."""
    state = State()
    for place in places:
        state.datasets[place.dataset] = dataset_resource(project, place)
        for table in TABLES.values():
            state.tables[place.dataset, table.name] = table_resource(project, place, table)
        state.tables[place.dataset, INSTRUCTIONS.name] = table_resource(
            project, place, INSTRUCTIONS, is_kept=True
        )
        for view in VIEWS:
            state.tables[place.dataset, view] = view_resource(project, place, view)
    for place in controls:
        state.datasets[place.dataset] = dataset_resource(project, place)
        for table in (DEAD_LETTERS, COMMITS):
            state.tables[place.dataset, table.name] = table_resource(project, place, table)
    return state


def without_absent_detail(wanted: State, actual: State) -> State:
    """Detail tables are looked after where they are, and made only where they are asked for."""
    kept = {
        path: table
        for path, table in wanted.tables.items()
        if path[1] not in DETAIL_TABLES or path in actual.tables
    }
    return State(wanted.datasets, kept)


def dataset_resource(project: str, place: Place) -> Resource:
    """The dataset of a place."""
    resource: Resource = {
        "datasetReference": {"projectId": project, "datasetId": place.dataset},
        "location": place.location,
        "friendlyName": place.account or "attribeam",
        "description": f"Calls and sessions of {place.whose}, kept {place.retention_days} days.",
        "labels": LABEL,
        "defaultPartitionExpirationMs": str(place.retention_days * DAY_MILLISECONDS),
        "maxTimeTravelHours": str(TIME_TRAVEL_HOURS),
    }
    if place.kms_key:
        resource["defaultEncryptionConfiguration"] = {"kmsKeyName": place.kms_key}
    return resource


def table_resource(project: str, place: Place, table: Table, *, is_kept: bool = False) -> Resource:
    """A table of a place; is_kept: its rows do not expire.

    Partitions would, even without an expiration of their own, by the dataset's default.
    """
    resource: Resource = {
        "tableReference": _reference(project, place, table.name),
        "description": table.description,
        "labels": LABEL,
        "schema": {"fields": table.bigquery()},
        "clustering": {"fields": list(table.clustering)},
    }
    if not is_kept:
        resource["timePartitioning"] = {
            "type": "DAY",
            "field": table.partition,
            "expirationMs": str(place.retention_days * DAY_MILLISECONDS),
        }
    if place.kms_key:
        resource["encryptionConfiguration"] = {"kmsKeyName": place.kms_key}
    return resource


def view_resource(project: str, place: Place, name: str) -> Resource:
    """A view of a place."""
    dataset = f"{project}.{place.dataset}"
    return {
        "tableReference": _reference(project, place, name),
        "description": " ".join(_summary(view_sql(name))),
        "labels": LABEL,
        "view": {"query": bigquery_view(name, dataset), "useLegacySql": False},
    }


def _summary(sql: str) -> Iterator[str]:
    """The first paragraph of the comment at a view's top."""
    for line in takewhile(lambda line: len(line) > len("--"), sql.splitlines()):
        yield line.removeprefix("-- ")


def _reference(project: str, place: Place, name: str) -> dict[str, str]:
    return {"projectId": project, "datasetId": place.dataset, "tableId": name}
