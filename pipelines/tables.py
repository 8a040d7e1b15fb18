"""attribeam tables: what BigQuery holds, what would change, and the change (docs/bigquery.md)."""

import datetime as dt
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.bigquery.compare import days_text
from pipelines.bigquery.errors import clear_service_errors
from pipelines.bigquery.names import (
    Place,
    control_places,
    find_places,
    is_bigquery,
    parse_target,
)
from pipelines.bigquery.plan import EXPIRATION, Plan, check_locations, keep_retention, make_plan
from pipelines.bigquery.service import Service, connect
from pipelines.bigquery.wanted import (
    DAY_MILLISECONDS,
    INSTRUCTIONS,
    Resource,
    State,
    wanted_state,
    without_absent_detail,
)
from schemas.config import Config, ConfigError, load_config

COLUMNS = ("dataset", "table", "kind", "location", "expires", "columns", "rows", "bytes")
NOTHING_DONE = "nothing was changed"


def run_tables(
    action: str,
    output: str,
    config_path: Path | None,
    instruction: str | None,
    *,
    detail: bool,
    as_json: bool,
    say: Callable[[str], None],
) -> bool:
    """Does apply, diff or show; True where nothing was refused.

    Says the plan before it is carried out; where anything is refused nothing is changed. Raises
    ConfigError and OutputError.
    """
    tables = open_tables(output, config_path, detail=detail)
    if action == "show":
        listed = describe(tables.actual)
        say(json.dumps(listed, indent=2) if as_json else listing(listed))
        return True
    plan = tables.plan(instruction)
    say(json.dumps(plan_json(plan), indent=2) if as_json else plan_text(plan))
    if action == "apply" and not plan.refusals:
        tables.apply(plan, instruction)
    return not plan.refusals


@dataclass(frozen=True)
class Tables:
    """A project's datasets as they are and as the configuration wants them.

    named: the places of accounts that the configuration names, whose retention may change.
    """

    service: Service
    named: Collection[Place]
    wanted: State
    actual: State

    def plan(self, instruction: str | None) -> Plan:
        """What would change."""
        plan = make_plan(self.wanted, self.actual, self.named, instruction)
        return Plan(plan.changes, (*check_locations(self.named), *plan.refusals), plan.retentions)

    def apply(self, plan: Plan, instruction: str | None) -> None:
        """Carries out a plan; changes of retention are written down first. Raises OutputError."""
        self.service.apply(plan.opening)
        for change in plan.retentions:
            with clear_service_errors("writing down the instruction", NOTHING_DONE):
                _write_instruction(self.service, change.place, change.old, change.new, instruction)
        self.service.apply(plan.rest)


def open_tables(output: str, config_path: Path | None, *, detail: bool) -> Tables:
    """Reads what there is. Raises ConfigError and OutputError; detail: also detail tables."""
    config = load_config(config_path)
    if not is_bigquery(output):
        raise ConfigError(f"--output {output}: tables are BigQuery's, write bigquery://PROJECT")
    target = parse_target(output)
    service = connect(target.project)
    with clear_service_errors("reading the project's datasets", NOTHING_DONE):
        named = find_places(config.accounts, config, target).values()
        others = _other_places(service, named, config)
        controls = control_places(named, config, target)
        wanted = wanted_state(target.project, [*named, *others], controls)
        actual = service.read_state(wanted, texts=True)
    wanted = keep_retention(wanted, actual, {place.dataset for place in others})
    if not detail:
        wanted = without_absent_detail(wanted, actual)
    return Tables(service, named, wanted, actual)


def place_found(dataset: Resource, config: Config) -> Place:
    """The place of an account that the configuration does not name: as its dataset has it."""
    expiration = dataset.get(EXPIRATION)
    days = int(expiration) // DAY_MILLISECONDS if expiration else config.default.retention_days
    return Place(
        dataset["friendlyName"],
        dataset["datasetReference"]["datasetId"],
        dataset["location"],
        days,
        (dataset.get("defaultEncryptionConfiguration") or {}).get("kmsKeyName"),
    )


def _other_places(service: Service, named: Collection[Place], config: Config) -> list[Place]:
    """Places of accounts that have a dataset in the project and are not named."""
    accounts, taken = ({getattr(p, key) for p in named} for key in ("account", "dataset"))
    ids = [
        dataset
        for account, dataset in service.account_datasets()
        if account not in accounts and dataset not in taken
    ]
    found = service.read_state(State({name: {} for name in ids})).datasets
    return [place_found(dataset, config) for dataset in found.values()]


def describe(actual: State) -> list[dict[str, Any]]:
    """The datasets' tables and views: dataset, table, location, expires, columns, rows, bytes."""
    return [
        {
            "dataset": dataset,
            "table": name,
            "kind": table.get("type", "TABLE").lower(),
            "location": actual.datasets[dataset].get("location"),
            "expires": days_text((table.get("timePartitioning") or {}).get("expirationMs")),
            "columns": len(table.get("schema", {}).get("fields", [])),
            "rows": _number(table.get("numRows")),
            "bytes": _number(table.get("numBytes")),
        }
        for (dataset, name), table in sorted(actual.tables.items())
    ]


def listing(described: list[dict[str, Any]]) -> str:
    """What describe gives, in aligned columns."""
    rows = [list(COLUMNS)]
    rows += [["" if row[c] is None else str(row[c]) for c in COLUMNS] for row in described]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines) if described else "no tables yet: attribeam tables apply"


def plan_text(plan: Plan) -> str:
    """A plan in lines: what is refused, what rows are kept for another time, what changes."""
    lines = [f"refused: {words}" for words in plan.refusals]
    lines += [change.text for change in plan.retentions if not plan.refusals]
    lines += [change.text for change in plan.changes]
    return "\n".join(lines) or "nothing to change"


def plan_json(plan: Plan) -> dict[str, list[str]]:
    """A plan for scripts."""
    return {
        "refused": [*plan.refusals],
        "retention": [change.text for change in plan.retentions],
        "changes": [change.text for change in plan.changes],
    }


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


def _write_instruction(
    service: Service, place: Place, old: str | None, new: str, instruction: str | None
) -> None:
    now = dt.datetime.now(dt.UTC)
    table = f"{service.project}.{place.dataset}.{INSTRUCTIONS.name}"
    service.query(
        f"INSERT INTO `{table}` ({', '.join(INSTRUCTIONS.names)}) VALUES (@account, "
        "CAST(@day AS DATE), CAST(@moment AS TIMESTAMP), @setting, NULLIF(@old, ''), @new, @text)",
        place.location,
        account=str(place.account),
        day=str(now.date()),
        moment=now.isoformat(sep=" "),
        setting="retention_days",
        old="" if old is None else days_text(old),
        new=days_text(new),
        text=str(instruction),
    )
