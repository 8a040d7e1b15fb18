"""Parquet files to blocks of JSON lines, a line a row: rows go the way of all events (SPEC 3)."""

from collections.abc import Iterator

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.events import FIELDS, Field
from transforms.decode_block import Block
from transforms.json_text import object_text
from transforms.reading_files import InputError, open_file

_ROWS = 1 << 16
_READABLE = {
    "text": "strings or integers",
    "number": "strings or integers",
    "word": "strings",
    "time": "timestamps, strings or numbers",
}


def parquet_blocks(path: str, kind: str | None) -> Iterator[Block]:
    """The rows of a file as blocks; line n is row n, from 1.

    Raises InputError where the file is no Parquet, or no value of a required column can be read.
    """
    known = {"type"} | {field.name for fields in FIELDS.values() for field in fields}
    with open_file(path) as file:
        try:
            parquet = pq.ParquetFile(file)
            schema = parquet.schema_arrow
            _check_types(path, schema, FIELDS.get(kind or "", ()))
            names = [name for name in schema.names if name in known]
            row = 1
            for batch in parquet.iter_batches(_ROWS, columns=names):
                yield Block(_json_lines(batch), kind, path, row)
                row += batch.num_rows
        except (pa.ArrowException, pl.exceptions.PolarsError, OSError) as error:
            raise InputError(
                f"{path}: cannot be read as Parquet: {error}; check that it is complete"
            ) from error


def _check_types(path: str, schema: pa.Schema, fields: tuple[Field, ...]) -> None:
    for field in fields:
        place = schema.get_field_index(field.name)
        if field.required and place >= 0 and not _readable(field.kind, schema.field(place).type):
            raise InputError(
                f"{path}: column {field.name} has type {schema.field(place).type}: expected "
                f"{_READABLE[field.kind]}; write the file with such a column"
            )


def _readable(kind: str, type_: pa.DataType) -> bool:
    types = pa.types
    if types.is_dictionary(type_):
        type_ = type_.value_type
    if types.is_string(type_) or types.is_large_string(type_) or types.is_string_view(type_):
        return True
    if types.is_null(type_):
        return True
    if kind == "time":
        return types.is_timestamp(type_) or types.is_integer(type_) or types.is_floating(type_)
    return kind != "word" and types.is_integer(type_)


def _json_lines(batch: pa.RecordBatch) -> bytes:
    if not batch.num_columns:
        return b"{}\n" * batch.num_rows
    rows = pl.DataFrame(pl.from_arrow(batch))
    return "\n".join(object_text(rows).to_list()).encode()
