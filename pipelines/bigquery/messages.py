"""Rows as protocol buffers, as the Storage Write API takes them.

Field names are column names. A time is microseconds since the epoch as int64, a day is days since
the epoch as int32 (the service's page "Supported protocol buffer and Arrow data types").
"""

from collections.abc import Sequence
from typing import Any

import polars as pl
from google.protobuf import descriptor_pb2

from pipelines.bigquery.wire import encode_rows
from schemas.columns import Column, Table

_Field = descriptor_pb2.FieldDescriptorProto
PROTO_TYPES = {
    "STRING": _Field.TYPE_STRING,
    "INT64": _Field.TYPE_INT64,
    "FLOAT64": _Field.TYPE_DOUBLE,
    "BOOL": _Field.TYPE_BOOL,
    "BYTES": _Field.TYPE_BYTES,
    "DATE": _Field.TYPE_INT32,
    "TIMESTAMP": _Field.TYPE_INT64,
}
POLARS_TYPES: dict[str, pl.DataType | type[pl.DataType]] = {
    "STRING": pl.String,
    "INT64": pl.Int64,
    "FLOAT64": pl.Float64,
    "BOOL": pl.Boolean,
    "BYTES": pl.Binary,
    "DATE": pl.Int32,
    "TIMESTAMP": pl.Int64,
}
MODES = {
    "NULLABLE": _Field.LABEL_OPTIONAL,
    "REQUIRED": _Field.LABEL_OPTIONAL,
    "REPEATED": _Field.LABEL_REPEATED,
}


class RowEncoder:
    """Serialises rows of a table.

    descriptor: the message that the bytes are of. nested_text: times within records are text, for
    the emulator (docs/bigquery.md says why).
    """

    def __init__(self, table: Table, *, nested_text: bool = False) -> None:
        self.descriptor = _message(table.name, table.columns, nested_text=nested_text, nested=False)
        self._types = {
            c.name: _polars_type(c, nested_text=nested_text, nested=False) for c in table.columns
        }

    def encode(self, rows: pl.DataFrame) -> list[bytes]:
        """Each row's bytes; columns that the table lacks are left out."""
        return encode_rows(rows.select(pl.col(name).cast(t) for name, t in self._types.items()))


def _message(
    name: str, columns: Sequence[Column], *, nested_text: bool, nested: bool
) -> descriptor_pb2.DescriptorProto:
    message = descriptor_pb2.DescriptorProto(name=f"{name.title().replace('_', '')}Row")
    for number, column in enumerate(columns, 1):
        field = message.field.add(name=column.name, number=number, label=MODES[column.mode])
        if column.fields:
            inner = _message(column.name, column.fields, nested_text=nested_text, nested=True)
            message.nested_type.append(inner)
            field.type, field.type_name = _Field.TYPE_MESSAGE, inner.name
        elif nested and nested_text and column.type == "TIMESTAMP":
            field.type = _Field.TYPE_STRING
        else:
            field.type = PROTO_TYPES[column.type]
    return message


def _polars_type(column: Column, *, nested_text: bool, nested: bool) -> Any:
    if column.fields:
        inner: Any = pl.Struct(
            {f.name: _polars_type(f, nested_text=nested_text, nested=True) for f in column.fields}
        )
    elif nested and nested_text and column.type == "TIMESTAMP":
        inner = pl.String
    else:
        inner = POLARS_TYPES[column.type]
    return pl.List(inner) if column.mode == "REPEATED" else inner
