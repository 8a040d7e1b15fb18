"""Calls in the stream: of each call record the version that counts (SPEC sections 3, 12)."""

from dataclasses import dataclass

import polars as pl

from schemas.config import Config
from schemas.events import CALLS
from transforms.calls import latest_calls
from transforms.displays import slice_of
from transforms.settings import allowed_lateness, lookback, with_settings
from transforms.steps import Tables, count_rows
from transforms.streaming.state import Outcome, State, all_keys, change, key_of

CALL_KEY = key_of("call", "account", "call_id")
CALLER_KEY = key_of("caller", "account", pl.coalesce("caller_key", "call_id"))
NUMBER_KEY = key_of("number", "account", "tracking_number", slice_of("start"))
DECLARED_KEY = key_of("declared", "account", "tracking_number", "session_id")
# Where a call looks for sessions: at its number in its hour, at the session that it names.
PLACES = {
    "number": pl.when(pl.col("direction") == "inbound").then(NUMBER_KEY),
    "declared": pl.when(pl.col("session_id").is_not_null()).then(DECLARED_KEY),
}
WHICH = ("account", "call_id")


@dataclass
class CallsStage:
    """By account and call_id. In: `call`, events. Out: `numbers` (for each of PLACES one) and
    `callers`, messages with the calls that are new or changed; `late` (account, call_id, hash);
    `counts`.

    Keeps `calls`, the version of each call that counts, for the lookback and the lateness: so long
    a call may be an earlier call, and a correction of it has to be recognised.
    """

    config: Config
    inputs = {"call": CALLS}
    tables = {"calls": CALLS}
    filed = frozenset[str]()

    def __call__(self, state: State, inputs: Tables, watermark: int) -> Outcome:
        sent = inputs["call"].with_columns(CALL_KEY.alias("part"))
        before = state.load("calls", sent["part"])
        final = self._with_due(before).filter(pl.col("start") + pl.col("lateness") < watermark)
        late = sent.join(final, on=WHICH, how="semi")
        new = sent.join(final, on=WHICH, how="anti")
        calls = latest_calls(pl.concat([before, new]))
        changed = calls.join(before, on=[*WHICH, "hash"], how="anti")
        first_seen = new.join(before, on=WHICH, how="anti").unique(WHICH).height
        kept = (
            self._with_due(changed)
            .drop("lateness")
            .with_columns(pl.concat_list("part").alias("keys"))
        )
        return Outcome(
            {"calls": change(kept, cleared=changed["part"])},
            {
                "numbers": _to_places(changed, before),
                "callers": _messages(changed, before, pl.concat_list(CALLER_KEY)),
                "late": late.select(*WHICH, "hash"),
                "counts": count_rows(
                    "call", accepted=first_seen, duplicates=new.height - first_seen
                ),
            },
        )

    def _with_due(self, calls: pl.DataFrame) -> pl.DataFrame:
        """Adds lateness (us) and due, when nothing can refer to a call any more."""
        dated = with_settings(calls, self.config, lateness=allowed_lateness, lookback=lookback)
        due = pl.col("start") + pl.col("lookback") + pl.col("lateness")
        return dated.with_columns(due.alias("due")).drop("lookback")


def _to_places(changed: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """A message for each place, so that a place needs to know nothing of the other."""
    told = [
        _messages(changed, before, pl.concat_list(key).list.drop_nulls()).with_columns(
            key_of(place, "account", "call_id").alias("part"), pl.lit(place).alias("place")
        )
        for place, key in PLACES.items()
    ]
    return pl.concat(told).filter(pl.col("touched").list.len() > 0)


def _messages(changed: pl.DataFrame, before: pl.DataFrame, keys: pl.Expr) -> pl.DataFrame:
    """The changed calls for the keys that they have now or had before."""
    told = before.select("part", keys.alias("told"))
    return (
        changed.with_columns(keys.alias("keys"))
        .join(told, on="part", how="left", maintain_order="left")
        .with_columns(all_keys("keys", "told").alias("touched"))
        .drop("told")
    )
