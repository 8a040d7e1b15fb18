"""The language in which every output table is defined once: Arrow, BigQuery, documents follow."""

from dataclasses import dataclass

import pyarrow as pa

ARROW_TYPES = {
    "STRING": pa.string(),
    "INT64": pa.int64(),
    "FLOAT64": pa.float64(),
    "BOOL": pa.bool_(),
    "BYTES": pa.binary(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us", tz="UTC"),
}


@dataclass(frozen=True)
class Column:
    """One column: its name, BigQuery type, description, mode and, for a RECORD, its fields."""

    name: str
    type: str
    description: str
    mode: str = "NULLABLE"
    fields: tuple["Column", ...] = ()

    def arrow_type(self) -> pa.DataType:
        """The Arrow type: a list where repeated, a struct where a record."""
        if self.type == "RECORD":
            inner: pa.DataType = pa.struct([field.arrow_field() for field in self.fields])
        else:
            inner = ARROW_TYPES[self.type]
        return pa.list_(inner) if self.mode == "REPEATED" else inner

    def arrow_field(self) -> pa.Field:
        """The Arrow field."""
        return pa.field(self.name, self.arrow_type())

    def bigquery(self) -> dict[str, object]:
        """The column as the BigQuery REST reference writes a TableFieldSchema."""
        schema: dict[str, object] = {
            "name": self.name,
            "type": self.type,
            "mode": self.mode,
            "description": self.description,
        }
        if self.fields:
            schema["fields"] = [field.bigquery() for field in self.fields]
        return schema


@dataclass(frozen=True)
class Table:
    """One output table: partitioned by a day column, clustered, described."""

    name: str
    description: str
    partition: str
    clustering: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The column names in their order."""
        return tuple(column.name for column in self.columns)

    def arrow_schema(self) -> pa.Schema:
        """The Arrow schema of the rows, partition column included."""
        return pa.schema([column.arrow_field() for column in self.columns])

    def bigquery(self) -> list[dict[str, object]]:
        """The schema as BigQuery's JSON schema file."""
        return [column.bigquery() for column in self.columns]


def text(name: str, description: str, mode: str = "NULLABLE") -> Column:
    """A STRING column."""
    return Column(name, "STRING", description, mode)


def integer(name: str, description: str, mode: str = "NULLABLE") -> Column:
    """An INT64 column."""
    return Column(name, "INT64", description, mode)


def number(name: str, description: str) -> Column:
    """A FLOAT64 column."""
    return Column(name, "FLOAT64", description)


def truth(name: str, description: str, mode: str = "NULLABLE") -> Column:
    """A BOOL column."""
    return Column(name, "BOOL", description, mode)


def moment(name: str, description: str, mode: str = "NULLABLE") -> Column:
    """A TIMESTAMP column, UTC microseconds."""
    return Column(name, "TIMESTAMP", description, mode)


def day(name: str, description: str) -> Column:
    """A DATE column."""
    return Column(name, "DATE", description, "REQUIRED")


def pairs(name: str, description: str) -> Column:
    """A map, as repeated name/value records."""
    return Column(
        name,
        "RECORD",
        description,
        "REPEATED",
        (text("name", "Name."), text("value", "Value.")),
    )
