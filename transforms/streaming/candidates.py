"""Candidates in the stream: which sessions showed a number before each call (SPEC section 8)."""

from dataclasses import dataclass
from typing import Any

import polars as pl

from schemas.config import Config
from schemas.events import CALLS
from schemas.stages import CANDIDATES, SHOWINGS
from transforms.candidates import find_candidates, find_declared
from transforms.models import NumberPlan, with_models
from transforms.settings import allowed_lateness, declared_window, with_settings
from transforms.steps import Tables, widest_window
from transforms.streaming.calls import CALLER_KEY, PLACES
from transforms.streaming.replacement import MESSAGE, SAID, current, heard, messages, said_of
from transforms.streaming.state import Outcome, State, change, key_of

# What was found for one version of a call does not count for another.
VERSION_KEY = key_of("version", "account", "call_id", "hash", "place")
CALLED = CALLS | {"place": pl.String}
SHOWN = {name: kind for name, kind in SHOWINGS.items() if name != "slice"}
FOUND_ROW = {
    name: kind
    for name, kind in CANDIDATES.items()
    if name not in ("account", "call_id", "caller_key")
}
FOUND: dict[str, Any] = {
    "account": pl.String,
    "call_id": pl.String,
    "hash": pl.UInt64,
    "final": pl.Int64,
    "candidates": pl.List(pl.Struct(FOUND_ROW)),
    "declared": pl.List(pl.Struct(FOUND_ROW)),
}


@dataclass
class CandidatesStage:
    """By account, number and hour, or account, number and session id. In: messages of `calls`, by
    place, and `showings`. Out: messages of `found`, a line a call and place with its candidates or
    its declared session.

    Keeps `called` for the lateness and `showings` for the window and the lateness: no later call
    that is still accepted can reach further back.
    """

    config: Config
    inputs = {"calls": CALLED | MESSAGE, "showings": SHOWN | MESSAGE}
    tables = {"called": CALLED, "showings": SHOWN, "said": SAID}
    filed = frozenset(("called", "showings"))

    def __call__(self, state: State, inputs: Tables, watermark: int) -> Outcome:
        calls, showings = inputs["calls"], inputs["showings"]
        near = state.load("called", heard(showings))
        asked = current(near, calls)
        changes = {
            "called": change(self._called(calls), cleared=calls["part"]),
            "showings": change(self._reaching(showings), cleared=showings["part"]),
        }
        if asked.is_empty() and calls.is_empty():
            return Outcome(changes, {})
        places = pl.concat([asked.filter(place=p).select(k).to_series() for p, k in PLACES.items()])
        shown = current(state.load("showings", places), showings)
        found = self._find(asked, shown)
        parts = pl.concat([found["owner"], calls["part"]]).unique()
        said = state.load("said", parts)
        saying = said_of("found", found).with_columns(
            pl.col("owner").alias("part"), pl.col("until").alias("due")
        )
        changes["said"] = change(saying, cleared=parts)
        return Outcome(changes, {"found": messages("found", found, said)})

    def _find(self, calls: pl.DataFrame, showings: pl.DataFrame) -> pl.DataFrame:
        """FOUND of the calls, with part, keys, owner and until."""
        final = pl.col("start") + pl.col("lateness")
        lines = with_settings(calls, self.config, lateness=allowed_lateness).select(
            "account",
            "call_id",
            "hash",
            final.alias("final"),
            "place",
            VERSION_KEY.alias("part"),
            pl.concat_list(CALLER_KEY).alias("keys"),
            pl.col("part").alias("owner"),
            final.alias("until"),
        )
        sought = {place: calls.filter(place=place).select(list(CALLS)) for place in PLACES}
        modelled = with_models(sought["number"], NumberPlan(self.config))
        found = {
            "candidates": ("number", find_candidates(showings, modelled)),
            "declared": ("declared", find_declared(showings, sought["declared"], self.config)),
        }
        for name, (place, rows) in found.items():
            nested = rows.group_by("account", "call_id", maintain_order=True).agg(
                pl.struct(list(FOUND_ROW)).alias(name), pl.lit(place).alias("place")
            )
            lines = lines.join(nested, on=["account", "call_id", "place"], how="left")
        return lines.drop("place").with_columns(pl.col("candidates", "declared").fill_null([]))

    def _called(self, calls: pl.DataFrame) -> pl.DataFrame:
        there = calls.filter(pl.col("keys").list.len() > 0).drop("touched")
        dated = with_settings(there, self.config, lateness=allowed_lateness)
        return dated.with_columns((pl.col("start") + pl.col("lateness")).alias("due"))

    def _reaching(self, showings: pl.DataFrame) -> pl.DataFrame:
        """Showings with due (us), when no call that is still accepted can come from them."""
        there = showings.filter(pl.col("keys").list.len() > 0).drop("touched")
        dated = with_settings(
            there,
            self.config,
            window=widest_window,
            declared=declared_window,
            lateness=allowed_lateness,
        )
        reach = pl.max_horizontal(
            pl.col("last_contact") + pl.col("window"), pl.col("last_display") + pl.col("declared")
        )
        return dated.with_columns((reach + pl.col("lateness")).alias("due"))
