"""The whole flow without Beam: blocks of events through the steps, in any order and shards."""

import random
from collections import Counter, defaultdict
from collections.abc import Sequence

import polars as pl

from pipelines.graph import ROUTES, decoded_counts
from schemas.columns import Table
from schemas.config import Config
from schemas.tables import CONVERSIONS, DISPLAYS, SESSIONS
from transforms.blocks import gather, split_shards
from transforms.decode import Block, DecodeSettings, decode_block
from transforms.models import excluded_callers
from transforms.steps import (
    CallsStep,
    CandidatesStep,
    DecisionsStep,
    Step,
    Tables,
    VisitorsStep,
)

# What makes a row of a table one row.
IDENTITY = {
    "conversions": ("account", "call_id"),
    "sessions": ("account", "visitor_id", "session_id", "session_start"),
    "displays": (
        "account",
        "visitor_id",
        "session_id",
        "session_start",
        "tracking_number",
        "display_date",
    ),
}
Inputs = Sequence[tuple[str | None, list[bytes]]]
Collections = dict[str, list[pl.DataFrame]]
Counts = Counter[tuple[str, str]]


def run_flow(
    inputs: Inputs,
    config: Config,
    key: bytes,
    now: int,
    *,
    shards: int = 1,
    block_lines: int | None = None,
    shuffle: random.Random | None = None,
) -> tuple[Tables, Counts]:
    """Rows of conversions, sessions and displays, and the counts by (kind, name).

    inputs: files, as the kind that a flag gives them and their lines. shards, block_lines and
    shuffle change how the work is cut, which no row may show.
    """
    settings = DecodeSettings(config, key, now)
    events: Collections = {kind: [] for kind in ("pageview", "engagement", "call")}
    counts: Counts = Counter()
    for block in _blocks(inputs, block_lines, shuffle):
        decoded = decode_block(block, settings)
        events["pageview"].append(decoded.pageviews)
        events["engagement"].append(decoded.engagements)
        events["call"].append(decoded.calls)
        _count(counts, [decoded_counts(decoded)])
    calls = _stage(CallsStep(config, now), {"call": events["call"]}, shards)
    visits = {kind: events[kind] for kind in ("pageview", "engagement")}
    visitors = _stage(VisitorsStep(config, now), visits, shards, {"calls": calls["calls"]})
    numbered = {"calls": calls["calls"], "showings": visitors["showings"]}
    found = _stage(CandidatesStep(config, now), numbered, shards)
    decisions = _stage(
        DecisionsStep(config, now, excluded_callers(config, key)),
        {"calls": calls["calls"], "entries": visitors["entries"]}
        | {name: found[name] for name in ("candidates", "declared")},
        shards,
    )
    _count(counts, calls["counts"] + visitors["counts"])
    rows = {
        "conversions": (CONVERSIONS, decisions["conversions"]),
        "sessions": (SESSIONS, visitors["sessions"]),
        "displays": (DISPLAYS, visitors["displays"]),
    }
    return {name: _rows(table, parts) for name, (table, parts) in rows.items()}, counts


def _rows(table: Table, parts: list[pl.DataFrame]) -> pl.DataFrame:
    empty = pl.DataFrame(table.arrow_schema().empty_table())
    return gather(parts, empty.schema)


def _blocks(inputs: Inputs, lines: int | None, shuffle: random.Random | None) -> list[Block]:
    """The files' lines in blocks of so many lines, lines and blocks shuffled where asked."""
    blocks = []
    for number, (kind, content) in enumerate(inputs):
        ordered = list(content)
        if shuffle:
            shuffle.shuffle(ordered)
        size = lines or max(len(ordered), 1)
        for start in range(0, len(ordered), size):
            data = b"\n".join(ordered[start : start + size])
            blocks.append(Block(data, kind, f"file-{number}", start + 1))
    if shuffle:
        shuffle.shuffle(blocks)
    return blocks


def _stage(
    step: Step, tables: Collections, shards: int, whole: Collections | None = None
) -> Collections:
    """What a keyed stage of the graph does with a step."""
    routes = ROUTES[type(step).__name__]
    parts: dict[int, Collections] = {}
    for name, blocks in tables.items():
        for block in blocks:
            for shard, rows in split_shards(block, routes[name].keys, shards):
                parts.setdefault(shard, {}).setdefault(name, []).append(rows)
    outputs: Collections = defaultdict(list)
    for found in parts.values():
        tables_of = found | (whole or {})
        given = {
            name: gather(tables_of.get(name, []), route.schema) for name, route in routes.items()
        }
        for name, table in step(given).items():
            if table.height:
                outputs[name].append(table)
    return outputs


def _count(counts: Counts, tables: list[pl.DataFrame]) -> None:
    for table in tables:
        for kind, name, count in table.iter_rows():
            counts[kind, name] += count
