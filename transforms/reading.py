"""Files to blocks of whole lines: paths, splits, compression (SPEC section 3).

A line's number is counted only for a line that needs it, so large files split at any byte.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO

import pyarrow as pa

from transforms.decode_block import Block
from transforms.decode_json import JSON_WHITESPACE, MAX_BYTES
from transforms.reading_files import InputError, find_files, open_file, unreadable
from transforms.reading_parquet import parquet_blocks

__all__ = ["InputError", "Split", "lines_before", "list_splits", "read_split"]

BLOCK_BYTES = 16 << 20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CHUNK = 1 << 20
_PEEK = 1 << 16


@dataclass(frozen=True)
class Split:
    """A part of the input to be read at once: bytes of a plain file, or a whole other file.

    start, end: the lines that begin in these bytes; end None is the whole file.
    """

    path: str
    kind: str | None
    start: int = 0
    end: int | None = None
    block_bytes: int = BLOCK_BYTES


def list_splits(
    paths: Sequence[str], kind: str | None, block_bytes: int = BLOCK_BYTES
) -> list[Split]:
    """The splits of files, folders and globs, local or of Beam's file systems, in order of path.

    A file that several paths name is read once. Raises InputError where a path names no events.
    """
    sizes: dict[str, int] = {}
    for path in paths:
        sizes |= find_files(path)
    splits = []
    for path, size in sorted(sizes.items()):
        if path.endswith(".jsonl"):
            ranges = range(0, size, block_bytes)
            splits += [
                Split(path, kind, start, min(start + block_bytes, size), block_bytes)
                for start in ranges
            ]
        else:
            splits.append(Split(path, kind, block_bytes=block_bytes))
    return splits


def read_split(split: Split) -> Iterator[Block]:
    """The blocks of a split, blank lines and all. Raises InputError where it cannot be read."""
    try:
        if split.path.endswith(".parquet"):
            yield from parquet_blocks(split.path, split.kind)
        elif split.end is None:
            yield from _compressed_blocks(split)
        else:
            yield from _plain_block(split)
    except OSError as error:
        raise unreadable(split.path, error) from error


@lru_cache(maxsize=1 << 12)
def _newlines(path: str, start: int, end: int) -> int:
    with open_file(path) as file:
        file.seek(start)
        return file.read(end - start).count(b"\n")


def lines_before(path: str, offset: int) -> int:
    """How many lines of a plain file end before a place in it (bytes). Reads the file up to there.

    Whole blocks are remembered, so that all blocks of a file cost one more reading at most.
    """
    starts = range(0, offset, BLOCK_BYTES)
    return sum(_newlines(path, start, min(start + BLOCK_BYTES, offset)) for start in starts)


# --- plain files -------------------------------------------------------------------------------


def _plain_block(split: Split) -> Iterator[Block]:
    """The lines that begin between split.start and split.end, as one block."""
    end = split.end or 0
    with open_file(split.path) as file:
        start = _next_line(file, split.start, end) if split.start else 0
        if start is None:
            return
        stop = _next_line(file, end, end + _CHUNK)
        file.seek(start)
        data = file.read((stop or end) - start)
        if stop is None:
            data += _rest_of_line(file, len(data) - data.rfind(b"\n") - 1)
    if start == 0:
        yield Block(data.removeprefix(BYTE_ORDER_MARK), split.kind, split.path)
    else:
        yield Block(data, split.kind, split.path, None, start)


def _next_line(file: BinaryIO, start: int, end: int) -> int | None:
    """Where the first line begins that begins in start … end - 1, None where none does."""
    file.seek(start - 1)
    place = start - 1
    while place < end - 1:
        chunk = file.read(min(_PEEK, end - 1 - place))
        if not chunk:
            return None
        found = chunk.find(b"\n")
        if found >= 0:
            return place + found + 1
        place += len(chunk)
    return None


def _rest_of_line(file: BinaryIO, length: int) -> bytes:
    """What the file still has of a line of which `length` bytes are read, shortened."""
    rest = b""
    while chunk := file.read(_CHUNK):
        found = chunk.find(b"\n")
        rest += chunk if found < 0 else chunk[: found + 1]
        if found >= 0:
            break
        rest = _shortened(rest, MAX_BYTES - length)
    return rest


def _shortened(line: bytes, limit: int = MAX_BYTES) -> bytes:
    """The beginning of a line, and one byte more where what is cut off is not blank.

    So it stays too large, or blank, whatever its length, and memory stays bounded.
    """
    limit = max(limit, 0)
    return line[:limit] + line[limit:].strip(JSON_WHITESPACE)[:1]


# --- compressed files --------------------------------------------------------------------------


def _compressed_blocks(split: Split) -> Iterator[Block]:
    line = 1
    for data in _whole_lines(_decompressed(split.path), split.block_bytes):
        text = data.removeprefix(BYTE_ORDER_MARK) if line == 1 else data
        yield Block(text, split.kind, split.path, line)
        line += data.count(b"\n")


def _decompressed(path: str) -> Iterator[bytes]:
    """The content of all members or frames of a file. OSError where it ends before they do."""
    codec = "gzip" if path.endswith(".gz") else "zstd"
    with (
        open_file(path) as file,
        pa.CompressedInputStream(pa.PythonFile(file, mode="r"), codec) as stream,
    ):
        while chunk := stream.read(_CHUNK):
            yield chunk


def _whole_lines(chunks: Iterator[bytes], size: int) -> Iterator[bytes]:
    """Joins pieces to blocks of whole lines of about `size` bytes; the end may lack its newline."""
    held: list[bytes] = []
    length = 0
    for chunk in chunks:
        held.append(chunk)
        length += len(chunk)
        if length < size:
            continue
        joined = b"".join(held)
        cut = joined.rfind(b"\n") + 1
        if cut:
            yield joined[:cut]
        held = [joined[cut:] if cut else _shortened(joined)]
        length = len(held[0])
    if length:
        yield b"".join(held)
