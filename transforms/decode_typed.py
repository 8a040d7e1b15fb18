"""Lines that no template fits, read one at a time by a strict typed parser, then as columns.

The parser refuses whatever is not the plain value that a field asks for; those lines are left to
transforms.decode_event.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import polars as pl
import pyarrow as pa

from schemas.events import FIELDS
from transforms.decode_fitting import RawRows
from transforms.decode_json import MAX_BYTES, MAX_DEPTH, trim
from transforms.decode_lines import Lines
from transforms.decode_rows import pairs
from transforms.decode_templates import COLUMN_KINDS
from transforms.decode_times import time_of_number

_ABSENT = msgspec.Raw(b"null")
_TEXT = str | int | None
_TYPES: dict[str, Any] = {
    "text": _TEXT,
    "number": _TEXT,
    "word": _TEXT,
    "time": msgspec.Raw,
    "texts": list[str | int | None] | str | int | None,
    "phones": list[str | int | None] | str | int | None,
    "map": dict[str, str | int | None] | None,
    "truth": bool | None,
    "integer": int | None,
    "outcome": msgspec.Raw,
    "quality": msgspec.Raw,
}
_STRING = pa.large_string()
_STRINGS = pa.large_list(_STRING)
_PAIRS = pa.large_list(pa.struct({"name": _STRING, "value": _STRING}))


class _Typed(msgspec.Struct):
    type: str | None = None


def _decoder(kind: str) -> msgspec.json.Decoder[Any]:
    fields = [
        (field_.name, _TYPES[field_.kind], _ABSENT if _TYPES[field_.kind] is msgspec.Raw else None)
        for field_ in FIELDS[kind]
    ]
    return msgspec.json.Decoder(msgspec.defstruct(kind, fields, bases=(_Typed,), gc=False))


_DECODERS = {kind: _decoder(kind) for kind in COLUMN_KINDS}
_TYPE_DECODER = msgspec.json.Decoder(_Typed)


class _DoubtfulError(Exception):
    """A value that the exact reader has to judge."""


@dataclass
class _Found:
    """Objects of one kind and the places of their lines."""

    places: list[int] = field(default_factory=list)
    objects: list[Any] = field(default_factory=list)


def typed_rows(
    lines: Lines, places: np.ndarray, file_kind: str | None
) -> tuple[list[RawRows], np.ndarray]:
    """The rows of lines (given by their places) as far as they are plain, and the other places."""
    found = {kind: _Found() for kind in COLUMN_KINDS}
    # The parser does not look into what it skips, so lines that are not UTF-8 are not for it.
    for place in np.setdiff1d(places, lines.foreign).tolist():
        line = lines.line(place)
        try:
            kind = _kind(line, file_kind)
            read = _DECODERS[kind].decode(line)
        except (msgspec.DecodeError, RecursionError, _DoubtfulError):
            continue
        if file_kind is None or not read.type or trim(read.type).lower() in ("", kind):
            found[kind].places.append(place)
            found[kind].objects.append(read)
    raw = [_raw_rows(kind, rows) for kind, rows in found.items() if rows.places]
    done = np.concatenate([rows.places for rows in raw]) if raw else places[:0]
    return raw, np.setdiff1d(places, done)


def _kind(line: bytes, file_kind: str | None) -> str:
    """The kind to read a line as. Raises _DoubtfulError for a line that is not to be read here."""
    is_long = len(line) > MAX_DEPTH
    if len(line) > MAX_BYTES or (is_long and line.count(b"[") + line.count(b"{") > MAX_DEPTH):
        raise _DoubtfulError
    said = file_kind if file_kind is not None else _TYPE_DECODER.decode(line).type
    kind = trim(said or "").lower()
    if kind not in _DECODERS:
        raise _DoubtfulError
    return kind


def _raw_rows(kind: str, found: _Found) -> RawRows:
    """Objects as columns, without those that have a doubtful value."""
    doubtful: set[int] = set()
    columns: dict[str, pl.Series] = {}
    for field_ in FIELDS[kind]:
        values = [getattr(read, field_.name) for read in found.objects]
        if field_.kind == "time":
            texts, numbers = _times(values, doubtful)
            columns[field_.name] = texts
            columns[f"{field_.name}_number"] = numbers
        elif _TYPES[field_.kind] is msgspec.Raw:
            doubtful.update(row for row, raw in enumerate(values) if bytes(raw) != b"null")
        else:
            columns[field_.name] = _COLUMNS.get(field_.kind, _text_column)(values, doubtful)
    wanted = np.ones(len(found.places), bool)
    wanted[list(doubtful)] = False
    table = pl.DataFrame(columns).filter(wanted)
    return RawRows(kind, np.array(found.places)[wanted], table, is_plain=False)


def _each(
    values: Sequence[Any], doubtful: set[int], read: Callable[[Any], Any], type_: pa.DataType
) -> pl.Series:
    """A column of what `read` makes of the values; where it raises, the row becomes doubtful."""
    column = []
    for row, value in enumerate(values):
        try:
            column.append(None if value is None else read(value))
        except _DoubtfulError:
            doubtful.add(row)
            column.append(None)
    # Arrow reads nested values of Python several times as fast as polars does.
    return pl.Series(pa.array(column, type_))


def _text(value: str | int) -> str:
    return value if isinstance(value, str) else str(_integer(value))


def _text_column(values: Sequence[str | int | None], doubtful: set[int]) -> pl.Series:
    texts = _each(values, doubtful, _text, _STRING).str.strip_chars()
    return texts.set(texts == "", None)


def _times(values: Sequence[msgspec.Raw], doubtful: set[int]) -> tuple[pl.Series, pl.Series]:
    """The times that are texts, and those that are numbers (us)."""
    raw = [bytes(value) for value in values]
    texts = [text[1:-1].decode() if text[:1] == b'"' else None for text in raw]
    doubtful.update(row for row, text in enumerate(texts) if text and "\\" in text)
    numbers = [None if text[:1] in b'"n' else text for text in raw]
    return _text_column(texts, doubtful), _each(numbers, doubtful, _number_time, pa.int64())


def _number_time(raw: bytes) -> int:
    time = time_of_number(raw.decode()) if raw[:1] in b"-0123456789" else None
    if time is None:
        raise _DoubtfulError
    return time


def _items(value: list[str | int | None] | str | int) -> list[str] | None:
    items = value if isinstance(value, list) else [value]
    texts = [trim(_text(item)) for item in items if item is not None]
    usable = [text for text in texts if text]
    # A lone empty text is absent; an empty list was given and says nothing.
    return usable if usable or isinstance(value, list) else None


def _pairs(value: dict[str, str | int | None]) -> list[dict[str, str]] | None:
    texts = ((trim(name), trim(_text(text))) for name, text in value.items() if text is not None)
    return pairs({name: text for name, text in texts if name and text})


def _integer(value: int) -> int:
    if not -(1 << 63) <= value < 1 << 63:  # may have any number of digits
        raise _DoubtfulError
    return value


_COLUMNS: dict[str, Callable[[Sequence[Any], set[int]], pl.Series]] = {
    "texts": lambda values, doubtful: _each(values, doubtful, _items, _STRINGS),
    "phones": lambda values, doubtful: _each(values, doubtful, _items, _STRINGS),
    "map": lambda values, doubtful: _each(values, doubtful, _pairs, _PAIRS),
    "truth": lambda values, doubtful: _each(values, doubtful, bool, pa.bool_()),
    "integer": lambda values, doubtful: _each(values, doubtful, _integer, pa.int64()),
}
