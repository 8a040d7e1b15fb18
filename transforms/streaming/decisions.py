"""Decisions in the stream: every call that new evidence may change, decided again (SPEC 9)."""

from dataclasses import dataclass

import polars as pl

from schemas.config import Config
from schemas.events import CALLS
from schemas.stages import ENTRIES, SETTLED
from transforms.candidates import CALL
from transforms.decisions import Evidence, decide
from transforms.models import NumberPlan
from transforms.rows import conversion_rows
from transforms.settings import allowed_lateness, form_window, lookback, with_settings
from transforms.steps import Tables
from transforms.streaming.calls import CALLER_KEY
from transforms.streaming.candidates import FOUND
from transforms.streaming.replacement import MESSAGE, current, heard
from transforms.streaming.state import Change, Outcome, State, change


@dataclass
class DecisionsStage:
    """By account and caller. In: messages of `calls`, `found` and `entries`. Out: `conversions`.

    Keeps `calls` for the lookback and the lateness, since they are the caller's past, with their
    `own` sessions; what was `found` for the lateness; `entries` for the form window and the
    lateness. A call whose lateness is over is settled: its own session stands for its evidence.
    """

    config: Config
    excluded: pl.DataFrame
    inputs = {"calls": CALLS | MESSAGE, "found": FOUND | MESSAGE, "entries": ENTRIES | MESSAGE}
    tables = {"calls": CALLS, "found": FOUND, "entries": ENTRIES, "own": SETTLED}
    filed = frozenset(tables)

    def __call__(self, state: State, inputs: Tables, watermark: int) -> Outcome:
        callers = pl.concat([heard(table) for table in inputs.values()]).unique()
        now = {name: current(state.load(name, callers), table) for name, table in inputs.items()}
        calls = self._dated(now["calls"])
        is_settled = pl.col("final") < watermark
        settled, moving = calls.filter(is_settled), calls.filter(~is_settled)
        own = state.load("own", callers).select(list(SETTLED))
        evidence = Evidence(
            calls.select(list(CALLS)),
            _unnested(now["found"], "candidates", moving),
            _unnested(now["found"], "declared", moving),
            now["entries"].select(list(ENTRIES)),
            settled.select(CALL).join(own, on=CALL, how="left"),
        )
        decided = decide(evidence, NumberPlan(self.config), self.config, self.excluded)
        filing = moving.select(
            *CALL, "part", "final", pl.col("start").alias("wake"), keys=pl.concat_list("part")
        )
        rows = conversion_rows(decided.rows, self.config, 0).join(filing, on=CALL)
        return Outcome(self._changes(inputs, moving, decided.own), {"conversions": rows})

    def _dated(self, calls: pl.DataFrame) -> pl.DataFrame:
        """Adds final (us), when a call is settled, and due, when it is nobody's past any more."""
        known = with_settings(calls, self.config, lateness=allowed_lateness, lookback=lookback)
        final = pl.col("start") + pl.col("lateness")
        return known.with_columns(
            final.alias("final"), (final + pl.col("lookback")).alias("due")
        ).drop("lateness", "lookback")

    def _changes(
        self, inputs: Tables, moving: pl.DataFrame, own: pl.DataFrame
    ) -> dict[str, Change]:
        there = {name: rows.filter(pl.col("keys").list.len() > 0) for name, rows in inputs.items()}
        lateness = with_settings(there["entries"], self.config, l=allowed_lateness, w=form_window)
        dated = {
            "calls": self._dated(there["calls"]),
            "found": there["found"].with_columns(pl.col("final").alias("due")),
            "entries": lateness.with_columns(
                (pl.col("time") + pl.col("w") + pl.col("l")).alias("due")
            ),
        }
        changes = {name: change(rows, cleared=inputs[name]["part"]) for name, rows in dated.items()}
        kept = own.join(moving.select(*CALL, "part", "due", "caller_key"), on=CALL).with_columns(
            pl.concat_list(CALLER_KEY).alias("keys")
        )
        return changes | {"own": change(kept, cleared=moving["part"])}


def _unnested(found: pl.DataFrame, name: str, calls: pl.DataFrame) -> pl.DataFrame:
    """The candidates or declared sessions of the calls' own versions, a line each."""
    return (
        found.join(calls, on=[*CALL, "hash"], how="semi")
        .select(*CALL, name)
        .filter(pl.col(name).list.len() > 0)
        .explode(name)
        .unnest(name)
    )
