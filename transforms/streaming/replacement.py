"""Replacement sets: what a key of one stage now has to say to the keys of the next (SPEC 2).

A stage remembers what it said, as hashes, and says again only what is new, changed or gone. A
message replaces the part it names, so order and repetition do not matter and what later events
merged away leaves no ghost.
"""

import polars as pl

from transforms.streaming.state import all_keys, digest_of

# What a message carries beside its content: the part it replaces, the keys that the part is now
# filed under (none: it is gone), and those that have to hear of it.
MESSAGE = {"part": pl.Int64, "keys": pl.List(pl.Int64), "touched": pl.List(pl.Int64)}
# What a stage remembers of what it said; owner: the key that said it; until: when it may be
# forgotten (us), because nothing that still comes can change it.
SAID = {
    "owner": pl.Int64,
    "target": pl.String,
    "id": pl.Int64,
    "digest": pl.UInt64,
    "told": pl.List(pl.Int64),
    "until": pl.Int64,
}


def said_of(target: str, rows: pl.DataFrame) -> pl.DataFrame:
    """What is now said to a target, as SAID.

    rows: content, part (each once), keys, owner, until.
    """
    return rows.select(
        "owner",
        pl.lit(target).alias("target"),
        pl.col("part").alias("id"),
        _digest(rows).alias("digest"),
        pl.col("keys").alias("told"),
        "until",
    )


def messages(target: str, rows: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """Messages to a target: the rows that are new or changed, and those that are gone.

    before: SAID as it was, of all targets, of the owners of rows.
    """
    known = before.filter(pl.col("target") == target).select("id", "digest", "told")
    told = (
        rows.with_columns(_digest(rows).alias("now"))
        .join(known, left_on="part", right_on="id", how="left", maintain_order="left")
        .filter(pl.col("now").ne_missing(pl.col("digest")))
        .with_columns(all_keys("keys", "told").alias("touched"))
        .drop("now", "digest", "told", "owner", "until")
    )
    gone = known.join(rows, left_on="id", right_on="part", how="anti").select(
        pl.col("id").alias("part"),
        pl.lit([], pl.List(pl.Int64)).alias("keys"),
        pl.col("told").alias("touched"),
    )
    return pl.concat([told, gone], how="diagonal")


def heard(sent: pl.DataFrame) -> pl.Series:
    """The keys that messages touch."""
    return sent["touched"].explode().drop_nulls().unique()


def current(kept: pl.DataFrame, sent: pl.DataFrame) -> pl.DataFrame:
    """The kept rows as the messages leave them: replaced, new, without those that are gone."""
    stays = kept.filter(~pl.col("part").is_in(sent["part"].implode()))
    there = sent.filter(pl.col("keys").list.len() > 0)
    return pl.concat([stays, there.select(stays.columns)])


def _digest(rows: pl.DataFrame) -> pl.Expr:
    return digest_of([name for name in rows.columns if name not in ("part", "owner", "until")])
