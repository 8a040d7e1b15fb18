"""How the columns of a table of BigQuery differ from what they should be. Pure."""

from collections.abc import Iterator
from typing import Any

from pipelines.bigquery.wanted import Resource

# The service answers with the older names of some types.
OLDER_TYPES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN", "STRUCT": "RECORD"}


def column_changes(
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
        yield from column_changes(name, fields, found.get("fields", []), f"{path}.")


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
