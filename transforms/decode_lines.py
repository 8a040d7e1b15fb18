"""Bytes to lines as a column of texts, and which of them may be cut at their quotes."""

from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from transforms.decode_json import MAX_BYTES

_NEWLINE = ord("\n")
_RETURN = ord("\r")
_BACKSLASH = ord("\\")
_FIRST_PRINTABLE = 0x20
# Small enough for a processor's cache: large temporary arrays cost more than the search itself.
_STEP = 1 << 18


@dataclass
class Lines:
    """The lines of some bytes, each with its newline.

    starts: where each begins, and where the last one ends. texts: the lines, empty where one is not
    UTF-8. plain: places of the lines that are UTF-8, not too large, without escapes and without
    control characters but those that end them: there every quote begins or ends a string.
    escaped: the same of lines with escapes. foreign: places of the lines that are not UTF-8.
    """

    data: bytes
    starts: np.ndarray
    texts: pl.Series
    plain: np.ndarray
    escaped: np.ndarray
    foreign: np.ndarray

    def __len__(self) -> int:
        return len(self.starts) - 1

    def line(self, place: int) -> bytes:
        """One line, with its newline."""
        return self.data[self.starts[place] : self.starts[place + 1]]


def split_lines(data: bytes) -> Lines:
    """The lines of some bytes; the last may lack its newline."""
    content = np.frombuffer(data, np.uint8)
    controls = _find(np.less, content, _FIRST_PRINTABLE)
    is_newline = content[controls] == _NEWLINE
    ends = controls[is_newline] + 1
    if len(data) and (not len(ends) or ends[-1] != len(data)):
        ends = np.append(ends, len(data))
    starts = np.concatenate((np.zeros(1, np.int64), ends))
    texts, foreign = _texts(data, starts)
    is_usual = np.diff(starts) <= MAX_BYTES
    is_usual[foreign] = False
    others = controls[~is_newline]
    is_usual[_lines_of(others[~_ends_line(content, others)], starts)] = False
    has_escape = np.zeros(len(is_usual), bool)
    if b"\\" in data:
        has_escape[_lines_of(_find(np.equal, content, _BACKSLASH), starts)] = True
    plain, escaped = np.flatnonzero(is_usual & ~has_escape), np.flatnonzero(is_usual & has_escape)
    return Lines(data, starts, texts, plain, escaped, foreign)


def _find(compare: np.ufunc, content: np.ndarray, byte: int) -> np.ndarray:
    """The places of bytes for which the comparison with `byte` holds."""
    holds = np.empty(_STEP, bool)
    places = [np.zeros(0, np.int64)]
    for start in range(0, len(content), _STEP):
        part = content[start : start + _STEP]
        places.append(np.flatnonzero(compare(part, byte, out=holds[: len(part)])) + start)
    return np.concatenate(places)


def _ends_line(content: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Whether a carriage return before a newline stands there."""
    following = content[np.minimum(places + 1, len(content) - 1)]
    return (content[places] == _RETURN) & (following == _NEWLINE)


def _lines_of(places: np.ndarray, starts: np.ndarray) -> np.ndarray:
    return np.unique(np.searchsorted(starts, places, side="right") - 1)


def _texts(data: bytes, starts: np.ndarray) -> tuple[pl.Series, np.ndarray]:
    """The lines as texts, and the places of those that are none; the cast is the proof."""
    offsets = pa.py_buffer(starts.astype(np.int64, copy=False))
    lines = pl.Series(
        pa.LargeBinaryArray.from_buffers(
            pa.large_binary(), len(starts) - 1, [None, offsets, pa.py_buffer(data)]
        )
    )
    try:
        return lines.cast(pl.String), np.zeros(0, np.int64)
    except pl.exceptions.ComputeError:
        is_text = pl.Series([_is_text(line) for line in lines], dtype=pl.Boolean)
    texts = pl.select(pl.when(is_text).then(lines).otherwise(pl.lit(b""))).to_series()
    return texts.cast(pl.String), (~is_text).arg_true().to_numpy()


def _is_text(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
