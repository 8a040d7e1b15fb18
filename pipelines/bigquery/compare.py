"""How one dataset, table or view of BigQuery differs from what it should be. Pure.

Resources are those of the REST reference. What can be mended is a Difference with the fields that
mend it; what cannot without losing rows is a Refusal that says what to do.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from pipelines.bigquery.compare_columns import column_changes, merge_fields
from pipelines.bigquery.names import CONTROL_PREFIX
from pipelines.bigquery.wanted import DAY_MILLISECONDS, LABEL, Resource

TABLE_EXPIRATION = "defaultTableExpirationMs"
LABEL_TEXT = ",".join(f"{key}={value}" for key, value in LABEL.items())


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
    """Owner, location, expirations, key, time travel, description and labels."""
    if words := not_ours(name, wanted, actual) or _elsewhere(name, wanted, actual):
        yield Refusal(words)
        return
    if actual.get(TABLE_EXPIRATION) is not None:
        words = f"new tables never expire, not after {days_text(actual[TABLE_EXPIRATION])}"
        yield Difference(words, {TABLE_EXPIRATION: None}, is_decisive=True)
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
    yield from _compare_notes(wanted, actual)


def compare_table(name: str, wanted: Resource, actual: Resource) -> Found:
    """Partitions, expirations, clustering, key, columns, description and labels."""
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
    yield from _compare_lifetime("table", actual)
    if _needs_filter(actual):
        words = "queries need not say which days"
        yield Difference(words, {"requirePartitionFilter": False}, is_decisive=True)
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
    yield from _compare_lifetime("view", actual)
    yield from _compare_notes(wanted, actual)


def days_text(milliseconds: str | None) -> str:
    """An expiration in words."""
    if milliseconds is None:
        return "never"
    days = f"{int(milliseconds) / DAY_MILLISECONDS:g}"
    return f"{days} day" if days == "1" else f"{days} days"


def not_ours(name: str, wanted: Resource, actual: Resource) -> str | None:
    """Why a dataset is not the one that is wanted, by its label and its friendly name.

    Names are compared exactly: accounts a-b and a_b have the same dataset where none is set.
    """
    owner, should = actual.get("friendlyName"), wanted["friendlyName"]
    is_labelled = LABEL.items() <= (actual.get("labels") or {}).items()
    if is_labelled and owner == should:
        return None
    whose = f"account {should}"
    remedy = f"give {whose} another in [accounts.NAME]: dataset = …"
    if name.startswith(CONTROL_PREFIX):
        whose, remedy = "runs", "write into another project"
    if is_labelled and owner:
        return f"dataset {name} is that of account {owner}, not of {whose}: {remedy}"
    named = f", its friendly name is {owner}" if owner else ""
    lacks = "has no friendly name" if is_labelled else f"has no label {LABEL_TEXT}{named}"
    return (
        f"dataset {name} is not known as that of {whose} (it {lacks}): {remedy}; or, where it was "
        f'made for this, hand it over: set its label {LABEL_TEXT} and its friendly name "{should}"'
    )


def _elsewhere(name: str, wanted: Resource, actual: Resource) -> str | None:
    if actual.get("location", "").lower() == wanted["location"].lower():
        return None
    return (
        f"dataset {name} lies in {actual.get('location')}, not in {wanted['location']}, and a "
        "dataset cannot move: set location to where it lies, or name another dataset in "
        "[accounts.NAME]: dataset = …"
    )


def _compare_lifetime(kind: str, actual: Resource) -> Found:
    """A table that expires takes all its days along; a view is made again by the next run."""
    if (at := actual.get("expirationTime")) is not None:
        moment = dt.datetime.fromtimestamp(int(at) / 1000, dt.UTC)
        yield Difference(
            f"the {kind} itself never expires, not at {moment:%Y-%m-%d %H:%M} UTC",
            {"expirationTime": None},
            is_decisive=kind == "table",
        )


def _needs_filter(actual: Resource) -> bool:
    """Whether queries must say which days they read; the service had it elsewhere once."""
    partitioning = actual.get("timePartitioning") or {}
    return any(resource.get("requirePartitionFilter") for resource in (actual, partitioning))


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
    found = [*column_changes(name, wanted, actual)]
    refused = [words for words, is_refused, _ in found if is_refused]
    yield from (Refusal(words) for words in refused)
    if found and not refused:
        merged = {"schema": {"fields": merge_fields(wanted, actual)}}
        added = [words for words, _, is_added in found if is_added]
        words = "; ".join(added) if added else "other descriptions of columns"
        yield Difference(words, merged, is_decisive=bool(added))


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
