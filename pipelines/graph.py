"""The backfill's Beam graph: files to rows written aside (SPEC section 2; ARCHITECTURE)."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import apache_beam as beam
import polars as pl
from apache_beam.pvalue import PCollection, TaggedOutput
from apache_beam.transforms.window import GlobalWindows

from pipelines import progress
from pipelines.ahead import Ahead
from pipelines.parquet import write_rows
from schemas.config import Config
from schemas.events import CALLS, DECODED
from schemas.stages import CANDIDATES, ENTRIES, SHOWINGS
from schemas.tables import DEAD_LETTERS, TABLES
from transforms.blocks import BlockStore
from transforms.days import Days, KeepDays
from transforms.decode import Block, Decoded, DecodeSettings, decode_block
from transforms.displays import slice_of
from transforms.reading import Split, read_split
from transforms.rows import dead_letter_rows, utc_day
from transforms.stages import KeepRows, KeyedStage, Route
from transforms.steps import (
    COUNTS,
    CallsStep,
    CandidatesStep,
    DecisionsStep,
    VisitorsStep,
)

BY_CALL = ("account", "call_id")
BY_VISITOR = ("account", "visitor_id")
BY_CALLED = ("account", "tracking_number", slice_of("start"))
BY_SHOWN = ("account", "tracking_number", "slice")
BY_CALLER = ("account", pl.coalesce("caller_key", "call_id"))
BY_ENTRY = ("account", "caller_key")
DECODE_OUTPUTS = ("pageview", "engagement", "call", "dead_letters", "counts", "days")
ROUTES = {
    "CallsStep": {"call": Route(BY_CALL, DECODED["call"])},
    "VisitorsStep": {
        "pageview": Route(BY_VISITOR, DECODED["pageview"]),
        "engagement": Route(BY_VISITOR, DECODED["engagement"]),
        "calls": Route(BY_CALL, CALLS),
    },
    "CandidatesStep": {"calls": Route(BY_CALLED, CALLS), "showings": Route(BY_SHOWN, SHOWINGS)},
    "DecisionsStep": {
        "calls": Route(BY_CALLER, CALLS),
        "candidates": Route(BY_CALLER, CANDIDATES),
        "declared": Route(BY_CALLER, CANDIDATES),
        "entries": Route(BY_ENTRY, ENTRIES),
    },
}

INPUT_DAYS = {"kind": pl.String, "account": pl.String, "day": pl.Date, "begins": pl.Int64}


@dataclass(frozen=True)
class BackfillPlan:
    """All that the graph needs to know; staging: the folder that rows are written to.

    blocks: the folder where tables rest between stages; None where workers share no disk.
    """

    splits: tuple[Split, ...]
    settings: DecodeSettings
    days: Days
    excluded: pl.DataFrame
    staging: str
    blocks: str | None
    shards: int
    detail: bool

    @property
    def config(self) -> Config:
        """The configuration that every step decides by."""
        return self.settings.config

    @property
    def store(self) -> BlockStore:
        """Where tables rest between stages."""
        return BlockStore(self.blocks)


@dataclass
class Decode(beam.DoFn):
    """Reads splits and decodes their blocks on all cores: tables by kind, dead letters, counts."""

    settings: DecodeSettings

    def start_bundle(self) -> None:
        cores = pl.thread_pool_size()
        self._ahead: Ahead[tuple[Block, Decoded]] = Ahead(cores, most=cores + 1)

    def process(self, element: Split) -> Iterator[Any]:
        for block in read_split(element):
            for done in self._ahead.add(partial(self._decode, block)):
                yield from _tagged(*done)

    def finish_bundle(self) -> Iterator[Any]:
        for done in self._ahead.rest():
            for output in _tagged(*done):
                yield TaggedOutput(output.tag, GlobalWindows.windowed_value(output.value))

    def _decode(self, block: Block) -> tuple[Block, Decoded]:
        return block, decode_block(block, self.settings)


def _tagged(block: Block, decoded: Decoded) -> Iterator[Any]:
    tables = {
        "pageview": decoded.pageviews,
        "engagement": decoded.engagements,
        "call": decoded.calls,
        "dead_letters": decoded.dead_letters,
        "counts": decoded_counts(decoded),
        "days": decoded_days(decoded),
    }
    progress.advance(len(block.data))
    for name, table in tables.items():
        if table.height:
            yield TaggedOutput(name, table)


def decoded_counts(decoded: Decoded) -> pl.DataFrame:
    """A block's counts for the ledger: kind, name, count."""
    codes = decoded.dead_letters["code"].value_counts().iter_rows()
    rows = [
        *((kind, name, count) for (kind, _, name), count in decoded.counts.items()),
        *(("dead_letters", f"dead_letter.{code}", count) for code, count in codes),
        ("erasure", "accepted", decoded.erasures.height),
    ]
    return pl.DataFrame(rows, schema=COUNTS, orient="row")


def decoded_days(decoded: Decoded) -> pl.DataFrame:
    """The days that a block has events of: kind, account, day, begins (earliest time, us)."""
    times = {
        "call": decoded.calls.select("account", time="start"),
        "pageview": decoded.pageviews.select("account", "time"),
        "engagement": decoded.engagements.select("account", "time"),
    }
    return pl.concat(
        rows.group_by("account", utc_day("time").alias("day"))
        .agg(pl.col("time").min().alias("begins"))
        .select(pl.lit(kind).alias("kind"), "account", "day", "begins")
        for kind, rows in times.items()
    )


