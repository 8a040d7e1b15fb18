"""State of a keyed stage: tables whose rows are filed under keys, replaced and dropped by part.

A row belongs to one part (a visitor, a call, a session's showing of a number), and a part is filed
under several keys or, in most tables, under itself. What is loaded is loaded by key; what is
replaced, or dropped because the watermark passed its `due`, is a whole part.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import polars as pl
import polars_hash as plh

# The columns of a table, as polars takes them.
Schema = dict[str, Any]

# What every kept row carries beside the columns of its table.
FILING: Schema = {"keys": pl.List(pl.Int64), "part": pl.Int64, "due": pl.Int64}
NOTHING_LASTS = pl.DataFrame(schema={"part": pl.Int64, "due": pl.Int64})


class Change(NamedTuple):
    """What a step does to one of its tables: the rows of some parts go, rows come.

    rows: with FILING; the `due` (us) given last holds for all rows of a part, also for those that
    stay. cleared: parts whose former rows go. lasting: part, due of parts whose rows stay as they
    are, until another moment.
    """

    rows: pl.DataFrame
    cleared: pl.Series
    lasting: pl.DataFrame = NOTHING_LASTS


class State(Protocol):
    """The tables of one stage as a step sees them."""

    def load(self, table: str, keys: pl.Series) -> pl.DataFrame:
        """The rows filed under any of the keys, each once, with `part`."""
        ...

    def ripe(self, table: str, watermark: int) -> pl.DataFrame:
        """The rows of parts whose `due` (us) the watermark has passed, with `part`."""
        ...


@dataclass(frozen=True)
class Outcome:
    """What a step decides: changes of its tables, and tables for the stages after it."""

    changes: dict[str, Change]
    outputs: dict[str, pl.DataFrame]


class MemoryState:
    """State in memory: tables by name, each with its columns and FILING."""

    def __init__(self, schemas: Mapping[str, Schema]) -> None:
        self.tables = {
            name: pl.DataFrame(schema={**schema, **FILING}) for name, schema in schemas.items()
        }

    def load(self, table: str, keys: pl.Series) -> pl.DataFrame:
        wanted = pl.DataFrame({"keys": keys.cast(pl.Int64).unique()})
        rows = self.tables[table]
        found = rows.select("part", "keys").explode("keys").join(wanted, on="keys", how="semi")
        return rows.join(found, on="part", how="semi").drop("keys", "due")

    def ripe(self, table: str, watermark: int) -> pl.DataFrame:
        return self.tables[table].filter(pl.col("due") < watermark).drop("keys", "due")

    def apply(self, changes: Mapping[str, Change]) -> None:
        """Does what a step decided."""
        for name, change in changes.items():
            kept = self.tables[name].filter(~pl.col("part").is_in(change.cleared.implode()))
            kept = kept.update(change.lasting, on="part")
            rows = pl.concat([kept, change.rows.select(kept.columns)])
            self.tables[name] = rows.with_columns(pl.col("due").last().over("part"))

    def expire(self, watermark: int) -> None:
        """Drops the parts that the watermark has passed."""
        for name, rows in self.tables.items():
            self.tables[name] = rows.filter(pl.col("due") >= watermark)


def key_of(kind: str, *columns: str | pl.Expr) -> pl.Expr:
    """A stable 64-bit key of some columns; kind keeps keys of different things apart."""
    name = plh.concat_str(pl.lit(kind), *columns, separator="\0", ignore_nulls=True)
    return name.nchash.xxhash64().reinterpret(signed=True)


def digest_of(columns: Sequence[str]) -> pl.Expr:
    """A stable 64-bit hash of the values of some columns, of lists and records too."""
    text: Any = pl.struct(columns).struct.json_encode()
    return text.nchash.xxhash64()


def change(rows: pl.DataFrame, cleared: pl.Series, lasting: pl.DataFrame = NOTHING_LASTS) -> Change:
    """Rows that come (with `keys`, or filed under their part), parts that go, and that stay on."""
    if "keys" not in rows.columns:
        rows = rows.with_columns(pl.concat_list("part").alias("keys"))
    return Change(rows, cleared, lasting)


def with_columns_of(rows: pl.DataFrame, schema: Mapping[str, Any]) -> pl.DataFrame:
    """The rows with exactly a schema's columns; null where one is missing."""
    missing = [
        pl.lit(None, kind).alias(name) for name, kind in schema.items() if name not in rows.columns
    ]
    return rows.with_columns(missing).select(list(schema))


def all_keys(*lists: str) -> pl.Expr:
    """The keys of several list columns as one list, each once; null is an empty list."""
    return pl.concat_list(pl.col(name).fill_null([]) for name in lists).list.unique()
