"""Tables as protocol buffer messages, column by column (the encoding of protobuf.dev). Pure.

A message is its fields' bytes one after another, so a column is encoded by itself, each different
value once, and a row is joined from its columns' pieces. The protobuf library, given rows as Python
objects, takes four times as long.
"""

from collections.abc import Iterable
from itertools import accumulate, pairwise

import numpy as np
import polars as pl

# Wire types: how a field's value follows its number.
VARINT, FIXED_64, LENGTH = 0, 1, 2
_SHIFTS = np.arange(0, 70, 7, dtype=np.uint64)


def encode_rows(rows: pl.DataFrame) -> list[bytes]:
    """Each row as a message whose field n is column n, counted from 1; null is left out.

    Columns: text, binary, whole numbers, Float64, Boolean, structs and lists of these.
    """
    columns = [
        _fields(number, column)
        for number, column in enumerate(rows.iter_columns(), 1)
        if column.null_count() < rows.height
    ]
    if not columns:
        return [b""] * rows.height
    return [*map(b"".join, zip(*columns, strict=True))]


def _fields(number: int, values: pl.Series) -> Iterable[bytes]:
    """The bytes of each row's field; of a list, of all its items."""
    if not isinstance(values.dtype, pl.List):
        return _single(number, values)
    counts = values.list.len().fill_null(0)
    items = [*_single(number, values.filter(counts > 0).explode())]
    ends = accumulate(counts.to_list(), initial=0)
    return [b"".join(items[begin:end]) for begin, end in pairwise(ends)]


def _single(number: int, values: pl.Series) -> Iterable[bytes]:
    if isinstance(values.dtype, pl.Struct):
        return _prefixed(number, encode_rows(values.struct.unnest()))
    different = values.to_arrow().dictionary_encode()
    pieces = [*_different(number, pl.Series(different.dictionary)), b""]
    places = different.indices.fill_null(len(pieces) - 1).to_numpy().tolist()
    return map(pieces.__getitem__, places)


def _different(number: int, values: pl.Series) -> Iterable[bytes]:
    """The fields of values, none of them null."""
    if values.dtype in (pl.String, pl.Binary):
        return _prefixed(number, values.cast(pl.Binary).to_list())
    if values.dtype == pl.Float64:
        data = values.to_numpy().astype("<f8").view(np.uint8).reshape(-1, 8)
        return _cut(_tag(number, FIXED_64), data, [8] * len(data))
    return _varints(values.cast(pl.Int64).to_numpy(), _tag(number, VARINT))


def _prefixed(number: int, messages: list[bytes]) -> Iterable[bytes]:
    """Fields of bytes that have their length before them."""
    lengths = [*map(len, messages)]
    known = [*{*lengths}]
    heads = dict(zip(known, _varints(np.array(known), _tag(number, LENGTH)), strict=True))
    return map(bytes.__add__, map(heads.__getitem__, lengths), messages)


def _tag(number: int, wire_type: int) -> bytes:
    [tag] = _varints(np.array([number << 3 | wire_type]))
    return tag


def _varints(numbers: np.ndarray, tag: bytes = b"") -> list[bytes]:
    """Whole numbers in groups of seven bits, lowest first; below zero as two's complement."""
    rest = numbers.astype(np.int64).view(np.uint64)[:, None] >> _SHIFTS
    lengths = np.maximum((rest != 0).sum(axis=1), 1)
    is_followed = np.arange(1, len(_SHIFTS) + 1) < lengths[:, None]
    groups = (rest & 0x7F).astype(np.uint8) | (is_followed.astype(np.uint8) << 7)
    return _cut(tag, groups, lengths.tolist())


def _cut(tag: bytes, data: np.ndarray, lengths: list[int]) -> list[bytes]:
    """Each row's first bytes, behind a tag."""
    tags = np.tile(np.frombuffer(tag, np.uint8), (len(data), 1))
    joined = np.hstack([tags, data])
    text, width = joined.tobytes(), joined.shape[1]
    return [
        text[at : at + len(tag) + length]
        for at, length in zip(range(0, len(text), width), lengths, strict=True)
    ]
