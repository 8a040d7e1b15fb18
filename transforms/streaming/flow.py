"""The whole stream as a function of blocks of events: stage after stage, in SPEC's order."""

from collections.abc import Mapping
from typing import Any, Protocol

import polars as pl

from schemas.config import Config
from schemas.tables import CONVERSIONS, DISPLAYS, SESSIONS
from transforms.steps import COUNTS, Tables
from transforms.streaming.calls import CallsStage
from transforms.streaming.candidates import CandidatesStage
from transforms.streaming.decisions import DecisionsStage
from transforms.streaming.revisions import RevisionsStage
from transforms.streaming.state import Change, State, with_columns_of
from transforms.streaming.visitors import VisitorsStage

# The tables that the stream writes.
WRITTEN = (CONVERSIONS, SESSIONS, DISPLAYS)
# From which stage's output each stage's input comes; None: the block's events.
SOURCES: dict[str, dict[str, tuple[str | None, str]]] = {
    "calls": {"call": (None, "call")},
    "visitors": {"pageview": (None, "pageview"), "engagement": (None, "engagement")},
    "candidates": {"calls": ("calls", "numbers"), "showings": ("visitors", "showings")},
    "decisions": {
        "calls": ("calls", "callers"),
        "found": ("candidates", "found"),
        "entries": ("visitors", "entries"),
    },
    "conversions": {"rows": ("decisions", "conversions")},
    "sessions": {"rows": ("visitors", "sessions")},
    "displays": {"rows": ("visitors", "displays")},
}


class States(Protocol):
    """Where the stages' states rest."""

    def of(self, stage: str) -> State:
        """The state of a stage."""
        ...

    def apply(self, stage: str, changes: Mapping[str, Change]) -> None:
        """Does what a stage's step decided."""
        ...


def make_stages(config: Config, excluded: pl.DataFrame) -> dict[str, Any]:
    """All keyed stages by name, in the order in which a block goes through them.

    excluded: keys of callers who never count (account, caller_key).
    """
    return {
        "calls": CallsStage(config),
        "visitors": VisitorsStage(config),
        "candidates": CandidatesStage(config),
        "decisions": DecisionsStage(config, excluded),
        **{table.name: RevisionsStage(table) for table in WRITTEN},
    }


class Flow:
    """Takes blocks of events through all stages, and writes what the watermark has woken."""

    def __init__(self, stages: Mapping[str, Any], states: States) -> None:
        self.stages = stages
        self.states = states

    def take(self, events: Tables, watermark: int) -> Tables:
        """Brings a block of accepted events (by kind) into the states.

        Gives `late`: corrections of calls that are settled already (account, call_id, hash), and
        `counts`. watermark: us, as it was before the block.
        """
        said: dict[tuple[str | None, str], pl.DataFrame] = {
            (None, kind): rows for kind, rows in events.items()
        }
        for name, stage in self.stages.items():
            inputs = {table: said.get(source) for table, source in SOURCES[name].items()}
            if all(rows is None or rows.is_empty() for rows in inputs.values()):
                continue
            outcome = stage(self.states.of(name), _complete(inputs, stage.inputs), watermark)
            self.states.apply(name, outcome.changes)
            said |= {(name, table): rows for table, rows in outcome.outputs.items()}
        counts = [rows for (_, name), rows in said.items() if name == "counts"]
        late = said.get(("calls", "late"), pl.DataFrame(schema=LATE))
        return {"late": late, "counts": pl.concat([pl.DataFrame(schema=COUNTS), *counts])}

    def write(self, watermark: int, now: int) -> Tables:
        """The rows that the watermark (us) has woken, by table, and `counts`; now: us."""
        rows: Tables = {}
        counts = [pl.DataFrame(schema=COUNTS)]
        for table in WRITTEN:
            outcome = self.stages[table.name].write(self.states.of(table.name), watermark, now)
            self.states.apply(table.name, outcome.changes)
            rows[table.name] = outcome.outputs["rows"]
            counts.append(outcome.outputs["counts"])
        return rows | {"counts": pl.concat(counts)}


LATE = {"account": pl.String, "call_id": pl.String, "hash": pl.UInt64}


def _complete(inputs: Mapping[str, pl.DataFrame | None], schemas: Mapping[str, Any]) -> Tables:
    """Every input with its columns in order; an empty table for what is missing.

    Of what is gone a message only says what it is.
    """
    return {
        name: pl.DataFrame(schema=schema) if rows is None else with_columns_of(rows, schema)
        for (name, schema), rows in zip(schemas.items(), inputs.values(), strict=True)
    }