@dataclass
class WriteRows(beam.DoFn):
    """Writes tables of rows aside, one file per table and day."""

    table: str
    staging: str

    def start_bundle(self) -> None:
        self._ahead: Ahead[None] = Ahead(threads=1, most=1)

    def process(self, element: pl.DataFrame) -> None:
        name = BlockStore.new_name()
        write = partial(write_rows, Path(self.staging), TABLES[self.table], element, name)
        for _ in self._ahead.add(write):
            pass

    def finish_bundle(self) -> None:
        for _ in self._ahead.rest():
            pass


@dataclass
class Keep(beam.PTransform[Any, Any]):
    """Rows of one table: those of the days asked for are written, all are counted."""

    plan: BackfillPlan
    table: str

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, rows: PCollection[pl.DataFrame]) -> PCollection[pl.DataFrame]:
        kept = rows | "Choose days" >> beam.ParDo(
            KeepRows(KeepDays(self.plan.days, self.table))
        ).with_output_types(pl.DataFrame, counts=pl.DataFrame).with_outputs("counts", main="kept")
        _ = kept.kept | "Write" >> beam.ParDo(WriteRows(self.table, self.plan.staging))
        return kept.counts


def build(pipeline: beam.Pipeline, plan: BackfillPlan) -> None:
    """Adds the whole backfill to a pipeline: `plan.staging` then holds rows and counts."""
    events = (
        pipeline
        | "Files" >> beam.Create(list(plan.splits), reshuffle=True)
        | "Decode"
        >> beam.ParDo(Decode(plan.settings))
        .with_output_types(pl.DataFrame, **dict.fromkeys(DECODE_OUTPUTS, pl.DataFrame))
        .with_outputs(*DECODE_OUTPUTS)
    )
    calls = {"call": events.call} | "Calls" >> _stage(plan, CallsStep, ("calls", "counts"))
    # Of a side input the bundle-based runner takes all outputs of what made it, or none of them.
    all_calls = calls.calls | "All calls" >> beam.Map(_same).with_output_types(pl.DataFrame)
    rows = ("sessions", "displays", *(("pageviews", "engagements") if plan.detail else ()))
    visitors = {kind: events[kind] for kind in ("pageview", "engagement")} | "Visitors" >> _stage(
        plan,
        VisitorsStep,
        (*rows, "showings", "entries", "counts"),
        broadcast={"calls": all_calls},
        detail=plan.detail,
    )
    found = {"calls": calls.calls, "showings": visitors.showings} | "Candidates" >> _stage(
        plan, CandidatesStep, ("candidates", "declared")
    )
    decisions = {
        "calls": calls.calls,
        "candidates": found.candidates,
        "declared": found.declared,
        "entries": visitors.entries,
    } | "Decisions" >> _stage(plan, DecisionsStep, ("conversions",), excluded=plan.excluded)
    counts = [
        events.counts,
        calls.counts,
        visitors.counts,
        decisions.conversions | "Conversions" >> Keep(plan, "conversions"),
        *(visitors[table] | table.title() >> Keep(plan, table) for table in rows),
    ]
    _write_dead_letters(events.dead_letters, plan)
    _write_notes(counts, plan, "counts")
    _write_notes([events.days], plan, "days")


def _same(table: pl.DataFrame) -> pl.DataFrame:
    return table


def _stage(
    plan: BackfillPlan,
    step: type,
    outputs: Sequence[str],
    broadcast: dict[str, PCollection[pl.DataFrame]] | None = None,
    **knowledge: object,
) -> KeyedStage:
    made = step(config=plan.config, now=plan.days.now, **knowledge)
    routes = ROUTES[step.__name__]
    return KeyedStage(made, routes, outputs, plan.shards, plan.store, broadcast or {})


def _write_dead_letters(letters: PCollection[pl.DataFrame], plan: BackfillPlan) -> None:
    _ = (
        letters
        | "Dead letter rows" >> beam.Map(dead_letter_rows).with_output_types(pl.DataFrame)
        | "Write dead letters" >> beam.ParDo(WriteRows(DEAD_LETTERS.name, plan.staging))
    )


def _write_notes(
    tables: Iterable[PCollection[pl.DataFrame]], plan: BackfillPlan, name: str
) -> None:
    """What the run itself needs to know at its end, as small files beside the rows."""
    folder = Path(plan.staging) / "notes" / name
    _ = (
        tuple(tables)
        | f"All {name}" >> beam.Flatten()
        | f"Note {name}" >> beam.Map(write_note, str(folder))
    )


def write_note(table: pl.DataFrame, folder: str) -> None:
    """Writes a small table into a folder; read_notes reads them all."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    table.write_ipc(Path(folder) / f"{BlockStore.new_name()}.arrow")


def read_notes(staging: Path, name: str, schema: dict[str, Any]) -> pl.DataFrame:
    """All small tables of a name."""
    files = sorted((staging / "notes" / name).glob("*.arrow"))
    tables = [pl.read_ipc(file) for file in files]
    return pl.concat([pl.DataFrame(schema=schema), *tables])
