"""How one dataset, table or view of BigQuery differs from what it should be. Pure.

Resources are those of the REST reference. What can be mended is a Difference with the fields that
mend it; what cannot without losing rows is a Refusal that says what to do.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pipelines.bigquery.wanted import DAY_MILLISECONDS, Resource

# The service answers with the older names of some types.
OLDER_TYPES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN", "STRUCT": "RECORD"}


@dataclass(frozen=True)
class Difference:
    """One thing to mend: in words, the fields that mend it, whether rows must wait for it."""

    words: str
    patch: Resource = field(default_factory=dict)
    is_decisive: bool = False


@dataclass(frozen=True)
class Refusal:
    """What attribeam does not change; the words say why and what to do."""

    words: str


Found: TypeAlias = Iterator[Difference | Refusal]


def compare_dataset(name: str, wanted: Resource, actual: Resource) -> Found:
    """Location, expiration, key, time travel, description and labels."""
    if actual.get("location", "").lower() != wanted["location"].lower():
        yield Refusal(
            f"dataset {name} lies in {actual.get('location')}, not in {wanted['location']}, and a "
            "dataset cannot move: set location to where it lies, or name another dataset in "
            "[accounts.NAME]: dataset = …"
        )
        return
    key = "defaultPartitionExpirationMs"
    if actual.get(key) != wanted[key]:
        words = f"days expire after {days_text(wanted[key])}, not {days_text(actual.get(key))}"
        yield Difference(words, {key: wanted[key]}, is_decisive=True)
    if _key_name(actual, "defaultEncryptionConfiguration") != _key_name(
        wanted, "defaultEncryptionConfiguration"
    ):
        encryption = wanted.get("defaultEncryptionConfiguration")
        yield Difference(
            f"key {_key_name(wanted, 'defaultEncryptionConfiguration') or 'of the service'}",
            {"defaultEncryptionConfiguration": encryption},
            is_decisive=True,
        )
    hours = "maxTimeTravelHours"
    if str(actual.get(hours)) != wanted[hours]:
        yield Difference(f"time travel of {wanted[hours]} hours", {hours: wanted[hours]})
    if actual.get("friendlyName") != wanted["friendlyName"]:
        yield Difference("another friendly name", {"friendlyName": wanted["friendlyName"]})
    yield from _compare_notes(wanted, actual)


def compare_table(name: str, wanted: Resource, actual: Resource) -> Found:
    """Partitions, expiration, clustering, key, columns, description and labels."""
    if actual.get("type", "TABLE") != "TABLE":
        yield Refusal(f"{name} is a {actual['type'].lower()}, not a table: move it away")
        return
    shape, wanted_shape = (_shape(resource) for resource in (actual, wanted))
    if shape != wanted_shape:
        yield Refusal(
            f"table {name} is partitioned by {shape}, not by {wanted_shape}, which cannot be "
            "changed: copy it to another name, drop it, apply again and copy the rows back"
        )
        return
    if _expiration(actual) != _expiration(wanted):
        was, should = days_text(_expiration(actual)), days_text(_expiration(wanted))
        yield Difference(
            f"days expire after {should}, not {was}",
            {"timePartitioning": wanted["timePartitioning"]},
            is_decisive=True,
        )
    if actual.get("clustering") != wanted["clustering"]:
        yield Difference(
            f"clustered by {', '.join(wanted['clustering']['fields'])}",
            {"clustering": wanted["clustering"]},
        )
    yield from _compare_table_key(name, wanted, actual)
    fields = actual.get("schema", {}).get("fields", [])
    yield from _compare_columns(name, wanted["schema"]["fields"], fields)
    yield from _compare_notes(wanted, actual)


def compare_view(name: str, wanted: Resource, actual: Resource) -> Found:
    """Text, description and labels."""
    if actual.get("type", "VIEW") != "VIEW":
        yield Refusal(f"{name} is a {actual['type'].lower()}, not a view: move it away")
        return
    if actual.get("view", {}).get("query") != wanted["view"]["query"]:
        yield Difference("another text", {"view": wanted["view"]})
    yield from _compare_notes(wanted, actual)


def days_text(milliseconds: str | None) -> str:
    """An expiration in words."""
    if milliseconds is None:
        return "never"
    return f"{int(milliseconds) / DAY_MILLISECONDS:g} days"


def _compare_notes(wanted: Resource, actual: Resource) -> Found:
    if actual.get("description") != wanted["description"]:
        yield Difference("another description", {"description": wanted["description"]})
    labels = actual.get("labels") or {}
    if not wanted["labels"].items() <= labels.items():
        yield Difference("labels", {"labels": labels | wanted["labels"]})


def _compare_table_key(name: str, wanted: Resource, actual: Resource) -> Found:
    was, should = (_key_name(r, "encryptionConfiguration") for r in (actual, wanted))
    if was == should:
        return
    if was and should:
        patch = {"encryptionConfiguration": wanted["encryptionConfiguration"]}
        yield Difference(f"key {should}", patch, is_decisive=True)
        return
    yield Refusal(
        f"table {name} is encrypted with {was or 'a key of the service'}, not with "
        f"{should or 'one'}: copy the table over itself with the key wanted (bq cp "
        "--destination_kms_key), or set kms_key to what it has"
    )


def _compare_columns(name: str, wanted: list[Resource], actual: list[Resource]) -> Found:
    found = [*_field_changes(name, wanted, actual)]
    refused = [words for words, is_refused, _ in found if is_refused]
    yield from (Refusal(words) for words in refused)
    if found and not refused:
        merged = {"schema": {"fields": merge_fields(wanted, actual)}}
        added = [words for words, _, is_added in found if is_added]
        words = "; ".join(added) if added else "other descriptions of columns"
        yield Difference(words, merged, is_decisive=bool(added))


def _field_changes(
    name: str, wanted: list[Resource], actual: list[Resource], prefix: str = ""
) -> Iterator[tuple[str, bool, bool]]:
    """(in words, is refused, changes what can be written) for each column that differs."""
    there = {column["name"]: column for column in actual}
    should = {column["name"] for column in wanted}
    for column in actual:
        if column["name"] not in should:
            yield _foreign(name, prefix + column["name"]), True, False
    for column in wanted:
        path = prefix + column["name"]
        found = there.get(column["name"])
        if found is None:
            yield _missing(name, path, column)
            continue
        shape, wanted_shape = _column_shape(found), _column_shape(column)
        if shape == (wanted_shape[0], "REQUIRED") and wanted_shape[1] == "NULLABLE":
            yield f"column {path} may be null", False, True
        elif shape != wanted_shape:
            yield _changed(name, path, shape, wanted_shape), True, False
        elif found.get("description") != column["description"]:
            yield f"another description of {path}", False, False
        fields = column.get("fields", [])
        yield from _field_changes(name, fields, found.get("fields", []), f"{path}.")


def _missing(name: str, path: str, column: Resource) -> tuple[str, bool, bool]:
    if column["mode"] == "REQUIRED":
        words = (
            f"table {name} lacks the required column {path}, which rows that are there cannot "
            "have: copy the table to another name, drop it, apply again and copy the rows back"
        )
        return words, True, False
    return f"new column {path}", False, True


def _foreign(name: str, path: str) -> str:
    return (
        f"table {name} has a column {path} that attribeam does not know, so someone else changed "
        f"the table: drop the column, or move the table away (ALTER TABLE … RENAME TO) and apply"
    )


def _changed(name: str, path: str, shape: tuple[str, str], wanted: tuple[str, str]) -> str:
    return (
        f"column {path} of table {name} is {' '.join(shape)}, not {' '.join(wanted)}, which cannot "
        "be changed in place: copy the table to another name, drop it, apply again and copy the "
        "rows back"
    )


def merge_fields(wanted: list[Resource], actual: list[Resource]) -> list[Resource]:
    """The columns wanted in the order in which they are there, new ones last."""
    by_name = {column["name"]: column for column in wanted}
    order = [column["name"] for column in actual]
    order += [name for name in by_name if name not in order]
    nested: dict[str, Any] = {c["name"]: c.get("fields", []) for c in actual}
    merged = []
    for name in order:
        column = dict(by_name[name])
        if "fields" in column:
            column["fields"] = merge_fields(column["fields"], nested.get(name, []))
        merged.append(column)
    return merged


def _column_shape(column: Resource) -> tuple[str, str]:
    kind = column["type"].upper()
    return OLDER_TYPES.get(kind, kind), (column.get("mode") or "NULLABLE").upper()


def _shape(resource: Resource) -> str:
    partitioning = resource.get("timePartitioning") or {}
    if not partitioning:
        return "nothing"
    return f"{partitioning.get('type')} of {partitioning.get('field')}"


def _expiration(resource: Resource) -> str | None:
    expiration = (resource.get("timePartitioning") or {}).get("expirationMs")
    return None if expiration is None else str(expiration)


def _key_name(resource: Resource, key: str) -> str | None:
    return (resource.get(key) or {}).get("kmsKeyName")
