"""State as bytes: a log of changes for each table, folded to the rows that are left.

A block is FORMAT, the length of a name, the name, then an Arrow stream under zstd. The stream says
its columns, so a later version may add some: what was packed before has null in them.
"""

import io
from collections.abc import Iterable, Mapping

import polars as pl
import zstandard

from transforms.streaming.state import FILING, Change, MemoryState, Schema, with_columns_of

FORMAT = 1
_LEVEL = 1
# A block of more rows is packed as several, since runners limit the size of a value.
MOST_ROWS = 50_000


class StateFormatError(ValueError):
    """Bytes of a format that this version cannot read; the message says what to do."""


def pack(name: str, rows: pl.DataFrame) -> bytes:
    """A table under a name as bytes."""
    buffer = io.BytesIO()
    rows.write_ipc_stream(buffer, compat_level=pl.CompatLevel.oldest())
    packed = zstandard.compress(buffer.getvalue(), _LEVEL)
    return bytes((FORMAT, len(name))) + name.encode() + packed


def unpack(block: bytes) -> tuple[str, pl.DataFrame]:
    """The name and table of packed bytes.

    Raises StateFormatError where they are of another format.
    """
    if block[:1] != bytes((FORMAT,)):
        raise StateFormatError(
            f"state of format {block[0] if block else 'none'}, this version reads {FORMAT}: drain "
            "the pipeline with the version that wrote it, then start this one"
        )
    start = 2 + block[1]
    rows = pl.read_ipc_stream(io.BytesIO(zstandard.decompress(block[start:])))
    return block[2:start].decode(), rows


def pack_change(name: str, change: Change) -> list[bytes]:
    """A change of a table: the parts that go as rows without keys, then the rows that come."""
    gone = pl.DataFrame({"part": change.cleared.unique(maintain_order=True)})
    rows = pl.concat([gone, change.rows], how="diagonal_relaxed").select(change.rows.columns)
    return [pack(name, part) for part in rows.iter_slices(MOST_ROWS)] if rows.height else []


def pack_tables(tables: Mapping[str, pl.DataFrame]) -> list[bytes]:
    """Whole tables, as a log that begins with them."""
    return [
        pack(name, part)
        for name, rows in tables.items()
        if rows.height
        for part in rows.iter_slices(MOST_ROWS)
    ]


def unpack_state(schemas: Mapping[str, Schema], log: Iterable[bytes]) -> MemoryState:
    """The tables that a log of changes leaves."""
    changes: dict[str, list[pl.DataFrame]] = {name: [] for name in schemas}
    for block in log:
        name, rows = unpack(block)
        # A table that this version no longer has.
        if name in changes:
            changes[name].append(rows)
    state = MemoryState(schemas)
    for name, entries in changes.items():
        if entries:
            state.tables[name] = _folded(entries, {**schemas[name], **FILING})
    return state


def _folded(entries: list[pl.DataFrame], schema: Schema) -> pl.DataFrame:
    """Of every part the rows that came after it was last cleared, and their last due."""
    numbered = [
        with_columns_of(rows, schema).with_columns(pl.lit(place).alias("_entry"))
        for place, rows in enumerate(entries)
    ]
    rows = pl.concat(numbered) if len(numbered) > 1 else numbered[0]
    is_gone = pl.col("keys").is_null()
    if rows.select(is_gone.any()).item():
        cleared = rows.filter(is_gone).group_by("part").agg(pl.col("_entry").max().alias("_from"))
        rows = rows.filter(~is_gone).join(cleared, on="part", how="left", maintain_order="left")
        rows = rows.filter(pl.col("_entry") >= pl.col("_from").fill_null(0)).drop("_from")
    return rows.drop("_entry").with_columns(pl.col("due").last().over("part"))
