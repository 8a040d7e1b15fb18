"""attribeam tables: what BigQuery holds, what would change, and the change (docs/bigquery.md)."""

import datetime as dt
import json
from collections.abc import Callable
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
from pipelines.bigquery.plan import Plan, check_locations, make_plan
from pipelines.bigquery.service import Service, connect
from pipelines.bigquery.wanted import INSTRUCTIONS, State, wanted_state, without_absent_detail
from schemas.config import ConfigError, load_config

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
    """A project's datasets as they are and as the configuration wants them."""

    service: Service
    places: dict[str, Place]
    wanted: State
    actual: State

    def plan(self, instruction: str | None) -> Plan:
        """What would change."""
        places = self.places.values()
        plan = make_plan(self.wanted, self.actual, places, instruction)
        return Plan(plan.changes, (*check_locations(places), *plan.refusals), plan.retentions)

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
        accounts = {*config.accounts, *service.accounts()}
        places = find_places(accounts, config, target)
        controls = control_places(places.values(), config, target)
        wanted = wanted_state(target.project, places.values(), controls)
        actual = service.read_state(wanted, texts=True)
    if not detail:
        wanted = without_absent_detail(wanted, actual)
    return Tables(service, places, wanted, actual)


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
