"""Shards of a stage: who hears a message, and which message of a part is the newest.

A stage's keys are spread over shards by their hash. A message goes to the shard of every key that
it touches, cut to the keys there. Messages of one part may overtake each other, so each carries a
version: `epoch`, then `version`, the count of the shard that says it.
"""

from collections.abc import Iterator

import polars as pl

from transforms.blocks import shard_of
from transforms.streaming.state import Schema, key_of

VERSION: Schema = {"epoch": pl.Int64, "version": pl.Int64}
# Sets what was overtaken apart from the part itself.
_OVERTAKEN = 0x5DEECE66D2B79F11


def split_messages(rows: pl.DataFrame, shards: int) -> Iterator[tuple[int, pl.DataFrame]]:
    """The messages that each shard has to hear, with `keys` and `touched` of its own.

    rows: messages; without `touched` they touch their keys. Shards that hear nothing are left out.
    """
    if "touched" not in rows.columns:
        rows = rows.with_columns(pl.col("keys").alias("touched"))
    if rows.is_empty():
        return
    if shards == 1:
        yield 0, rows
        return
    placed = rows.with_row_index("_row")
    heard = _by_shard(placed, "touched", shards)
    filed = _by_shard(placed, "keys", shards)
    cut = (
        heard.join(filed, on=["_row", "_shard"], how="left", maintain_order="left")
        .with_columns(pl.col("keys").fill_null([]))
        .join(placed.drop("keys", "touched"), on="_row", maintain_order="left")
        .drop("_row")
    )
    parts = cut.partition_by("_shard", as_dict=True, include_key=False)
    for (shard,), part in parts.items():
        yield int(shard), part


def _by_shard(placed: pl.DataFrame, column: str, shards: int) -> pl.DataFrame:
    single = placed.select("_row", column).explode(column).drop_nulls(column)
    return (
        single.with_columns(shard_of([column], shards).alias("_shard"))
        .group_by("_row", "_shard", maintain_order=True)
        .agg(column)
    )


def version_parts(name: str) -> pl.Expr:
    """Under which part the version of a part of an input is kept."""
    return pl.col("part") ^ key_of(name)


def newest(sent: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Of each part the newest message; it touches what all messages of the part touch.

    sent: messages with VERSION. known: part and VERSION of those heard before. Where a newer one
    was heard before, the keys touched still have to look again: for them a message of another
    part, that is gone, is left.
    """
    touched = sent.group_by("part", maintain_order=True).agg(
        pl.col("touched").explode().drop_nulls().unique()
    )
    last = (
        sent.drop("touched")
        .sort("epoch", "version", maintain_order=True)
        .unique("part", keep="last", maintain_order=True)
        .join(touched, on="part", maintain_order="left")
        .join(known, on="part", how="left", suffix="_known", maintain_order="left")
    )
    epoch, version = pl.col("epoch_known"), pl.col("version_known")
    is_old = (pl.col("epoch") < epoch) | (
        (pl.col("epoch") == epoch) & (pl.col("version") <= version)
    )
    is_old = is_old.fill_null(False)
    aside = pl.col("part") ^ pl.lit(_OVERTAKEN, pl.Int64)
    return last.with_columns(
        pl.when(is_old).then(aside).otherwise("part").alias("part"),
        pl.when(is_old).then(pl.lit([], pl.List(pl.Int64))).otherwise("keys").alias("keys"),
        is_old.alias("is_old"),
    ).drop("epoch_known", "version_known")
