"""Revisions: what is new of a row is written as its next revision (SPEC section 12)."""

from dataclasses import dataclass

import polars as pl

from schemas.columns import Table
from transforms.steps import COUNTS, Tables, count_rows
from transforms.streaming.state import Outcome, State, change, digest_of

FLAGS = ("is_superseded", "is_deleted")
REVISED = ("revision", "emitted_at", *FLAGS)
# How a row comes to a table: what it says, and when it may be written and is final (us).
ROW_MESSAGE = {"part": pl.Int64, "keys": pl.List(pl.Int64), "wake": pl.Int64, "final": pl.Int64}
NEVER = (1 << 63) - 1
NO_PARTS = pl.Series("part", [], pl.Int64)
_AT_ONCE = -(1 << 62)


@dataclass
class RevisionsStage:
    """By a row's identity. In: `rows`, messages with what is now to be said. Out: `rows` that are
    written, `counts`.

    Keeps `written`, the last row of each identity, until it is final, and `pending`, what is to be
    written once the watermark passes its wake. Nothing is written when nothing changed; a row that
    moves to another day leaves a superseded one in the old day; of one that is gone a deleted row
    remains.
    """

    table: Table

    def __post_init__(self) -> None:
        self._nothing = pl.DataFrame(self.table.arrow_schema().empty_table())
        rows = dict(self._nothing.schema)
        self.flag = next(name for name in FLAGS if name in rows)
        self.values = [name for name in rows if name not in REVISED]
        said = {name: rows[name] for name in self.values}
        self.inputs = {"rows": said | ROW_MESSAGE}
        kept = said | {"digest": pl.UInt64, self.flag: pl.Boolean, "final": pl.Int64}
        self.filed = frozenset[str]()
        self.tables = {"written": kept | {"revision": pl.Int64}, "pending": kept}

    def __call__(self, state: State, inputs: Tables, watermark: int) -> Outcome:
        sent = inputs["rows"].with_columns(digest_of(self.values).alias("digest"))
        written = state.load("written", sent["part"].unique())
        is_gone = pl.col("keys").list.len() == 0
        before = written.select("part", before="digest", was_gone=self.flag)
        there = sent.filter(~is_gone).join(before, on="part", how="left")
        is_news = pl.col("digest").ne_missing(pl.col("before")) | pl.col("was_gone")
        news = there.filter(is_news).with_columns(
            pl.lit(False).alias(self.flag), pl.col("wake").alias("due")
        )
        gone = written.filter(~pl.col(self.flag)).join(sent.filter(is_gone), on="part", how="semi")
        gone = gone.with_columns(
            pl.lit(True).alias(self.flag), pl.lit(_AT_ONCE, pl.Int64).alias("due")
        )
        columns = [*self.tables["pending"], "part", "due"]
        pending = pl.concat([news.select(columns), gone.select(columns)])
        # A row that may still change stays known, also where its session goes on without it.
        known = sent.filter(~is_gone).join(written, on="part", how="semi")
        lasting = known.select("part", pl.col("final").alias("due"))
        changes = {
            "pending": change(pending, cleared=sent["part"]),
            "written": change(
                pending.clear().with_columns(pl.lit(0, pl.Int64).alias("revision")),
                NO_PARTS,
                lasting,
            ),
        }
        return Outcome(changes, {})

    def write(self, state: State, watermark: int, now: int) -> Outcome:
        """Writes what the watermark has woken; now: the moment of writing (us)."""
        ripe = state.ripe("pending", watermark)
        if ripe.is_empty():
            return Outcome({}, {"rows": self._nothing, "counts": pl.DataFrame(schema=COUNTS)})
        written = state.load("written", ripe["part"].unique())
        moved = written.join(ripe.select("part", day=self.table.partition), on="part").filter(
            pl.col("day") != pl.col(self.table.partition)
        )
        last = (
            pl.concat(
                [
                    written.select("part", "revision"),
                    moved.select("part", pl.col("revision") + 1),
                ]
            )
            .group_by("part")
            .agg(pl.col("revision").max())
        )
        rows = ripe.join(last, on="part", how="left", maintain_order="left").with_columns(
            pl.col("revision").fill_null(0) + 1
        )
        left = moved.with_columns(pl.col("revision") + 1, pl.lit(True).alias(self.flag))
        columns = [*self.values, self.flag, "revision"]
        emitted = pl.concat([left.select(columns), rows.select(columns)]).with_columns(
            pl.lit(now).cast(pl.Datetime("us")).dt.replace_time_zone("UTC").alias("emitted_at")
        )
        kept = rows.with_columns(pl.col("final").alias("due"))
        return Outcome(
            {
                "written": change(kept, cleared=ripe["part"]),
                "pending": change(kept.clear(), cleared=ripe["part"]),
            },
            {"rows": emitted.select(self.table.names), "counts": self._counts(rows, moved)},
        )

    def _counts(self, rows: pl.DataFrame, moved: pl.DataFrame) -> pl.DataFrame:
        first = int((rows["revision"] == 1).sum())
        gone = int(rows[self.flag].sum())
        return count_rows(
            self.table.name,
            written=first,
            revised=rows.height - first - gone,
            superseded=moved.height,
            deleted=gone,
        )
