"""The wiring: tables to shards, all tables of a shard to its step, rows to files (columnar Beam).

An element between stages is a table (a polars DataFrame); what a stage groups travels as packed
bytes under a shard number.
"""

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam
import polars as pl
from apache_beam.coders.typecoders import registry
from apache_beam.pvalue import PCollection, TaggedOutput

from transforms.blocks import BlockStore, gather, split_shards
from transforms.steps import Step

Keys = Sequence[str | pl.Expr]


class TableCoder(beam.coders.Coder):
    """A table as Arrow IPC bytes, where a runner moves one between workers."""

    def encode(self, value: pl.DataFrame) -> bytes:
        buffer = io.BytesIO()
        value.write_ipc(buffer, compression="lz4")
        return buffer.getvalue()

    def decode(self, encoded: bytes) -> pl.DataFrame:
        return pl.read_ipc(io.BytesIO(encoded))

    def estimate_size(self, value: pl.DataFrame) -> int:
        # Runners sample this; encoding a table only to measure it would be dear.
        return int(value.estimated_size())

    def is_deterministic(self) -> bool:
        return False


registry.register_coder(pl.DataFrame, TableCoder)


@dataclass
class ToShards(beam.DoFn):
    """Splits a table by its key columns and packs the parts: (shard, (name, bytes))."""

    name: str
    keys: Keys
    shards: int
    store: BlockStore

    def process(self, element: pl.DataFrame) -> Iterator[tuple[int, tuple[str, bytes]]]:
        for shard, rows in split_shards(element, self.keys, self.shards):
            yield shard, (self.name, self.store.pack(rows))


@dataclass
class ApplyStep(beam.DoFn):
    """Unpacks all tables of a shard, applies the step, gives its tables by tag."""

    step: Step
    schemas: dict[str, Any]
    store: BlockStore

    def process(
        self, element: tuple[int, Iterable[tuple[str, bytes]]], **side: Any
    ) -> Iterator[Any]:
        _, blocks = element
        parts: dict[str, list[pl.DataFrame]] = {name: [] for name in self.schemas}
        for name, block in blocks:
            parts[name].append(self.store.unpack(block))
        for name, tables in side.items():
            parts[name].extend(tables)
        tables = {name: gather(parts.pop(name), self.schemas[name]) for name in list(parts)}
        for name, table in self.step(tables).items():
            if table.height:
                yield TaggedOutput(name, table)


@dataclass(frozen=True)
class Route:
    """How a table goes into a stage: the key columns it is grouped by, and its schema."""

    keys: Keys
    schema: Any


@dataclass
class KeyedStage(beam.PTransform[Any, Any]):
    """Brings all tables of a key together and lets a pure step decide.

    Takes a dict of collections of tables by name, gives the step's tables by the names of outputs.
    routes: of every table taken; broadcast: tables that every shard sees whole.
    """

    step: Step
    routes: dict[str, Route]
    outputs: Sequence[str]
    shards: int
    store: BlockStore
    broadcast: dict[str, PCollection[pl.DataFrame]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()
        if self.shards < 1:
            raise ValueError(f"shards must be at least 1, not {self.shards}")

    def expand(self, tables: Any) -> Any:
        sharded = tuple(
            table
            | f"Shard {name}"
            >> beam.ParDo(
                ToShards(name, self.routes[name].keys, self.shards, self.store)
            ).with_output_types(tuple[int, tuple[str, bytes]])
            for name, table in tables.items()
        )
        schemas = {name: route.schema for name, route in self.routes.items()}
        whole = {name: beam.pvalue.AsList(table) for name, table in self.broadcast.items()}
        return (
            sharded
            | beam.Flatten()
            | beam.GroupByKey()
            | "Decide"
            >> beam.ParDo(ApplyStep(self.step, schemas, self.store), **whole)
            .with_output_types(pl.DataFrame, **dict.fromkeys(self.outputs, pl.DataFrame))
            .with_outputs(*self.outputs)
        )


@dataclass
class KeepRows(beam.DoFn):
    """Lets through the rows that a rule keeps, counting the rest: rule(rows) -> (kept, counts)."""

    rule: Callable[[pl.DataFrame], tuple[pl.DataFrame, pl.DataFrame]]

    def process(self, element: pl.DataFrame) -> Iterator[Any]:
        kept, counts = self.rule(element)
        if counts.height:
            yield TaggedOutput("counts", counts)
        if kept.height:
            yield kept
