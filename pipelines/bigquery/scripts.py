"""SQL of the sink: replacing an account's days by staged rows, in one transaction. Pure."""

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pipelines.bigquery.wanted import COMMITS, Resource
from schemas.columns import Table
from schemas.tables import DEAD_LETTERS, TABLES

# How a value of a staged record's field is had, from JSON text, for the emulator (`from_json`).
_FROM_JSON = {
    "STRING": "{}",
    "INT64": "CAST({} AS INT64)",
    "FLOAT64": "CAST({} AS FLOAT64)",
    "TIMESTAMP": "TIMESTAMP_MICROS(CAST(CAST({} AS FLOAT64) AS INT64))",
}


@dataclass(frozen=True)
class Replacement:
    """What a run replaces for one account; number: the account's in the run.

    dataset: `project.dataset`. began: when the run did. days: by table. staged: by table that the
    account has staged rows of, the staging table. columns: by table, its columns as they are there.
    """

    run: str
    number: int
    account: str | None
    dataset: str
    journal: str
    began: dt.datetime
    days: Mapping[str, Sequence[dt.date]] = field(default_factory=dict)
    staged: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, Sequence[Resource]] = field(default_factory=dict)


def replace_script(replacement: Replacement, *, from_json: bool = False) -> str:
    """All of an account's changes and the note that they are done, as one transaction.

    Days go and staged rows come; dead letters are merged by their id instead. What was written
    since the run began is a stream's, of events that the run may not have read, and stays.
    from_json: whether fields of staged records are read by way of JSON (docs/bigquery.md says why).
    """
    statements = ["BEGIN TRANSACTION", *_changes(replacement, from_json), _done(replacement)]
    return ";\n".join([*statements, "COMMIT TRANSACTION"]) + ";\n"


def staged_column(column: Resource) -> Resource:
    """A column as its staging table has it: bytes travel as base64 text, nothing is required."""
    kind = "STRING" if column["type"] == "BYTES" else column["type"]
    mode = "REPEATED" if column["mode"] == "REPEATED" else "NULLABLE"
    return column | {"type": kind, "mode": mode}


def literal(value: str | None) -> str:
    """A text as SQL writes it."""
    return "NULL" if value is None else json.dumps(value, ensure_ascii=False)


def _changes(replacement: Replacement, from_json: bool) -> Iterator[str]:
    mine = (
        "account IS NULL"
        if replacement.account is None
        else f"account = {literal(replacement.account)}"
    )
    for name, table in TABLES.items():
        target = f"`{replacement.dataset}.{name}`"
        staging = replacement.staged.get(name)
        if table is DEAD_LETTERS and staging:
            yield (
                f"DELETE FROM {target} WHERE dead_letter_id IN "
                f"(SELECT dead_letter_id FROM `{staging}` WHERE {mine})"
            )
        elif replacement.days.get(name):
            days = _in_days(table, replacement.days[name])
            yield f"DELETE FROM {target} WHERE {mine} AND {days} AND {_before(replacement.began)}"
        if staging:
            columns = replacement.columns[name]
            names = ", ".join(f"`{column['name']}`" for column in columns)
            values = ",\n  ".join(_value(column, from_json) for column in columns)
            rows = f"SELECT\n  {values}\nFROM `{staging}` WHERE {mine}"
            yield f"INSERT INTO {target} ({names})\n{rows}"


def _in_days(table: Table, days: Sequence[dt.date]) -> str:
    listed = ", ".join(f"DATE '{day}'" for day in sorted(days))
    return f"{table.partition} IN ({listed})"


def _before(began: dt.datetime) -> str:
    """Whether a row is not of the time since a run began; --now may lie in the future."""
    since = f"emitted_at > TIMESTAMP '{began.isoformat()}'"
    return f"NOT ({since} AND emitted_at <= CURRENT_TIMESTAMP())"


def _value(column: Resource, from_json: bool) -> str:
    """A staged column's value; records are made anew, as fields are matched by their place."""
    name = column["name"]
    if column["type"] == "BYTES":
        return f"FROM_BASE64(`{name}`)"
    if "fields" not in column:
        return f"`{name}`"
    fields = ", ".join(_field(inner, from_json) for inner in column["fields"])
    return (
        f"ARRAY(SELECT AS STRUCT {fields} FROM UNNEST(`{name}`) AS item WITH OFFSET AS place "
        "ORDER BY place)"
    )


def _field(column: Resource, from_json: bool) -> str:
    name = column["name"]
    if not from_json:
        return f"item.`{name}` AS `{name}`"
    text = f"JSON_VALUE(TO_JSON_STRING(item), '$.{name}')"
    return f"{_FROM_JSON[column['type']].format(text)} AS `{name}`"


def _done(replacement: Replacement) -> str:
    values = (
        literal(replacement.run),
        literal(replacement.account),
        "CURRENT_DATE()",
        "CURRENT_TIMESTAMP()",
        "'done'",
        "NULL",
        str(replacement.number),
    )
    names = ", ".join(COMMITS.names)
    return f"INSERT INTO `{replacement.journal}` ({names}) VALUES ({', '.join(values)})"
