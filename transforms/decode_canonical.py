"""Canonical JSON of whole columns, and its SHA-256 (SPEC section 3, Canonical JSON)."""

from typing import Any

import polars as pl
import polars_hash  # noqa: F401  registers the hash expressions

from schemas.events import FIELDS
from transforms.json_text import escaped, json_text

_DIGITS = 16  # of the hash that are kept: 64 bits


def content_hashes(kind: str, rows: pl.DataFrame, is_plain: bool) -> pl.Series:
    """The first 64 bits of each event's hash.

    rows: columns by the names of the fields, trimmed, times in microseconds, null or empty where
    absent. is_plain: no text needs an escape.
    """
    required = {field.name for field in FIELDS[kind] if field.required}
    names = sorted(rows.columns)
    first = min(required)
    parts: list[str | pl.Expr] = ["{"]
    values: list[pl.Series] = []
    for name in names:
        value, opening, closing = _value(rows[name], is_plain)
        values.append(value.alias(name))
        before = ("" if name <= first else ",") + f'"{name}":{opening}'
        pair: list[str | pl.Expr] = [
            before,
            pl.col(name),
            closing + ("," if name < first else ""),
        ]
        if name in required or not value.null_count():
            parts += pair
        else:
            there = pl.concat_str([_literal(part) for part in pair])
            parts.append(pl.when(pl.col(name).is_not_null()).then(there).otherwise(pl.lit("")))
    parts.append("}")
    json = pl.concat_str([_literal(part) for part in _joined(parts)])
    hashing: Any = json  # its namespace is registered, which types do not show
    digest = hashing.chash.sha2_256().str.head(_DIGITS)
    number = digest.str.to_integer(base=16, dtype=pl.UInt64)
    return pl.DataFrame(values).select(number.alias("hash")).to_series()


def _value(column: pl.Series, is_plain: bool) -> tuple[pl.Series, str, str]:
    """The column's values in JSON, null where absent, and what is missing before and after them."""
    if isinstance(column.dtype, pl.List):
        return _list_value(column, is_plain)
    if column.dtype != pl.String:
        return column.cast(pl.String), "", ""
    return column if is_plain else escaped(column), '"', '"'


def _list_value(column: pl.Series, is_plain: bool) -> tuple[pl.Series, str, str]:
    """The same for lists and maps."""
    lengths = column.list.len()
    is_map = isinstance(getattr(column.dtype, "inner", None), pl.Struct)
    if not is_plain or lengths.max() != 1:
        return json_text(column, is_map).set(lengths == 0, None), "", ""
    item = column.list.first()
    if is_map:
        entry = item.struct.unnest()
        return entry["name"] + '":"' + entry["value"], '{"', '"}'
    return item, '["', '"]'


def _joined(parts: list[str | pl.Expr]) -> list[str | pl.Expr]:
    """The same with neighbouring texts made one."""
    joined: list[str | pl.Expr] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        else:
            joined.append(part)
    return joined


def _literal(part: str | pl.Expr) -> pl.Expr:
    return pl.lit(part) if isinstance(part, str) else part
