"""Canonical JSON of whole columns, and its SHA-256 (SPEC section 3, Canonical JSON)."""

import polars as pl
import polars_hash  # noqa: F401  registers the hash expressions

from schemas.events import FIELDS
from transforms.json_text import json_text, quoted

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
        value, quote = _value(rows[name], is_plain)
        values.append(value)
        before = ("" if name <= first else ",") + f'"{name}":{quote}'
        pair = [before, pl.col(name), quote + ("," if name < first else "")]
        if name in required or not value.null_count():
            parts += pair
        else:
            there = pl.concat_str([_literal(part) for part in pair])
            parts.append(pl.when(pl.col(name).is_not_null()).then(there).otherwise(pl.lit("")))
    parts.append("}")
    json = pl.concat_str([_literal(part) for part in _joined(parts)])
    digest = json.chash.sha2_256().str.head(_DIGITS).str.decode("hex")
    number = digest.bin.reinterpret(dtype=pl.UInt64, endianness="big")
    return pl.DataFrame(values).select(number.alias("hash")).to_series()


def _value(column: pl.Series, is_plain: bool) -> tuple[pl.Series, str]:
    """The column's values in JSON, null where absent; and the quote that is missing around them."""
    if isinstance(column.dtype, pl.List):
        is_map = isinstance(column.dtype.inner, pl.Struct)
        texts = json_text(column, is_map) if is_map or not is_plain else _plain_list(column)
        return texts.set(column.list.len() == 0, None).alias(column.name), ""
    if column.dtype != pl.String:
        return column.cast(pl.String), ""
    return (column, '"') if is_plain else (quoted(column).alias(column.name), "")


def _plain_list(column: pl.Series) -> pl.Series:
    return '["' + column.list.join('","') + '"]'


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
