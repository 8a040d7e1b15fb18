"""The first stages of the stream on Beam: messages to events, and calls that come too late."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import polars as pl

from pipelines.graph import decoded_counts
from schemas.config import Config
from transforms.decode import DecodeSettings, decode_block, message_block
from transforms.decode_block import DEAD_LETTERS, Block
from transforms.steps import Tables
from transforms.streaming.calls import CallsStage
from transforms.streaming.lateness import (
    REDELIVERED,
    call_letters,
    in_time,
    late_counts,
    late_letters,
)
from transforms.streaming.state import Change, Outcome, Schema, State, change, key_of

SETTLED: Schema = {"account": pl.String, "call_id": pl.String}
LETTERS: Schema = {"letters": pl.List(pl.Struct(DEAD_LETTERS))}
LETTER_KEY = key_of("letter", "dead_letter_id")
MESSAGES: Schema = {"id": pl.String, "data": pl.Binary}


@dataclass
class ArrivalsStage:
    """By message. In: `messages` (id, data). Out: `pageview`, `engagement`, `call`, events in time,
    each call with `letters`, what it becomes if it is settled; `dead_letters`; `counts`.

    Keeps `letters`, which dead letters were given, for as long as a message may come again.

    secret: gives the key of personal values where the stage runs, so that no pipeline carries it.
    origin: the subscription. clock: now, us.
    """

    config: Config
    secret: Callable[[], bytes] = field(repr=False)
    origin: str
    clock: Callable[[], int]
    inputs: ClassVar[dict[str, Schema]] = {"messages": MESSAGES}
    tables: ClassVar[dict[str, Schema]] = {"letters": {}}

    def __call__(self, state: State, inputs: Tables, watermark: int) -> Outcome:
        now = self.clock()
        settings = DecodeSettings(self.config, self.secret(), now)
        messages = inputs["messages"].unique("id", keep="first", maintain_order=True)
        block = message_block(list(messages.iter_rows()), self.origin)
        decoded = decode_block(block, settings)
        events, late = in_time(decoded, settings, watermark)
        letters, counts = [decoded.dead_letters], [decoded_counts(decoded)]
        if late.total():
            letters.append(late_letters(block, settings, watermark, pl.DataFrame(schema=SETTLED)))
            counts.append(late_counts(late))
        fresh, remembered = fresh_letters(state, pl.concat(letters), now)
        outputs = {
            **events,
            "call": _with_letters(events["call"], block, settings),
            "dead_letters": fresh,
            "counts": pl.concat(counts),
        }
        return Outcome({"letters": remembered}, outputs)


@dataclass
class PunctualCallsStage:
    """CallsStage for calls with `letters`: those of calls that are settled come out as
    `dead_letters`. Keeps `letters` as ArrivalsStage does."""

    calls: CallsStage
    clock: Callable[[], int]

    def __post_init__(self) -> None:
        self.inputs = {"call": {**self.calls.inputs["call"], **LETTERS}}
        self.tables = {**self.calls.tables, "letters": {}}

    def __call__(self, state: State, inputs: Tables, watermark: int) -> Outcome:
        sent = inputs["call"]
        outcome = self.calls(state, {"call": sent.drop("letters")}, watermark)
        outputs = dict(outcome.outputs)
        late = outputs.pop("late")
        found = sent.join(late, on=["account", "call_id"], how="semi").select("letters")
        letters = found.explode("letters").drop_nulls().unnest("letters")
        fresh, remembered = fresh_letters(state, letters, self.clock())
        counts = [outputs["counts"], late_counts({"call": late.height} if late.height else {})]
        return Outcome(
            {**outcome.changes, "letters": remembered},
            {**outputs, "dead_letters": fresh, "counts": pl.concat(counts)},
        )


def _with_letters(calls: pl.DataFrame, block: Block, settings: DecodeSettings) -> pl.DataFrame:
    letters = call_letters(block, settings, calls)
    nested = letters.group_by("account", "call_id").agg(
        pl.struct(list(DEAD_LETTERS)).alias("letters")
    )
    return calls.join(nested, on=["account", "call_id"], how="left", maintain_order="left")


def fresh_letters(state: State, letters: pl.DataFrame, now: int) -> tuple[pl.DataFrame, Change]:
    """The dead letters that were not given before, and what to remember of them in `letters`."""
    letters = letters.unique("dead_letter_id", keep="first", maintain_order=True)
    parts = letters.with_columns(LETTER_KEY.alias("part"))
    known = state.load("letters", parts["part"])
    fresh = parts.join(known, on="part", how="anti")
    kept = fresh.select("part", pl.lit(now + REDELIVERED, pl.Int64).alias("due"))
    return fresh.drop("part"), change(kept, cleared=kept["part"])
