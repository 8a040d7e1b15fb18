"""Blocks: tables as bytes between stages, keyed by hash shards (ARCHITECTURE, columnar Beam)."""

import io
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import polars_hash as plh
import pyarrow as pa

_INLINE, _FILE = b"i", b"f"


class BlockStore:
    """Packs tables into bytes that travel between stages.

    With a folder (one machine) the bytes rest in files there, as they are in memory, and only
    their name travels: memory does not grow with the input. Without, they travel, compressed.
    """

    def __init__(self, folder: str | None = None) -> None:
        self.folder = folder

    def pack(self, table: pl.DataFrame) -> bytes:
        """The table as bytes."""
        if self.folder is None:
            buffer = io.BytesIO()
            table.write_ipc(buffer, compression="lz4")
            return _INLINE + buffer.getvalue()
        path = Path(self.folder) / f"{self.new_name()}.arrow"
        path.parent.mkdir(parents=True, exist_ok=True)
        table.write_ipc(path, compression="uncompressed")
        return _FILE + str(path).encode()

    @staticmethod
    def new_name() -> str:
        """A file name that no other worker gives."""
        return uuid.uuid4().hex

    def unpack(self, block: bytes) -> pl.DataFrame:
        """The table of packed bytes."""
        if block[:1] == _FILE:
            # Mapped, not read: the rows are copied once, when the shard's tables become one.
            source = pa.memory_map(block[1:].decode())
        else:
            source = pa.BufferReader(block[1:])
        return pl.DataFrame(pa.ipc.open_file(source).read_all())


def shard_of(keys: Sequence[str | pl.Expr], shards: int) -> pl.Expr:
    """The shard (0 … shards - 1) of a row, by a hash of its key columns that never changes."""
    key = plh.concat_str(*keys, separator="\0", ignore_nulls=True)
    return (key.nchash.xxhash64() % shards).cast(pl.UInt32)


def split_shards(
    table: pl.DataFrame, keys: Sequence[str | pl.Expr], shards: int
) -> Iterator[tuple[int, pl.DataFrame]]:
    """The table's rows by shard; shards without rows are left out."""
    if table.is_empty():
        return
    if shards == 1:
        yield 0, table
        return
    parts = table.with_columns(shard_of(keys, shards).alias("_shard")).partition_by(
        "_shard", as_dict=True, include_key=False
    )
    for (shard,), rows in parts.items():
        yield int(shard), rows


def gather(tables: Iterable[pl.DataFrame], schema: Any) -> pl.DataFrame:
    """All rows of the tables as one; an empty table of the schema where there are none."""
    found = list(tables)
    return pl.concat(found, rechunk=True) if found else pl.DataFrame(schema=schema)
